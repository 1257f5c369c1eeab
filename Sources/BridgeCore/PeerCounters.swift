import NIOCore
import XMPP

/// Everything that is counted for one peer.
struct PeerCounters {
    var sent = PeerStatus.KindCounts()
    var received = PeerStatus.KindCounts()
    private var events = Counts<PeerEvent>()
    private var bounces = Counts<StanzaErrorCondition>()
    private var violations = 0
    private var violationsSince: NIODeadline?

    /// Counts, and returns a note when the count has reached a power of two.
    mutating func add(_ event: PeerEvent) -> PeerNote? {
        let count = events.add(event)
        return count & (count &- 1) == 0 ? PeerNote(event: event, count: count) : nil
    }

    mutating func addBounce(_ condition: StanzaErrorCondition) {
        _ = bounces.add(condition)
    }

    mutating func restartViolations(now: NIODeadline) {
        violations = 0
        violationsSince = now
    }

    /// Counts a violation; the count starts anew when `window` has passed since the first.
    mutating func addViolation(now: NIODeadline, window: TimeAmount) -> Int {
        if let since = violationsSince, now < since + window {
            violations += 1
        } else {
            violations = 1
            violationsSince = now
        }
        return violations
    }

    var eventCounts: [PeerStatus.EventCount] {
        events.nonZero.map { PeerStatus.EventCount(event: $0, count: $1) }
    }

    var bounceCounts: [PeerStatus.BounceCount] {
        bounces.nonZero.map { PeerStatus.BounceCount(condition: $0, count: $1) }
    }
}

/// One count per case, in the order of the cases.
private struct Counts<Case: CaseIterable & Hashable> {
    private let cases = Array(Case.allCases)
    private let places: [Case: Int]
    private var counts: [UInt64]
    /// What was counted last, which is mostly what comes next.
    private var last: (event: Case, place: Int)?

    init() {
        places = Dictionary(uniqueKeysWithValues: Case.allCases.enumerated().map { ($1, $0) })
        counts = Array(repeating: 0, count: cases.count)
    }

    mutating func add(_ event: Case) -> UInt64 {
        if last?.event != event { last = places[event].map { (event, $0) } }
        guard let place = last?.place else { return 0 }
        counts[place] &+= 1
        return counts[place]
    }

    var nonZero: [(Case, UInt64)] {
        zip(cases, counts).filter { $0.1 > 0 }
    }
}
