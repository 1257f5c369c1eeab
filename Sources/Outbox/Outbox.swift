import DequeModule
package import XMPP

/// The stanzas that wait for one peer's link: bounded, in order per pair of bare addresses, the most urgent pair first.
///
/// Stanzas wait here until the link can take a batch, so that what is sent is decided as late as possible: a newer
/// presence replaces an older one, and what has become too old comes back. On a link that keeps up, everything that waits
/// fits into the next batch; then stanzas pass through one plain queue and none of the work of ordering is done.
///
/// A value without clock or I/O; times are milliseconds of service time (``ServiceClock``). Rows of the journal are the
/// owner's business: it is told the id of each stanza that comes in, and of those that go without leaving.
package struct Outbox: ~Copyable {
    /// What became of a stanza that was to be added.
    package enum Admission: Equatable, Sendable {
        case accepted
        /// Over the limits; the stanza was not taken.
        case full
    }

    package private(set) var limits: OutboxLimits
    /// Whether it is to be known that something urgent waits before that is sorted.
    private let watchesUrgency: Bool
    private var recentUrgentCount = 0
    /// Came in lately and was not sorted into ``queues``; always later than everything there.
    private var recent: Deque<OutboxEntry> = []
    private var recentBytes = 0
    private var queues: PairQueues
    /// The last batch handed out whole, so that what comes back keeps its age and its row.
    private var inFlight: [OutboxEntry] = []
    private var nextID: UInt64 = 1
    private var expiredPresence: [Stanza] = []
    /// Rows of stanzas that were replaced or expired silently.
    private var goneRows: [UInt64] = []

    /// What has left and still counts toward the limits, as the owner says.
    package var sentStanzas = 0
    package var sentBytes = 0

    /// Available presence that a newer one replaced, ever.
    package private(set) var supersededCount: UInt64 = 0
    /// Presence and probes that became too old, ever.
    package private(set) var silentlyExpiredCount: UInt64 = 0

    /// - Parameter watchesUrgency: for links on which single urgent stanzas matter.
    package init(limits: OutboxLimits = OutboxLimits(), watchesUrgency: Bool = false) {
        self.limits = limits
        self.watchesUrgency = watchesUrgency
        queues = PairQueues(classes: limits.classes)
    }

    package mutating func limitsChanged(_ limits: OutboxLimits) {
        self.limits = limits
        queues.classes = limits.classes
    }

    package var stanzaCount: Int { recent.count + queues.count }
    package var byteCount: Int { recentBytes + queues.byteCount }
    package var isEmpty: Bool { recent.isEmpty && queues.count == 0 }
    /// Whether something of the urgent class waits.
    package var hasUrgent: Bool { queues.urgentCount > 0 || recentUrgentCount > 0 }

    /// More than this in the plain queue is sorted, whatever the link does.
    private static let recentStanzas = 1_024
    /// What waits longer than this in the plain queue is sorted: the link does not keep up.
    private static let recentMilliseconds: UInt64 = 1_000
    /// An in-doubt stanza is sent again at most this often: one that breaks the link each time must not do so for ever.
    package static let maximumAttempts: UInt8 = 3

    // MARK: Ids

    /// The id of the stanza that was accepted last.
    package var lastID: UInt64 { nextID - 1 }

    /// Ids up to here were given out before.
    package mutating func idsUsed(through id: UInt64) { nextID = max(nextID, id &+ 1) }

    /// Rows that can be removed because their stanzas were replaced or expired silently, since the last call.
    package mutating func takeGoneRows() -> [UInt64] {
        guard !goneRows.isEmpty else { return [] }
        defer { goneRows = [] }
        return goneRows
    }

    // MARK: Adding

    /// Adds a stanza at the end of its pair's queue, under the next id.
    package mutating func append(_ stanza: Stanza, isRecorded: Bool = false, now: UInt64) -> Admission {
        if !hasRoom(for: stanza) {
            // Sorting may find presence that a newer one replaces.
            sortRecent()
            guard hasRoom(for: stanza) else { return .full }
        }
        let entry = OutboxEntry(id: nextID, stanza: stanza, arrival: now, isRecorded: isRecorded)
        nextID += 1
        if queues.count == 0, recent.count < Self.recentStanzas {
            if watchesUrgency, limits.classes.stanzaClass(stanza) == .urgent { recentUrgentCount += 1 }
            recent.append(entry)
            recentBytes += stanza.byteCount
        } else {
            sortRecent()
            sort(entry)
        }
        return .accepted
    }

    /// Adds what the journal held, in order of id. Limits do not apply.
    package mutating func restore(_ entry: OutboxEntry) {
        idsUsed(through: entry.id)
        sort(entry)
    }

    /// The entries of stanzas of the last batch, in their order; others get new ones, with new ids.
    ///
    /// - Parameter isRecorded: whether the owner gives a row to a stanza that gets a new entry.
    package mutating func reclaim(
        _ stanzas: [Stanza], now: UInt64, isRecorded: (Stanza) -> Bool = { _ in false }
    ) -> [OutboxEntry] {
        var entries: [OutboxEntry] = []
        var position = 0
        for stanza in stanzas {
            var found = position
            while found < inFlight.count, inFlight[found].stanza != stanza { found += 1 }
            if found < inFlight.count {
                entries.append(inFlight.remove(at: found))
                position = found
            } else {
                entries.append(OutboxEntry(id: nextID, stanza: stanza, arrival: now, isRecorded: isRecorded(stanza)))
                nextID += 1
            }
        }
        return entries
    }

    /// Forgets the last batch; returns the rows of what was not reclaimed.
    package mutating func takeSentRows() -> [UInt64] {
        defer { inFlight.removeAll(keepingCapacity: true) }
        return inFlight.compactMap { $0.isRecorded ? $0.id : nil }
    }

    /// Takes the last batch away for good, in order: from now on it is the caller's.
    package mutating func takeSent() -> [OutboxEntry] {
        defer { inFlight.removeAll(keepingCapacity: true) }
        return inFlight
    }

    /// Puts entries back in front, in their order. They keep their age; limits do not apply to them.
    ///
    /// - Parameter isByAge: behind those of their pair that came before them, where single ones come back one after the other.
    ///   Only for entries that kept their ids.
    package mutating func putBack(_ entries: [OutboxEntry], isByAge: Bool = false) {
        guard !entries.isEmpty else { return }
        sortRecent()
        for entry in entries.reversed() where !queues.prepend(entry, isByAge: isByAge) {
            supersededCount += 1
            noteGone(entry)
        }
    }

    /// Like ``putBack(_:isByAge:)`` for entries that may have arrived. Returns those that were sent too often already and are not
    /// kept.
    package mutating func putBackInDoubt(_ entries: [OutboxEntry], isByAge: Bool = false) -> [OutboxEntry] {
        var tooOften: [OutboxEntry] = []
        var kept: [OutboxEntry] = []
        for var entry in entries {
            entry.attempts += 1
            if entry.attempts < Self.maximumAttempts { kept.append(entry) } else { tooOften.append(entry) }
        }
        putBack(kept, isByAge: isByAge)
        return tooOften
    }

    private func hasRoom(for stanza: Stanza) -> Bool {
        let stanzas = stanzaCount + sentStanzas + 1
        let bytes = byteCount + sentBytes + stanza.byteCount
        if stanzas <= limits.maximumStanzas, bytes <= limits.maximumBytes { return true }
        guard StanzaLifetime(stanza) == .unlimited else { return false }
        return stanzas <= limits.maximumStanzas + limits.reservedStanzas
            && bytes <= limits.maximumBytes + limits.reservedBytes
    }

    private mutating func sort(_ entry: OutboxEntry) {
        guard let replaced = queues.append(entry) else { return }
        supersededCount += 1
        noteGone(replaced)
    }

    private mutating func sortRecent() {
        guard !recent.isEmpty else { return }
        while let entry = recent.popFirst() { sort(entry) }
        recentBytes = 0
        recentUrgentCount = 0
    }

    private mutating func noteGone(_ entry: OutboxEntry) {
        if entry.isRecorded { goneRows.append(entry.id) }
    }

    // MARK: Taking

    /// Takes what the link gets next as one batch: at least one stanza if any waits, and no more than the limits allow.
    ///
    /// Call ``expire(now:into:)`` first, when ``nextExpiry`` has come.
    package mutating func nextBatch(maximumBytes: Int, maximumStanzas: Int, now: UInt64) -> [Stanza] {
        inFlight.removeAll(keepingCapacity: true)
        if queues.count == 0, takesAllRecent(maximumBytes, maximumStanzas, now) {
            inFlight.append(contentsOf: recent)
            forgetRecent()
        } else {
            sortRecent()
            var bytes = 0
            while inFlight.count < maximumStanzas, let stanza = queues.nextStanza() {
                guard inFlight.isEmpty || bytes + stanza.byteCount <= maximumBytes else { break }
                bytes += stanza.byteCount
                if let entry = queues.takeNext() { inFlight.append(entry) }
            }
        }
        return inFlight.map(\.stanza)
    }

    /// Takes everything that waits, in the order in which it came, where that is no loss: it fits into one block, has not
    /// waited long, and `fits` says so of each. Nil where stanzas have to be chosen.
    package mutating func takePlain(
        maximumBytes: Int, maximumStanzas: Int, now: UInt64, _ fits: (Stanza) -> Bool
    ) -> [OutboxEntry]? {
        guard queues.count == 0, takesAllRecent(maximumBytes, maximumStanzas, now),
            recent.allSatisfy({ fits($0.stanza) })
        else { return nil }
        defer { forgetRecent() }
        return Array(recent)
    }

    private mutating func forgetRecent() {
        recent.removeAll(keepingCapacity: true)
        recentBytes = 0
        recentUrgentCount = 0
    }

    /// Offers what waits, one stanza after the other, each as long as those before it in its pair were taken.
    ///
    /// - Parameter least: pairs in which nothing has this priority are not looked at.
    package mutating func take(
        atLeast least: UInt8 = 0, _ decide: (OutboxEntry, StanzaClass) -> OutboxOffer
    ) -> [OutboxEntry] {
        sortRecent()
        return queues.take(atLeast: least, decide)
    }

    /// Nothing needs to be sorted where all of it leaves at once and has not waited long.
    private func takesAllRecent(_ maximumBytes: Int, _ maximumStanzas: Int, _ now: UInt64) -> Bool {
        guard recentBytes <= maximumBytes, recent.count <= maximumStanzas, let oldest = recent.first else { return false }
        return now < oldest.arrival + Self.recentMilliseconds
    }

    /// Takes everything, in the order in which it would have left.
    package mutating func removeAll() -> [OutboxEntry] {
        take { _, _ in .take }
    }

    /// Takes the stanza with this id, wherever it stands.
    package mutating func remove(id: UInt64) -> OutboxEntry? {
        sortRecent()
        return queues.take(id: id)
    }

    // MARK: Expiry

    /// A time not later than the first expiry; nil when nothing that waits can expire.
    package var nextExpiry: UInt64? {
        mutating get {
            var earliest: UInt64?
            for lifetime in StanzaLifetime.allCases {
                guard let amount = limits.lifetime(lifetime), let arrival = queues.oldestArrival(lifetime) else { continue }
                earliest = min(earliest ?? .max, arrival + amount)
            }
            if let oldest = recent.first { earliest = min(earliest ?? .max, oldest.arrival + limits.shortestLifetime) }
            return earliest
        }
    }

    /// Removes what is too old. Messages and IQ requests are appended to `returned`; presence goes silently.
    package mutating func expire(now: UInt64, into returned: inout [OutboxEntry]) {
        sortRecent()
        for lifetime in StanzaLifetime.allCases {
            guard let amount = limits.lifetime(lifetime) else { continue }
            while let arrival = queues.oldestArrival(lifetime), arrival + amount <= now {
                guard let entry = queues.takeOldest(lifetime) else { break }
                switch lifetime {
                case .message, .request: returned.append(entry)
                case .presence, .unlimited:
                    silentlyExpiredCount += 1
                    noteGone(entry)
                    expiredPresence.append(entry.stanza)
                }
            }
        }
    }

    /// Presence that expired since the last call: its senders hear nothing of it.
    package mutating func takeExpiredPresence() -> [Stanza] {
        guard !expiredPresence.isEmpty else { return [] }
        defer { expiredPresence = [] }
        return expiredPresence
    }

    // MARK: Looking

    /// When the stanza that waits longest came; nil when nothing waits.
    package var oldestArrival: UInt64? {
        mutating get {
            var oldest = recent.first?.arrival
            for lifetime in StanzaLifetime.allCases {
                guard let arrival = queues.oldestArrival(lifetime) else { continue }
                oldest = min(oldest ?? arrival, arrival)
            }
            return oldest
        }
    }

    /// Everything that waits, about in the order in which it would leave. For people: it looks at all of it.
    package mutating func inOrder() -> [(entry: OutboxEntry, stanzaClass: StanzaClass)] {
        sortRecent()
        return queues.inOrder
    }
}
