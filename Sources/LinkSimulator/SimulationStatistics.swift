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
    package var virtualSeconds = 0
    package var commits = 0
    package var blocks = 0
    package var blockBytes = 0
    package var kicks = 0
    package var largestJournal = 0
    // What was in doubt, as the document allows.
    package var repeatedInDoubt = 0
    package var lostInDoubt = 0
    package var bouncedInDoubt = 0
    /// The most stanzas that were unacknowledged on one local stream when it died.
    package var largestWindow = 0
    /// In the order of ``FaultKind``.
    package var faults = [Int](repeating: 0, count: FaultKind.allCases.count)
    package var peerEvents: [String: Int] = [:]

    package init() {}

    mutating func count(_ fault: FaultKind) {
        faults[FaultKind.allCases.firstIndex(of: fault) ?? 0] += 1
    }

    /// The faults that happened, in a fixed order.
    package var faultCounts: [(FaultKind, Int)] { Array(zip(FaultKind.allCases, faults)) }

    package mutating func add(_ other: SimulationStatistics) {
        runs += other.runs
        failedRuns += other.failedRuns
        messages += other.messages
        requests += other.requests
        delivered += other.delivered
        bounced += other.bounced
        answered += other.answered
        stanzas += other.stanzas
        virtualSeconds += other.virtualSeconds
        commits += other.commits
        blocks += other.blocks
        blockBytes += other.blockBytes
        kicks += other.kicks
        largestJournal = max(largestJournal, other.largestJournal)
        repeatedInDoubt += other.repeatedInDoubt
        lostInDoubt += other.lostInDoubt
        bouncedInDoubt += other.bouncedInDoubt
        largestWindow = max(largestWindow, other.largestWindow)
        for index in faults.indices { faults[index] += other.faults[index] }
        for (event, count) in other.peerEvents { peerEvents[event, default: 0] += count }
    }

    /// As numbers on one line, for the process that sums up.
    package var encoded: String {
        let numbers =
            [
                runs, failedRuns, messages, requests, delivered, bounced, answered, stanzas, virtualSeconds, commits,
                blocks, blockBytes, kicks, largestJournal, repeatedInDoubt, lostInDoubt, bouncedInDoubt, largestWindow,
            ] + faults
        return numbers.map(String.init).joined(separator: " ")
    }

    package init?(encoded: some StringProtocol) {
        let numbers = encoded.split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 18 + faults.count else { return nil }
        runs = numbers[0]
        failedRuns = numbers[1]
        messages = numbers[2]
        requests = numbers[3]
        delivered = numbers[4]
        bounced = numbers[5]
        answered = numbers[6]
        stanzas = numbers[7]
        virtualSeconds = numbers[8]
        commits = numbers[9]
        blocks = numbers[10]
        blockBytes = numbers[11]
        kicks = numbers[12]
        largestJournal = numbers[13]
        repeatedInDoubt = numbers[14]
        lostInDoubt = numbers[15]
        bouncedInDoubt = numbers[16]
        largestWindow = numbers[17]
        faults = Array(numbers[18...])
    }

    /// The line that a soak ends with.
    package var summary: String {
        let faultText = faultCounts.filter { $0.1 > 0 }.map { "\($0.1) × \($0.0.rawValue)" }.joined(separator: ", ")
        return "\(runs) seeds, \(failedRuns) failures, \(messages) messages and \(requests) requests "
            + "(\(delivered) delivered, \(bounced) bounced, \(answered) answered; in doubt: \(repeatedInDoubt) repeated, "
            + "\(lostInDoubt) lost, \(bouncedInDoubt) bounced by their own server, at most \(largestWindow) a stream), "
            + "\(stanzas) stanzas, \(virtualSeconds / 3_600) virtual hours, \(commits) commits, \(blocks) blocks, "
            + "faults: \(faultText)"
    }
}
