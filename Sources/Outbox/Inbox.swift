import DequeModule
package import XMPP

/// The stanzas that wait for the local server: in order, durable before they are given out, and only a window of them
/// given out at a time.
///
/// Each domain of the site has a window of its own, so that one whose server takes nothing holds up nobody else. Order is kept
/// within a domain, and so for every pair of addresses.
package struct Inbox: ~Copyable {
    private struct Entry {
        var id: UInt64
        /// Nil when the local server is responsible for it.
        var stanza: Stanza?
        var arrival: UInt64
        var isRecorded: Bool
        /// The batch that has to be committed before it is given out.
        var batch: UInt64
        /// Its place among the lanes.
        var lane: Int
        var isGiven = false
    }

    /// What goes to one domain.
    private struct Lane {
        var domainHash: UInt64
        /// Not given out, in order; ids of entries that are gone are passed over.
        var waiting: Deque<UInt64> = []
        var outstanding = 0
    }

    /// In order of id.
    private var entries: Deque<Entry> = []
    /// As many as the site has domains: nothing else gets here.
    private var lanes: [Lane] = []

    /// Stanzas that the local side may have at a time, for each domain.
    package var window: Int
    package private(set) var byteCount = 0
    package private(set) var stanzaCount = 0
    /// Given out, and the local server is not known to be responsible.
    package private(set) var outstanding = 0
    /// The local server is responsible, and the removal of the row is not durable: a process that starts anew gives these out
    /// once more.
    package private(set) var unrecorded = 0
    private var unrecordedByBatch: Deque<(batch: UInt64, count: Int)> = []

    /// How many windows ``unrecorded`` may hold: a disk that takes nothing must not turn the whole inbox into doubt.
    package static let unrecordedWindows = 16

    package init(window: Int) { self.window = window }

    package private(set) var nextID: UInt64 = 1
    package var oldestArrival: UInt64? { entries.first { $0.stanza != nil }?.arrival }

    package mutating func idsUsed(through id: UInt64) { nextID = max(nextID, id &+ 1) }

    // MARK: In

    /// Adds a stanza at the end.
    ///
    /// - Parameter batch: the batch of the journal that holds its row.
    /// - Returns: its id.
    package mutating func append(_ stanza: Stanza, isRecorded: Bool, batch: UInt64, now: UInt64) -> UInt64 {
        let id = nextID
        restore(stanza, id: id, isRecorded: isRecorded, batch: batch, arrival: now)
        return id
    }

    /// Adds a stanza that the local side gets at once, out of its turn, without a row.
    ///
    /// - Returns: its id.
    package mutating func appendGiven(_ stanza: Stanza, now: UInt64) -> UInt64 {
        let id = nextID
        add(stanza, id: id, isRecorded: false, batch: 0, arrival: now)
        isGiven(entries.count - 1)
        return id
    }

    /// A stanza of ``appendGiven(_:now:)`` gets a row after all.
    ///
    /// - Returns: what the row holds; nil when the stanza is not there any more.
    package mutating func recorded(_ id: UInt64) -> (stanza: Stanza, arrival: UInt64)? {
        guard let place = place(of: id), let stanza = entries[place].stanza else { return nil }
        entries[place].isRecorded = true
        return (stanza, entries[place].arrival)
    }

    /// Adds what the journal held, in order of id.
    package mutating func restore(_ stanza: Stanza, id: UInt64, isRecorded: Bool = true, batch: UInt64 = 0, arrival: UInt64) {
        add(stanza, id: id, isRecorded: isRecorded, batch: batch, arrival: arrival)
        lanes[entries[entries.count - 1].lane].waiting.append(id)
    }

    private mutating func add(_ stanza: Stanza, id: UInt64, isRecorded: Bool, batch: UInt64, arrival: UInt64) {
        idsUsed(through: id)
        let hash = stanza.toDomainHash
        var lane = 0
        while lane < lanes.count, lanes[lane].domainHash != hash { lane += 1 }
        if lane == lanes.count { lanes.append(Lane(domainHash: hash)) }
        entries.append(
            Entry(id: id, stanza: stanza, arrival: arrival, isRecorded: isRecorded, batch: batch, lane: lane))
        byteCount += stanza.byteCount
        stanzaCount += 1
    }

    // MARK: Out

    /// The next stanza for the local server: what came before it for its domain was given out, its batch is durable, and the
    /// window of its domain has room.
    package mutating func next(committed: UInt64) -> (id: UInt64, stanza: Stanza, arrival: UInt64)? {
        let window = max(window, 1)
        guard unrecorded < Self.unrecordedWindows * window else { return nil }
        var first: Int?
        for lane in lanes.indices where lanes[lane].outstanding < window {
            guard let place = firstWaiting(lane) else { continue }
            if first.map({ place < $0 }) ?? true { first = place }
        }
        guard let place = first, let stanza = entries[place].stanza, entries[place].batch <= committed else { return nil }
        lanes[entries[place].lane].waiting.removeFirst()
        isGiven(place)
        return (entries[place].id, stanza, entries[place].arrival)
    }

    private mutating func firstWaiting(_ lane: Int) -> Int? {
        while let id = lanes[lane].waiting.first {
            if let place = place(of: id), entries[place].stanza != nil { return place }
            lanes[lane].waiting.removeFirst()
        }
        return nil
    }

    private mutating func isGiven(_ place: Int) {
        entries[place].isGiven = true
        outstanding += 1
        lanes[entries[place].lane].outstanding += 1
    }

    /// The local server is responsible for a stanza, or it was given up.
    ///
    /// - Returns: the stanza and whether it has a row; nil when it was not there any more.
    package mutating func remove(_ id: UInt64) -> (stanza: Stanza, isRecorded: Bool)? {
        guard let place = place(of: id), let stanza = entries[place].stanza else { return nil }
        let isRecorded = entries[place].isRecorded
        entries[place].stanza = nil
        byteCount -= stanza.byteCount
        stanzaCount -= 1
        if entries[place].isGiven {
            outstanding -= 1
            lanes[entries[place].lane].outstanding -= 1
        }
        while let first = entries.first, first.stanza == nil { entries.removeFirst() }
        return (stanza, isRecorded)
    }

    /// The removal of a row, of a stanza for which the local server is responsible, is in this batch.
    package mutating func removalRecorded(in batch: UInt64) {
        unrecorded += 1
        if unrecordedByBatch.last?.batch == batch {
            unrecordedByBatch[unrecordedByBatch.count - 1].count += 1
        } else {
            unrecordedByBatch.append((batch, 1))
        }
    }

    /// The batch, and all before it, are durable.
    package mutating func batchCommitted(_ batch: UInt64) {
        while let first = unrecordedByBatch.first, first.batch <= batch {
            unrecordedByBatch.removeFirst()
            unrecorded -= first.count
        }
    }

    // MARK: Time

    /// When the oldest stanza that was not given out came; nil when none waits.
    package var oldestWaiting: UInt64? {
        var oldest: UInt64?
        for lane in lanes {
            guard let id = lane.waiting.first, let place = place(of: id) else { continue }
            oldest = min(oldest ?? .max, entries[place].arrival)
        }
        return oldest
    }

    /// Takes what came at `arrival` or before, was not given out, and does not have to arrive whatever it takes.
    package mutating func takeExpired(arrived arrival: UInt64) -> [(id: UInt64, stanza: Stanza, isRecorded: Bool)] {
        var expired: [(id: UInt64, stanza: Stanza, isRecorded: Bool)] = []
        for lane in lanes.indices {
            for id in lanes[lane].waiting {
                guard let place = place(of: id), entries[place].arrival <= arrival else { continue }
                guard let stanza = entries[place].stanza, StanzaLifetime(stanza) != .unlimited else { continue }
                expired.append((id, stanza, entries[place].isRecorded))
            }
        }
        expired.sort { $0.id < $1.id }
        guard !expired.isEmpty else { return expired }
        for entry in expired { _ = remove(entry.id) }
        // A lane whose domain takes nothing is not asked for its next one: nobody else would forget what is gone from it.
        for lane in lanes.indices {
            let waiting = lanes[lane].waiting.filter { id in place(of: id).map { entries[$0].stanza != nil } ?? false }
            lanes[lane].waiting = Deque(waiting)
        }
        return expired
    }

    private func place(of id: UInt64) -> Int? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].id == id ? low : nil
    }
}
