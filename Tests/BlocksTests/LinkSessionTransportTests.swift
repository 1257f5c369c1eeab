import Blocks
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// What a session makes of a transport that says how far it is with a block.
@Suite("Sessions over a transport that takes its time")
struct LinkSessionTransportTests: JoinedSessions {
    private func pair() -> (left: SessionEnd, right: SessionEnd) {
        var configuration = LinkSessionConfiguration()
        configuration.repeatAfter = .minutes(30)
        configuration.firstRepeatAfter = .minutes(5)
        configuration.deadAfter = .hours(1)
        configuration.waitsForTransport = true
        return (SessionEnd(configuration, seed: 1), SessionEnd(configuration, seed: 2))
    }

    private func next(_ end: SessionEnd) -> ByteBuffer? { end.nextBlock(maximumStanzas: 8, partBytes: 2_000) }

    private func wait(_ end: SessionEnd, _ amount: TimeAmount) {
        end.clock = end.clock + amount
        end.session.deadlineReached(now: end.clock)
        end.collect()
    }

    @Test("A block is neither missing nor unanswered before the transport has all of it")
    func takenLate() throws {
        let (left, right) = pair()
        connect(left, right)
        try send(1...2, from: left)
        let block = try #require(next(left))
        left.session.transportTurned(isIdle: false, now: left.clock)
        #expect(left.session.nextDeadline(after: left.clock) == nil)
        wait(left, .hours(5))
        #expect(next(left) == nil && left.failures.isEmpty)
        left.session.blocksTaken(.express, now: left.clock)
        #expect(left.session.nextDeadline(after: left.clock) == nil)
        left.session.blocksTaken(.normal, now: left.clock)
        #expect(left.session.nextDeadline(after: left.clock) == left.clock + .minutes(30))
        wait(left, .minutes(29))
        #expect(next(left) == nil)
        wait(left, .minutes(1))
        let again = try #require(next(left))
        // Under way once more.
        wait(left, .hours(5))
        #expect(next(left) == nil && left.failures.isEmpty)
        left.session.blocksTaken(.normal, now: left.clock)
        right.clock = left.clock
        right.receive(block)
        right.receive(again)
        #expect(right.delivered == ["m1", "m2"])
        wait(left, .hours(1))
        #expect(left.failures == [.silent])
    }

    @Test("An acknowledgement overtakes blocks, but not the first one")
    func overtaking() throws {
        let (left, right) = pair()
        connect(left, right)
        try send(1...1, from: left)
        try send(1...1, from: right)
        let (first, opening) = (try #require(next(left)), try #require(next(right)))
        left.receive(opening)
        wait(left, .minutes(1))
        let early = left.session.nextOvertakingAcknowledgement(now: left.clock)
        #expect(early == nil)
        left.session.firstBlockBrought()
        let block = left.session.nextOvertakingAcknowledgement(now: left.clock)
        let acknowledgement = try #require(block)
        left.collect()
        let another = left.session.nextOvertakingAcknowledgement(now: left.clock)
        #expect(another == nil)
        right.receive(first)
        right.receive(acknowledgement)
        #expect(right.session.unacknowledgedBlocks == 0)
    }

    @Test("What a repeat waits for the transport does not count toward the end of the link")
    func repeatTakenLate() throws {
        let (left, right) = pair()
        connect(left, right)
        try send(1...1, from: left)
        _ = try #require(next(left))
        left.session.blocksTaken(.normal, now: left.clock)
        wait(left, .minutes(30))
        _ = try #require(next(left))
        wait(left, .minutes(45))
        left.session.blocksTaken(.normal, now: left.clock)
        wait(left, .minutes(29))
        #expect(left.failures.isEmpty)
        wait(left, .minutes(2))
        #expect(left.failures == [.silent])
    }

    @Test("A block that was overtaken is not missing, unless it stays away")
    func overtaken() throws {
        let (left, right) = pair()
        connect(left, right)
        try send(1...1, from: left)
        right.receive(try #require(next(left)))
        left.session.blocksTaken(.normal, now: left.clock)
        right.commit()
        wait(right, .seconds(1))
        left.receive(try #require(next(right)))
        try send(2...2, from: left)
        let slow = try #require(next(left))
        try send(3...3, from: left)
        let fast = try #require(next(left))
        left.session.blocksTaken(.normal, now: left.clock)
        right.receive(fast)
        wait(right, .seconds(1))
        let gap = try #require(next(right))
        left.receive(gap)
        #expect(next(left) == nil)
        wait(left, .minutes(16))
        left.receive(gap)
        #expect(next(left) != nil)
        right.receive(slow)
        #expect(right.delivered == ["m1", "m2", "m3"])
    }

    @Test("A first block that came to nobody goes again as soon as the other side says so a second time")
    func firstBlockInVain() throws {
        let (left, right) = pair()
        left.session.connected(now: left.clock)
        left.collect()
        left.commit()
        try send(1...1, from: left)
        _ = try #require(next(left))
        left.session.blocksTaken(.normal, now: left.clock)
        left.session.firstBlockBrought()
        wait(left, .minutes(1))
        right.clock = left.clock
        right.session.connected(now: right.clock)
        right.collect()
        right.commit()
        left.receive(try #require(next(right)))
        // It may have left before the block arrived, so nothing goes again for it; but an acknowledgement does go.
        wait(left, .seconds(1))
        let acknowledgement = try #require(next(left))
        #expect(next(left) == nil)
        right.clock = left.clock
        right.receive(acknowledgement)
        wait(right, .seconds(1))
        let answer = try #require(next(right))
        right.receive(acknowledgement)
        wait(right, .seconds(1))
        #expect(next(right) == nil, "said once")
        left.clock = right.clock
        left.receive(answer)
        let again = try #require(next(left))
        right.receive(again)
        #expect(right.delivered == ["m1"])
        #expect(next(left) == nil)
    }
}
