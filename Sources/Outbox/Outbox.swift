import DequeModule
package import NIOCore
package import XMPP

/// The stanzas that wait for one peer's link: bounded, in order per pair of bare addresses, the most urgent pair first.
///
/// Stanzas wait here until the link can take a batch, so that what is sent is decided as late as possible: a newer
/// presence replaces an older one, and what has become too old comes back. On a link that keeps up, everything that waits
/// fits into the next batch; then stanzas pass through one plain queue and none of the work of ordering is done.
///
/// A value without clock or I/O. Everything lives in memory: a durable journal would record ``append(_:now:)`` and what
/// ``nextBatch(maximumBytes:maximumStanzas:now:)`` hands out, below this type; order, urgency and expiry stay here.
package struct Outbox: ~Copyable {
    /// What became of a stanza that was to be added.
    package enum Admission: Equatable, Sendable {
        case accepted
        /// Over the limits; the stanza was not taken.
        case full
    }

    package let limits: OutboxLimits
    /// Came in lately and was not sorted into ``queues``; always later than everything there.
    private var recent: Deque<Waiting> = []
    private var recentBytes = 0
    private var queues = PairQueues()
    /// The last batch handed out, so that what comes back keeps its age.
    private var inFlight: [Stanza] = []
    private var inFlightNotes: [(arrival: UInt64, attempts: UInt8)] = []

    /// Available presence that a newer one replaced, ever.
    package private(set) var supersededCount: UInt64 = 0
    /// Presence and probes that became too old, ever.
    package private(set) var silentlyExpiredCount: UInt64 = 0

    package init(limits: OutboxLimits = OutboxLimits()) {
        self.limits = limits
    }

    package var stanzaCount: Int { recent.count + queues.count }
    package var byteCount: Int { recentBytes + queues.byteCount }
    package var isEmpty: Bool { recent.isEmpty && queues.count == 0 }

    /// More than this in the plain queue is sorted, whatever the link does.
    private static let recentStanzas = 1_024
    /// What waits longer than this in the plain queue is sorted: the link does not keep up.
    private static let recentNanoseconds: UInt64 = 1_000_000_000
    /// An in-doubt stanza is sent again at most this often: one that breaks the link each time must not do so for ever.
    package static let maximumAttempts: UInt8 = 3

    // MARK: Adding

    /// Adds a stanza at the end of its pair's queue.
    package mutating func append(_ stanza: Stanza, now: NIODeadline) -> Admission {
        if !hasRoom(for: stanza) {
            // Sorting may find presence that a newer one replaces.
            sortRecent()
            guard hasRoom(for: stanza) else { return .full }
        }
        let waiting = Waiting(stanza: stanza, arrival: now.uptimeNanoseconds)
        if queues.count == 0, recent.count < Self.recentStanzas {
            recent.append(waiting)
            recentBytes += stanza.byteCount
        } else {
            sortRecent()
            sort(waiting)
        }
        return .accepted
    }

    /// Puts stanzas of the last batch back in front, in their order. They keep their age; limits do not apply to them.
    package mutating func putBack(_ stanzas: [Stanza], now: NIODeadline) {
        putBack(stanzas, now: now, countsAttempt: false)
    }

    /// Like ``putBack(_:now:)`` for stanzas that may have arrived. Returns those that were sent too often already and are
    /// not kept.
    package mutating func putBackInDoubt(_ stanzas: [Stanza], now: NIODeadline) -> [Stanza] {
        putBack(stanzas, now: now, countsAttempt: true)
    }

    @discardableResult
    private mutating func putBack(_ stanzas: [Stanza], now: NIODeadline, countsAttempt: Bool) -> [Stanza] {
        guard !stanzas.isEmpty else { return [] }
        sortRecent()
        var tooOften: [Stanza] = []
        var restored: [Waiting] = []
        var position = 0
        for stanza in stanzas {
            var waiting = Waiting(stanza: stanza, arrival: now.uptimeNanoseconds)
            var found = position
            while found < inFlight.count, inFlight[found] != stanza { found += 1 }
            if found < inFlight.count {
                waiting.arrival = inFlightNotes[found].arrival
                waiting.attempts = inFlightNotes[found].attempts
                position = found + 1
            }
            if countsAttempt {
                waiting.attempts += 1
                guard waiting.attempts < Self.maximumAttempts else {
                    tooOften.append(stanza)
                    continue
                }
            }
            restored.append(waiting)
        }
        for waiting in restored.reversed() where !queues.prepend(waiting) {
            supersededCount += 1
        }
        return tooOften
    }

    private func hasRoom(for stanza: Stanza) -> Bool {
        let stanzas = stanzaCount + 1
        let bytes = byteCount + stanza.byteCount
        if stanzas <= limits.maximumStanzas, bytes <= limits.maximumBytes { return true }
        guard StanzaLifetime(stanza) == .unlimited else { return false }
        return stanzas <= limits.maximumStanzas + limits.reservedStanzas
            && bytes <= limits.maximumBytes + limits.reservedBytes
    }

    private mutating func sort(_ waiting: Waiting) {
        if queues.append(waiting) { supersededCount += 1 }
    }

    private mutating func sortRecent() {
        while let waiting = recent.popFirst() { sort(waiting) }
        recentBytes = 0
    }

    // MARK: Taking

    /// Takes what the link gets next: at least one stanza if any waits, and no more than the limits allow.
    ///
    /// Call ``expire(now:into:)`` first, when ``nextExpiry`` has come.
    package mutating func nextBatch(maximumBytes: Int, maximumStanzas: Int, now: NIODeadline) -> [Stanza] {
        inFlight.removeAll()
        inFlightNotes.removeAll(keepingCapacity: true)
        if queues.count == 0, takesAllRecent(maximumBytes, maximumStanzas, now) {
            inFlight.reserveCapacity(recent.count)
            for waiting in recent { noteInFlight(waiting) }
            recent.removeAll(keepingCapacity: true)
            recentBytes = 0
            return inFlight
        }
        sortRecent()
        var bytes = 0
        while inFlight.count < maximumStanzas, let stanza = queues.nextStanza() {
            guard inFlight.isEmpty || bytes + stanza.byteCount <= maximumBytes else { break }
            bytes += stanza.byteCount
            if let waiting = queues.takeNext() { noteInFlight(waiting) }
        }
        return inFlight
    }

    /// Nothing needs to be sorted where all of it leaves at once and has not waited long.
    private func takesAllRecent(_ maximumBytes: Int, _ maximumStanzas: Int, _ now: NIODeadline) -> Bool {
        guard recentBytes <= maximumBytes, recent.count <= maximumStanzas, let oldest = recent.first else { return false }
        return now.uptimeNanoseconds < oldest.arrival + Self.recentNanoseconds
    }

    private mutating func noteInFlight(_ waiting: Waiting) {
        inFlight.append(waiting.stanza)
        inFlightNotes.append((waiting.arrival, waiting.attempts))
    }

    /// Takes everything, in the order in which it would have left.
    package mutating func removeAll() -> [Stanza] {
        sortRecent()
        var stanzas: [Stanza] = []
        stanzas.reserveCapacity(queues.count)
        while let waiting = queues.takeNext() { stanzas.append(waiting.stanza) }
        return stanzas
    }

    // MARK: Expiry

    /// A time not later than the first expiry; nil when nothing that waits can expire.
    package var nextExpiry: NIODeadline? {
        mutating get {
            var earliest: NIODeadline?
            for lifetime in StanzaLifetime.allCases {
                guard let amount = limits.lifetime(lifetime), let arrival = queues.oldestArrival(lifetime) else { continue }
                let expiry = NIODeadline.uptimeNanoseconds(arrival) + amount
                earliest = min(earliest ?? expiry, expiry)
            }
            if let oldest = recent.first {
                let shortest = min(limits.messageLifetime, limits.requestLifetime, limits.presenceLifetime)
                let expiry = NIODeadline.uptimeNanoseconds(oldest.arrival) + shortest
                earliest = min(earliest ?? expiry, expiry)
            }
            return earliest
        }
    }

    /// Removes what is too old. Messages and IQ requests are appended to `returned`; presence goes silently.
    package mutating func expire(now: NIODeadline, into returned: inout [Stanza]) {
        sortRecent()
        for lifetime in StanzaLifetime.allCases {
            guard let amount = limits.lifetime(lifetime) else { continue }
            while let arrival = queues.oldestArrival(lifetime), NIODeadline.uptimeNanoseconds(arrival) + amount <= now {
                guard let waiting = queues.takeOldest(lifetime) else { break }
                switch lifetime {
                case .message, .request: returned.append(waiting.stanza)
                case .presence, .unlimited: silentlyExpiredCount += 1
                }
            }
        }
    }

    /// When the stanza that waits longest came; nil when nothing waits.
    package var oldestArrival: NIODeadline? {
        mutating get {
            var oldest = recent.first?.arrival
            for lifetime in StanzaLifetime.allCases {
                guard let arrival = queues.oldestArrival(lifetime) else { continue }
                oldest = min(oldest ?? arrival, arrival)
            }
            return oldest.map { NIODeadline.uptimeNanoseconds($0) }
        }
    }
}
