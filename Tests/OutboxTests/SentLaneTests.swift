import Outbox
import Testing
import XMPP

@Suite struct SentLaneTests {
    private func entries(_ ids: ClosedRange<UInt64>) throws -> [OutboxEntry] {
        try ids.map { OutboxEntry(id: $0, stanza: try message("\($0)"), arrival: 0, isRecorded: true) }
    }

    @Test func `what has a number keeps it, session after session, until it is acknowledged`() throws {
        var lane = SentLane()
        lane.number(OutboxRecords(try entries(1...3)), from: 1, areCut: true)
        lane.number(OutboxRecords(try entries(4...5)), from: 4, areCut: true)
        #expect(!lane.hasUncut && lane.count == 5)
        lane.sessionStarted()
        var taken = 0
        let first = lane.recut { _ in
            taken += 1
            return taken <= 4
        }
        #expect(first.map(\.number) == [1, 2, 3, 4])
        #expect(lane.recut { _ in true }.map(\.number) == [5])
        let (done, rows) = lane.acknowledged(through: 3)
        #expect(done.map(\.id) == [1, 2, 3] && rows == 1)
        let bytes = try 2 * message("4").byteCount
        #expect(lane.count == 2 && lane.byteCount == bytes)
    }

    @Test func `peers d21: an acknowledgement that goes backwards or comes twice frees nothing`() throws {
        var lane = SentLane()
        lane.number(OutboxRecords(try entries(1...4)), from: .max - 8, areCut: true)
        #expect(lane.acknowledged(through: .max - 7).entries.count == 2)
        #expect(lane.acknowledged(through: .max - 7).entries.isEmpty)
        #expect(lane.acknowledged(through: 3).entries.isEmpty)
        // In the middle of a row the row stays; what it names and is gone is passed over after a restart.
        #expect(lane.acknowledged(through: .max - 6).rows == nil)
        #expect(lane.acknowledged(through: .max).rows == UInt64.max - 8)
        #expect(lane.isEmpty && lane.byteCount == 0)
    }

    @Test func `numbers that a restart lost leave a gap, and no block spans it`() throws {
        var lane = SentLane()
        let found = try entries(1...4)
        lane.restore(row: [.init(found[0]), .init(nil), .init(found[2])], from: 10)
        lane.restore(row: [.init(nil)], from: 13)
        lane.restore(row: [.init(found[3])], from: 14)
        #expect(lane.recut { _ in true }.map(\.number) == [10])
        #expect(lane.recut { _ in true }.map(\.number) == [12])
        #expect(lane.recut { _ in true }.map(\.number) == [14])
        #expect(lane.acknowledged(through: 14).rows == 14)
    }

    @Test func `a stanza in parts is not done before its last one`() throws {
        var lane = SentLane()
        lane.number(OutboxRecords(try entries(1...1)), from: 1, areCut: false)
        #expect(lane.nextUncut?.number == 1)
        lane.lastPartCut()
        #expect(!lane.hasUncut)
        lane.sessionStarted()
        #expect(lane.nextUncut?.number == 1)
    }
}

/// Several stanzas under one number.
@Suite struct SharedNumberTests {
    private func entries(_ ids: ClosedRange<UInt64>) throws -> [OutboxEntry] {
        try ids.map {
            let stanza = try message("same", to: "u\($0)@capulet.example")
            return OutboxEntry(id: $0, stanza: stanza, arrival: 0, isRecorded: true)
        }
    }

    @Test func `what shares a number is cut again together and done together`() throws {
        var lane = SentLane()
        lane.number(OutboxRecords(try entries(1...6), sizes: [1, 4, 1]), from: 7, areCut: true)
        lane.sessionStarted()
        #expect(!lane.isNextUncutShared)
        var offered: [[UInt64]] = []
        let block = lane.recut { record in
            offered.append(record.map(\.id))
            return offered.count < 3
        }
        #expect(offered == [[1], [2, 3, 4, 5], [6]])
        #expect(block.map(\.number) == [7, 8, 8, 8, 8])
        #expect(OutboxRecords(block) == OutboxRecords(try entries(1...5), sizes: [1, 4]))
        #expect(lane.acknowledged(through: 7).entries.map(\.id) == [1])
        let (done, rows) = lane.acknowledged(through: 8)
        #expect(done.map(\.id) == [2, 3, 4, 5] && rows == nil)
        #expect(lane.acknowledged(through: 9).rows == 7)
        #expect(lane.isEmpty && lane.byteCount == 0)
    }

    @Test func `a record that does not fit waits whole`() throws {
        var lane = SentLane()
        lane.number(OutboxRecords(try entries(1...5), sizes: [2, 3]), from: 1, areCut: true)
        lane.sessionStarted()
        #expect(lane.isNextUncutShared)
        #expect(lane.recut { $0.count < 3 }.map(\.number) == [1, 1])
        #expect(lane.nextUncut?.entry.id == 3 && lane.hasUncut)
    }

    @Test func `after a restart the stanzas that are left keep the number that all had`() throws {
        var lane = SentLane()
        let found = try entries(1...4)
        // The first of the record and all of the next number were presence that no row held.
        lane.restore(
            row: [
                .init(nil), .init(found[0], sharesNumber: true), .init(found[1], sharesNumber: true), .init(nil), .init(found[2]),
            ], from: 20)
        #expect(lane.recut { _ in true }.map(\.number) == [20, 20])
        #expect(lane.recut { _ in true }.map(\.number) == [22])
        #expect(lane.acknowledged(through: 22).rows == 20)
    }
}
