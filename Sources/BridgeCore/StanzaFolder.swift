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
    /// How many records with one key are looked at for one stanza: more than one are there where a list was full, or one stanza
    /// would have overtaken another.
    private static let reach = 8

    private struct Record {
        var folded: FoldedRecord
        let arrival: UInt64
        /// The record before it with the same key.
        let previous: Int32
    }

    private let capacity: Int
    private var records: [Record] = []
    /// The record of each stanza, in the order of their coming.
    private var places: [Int32] = []
    /// The last record with a key, which is ``FoldableStanza/likeness``; open addressing, nothing is removed.
    private var table: [(key: UInt64, last: Int32)] = []
    /// What joined a record: its pair and the record.
    private var joined: [(pair: UInt64, record: Int32)] = []
    /// The last record of each pair of addresses; made when it is first needed.
    private var lastOfPair: [UInt64: Int32]?

    private static let none: Int32 = -1

    /// - Parameter capacity: the greatest number of stanzas that may come.
    init(capacity: Int) { self.capacity = capacity }

    /// Where a stanza goes.
    struct Place {
        fileprivate var record = StanzaFolder.none
        fileprivate var key: UInt64?
        fileprivate var stanza: FoldableStanza?

        /// In a record of its own, which nothing joins.
        static let own = Place()

        /// Whether it goes with others that came before it.
        var joinsRecord: Bool { record != StanzaFolder.none }
        /// What it adds to the text of the block then: its address and the end of that.
        var addressBytes: Int { (stanza?.valueBytes ?? 0) + 1 }
    }

    /// The record that the stanza can join, or one of its own.
    mutating func place(for entry: OutboxEntry) -> Place {
        guard let stanza = FoldableStanza(entry.stanza) else { return .own }
        var place = Place(key: stanza.likeness, stanza: stanza)
        guard !records.isEmpty, let key = place.key else { return place }
        var candidate = table[slot(key)].last
        for _ in 0..<Self.reach where candidate != Self.none {
            let index = Int(candidate)
            if records[index].folded.isLike(stanza) {
                let arrival = records[index].arrival
                let isOfOneAge = max(arrival, entry.arrival) - min(arrival, entry.arrival) < Self.ageWindow
                if isOfOneAge, records[index].folded.takes(stanza), !overtakes(entry.stanza, joining: index) {
                    place.record = candidate
                }
                return place
            }
            candidate = records[index].previous
        }
        return place
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

    /// Adds a stanza where ``place(for:)`` said.
    mutating func add(_ entry: OutboxEntry, _ found: Place) {
        if records.isEmpty { reserve() }
        let place: Int32
        if found.joinsRecord, let stanza = found.stanza {
            place = found.record
            records[Int(place)].folded.add(stanza)
            joined.append((entry.stanza.pairHash, place))
        } else {
            place = Int32(truncatingIfNeeded: records.count)
            var previous = Self.none
            if let key = found.key {
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
        table = Array(repeating: (0, Self.none), count: Self.tableSize(capacity))
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
        guard hasCopies(entries) else { return OutboxRecords(entries) }
        var folder = StanzaFolder(capacity: entries.count)
        for entry in entries { folder.add(entry, folder.place(for: entry)) }
        return folder.ordered(entries)
    }

    /// Whether two may be the same but for `to`: most blocks have none such, and then there is nothing more to do.
    private static func hasCopies(_ entries: [OutboxEntry]) -> Bool {
        guard entries.count > 1 else { return false }
        let mask = tableSize(entries.count) - 1
        var table = [(key: UInt64, index: Int32)](repeating: (0, none), count: mask + 1)
        var unlike = 0
        for (index, entry) in entries.enumerated() {
            guard let stanza = FoldableStanza(entry.stanza) else { continue }
            let key = stanza.quickKey
            var slot = Int(truncatingIfNeeded: key >> 32) & mask
            while table[slot].index != none {
                if table[slot].key == key, let other = FoldableStanza(entries[Int(table[slot].index)].stanza) {
                    if stanza.differsOnlyInRecipient(from: other) { return true }
                    // Whoever writes many of one length is not worth the search.
                    unlike += 1
                    if unlike > entries.count { return true }
                }
                slot = (slot + 1) & mask
            }
            table[slot] = (key, Int32(truncatingIfNeeded: index))
        }
        return false
    }

    /// A power of two, so that half of the table stays empty.
    private static func tableSize(_ entries: Int) -> Int {
        var size = 16
        while size < 2 * entries { size *= 2 }
        return size
    }

    /// Where the key is in the table, or can be put.
    private func slot(_ key: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: key >> 32) & (table.count - 1)
        while table[slot].last != Self.none, table[slot].key != key { slot = (slot + 1) & (table.count - 1) }
        return slot
    }
}
