import Outbox
import TestSupport
import Testing
import XMPP

@Suite struct SentLaneTests {
    private func entries(_ ids: ClosedRange<UInt64>) throws -> [OutboxEntry] {
        try ids.map { OutboxEntry(id: $0, stanza: try message("\($0)"), arrival: 0, isRecorded: true) }
    }

    @Test func `what has a number keeps it, session after session, until it is acknowledged`() throws {
        var lane = SentLane()
        lane.number(try entries(1...3), from: 1, areCut: true)
        lane.number(try entries(4...5), from: 4, areCut: true)
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
        lane.number(try entries(1...4), from: .max - 8, areCut: true)
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
        lane.restore(row: [found[0], nil, found[2]], from: 10)
        lane.restore(row: [nil], from: 13)
        lane.restore(row: [found[3]], from: 14)
        #expect(lane.recut { _ in true }.map(\.number) == [10])
        #expect(lane.recut { _ in true }.map(\.number) == [12])
        #expect(lane.recut { _ in true }.map(\.number) == [14])
        #expect(lane.acknowledged(through: 14).rows == 14)
    }

    @Test func `a stanza in parts is not done before its last one`() throws {
        var lane = SentLane()
        lane.number(try entries(1...1), from: 1, areCut: false)
        #expect(lane.nextUncut?.number == 1)
        lane.lastPartCut()
        #expect(!lane.hasUncut)
        lane.sessionStarted()
        #expect(lane.nextUncut?.number == 1)
    }
}

@Suite struct InboxTests {
    @Test func `nothing is given out before its batch is durable, nor beyond the window, nor out of order`() throws {
        var inbox = Inbox(window: 2)
        var ids: [UInt64] = []
        for number in 0..<5 {
            ids.append(inbox.append(try message("\(number)"), isRecorded: true, batch: UInt64(number / 2 + 1), now: 7))
        }
        let tooEarly = inbox.next(committed: 0)
        #expect(tooEarly == nil)
        let first = [inbox.next(committed: 3)?.id, inbox.next(committed: 3)?.id, inbox.next(committed: 3)?.id]
        #expect(first == [ids[0], ids[1], nil])
        let removed = inbox.remove(ids[1])
        #expect(removed?.isRecorded == true)
        let again = inbox.remove(ids[1])
        #expect(again == nil)
        let third = inbox.next(committed: 2)?.id
        #expect(third == ids[2])
        _ = inbox.remove(ids[0])
        let fourth = inbox.next(committed: 2)?.id
        #expect(fourth == ids[3])
        // Given up before it was given out.
        _ = inbox.remove(ids[4])
        for id in ids { _ = inbox.remove(id) }
        let counts = (inbox.stanzaCount, inbox.byteCount, inbox.outstanding)
        #expect(counts == (0, 0, 0))
        let oldest = inbox.oldestArrival
        #expect(oldest == nil)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `random use gives everything out once and in order`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var inbox = Inbox(window: 5)
        let stanza = try message("x")
        var added: [UInt64] = []
        var given: [UInt64] = []
        var open: [UInt64] = []
        for _ in 0..<5_000 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0: added.append(inbox.append(stanza, isRecorded: false, batch: 0, now: 0))
            case 1:
                if let next = inbox.next(committed: 0) {
                    given.append(next.id)
                    open.append(next.id)
                }
            default:
                guard !open.isEmpty else { continue }
                let id = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                let removed = inbox.remove(id)
                #expect(removed != nil)
            }
            let state = (inbox.outstanding, inbox.stanzaCount)
            #expect(state == (open.count, added.count - given.count + open.count) && open.count <= 5)
        }
        #expect(given == Array(added.prefix(given.count)) && given.count > 1_000)
    }
}
