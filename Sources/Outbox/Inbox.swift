import DequeModule
package import XMPP

/// The stanzas that wait for the local server: in order, durable before they are given out, and only a window of them
/// given out at a time.
package struct Inbox: ~Copyable {
    private struct Entry {
        var id: UInt64
        /// Nil when the local server is responsible for it.
        var stanza: Stanza?
        var arrival: UInt64
        var isRecorded: Bool
        /// The batch that has to be committed before it is given out.
        var batch: UInt64
    }

    /// In order of id.
    private var entries: Deque<Entry> = []
    /// How many entries at the front were given out, those that are done with included.
    private var givenCount = 0

    /// Stanzas that the local side may have at a time.
    package var window: Int
    package private(set) var byteCount = 0
    package private(set) var stanzaCount = 0
    /// Given out, and the local server is not known to be responsible.
    package private(set) var outstanding = 0

    package init(window: Int) { self.window = window }

    package private(set) var nextID: UInt64 = 1
    package var oldestArrival: UInt64? { entries.first { $0.stanza != nil }?.arrival }

    package mutating func idsUsed(through id: UInt64) { nextID = max(nextID, id &+ 1) }

    /// Adds a stanza at the end.
    ///
    /// - Parameter batch: the batch of the journal that holds its row.
    /// - Returns: its id.
    package mutating func append(_ stanza: Stanza, isRecorded: Bool, batch: UInt64, now: UInt64) -> UInt64 {
        let id = nextID
        restore(stanza, id: id, isRecorded: isRecorded, batch: batch, arrival: now)
        return id
    }

    /// Adds what the journal held, in order of id.
    package mutating func restore(_ stanza: Stanza, id: UInt64, isRecorded: Bool = true, batch: UInt64 = 0, arrival: UInt64) {
        idsUsed(through: id)
        entries.append(Entry(id: id, stanza: stanza, arrival: arrival, isRecorded: isRecorded, batch: batch))
        byteCount += stanza.byteCount
        stanzaCount += 1
    }

    /// The next stanza for the local server: everything before it was given out, its batch is durable, and the window has
    /// room.
    package mutating func next(committed: UInt64) -> (id: UInt64, stanza: Stanza, arrival: UInt64)? {
        while givenCount < entries.count, outstanding < max(window, 1) {
            let entry = entries[givenCount]
            guard let stanza = entry.stanza else {
                givenCount += 1
                continue
            }
            guard entry.batch <= committed else { return nil }
            givenCount += 1
            outstanding += 1
            return (entry.id, stanza, entry.arrival)
        }
        return nil
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
        if place < givenCount { outstanding -= 1 }
        while let first = entries.first, first.stanza == nil {
            entries.removeFirst()
            givenCount = max(0, givenCount - 1)
        }
        return (stanza, isRecorded)
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
