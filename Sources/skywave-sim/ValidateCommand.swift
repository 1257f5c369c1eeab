import ArgumentParser
import HFNode

/// Holds the nodes and the channel model against what is published.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Measures the modelled nodes and channel and holds them against published figures.",
        discussion: """
            Prints a row for each figure: what was measured, what arithmetic expects, what it expects where it counts as the \
            known figure does, and how far off each may be; in what span real nodes are, where that is published. Exits with 1 \
            when a row fails, and names it once more at the end. Takes some seconds in a release build. docs/hf-links.md says \
            where the figures are from, and why a row may miss its span.
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
        var missed: [String] = []
        for table in tables.isEmpty ? Table.allCases : tables {
            print("\n\(table.rawValue)  \(table.title)")
            let result =
                switch table {
                case .cleanChannel: printRows("%", ValidationRow.cleanChannel)
                case .latencies: printRows("s", ValidationRow.latencies)
                case .thresholds: printThresholds()
                case .turnarounds: printRows("%", ValidationRow.turnarounds)
                case .wideband: printRows("%", ValidationRow.wideband)
                }
            failed += result.failed.map { "\(table.rawValue)  \($0)" }
            missed += result.missed.map { "\(table.rawValue)  \($0)" }
        }
        if !missed.isEmpty {
            print("\n\(missed.count) rows MISS what is published of real nodes; docs/hf-links.md says why")
            for name in missed { print("    \(name)") }
        }
        guard failed.isEmpty else {
            print("\n\(failed.count) rows FAIL")
            for name in failed { print("    \(name)") }
            throw ExitCode.failure
        }
        print(missed.isEmpty ? "\nall rows pass" : "\nall other rows pass")
    }

    /// Names of rows.
    private struct Result {
        var failed: [String] = []
        /// Known not to be where real nodes are.
        var missed: [String] = []
    }

    private func printRows(_ unit: String, _ rows: [ValidationRow]) -> Result {
        var result = Result()
        print(Self.columns("", "measured", "expected", "within", "known", "so counted", "within", "span", ""))
        for row in rows {
            let measured = row.measured()
            let verdict: String
            if let disagreement = row.disagreement(measured: measured, tolerated: tolerance) {
                result.failed.append(row.name)
                verdict = "FAIL: \(disagreement)"
            } else if row.isMissKnown {
                result.missed.append(row.name)
                verdict = "MISS: \(Self.number(measured)) \(unit) is outside"
            } else {
                verdict = "pass"
            }
            func value(_ value: Double?) -> String { value.map { "\(Self.number($0)) \(unit)" } ?? "–" }
            print(
                Self.columns(
                    row.name, value(measured), value(row.expected), value(tolerance * row.simulationTolerance), value(row.known),
                    value(row.known.map { _ in row.comparable }), value(row.known.map { _ in tolerance * row.tolerance }),
                    row.span.map { Self.text($0) } ?? "–", verdict))
        }
        return result
    }

    private func printThresholds() -> Result {
        typealias Row = ThresholdMeasurement.Row
        print(
            "    within \(tolerance * Row.awgnTolerance) (AWGN), \(tolerance * Row.poorTolerance) (Poor), "
                + "\(tolerance * Row.goodTolerance) (Good, up to \(Row.goodRates.upperBound) bit/s)")
        let measurement = ThresholdMeasurement.standard()
        var result = Result()
        for waveform in ThresholdMeasurement.waveforms {
            guard let row = measurement.row(waveform) else { continue }
            let disagreement = row.disagreement(tolerated: tolerance)
            if disagreement != nil { result.failed.append("\(waveform)") }
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
        return result
    }

    // MARK: Text

    private static func columns(_ name: String, _ values: String...) -> String {
        let widths = [12, 12, 10, 10, 12, 10, 10]
        return "    " + padded(name, 46) + zip(values, widths).map { padded($0, $1) }.joined() + (values.last ?? "")
    }

    /// As in `6–20` and `>45`.
    private static func text(_ span: ClosedRange<Double>) -> String {
        span.upperBound.isFinite ? "\(Int(span.lowerBound))–\(Int(span.upperBound))" : ">\(Int(span.lowerBound))"
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
