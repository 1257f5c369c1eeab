import NIOCore

/// Rows against which the nodes are validated: a setting, the figure that is known for it, and how far off the nodes
/// may be.
///
/// The known figures were worked out from the cycle of half-duplex ARQ with a preamble, whole interleaver blocks, 0.2 s
/// of key-up and the turnaround of the row; they agree with measurements published for real nodes (Isode, “STANAG 5066
/// Performance Measurements over HF Radio”: 83 to 94 % over 75 to 9600 bit/s; “Performance Measurements of Applications
/// using IP over HF Radio”: 6 to 20 s for small messages).
package struct ValidationRow: Sendable, CustomStringConvertible {
    package enum Measure: Hashable, Sendable {
        /// Percent of the rate of the air that bulk data get.
        case utilisation
        /// Seconds of a cycle.
        case cycle
        /// Seconds until a small unit is delivered.
        case coldLatency
        case warmLatency
        /// Seconds until so many questions and answers are through, as a connection over TCP begins.
        case exchanges(Int)
    }

    package let name: String
    package let form: ClosedForm
    package let measure: Measure
    /// The known figure; nil where there is only a span.
    package var known: Double?
    /// How far from the known figure ``comparable`` may be.
    package var tolerance = 0.0
    /// How far from ``expected`` the nodes may be.
    package let simulationTolerance: Double
    /// Where the nodes have to be, by what is published of real ones; nil where nothing is.
    package var span: ClosedRange<Double>?
    /// The nodes are not within ``span``, and docs/hf-links.md says why.
    package var isMissKnown = false

    package var description: String { name }

    /// Of settings as an operator would choose them; 83 to 94 % are published.
    package static let tunedPercent = 81.0...95.0
    /// Of small messages in applications made for HF.
    package static let messageSeconds = 6.0...20.0
    /// Of an XMPP stream over TCP: nine questions and answers. The least that is published for a small message over IP is
    /// 89 s; of that this is the part which the nodes account for.
    package static let streamSeconds = 45.0...Double.infinity

    /// What the closed form says.
    package var expected: Double {
        switch measure {
        case .utilisation: form.bulk.utilisation
        case .cycle: form.bulk.cycle
        case .coldLatency: form.coldLatency
        case .warmLatency: form.warmLatency
        case .exchanges(let count): form.exchangeLatency(count)
        }
    }

    /// What the closed form says when it counts as the known figure does: a unit is delivered when its whole transmission
    /// is in. A node need not wait for the modem's tail, so ``expected`` may be less.
    package var comparable: Double {
        switch measure {
        case .coldLatency: form.coldLatencyWithTail
        case .warmLatency: form.warmLatencyWithTail
        case .utilisation, .cycle, .exchanges: expected
        }
    }

    /// What two nodes in virtual time do.
    package func measured() -> Double {
        switch measure {
        case .utilisation: LinkMeasurement.bulk(form).utilisation
        case .cycle: LinkMeasurement.bulk(form).cycle
        case .coldLatency: LinkMeasurement.latency(form).cold
        case .warmLatency: LinkMeasurement.latency(form).warm
        case .exchanges(let count): LinkMeasurement.exchanges(count, form)
        }
    }

    /// Nil if the figures agree, else what is wrong.
    ///
    /// - Parameter part: of the tolerances that may be used up, 0 or more; 0.5 asks for figures twice as near.
    package func disagreement(measured: Double, tolerated part: Double = 1) -> String? {
        let (expected, comparable) = (expected, comparable)
        if let known, abs(comparable - known) > part * tolerance {
            return "the closed form says \(comparable), not \(known)"
        }
        if abs(measured - expected) > part * simulationTolerance { return "the nodes do \(measured), the closed form says \(expected)" }
        if misses(measured: measured) != isMissKnown, let span {
            return "\(measured) is \(isMissKnown ? "within" : "outside") \(span.lowerBound) to \(span.upperBound)"
        }
        return nil
    }

    /// Whether the nodes are not where real ones are.
    package func misses(measured: Double) -> Bool { span.map { !$0.contains(measured) } ?? false }
}

extension ValidationRow {
    // MARK: Modems of the rows

    /// MIL-STD-188-110A main body: short and long interleaver.
    private static func lowRate(_ rate: Int, isLong: Bool = false) -> TransmissionTiming {
        timing(.serialTone, rate, isLong ? .long : .short)
    }

    /// STANAG 4539 at 9600 bit/s.
    private static func highRate(_ interleaver: Interleaver) -> TransmissionTiming {
        timing(.stanag4539, 9_600, interleaver)
    }

    private static func timing(
        _ family: WaveformFamily, _ rate: Int, _ interleaver: Interleaver
    ) -> TransmissionTiming {
        guard let waveform = Waveform(family, bitsPerSecond: rate, interleaver: interleaver) else {
            preconditionFailure("a row with a mode that \(family.name) does not have")
        }
        return waveform.timing()
    }

    /// As MIL-STD-188-110D with the medium interleaver, at rates of our choice: only the window is looked at.
    private static func wideband(_ rate: Int) -> TransmissionTiming {
        TransmissionTiming(
            bitsPerSecond: rate, interleaver: .milliseconds(1920), preamble: .milliseconds(240), tailBits: 32)
    }

    private static func bulk(
        _ name: String, _ timing: TransmissionTiming, segment: Int, turnaround: TimeAmount, _ percent: Double,
        tolerance: Double = 1, unitBytes: Int = 2048, isTuned: Bool = false
    ) -> ValidationRow {
        var form = ClosedForm(timing: timing, segmentBytes: segment, turnaround: turnaround)
        form.unitBytes = unitBytes
        var row = ValidationRow(
            name: name, form: form, measure: .utilisation, known: percent, tolerance: tolerance, simulationTolerance: 1)
        if isTuned { row.span = tunedPercent }
        return row
    }

