import Foundation
import NIOCore
import NIOPosix
import Outbox
import TestSupport
import Testing

@testable import Store

@Suite
struct JournalTests {
    @Test
    func `what was committed is there again`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (journal, fresh) = try Journal.open(directory: directory.path)
        #expect(fresh.peers.isEmpty)
        #expect(fresh["ship"].needsNewEpoch)
        let records: [JournalRecord] = [
            .put(.outbox, id: 1, .bytes([1, 2, 3]), time: 10), .put(.outbox, id: 2, .bytes([]), time: 11),
            .put(.rooms, id: .max, .bytes([9]), time: 12), .put(.rooms, id: 4, .bytes([8]), time: 12),
            .set(.sending, [7]),
        ]
        let batch = NamedBatch(peer: "ship", batch: JournalBatch(number: 1, records: records))
        _ = try journal.commitNow([batch], serviceTime: 77).get()
        journal.closeNow()
        let (_, recovered) = try Journal.open(directory: directory.path)
        #expect(recovered.notes == [])
        #expect(recovered.serviceTime == 77)
        #expect(
            recovered["ship"]
                == RecoveredPeer(
                    rows: [
                        .outbox: [.init(id: 1, payload: [1, 2, 3], time: 10), .init(id: 2, payload: [], time: 11)],
                        .rooms: [.init(id: 4, payload: [8], time: 12), .init(id: .max, payload: [9], time: 12)],
                    ], values: [.sending: [7]], needsNewEpoch: false))
    }

    @Test
    func `commits go on beside the copying of the log, which stays small`() async throws {
        let directory = try TemporaryDirectory(inMemory: true)
        var policy = JournalPolicy()
        policy.checkpointFrames = 20
        policy.mostFrames = 60
        policy.reservedLogBytes = 0
        let (journal, _) = try Journal.open(
            directory: directory.path, environment: SystemEnvironment(), policy: policy)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let commits = 600
        let log = "\(directory.path)/\(Journal.fileName)-wal"
        for number in UInt64(1)...UInt64(commits) {
            let records: [JournalRecord] = [
                .put(.outbox, id: number, .bytes([UInt8](repeating: 1, count: 2_000)), time: number),
                .remove(.outbox, ids: [number &- 10]),
            ]
            let batch = NamedBatch(peer: "ship", batch: JournalBatch(number: number, records: records))
            _ = try await journal.commit([batch], serviceTime: number, on: loop).get()
        }
        let size = try #require(FileManager.default.attributesOfItem(atPath: log)[.size] as? Int)
        #expect(size < 100 * 4_120, "\(size) bytes")
        try await journal.close(on: loop).get()
        #expect(!FileManager.default.fileExists(atPath: log))
        await #expect(throws: StoreError.self) { try await journal.commit([], serviceTime: 1, on: loop).get() }
        let (again, site) = try Journal.open(directory: directory.path)
        again.closeNow()
        #expect(site.notes == [])
        #expect(site["ship"][.outbox].map(\.id) == Array(UInt64(commits) - 9...UInt64(commits)))
    }

    @Test
    func `a file that an outage made large is made small at the next start`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        var policy = JournalPolicy()
        policy.vacuumPages = 100
        let path = "\(directory.path)/\(Journal.fileName)"
        func open() throws -> Journal {
            try Journal.open(directory: directory.path, environment: SystemEnvironment(), policy: policy).0
        }
        func size() throws -> Int {
            try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        }
        var journal = try open()
        let puts = (UInt64(1)...400).map {
            JournalRecord.put(.outbox, id: $0, .bytes([UInt8](repeating: 1, count: 10_000)), time: 1)
        }
        for records in [puts, [.removeThrough(.outbox, id: 390)]] {
            let batch = NamedBatch(peer: "ship", batch: JournalBatch(number: 1, records: records))
            _ = try journal.commitNow([batch], serviceTime: 1).get()
        }
        journal.closeNow()
        #expect(try size() > 4_000_000)
        journal = try open()
        journal.closeNow()
        #expect(try size() < 1_500_000)
        #expect(try Journal.open(directory: directory.path).1["ship"][.outbox].count == 10)
    }
}
