import Outbox
import TestSupport
import XMPP

@testable import Store

/// What the journal should hold, kept in memory.
struct JournalModel: Equatable {
    var peers: [String: RecoveredPeer] = [:]
    var serviceTime: UInt64 = 0

    mutating func apply(_ batches: [NamedBatch], serviceTime: UInt64) {
        self.serviceTime = serviceTime
        for entry in batches where !entry.batch.records.isEmpty {
            var peer = peers[entry.peer] ?? RecoveredPeer(needsNewEpoch: true)
            for record in entry.batch.records { Self.apply(record, to: &peer) }
            peers[entry.peer] = peer
        }
    }

    private static func apply(_ record: JournalRecord, to peer: inout RecoveredPeer) {
        switch record {
        case .put(let table, let id, let payload, let time):
            var rows = peer[table].filter { $0.id != id }
            rows.append(.init(id: id, payload: payload.bytes, time: time))
            peer.rows[table] = rows.sorted { $0.id < $1.id }
        case .remove(let table, let ids): filter(table, &peer) { !ids.contains($0) }
        case .removeThrough(let table, let id): filter(table, &peer) { $0 > id }
        case .removeAbove(let table, let id): filter(table, &peer) { $0 <= id }
        case .set(let value, let bytes):
            peer.values[value] = bytes
            if value == .sending { peer.needsNewEpoch = false }
        }
    }

    private static func filter(_ table: JournalTable, _ peer: inout RecoveredPeer, _ keeps: (UInt64) -> Bool) {
        let rows = peer[table].filter { keeps($0.id) }
        peer.rows[table] = rows.isEmpty ? nil : rows
    }
}

extension JournalPayload {
    var bytes: [UInt8] {
        switch self {
        case .stanza(let stanza): unsafe stanza.withBytes { unsafe Array($0) }
        case .bytes(let bytes): bytes
        }
    }
}

/// Commits as a bridge makes them, from a seed.
struct Workload {
    struct Commit {
        var batches: [NamedBatch]
        var serviceTime: UInt64
    }

    var commits: [Commit] = []
    /// `models[n]` is what is there after n commits.
    var models: [JournalModel] = [JournalModel()]

    init(seed: UInt64, commits count: Int) {
        var generator = SeededGenerator(seed: seed)
        var nextID: UInt64 = 1
        var model = JournalModel()
        for number in 1...count {
            let names = ["ship", "hq"].filter { _ in Int.random(in: 0..<4, using: &generator) != 0 }
            let batches = names.map { name in
                var records: [JournalRecord] = []
                for _ in 0..<Int.random(in: 0...6, using: &generator) {
                    records.append(Self.record(&nextID, model.peers[name], UInt64(number), &generator))
                }
                return NamedBatch(peer: name, batch: JournalBatch(number: UInt64(number), records: records))
            }
            let commit = Commit(batches: batches, serviceTime: UInt64(number) * 10)
            model.apply(commit.batches, serviceTime: commit.serviceTime)
            commits.append(commit)
            models.append(model)
        }
    }

    private static func record(
        _ nextID: inout UInt64, _ peer: RecoveredPeer?, _ time: UInt64, _ generator: inout SeededGenerator
    ) -> JournalRecord {
        let tables: [JournalTable] = [.outbox, .outbox, .inbox, .sentText, .rooms]
        let table = tables.randomElement(using: &generator) ?? .inbox
        let present = peer?[table].map(\.id) ?? []
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<5:
            nextID += 1
            let isLarge = Int.random(in: 0..<12, using: &generator) == 0
            let size = Int.random(in: isLarge ? 5_000...20_000 : 0...600, using: &generator)
            let payload = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Some ids are hashes.
            let id = table == .rooms ? generator.next() : nextID
            return .put(table, id: id, .bytes(payload), time: time)
        case 5..<8: return .remove(table, ids: Array(present.shuffled(using: &generator).prefix(3)) + [999_999])
        case 8:
            let id = present.randomElement(using: &generator) ?? 5
            return Bool.random(using: &generator) ? .removeThrough(table, id: id) : .removeAbove(table, id: id)
        default:
            let value = JournalValue.allCases.randomElement(using: &generator) ?? .counters
            return .set(value, [UInt8.random(in: 0...255, using: &generator)])
        }
    }
}
