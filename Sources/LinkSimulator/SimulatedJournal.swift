import BridgeCore
import NIOCore
import Outbox
import XMPP

/// What a site's disk holds: the rows of every peer as of the last durable commit.
struct SimulatedJournal {
    struct Peer {
        /// By the raw value of the table.
        var tables = [[UInt64: RecoveredPeer.Row]](repeating: [:], count: 16)
        var values: [UInt8: [UInt8]] = [:]

        mutating func apply(_ record: JournalRecord, omitting: Set<JournalTable>) {
            switch record {
            case .put(let table, let id, let payload, let time):
                let bytes: [UInt8] =
                    switch payload {
                    case .stanza(let stanza): stanza.canonicalBytes
                    case .bytes(let bytes): bytes
                    }
                tables[Int(table.rawValue)][id] = RecoveredPeer.Row(id: id, payload: bytes, time: time)
            case .remove(let table, let ids):
                guard !omitting.contains(table) else { return }
                for id in ids { tables[Int(table.rawValue)][id] = nil }
            case .removeThrough(let table, let last):
                guard !omitting.contains(table) else { return }
                remove(table) { $0 <= last }
            case .removeAbove(let table, let last):
                guard !omitting.contains(table) else { return }
                remove(table) { $0 > last }
            case .set(let value, let bytes):
                values[value.rawValue] = bytes
            }
        }

        private mutating func remove(_ table: JournalTable, where matches: (UInt64) -> Bool) {
            let place = Int(table.rawValue)
            guard !tables[place].isEmpty else { return }
            for id in tables[place].keys.filter(matches) { tables[place][id] = nil }
        }

        func rows(_ table: JournalTable) -> [RecoveredPeer.Row] {
            tables[Int(table.rawValue)].values.sorted { $0.id < $1.id }
        }

        func count(_ table: JournalTable) -> Int { tables[Int(table.rawValue)].count }

        func recovered(needsNewEpoch: Bool) -> RecoveredPeer {
            var rows: [JournalTable: [RecoveredPeer.Row]] = [:]
            for table in JournalTable.allCases where count(table) > 0 { rows[table] = self.rows(table) }
            var values: [JournalValue: [UInt8]] = [:]
            for value in JournalValue.allCases { values[value] = self.values[value.rawValue] }
            return RecoveredPeer(rows: rows, values: values, needsNewEpoch: needsNewEpoch)
        }
    }

    var peers: [Peer]
    var isFresh = true
    /// Service time and wall clock, in milliseconds, of the last commit.
    var serviceTime: UInt64 = 0
    var wallTime: Int64?
    /// Rows of these tables are never removed (``Sabotage``).
    var keeping: Set<JournalTable> = []

    init(peers: Int) {
        self.peers = [Peer](repeating: Peer(), count: peers)
    }

    mutating func apply(_ batches: [PeerJournalBatch], serviceTime: UInt64, wallTime: Int64) {
        for entry in batches {
            for record in entry.batch.records { peers[entry.peer].apply(record, omitting: keeping) }
        }
        isFresh = false
        self.serviceTime = serviceTime
        self.wallTime = wallTime
    }
}

extension Stanza {
    var canonicalBytes: [UInt8] {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(byteCount)
        write(to: &buffer)
        return Array(buffer.readableBytesView)
    }
}
