import ArgumentParser
import HFNode

/// Holds the nodes and the channel model against what is published.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Measures the modelled nodes and channel and holds them against published figures.",
        discussion: """
            Prints a row for each figure: what was measured, what is expected, how far off it may be. Exits with 1 when a row \
            fails. Takes some seconds in a release build. docs/hf-links.md says where the figures are from.
            """)

    func run() throws {
        var failures = 0
        func table(_ title: String, _ unit: String, _ rows: [ValidationRow]) {
            print("\n\(title)")
            print(Self.columns("", "measured", "expected", "within", "known", "", unit: ""))
            for row in rows {
                let measured = row.measured()
                let disagreement = row.disagreement(measured: measured)
                if disagreement != nil { failures += 1 }
                let known =
                    row.known.lowerBound == row.known.upperBound
                    ? Self.number(row.known.lowerBound)
                    : "\(Self.number(row.known.lowerBound))–\(Self.number(row.known.upperBound))"
                print(
                    Self.columns(
                        row.name, Self.number(measured), Self.number(row.expected), Self.number(row.simulationTolerance), known,
                        disagreement.map { "FAIL: \($0)" } ?? "pass", unit: unit))
            }
        }
        table("V1  Use of a clean channel by bulk data", "%", ValidationRow.cleanChannel)
        table("V2  Delivery of a small unit", "s", ValidationRow.latencies)
        failures += printThresholds()
        table("V8  What turnarounds cost", "%", ValidationRow.turnarounds)
        table("V9  What the window of 128 frames leaves of high rates", "%", ValidationRow.wideband)
        print(failures == 0 ? "\nall rows pass" : "\n\(failures) rows FAIL")
        if failures > 0 { throw ExitCode.failure }
    }

    private func printThresholds() -> Int {
        typealias Row = ThresholdMeasurement.Row
        print("\nV3  SNR for a bit error rate of 1e-5, measured/published, dB in 3 kHz")
        print(
            "    within \(Row.awgnTolerance) (AWGN), \(Row.poorTolerance) (Poor), "
                + "\(Row.goodTolerance) (Good, up to \(Row.goodRates.upperBound) bit/s)")
        let measurement = ThresholdMeasurement.standard()
        var failures = 0
        for waveform in ThresholdMeasurement.waveforms {
            guard let row = measurement.row(waveform) else { continue }
            if row.disagreement != nil { failures += 1 }
            func pair(_ measured: Double?, _ published: Double?) -> String {
                guard let measured, let published else { return "–" }
                return "\(Self.number(measured))/\(Self.number(published))"
            }
            print(
                "    " + Self.padded("\(waveform)", 34)
                    + Self.padded(pair(row.measured.awgn, row.published.awgn), 14)
                    + Self.padded(pair(row.measured.poor, row.published.poor), 14)
                    + Self.padded(pair(row.measured.good, row.published.good), 14)
                    + (row.disagreement.map { "FAIL: \($0)" } ?? "pass"))
        }
        return failures
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
