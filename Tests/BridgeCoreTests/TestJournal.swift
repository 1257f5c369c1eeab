import NIOCore
import Outbox
import XMPP

/// A journal in memory: whole batches or nothing.
struct TestJournal {
    private(set) var peer = RecoveredPeer(needsNewEpoch: true)
    private(set) var batches = 0

    mutating func commit(_ batch: JournalBatch) {
        batches += 1
        peer.needsNewEpoch = false
        for record in batch.records { apply(record) }
    }

    private mutating func apply(_ record: JournalRecord) {
        switch record {
        case .put(let table, let id, let payload, let time):
            var rows = peer.rows[table] ?? []
            let bytes: [UInt8] =
                switch payload {
                case .stanza(let stanza): Array(stanza.text.utf8)
                case .bytes(let bytes): bytes
                }
            let row = RecoveredPeer.Row(id: id, payload: bytes, time: time)
            let place = rows.firstIndex { $0.id >= id } ?? rows.endIndex
            if place < rows.endIndex, rows[place].id == id { rows[place] = row } else { rows.insert(row, at: place) }
            peer.rows[table] = rows
        case .remove(let table, let ids):
            let gone = Set(ids)
            peer.rows[table]?.removeAll { gone.contains($0.id) }
        case .removeThrough(let table, let id): peer.rows[table]?.removeAll { $0.id <= id }
        case .removeAbove(let table, let id): peer.rows[table]?.removeAll { $0.id > id }
        case .set(let value, let bytes): peer.values[value] = bytes
        }
    }

    /// Replaces the payload of a row, as a failing disk would.
    mutating func damage(_ table: JournalTable, row: Int) {
        peer.rows[table]?[row].payload = Array("<message to='".utf8)
    }

    mutating func pretendFresh() { peer.needsNewEpoch = true }
}