    // MARK: Tables

    /// Utilisation of a clean channel by bulk data.
    package static var cleanChannel: [ValidationRow] {
        let second = TimeAmount.seconds(1)
        var synchronous = highRate(.veryLong)
        synchronous.line = .synchronous
        return [
            bulk("75 S, segments of 1023", lowRate(75), segment: 1023, turnaround: second, 89, isTuned: true),
            bulk("300 S, segments of 684", lowRate(300), segment: 684, turnaround: second, 92, isTuned: true),
            bulk("1200 S, segments of 684", lowRate(1200), segment: 684, turnaround: second, 93, isTuned: true),
            bulk("1200 S, segments of 200", lowRate(1200), segment: 200, turnaround: second, 86, isTuned: true),
            bulk("1200 L, segments of 684", lowRate(1200, isLong: true), segment: 684, turnaround: second, 84, isTuned: true),
            bulk("2400 S, segments of 684", lowRate(2400), segment: 684, turnaround: second, 93, isTuned: true),
            bulk("2400 L, segments of 200", lowRate(2400, isLong: true), segment: 200, turnaround: second, 74),
            bulk(
                "9600 S, segments of 684, turnaround 0.2 s", highRate(.short), segment: 684,
                turnaround: .milliseconds(200), 93, isTuned: true),
            bulk(
                "9600 L, segments of 684, turnaround 2 s", highRate(.long), segment: 684, turnaround: .seconds(2), 84,
                isTuned: true),
            bulk("9600 VL, segments of 684", highRate(.veryLong), segment: 684, turnaround: second, 82, isTuned: true),
            bulk("9600 VL, segments of 684, synchronous line", synchronous, segment: 684, turnaround: second, 59),
        ]
    }

    /// What turnarounds cost.
    package static var turnarounds: [ValidationRow] {
        [(200, 82.0), (2000, 71.0)].map { milliseconds, percent in
            bulk(
                "9600 VS, segments of 200, turnaround \(milliseconds) ms", highRate(.veryShort), segment: 200,
                turnaround: .milliseconds(Int64(milliseconds)), percent)
        }
            + [(200, 94.0), (2000, 91.0)].map { milliseconds, percent in
                bulk(
                    "1200 S, segments of 684, turnaround \(milliseconds) ms", lowRate(1200), segment: 684,
                    turnaround: .milliseconds(Int64(milliseconds)), percent)
            }
    }

    /// What the window of 128 frames leaves of high rates. Units fill their segments.
    package static var wideband: [ValidationRow] {
        let rates = [16_000, 64_000, 120_000, 240_000]
        let half = TimeAmount.milliseconds(500)
        return zip(rates, [92.0, 77, 65, 45]).map { rate, percent in
            bulk(
                "\(rate) M, segments of 1023", wideband(rate), segment: 1023, turnaround: half, percent, tolerance: 3,
                unitBytes: 2042)
        }
            + zip(rates, [66.0, 42, 30, 15]).map { rate, percent in
                bulk(
                    "\(rate) M, segments of 200", wideband(rate), segment: 200, turnaround: half, percent, tolerance: 3,
                    unitBytes: 1996)
            }
    }

    /// Delivery of a payload of 150 bytes, without a link and with one, at the ends of turnarounds from 0.5 to 2 s; and what
    /// begins with questions and answers.
    package static var latencies: [ValidationRow] {
        let modems: [(String, TransmissionTiming, Double, ClosedRange<Double>)] = [
            ("75 S", lowRate(75), 23, 38...41), ("300 S", lowRate(300), 7, 14...17), ("600 S", lowRate(600), 4, 9...12),
            ("1200 S", lowRate(1200), 3, 7...10), ("1200 L", lowRate(1200, isLong: true), 10, 31...34),
            ("2400 S", lowRate(2400), 2.4, 6...9), ("9600 VS", highRate(.veryShort), 1.2, 4...7),
            ("9600 L", highRate(.long), 5, 16...19),
        ]
        let rows = modems.flatMap { name, timing, warm, cold in
            latencyEnds.flatMap { turnaround in
                let isQuick = turnaround < .seconds(1)
                var call = latency(name, timing, turnaround, "cold", .coldLatency)
                call.known = isQuick ? cold.lowerBound : cold.upperBound
                // What is published are typical messages: not the lowest rate, no long interleaver.
                let isTypical = timing.interleaver == lowRate(300).interleaver && (300...2_400).contains(timing.bitsPerSecond)
                if isTypical { call.span = messageSeconds }
                call.isMissKnown = isTypical && isQuick && timing.bitsPerSecond == 2_400
                var linked = latency(name, timing, turnaround, "warm", .warmLatency)
                linked.known = warm
                return [call, linked]
            }
        }
        return rows
            + latencyEnds.map { turnaround in
                var row = latency("1200 S", lowRate(1200), turnaround, "nine exchanges", .exchanges(9))
                row.span = streamSeconds
                return row
            }
    }

    private static let latencyEnds: [TimeAmount] = [.milliseconds(500), .seconds(2)]

    private static func latency(
        _ name: String, _ timing: TransmissionTiming, _ turnaround: TimeAmount, _ what: String, _ measure: Measure
    ) -> ValidationRow {
        var form = ClosedForm(timing: timing, segmentBytes: 200, turnaround: turnaround)
        form.unitBytes = 156
        return ValidationRow(
            name: "\(name), turnaround \(turnaround.nanoseconds / 1_000_000) ms, \(what)", form: form, measure: measure,
            tolerance: 1, simulationTolerance: 1)
    }
}
