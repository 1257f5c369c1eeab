/// What happened in one run, or in many.
package struct SimulationStatistics: Sendable {
    package var runs = 0
    package var failedRuns = 0
    package var messages = 0
    package var requests = 0
    package var delivered = 0
    package var bounced = 0
    package var answered = 0
    /// Stanzas that bridges gave to local servers.
    package var stanzas = 0
    /// Those that crossed a link in the record of another.
    package var folded = 0
    package var virtualSeconds = 0
    /// Runs with HF nodes between two of the sites.
    package var radioRuns = 0
    /// Transmissions of those nodes.
    package var bursts = 0
    package var commits = 0
    package var blocks = 0
    package var blockBytes = 0
    package var kicks = 0
    // What was in doubt, as the document allows.
    package var repeatedInDoubt = 0
    package var lostInDoubt = 0
    package var bouncedInDoubt = 0
    /// The most rows that a journal held.
    package var largestJournal = 0
    /// The most stanzas that were unacknowledged on one local stream when it died.
    package var largestWindow = 0
    /// The most stanzas of one peer that a server got twice after the end of one run of a bridge's process.
    package var largestRepeat = 0
    /// In the order of ``FaultKind``.
    package var faults = [Int](repeating: 0, count: FaultKind.allCases.count)
    /// The same in runs over radio.
    package var radioFaults = [Int](repeating: 0, count: FaultKind.allCases.count)
    package var peerEvents: [String: Int] = [:]

    private nonisolated(unsafe) static let sums: [WritableKeyPath<SimulationStatistics, Int>] = [
        \.runs, \.failedRuns, \.messages, \.requests, \.delivered, \.bounced, \.answered, \.stanzas, \.folded, \.virtualSeconds,
        \.radioRuns, \.bursts, \.commits, \.blocks, \.blockBytes, \.kicks, \.repeatedInDoubt, \.lostInDoubt, \.bouncedInDoubt,
    ]
    private nonisolated(unsafe) static let maxima: [WritableKeyPath<SimulationStatistics, Int>] = [
        \.largestJournal, \.largestWindow, \.largestRepeat,
    ]

    package init() {}

    mutating func count(_ fault: FaultKind) {
        faults[FaultKind.allCases.firstIndex(of: fault) ?? 0] += 1
    }

    /// The faults that happened, in a fixed order.
    package var faultCounts: [(FaultKind, Int)] { Array(zip(FaultKind.allCases, faults)) }

    private static func text(_ faults: [Int]) -> String {
        zip(FaultKind.allCases, faults).filter { $0.1 > 0 }.map { "\($0.1) × \($0.0.rawValue)" }.joined(separator: ", ")
    }

    package mutating func add(_ other: SimulationStatistics) {
        for path in unsafe Self.sums { self[keyPath: path] += other[keyPath: path] }
        for path in unsafe Self.maxima { self[keyPath: path] = max(self[keyPath: path], other[keyPath: path]) }
        for index in faults.indices {
            faults[index] += other.faults[index]
            radioFaults[index] += other.radioFaults[index]
        }
        for (event, count) in other.peerEvents { peerEvents[event, default: 0] += count }
    }

    /// As numbers on one line, for the process that sums up.
    package var encoded: String {
        let numbers = unsafe (Self.sums + Self.maxima).map { self[keyPath: $0] } + faults + radioFaults
        return numbers.map(String.init).joined(separator: " ")
    }

    package init?(encoded: some StringProtocol) {
        let numbers = encoded.split(separator: " ").compactMap { Int($0) }
        let paths = unsafe Self.sums + Self.maxima
        guard numbers.count == paths.count + 2 * faults.count else { return nil }
        for (path, number) in zip(paths, numbers) { self[keyPath: path] = number }
        let count = faults.count
        faults = Array(numbers[paths.count...].prefix(count))
        radioFaults = Array(numbers.suffix(count))
    }

    /// The line that a soak ends with.
    package var summary: String {
        return "\(runs) seeds, \(failedRuns) failures, \(messages) messages and \(requests) requests "
            + "(\(delivered) delivered, \(bounced) bounced, \(answered) answered; in doubt: \(repeatedInDoubt) repeated, "
            + "at most \(largestRepeat) a crash, \(lostInDoubt) lost, \(bouncedInDoubt) bounced by their own server, at most "
            + "\(largestWindow) a stream), \(stanzas) stanzas, \(folded) folded, \(virtualSeconds / 3_600) virtual hours, \(commits) commits, "
            + "at most \(largestJournal) rows, \(blocks) blocks, "
            + "faults: \(Self.text(faults))"
            + (radioRuns == 0 ? "" : "; over HF nodes \(radioRuns) seeds, \(bursts) bursts, faults: \(Self.text(radioFaults))")
    }
}
