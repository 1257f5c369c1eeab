import Blocks
import Outbox
import XMPP

/// Finds the stanzas of one block that differ in `to` alone – a room's message to its occupants, a contact's presence to those
/// who watch – so that they cross once (docs/link-protocol.md, "Recipient lists").
///
/// Stanzas come in the order in which they wait. One joins an earlier record where that overtakes nothing of its own pair of
/// addresses. Whether two are the same is decided by their bytes; hashes only find candidates.
struct StanzaFolder {
    /// What came so many milliseconds before or after the first of a record does not join it, since all have one age.
    static let ageWindow: UInt64 = 1_000
    /// How many records of one sender and kind are looked at for one stanza.
    private static let reach = 8

    private struct Record {
        var folded: FoldedRecord
        let arrival: UInt64
        /// The record before it of the same sender and kind.
        let previous: Int32
    }

    private let capacity: Int
    private var records: [Record] = []
    /// The record of each stanza, in the order of their coming.
    private var places: [Int32] = []
    /// The last record of a sender and kind, found by ``key(_:)``; open addressing, nothing is removed.
    private var table: [(key: UInt64, last: Int32)] = []
    /// What joined a record: its pair and the record.
    private var joined: [(pair: UInt64, record: Int32)] = []
    /// The last record of each pair of addresses; made when it is first needed.
    private var lastOfPair: [UInt64: Int32]?

    private static let none: Int32 = -1

    /// - Parameter capacity: the greatest number of stanzas that may come.
    init(capacity: Int) { self.capacity = capacity }

    /// A place in a record for a stanza.
    struct Join {
        fileprivate let record: Int32
        fileprivate let stanza: FoldableStanza
        /// What the stanza adds to the text of the block: its address and the end of that.
        var bytes: Int { stanza.valueBytes + 1 }
    }

    /// The record that the stanza can join; nil where it needs one of its own.
    mutating func join(for entry: OutboxEntry) -> Join? {
        guard !records.isEmpty, let key = Self.key(entry.stanza) else { return nil }
        var candidate = table[slot(key)].last
        guard candidate != Self.none, let stanza = FoldableStanza(entry.stanza) else { return nil }
        for _ in 0..<Self.reach where candidate != Self.none {
            let index = Int(candidate)
            if records[index].folded.isLike(stanza) {
                let arrival = records[index].arrival
                let isOfOneAge = max(arrival, entry.arrival) - min(arrival, entry.arrival) < Self.ageWindow
                return isOfOneAge && records[index].folded.takes(stanza) && !overtakes(entry.stanza, joining: index)
                    ? Join(record: candidate, stanza: stanza) : nil
            }
            candidate = records[index].previous
        }
        return nil
    }

    /// Whether something of the stanza's pair stands in a later record.
    private mutating func overtakes(_ stanza: Stanza, joining index: Int) -> Bool {
        guard index < records.count - 1 else { return false }
        if lastOfPair == nil {
            var last: [UInt64: Int32] = [:]
            for (number, record) in records.enumerated() {
                last[record.folded.first.pairHash] = Int32(truncatingIfNeeded: number)
            }
            for (pair, record) in joined { last[pair] = max(last[pair] ?? Self.none, record) }
            lastOfPair = last
        }
        return Int(lastOfPair?[stanza.pairHash] ?? Self.none) > index
    }

    /// Adds a stanza: where `join` says, or as a record of its own.
    mutating func add(_ entry: OutboxEntry, _ join: Join?) {
        if records.isEmpty { reserve() }
        let place: Int32
        if let join {
            place = join.record
            records[Int(place)].folded.add(join.stanza)
            joined.append((entry.stanza.pairHash, place))
        } else {
            place = Int32(truncatingIfNeeded: records.count)
            var previous = Self.none
            if let key = Self.key(entry.stanza) {
                let slot = slot(key)
                previous = table[slot].last
                table[slot] = (key, place)
            }
            records.append(Record(folded: FoldedRecord(entry.stanza), arrival: entry.arrival, previous: previous))
        }
        places.append(place)
        guard lastOfPair != nil else { return }
        let pair = entry.stanza.pairHash
        let last = lastOfPair?[pair] ?? Self.none
        lastOfPair?[pair] = max(last, place)
    }

    private mutating func reserve() {
        var size = 16
        while size < 2 * capacity { size *= 2 }
        table = Array(repeating: (0, Self.none), count: size)
        records.reserveCapacity(min(capacity, 64))
        places.reserveCapacity(capacity)
    }

    /// The stanzas that were added, in the order of their coming, brought into records.
    func ordered(_ entries: [OutboxEntry]) -> OutboxRecords {
        precondition(entries.count == places.count, "exactly what was added")
        guard !joined.isEmpty else { return OutboxRecords(entries) }
        let sizes = records.map(\.folded.stanzas)
        var ends: [Int] = []
        var end = 0
        for size in sizes {
            ends.append(end)
            end += size
        }
        var order = Array(repeating: 0, count: entries.count)
        for (index, place) in places.enumerated() {
            order[ends[Int(place)]] = index
            ends[Int(place)] += 1
        }
        return OutboxRecords(order.map { entries[$0] }, sizes: sizes)
    }

    /// The stanzas of one block in records.
    static func fold(_ entries: [OutboxEntry]) -> OutboxRecords {
        guard entries.count > 1 else { return OutboxRecords(entries) }
        var folder = StanzaFolder(capacity: entries.count)
        for entry in entries { folder.add(entry, folder.join(for: entry)) }
        return folder.ordered(entries)
    }

    /// Equal for stanzas of one kind from one bare address; nil for what never shares a record.
    private static func key(_ stanza: Stanza) -> UInt64? {
        switch stanza.kind {
        case .message: stanza.bareFromHash
        case .presence: stanza.bareFromHash &+ 1
        case .iq, .other: nil
        }
    }

    /// Where the key is in the table, or can be put.
    private func slot(_ key: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: key >> 32) & (table.count - 1)
        while table[slot].last != Self.none, table[slot].key != key { slot = (slot + 1) & (table.count - 1) }
        return slot
    }
}
