import ArgumentParser
import HFNode

/// Holds the nodes and the channel model against what is published.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Measures the modelled nodes and channel and holds them against published figures.",
        discussion: """
            Prints a row for each figure: what was measured, what is expected, how far off it may be. Exits with 1 when a row \
            fails, and names it once more at the end. Takes some seconds in a release build. docs/hf-links.md says where the \
            figures are from.
            """)

    private enum Table: String, CaseIterable, ExpressibleByArgument {
        case cleanChannel = "V1"
        case latencies = "V2"
        case thresholds = "V3"
        case turnarounds = "V8"
        case wideband = "V9"

        var title: String {
            switch self {
            case .cleanChannel: "Use of a clean channel by bulk data"
            case .latencies: "Delivery of a small unit"
            case .thresholds: "SNR for a bit error rate of 1e-5, measured/published, dB in 3 kHz"
            case .turnarounds: "What turnarounds cost"
            case .wideband: "What the window of 128 frames leaves of high rates"
            }
        }
    }

    @Argument(help: ArgumentHelp("The tables to measure; all of them by default.", valueName: "table"))
    private var tables: [Table] = []

    @Option(
        help: ArgumentHelp(
            "How much of what each row may be off is allowed: 0.5 shows which would fail if figures had to be twice as near.",
            valueName: "part"))
    var tolerance = 1.0

    func validate() throws {
        guard tolerance >= 0, tolerance.isFinite else { throw ValidationError("--tolerance \(tolerance): 0 or more") }
    }

    func run() throws {
        var failed: [String] = []
        for table in tables.isEmpty ? Table.allCases : tables {
            print("\n\(table.rawValue)  \(table.title)")
            let names =
                switch table {
                case .cleanChannel: printRows("%", ValidationRow.cleanChannel)
                case .latencies: printRows("s", ValidationRow.latencies)
                case .thresholds: printThresholds()
                case .turnarounds: printRows("%", ValidationRow.turnarounds)
                case .wideband: printRows("%", ValidationRow.wideband)
                }
            failed += names.map { "\(table.rawValue)  \($0)" }
        }
        guard failed.isEmpty else {
            print("\n\(failed.count) rows FAIL")
            for name in failed { print("    \(name)") }
            throw ExitCode.failure
        }
        print("\nall rows pass")
    }

    /// - Returns: the rows that fail.
    private func printRows(_ unit: String, _ rows: [ValidationRow]) -> [String] {
        var failed: [String] = []
        print(Self.columns("", "measured", "expected", "within", "known", "", unit: ""))
        for row in rows {
            let measured = row.measured()
            let disagreement = row.disagreement(measured: measured, tolerated: tolerance)
            if disagreement != nil { failed.append(row.name) }
            let known =
                row.known.lowerBound == row.known.upperBound
                ? Self.number(row.known.lowerBound)
                : "\(Self.number(row.known.lowerBound))–\(Self.number(row.known.upperBound))"
            print(
                Self.columns(
                    row.name, Self.number(measured), Self.number(row.expected),
                    Self.number(tolerance * row.simulationTolerance), known, disagreement.map { "FAIL: \($0)" } ?? "pass",
                    unit: unit))
        }
        return failed
    }

    /// - Returns: the rows that fail.
    private func printThresholds() -> [String] {
        typealias Row = ThresholdMeasurement.Row
        print(
            "    within \(tolerance * Row.awgnTolerance) (AWGN), \(tolerance * Row.poorTolerance) (Poor), "
                + "\(tolerance * Row.goodTolerance) (Good, up to \(Row.goodRates.upperBound) bit/s)")
        let measurement = ThresholdMeasurement.standard()
        var failed: [String] = []
        for waveform in ThresholdMeasurement.waveforms {
            guard let row = measurement.row(waveform) else { continue }
            let disagreement = row.disagreement(tolerated: tolerance)
            if disagreement != nil { failed.append("\(waveform)") }
            func pair(_ measured: Double?, _ published: Double?) -> String {
                guard let measured, let published else { return "–" }
                return "\(Self.number(measured))/\(Self.number(published))"
            }
            print(
                "    " + Self.padded("\(waveform)", 34)
                    + Self.padded(pair(row.measured.awgn, row.published.awgn), 14)
                    + Self.padded(pair(row.measured.poor, row.published.poor), 14)
                    + Self.padded(pair(row.measured.good, row.published.good), 14)
                    + (disagreement.map { "FAIL: \($0)" } ?? "pass"))
        }
        return failed
    }

    // MARK: Text

    private static func columns(
        _ name: String, _ measured: String, _ expected: String, _ tolerance: String, _ known: String, _ verdict: String,
        unit: String
    ) -> String {
        let unit = unit.isEmpty ? "" : " \(unit)"
        return "    " + padded(name, 46) + padded(measured + unit, 12) + padded(expected + unit, 12) + padded(tolerance + unit, 10)
            + padded(known, 10) + verdict
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        let hundredths = Int((value * 100).rounded())
        let magnitude = abs(hundredths)
        let fraction = magnitude % 100 < 10 ? "0\(magnitude % 100)" : "\(magnitude % 100)"
        return "\(hundredths < 0 ? "-" : "")\(magnitude / 100).\(fraction)"
    }
}
