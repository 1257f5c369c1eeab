import NIOCore
import Outbox
import Testing

@testable import Store

@Suite
struct JournalTests {
    @Test
    func `what was committed is there again`() throws {
        let directory = try TemporaryDirectory()
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
}
