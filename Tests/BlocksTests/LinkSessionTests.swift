import Blocks
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

@Suite("Link session")
struct LinkSessionTests: JoinedSessions {
    @Test("Everything arrives once and in order over links that break, lose, repeat and overtake, and through restarts")
    func exchange() throws {
        for isReliable in [true, false] {
            for seed in UInt64(1)...30 {
                var exchange = Exchange(seed: seed, isReliable: isReliable)
                for _ in 0..<60 {
                    try exchange.enqueue()
                    for _ in 0..<12 { try exchange.step(faults: true) }
                }
                var rounds = 0
                while !(exchange.left.isIdle && exchange.right.isIdle), rounds < 40_000 {
                    try exchange.step(faults: false)
                    rounds += 1
                }
                for (side, receiver) in [(0, exchange.right), (1, exchange.left)] {
                    for lane in Lane.allCases {
                        let expected = exchange.sent[side][lane] ?? []
                        let wanted = Set(expected)
                        let got = receiver.delivered.filter { wanted.contains($0) }
                        #expect(got == expected, "seed \(seed), reliable \(isReliable), side \(side), lane \(lane)")
                    }
                }
                #expect(exchange.left.failures.isEmpty && exchange.right.failures.isEmpty, "seed \(seed) \(isReliable)")
            }
        }
    }

    @Test("An acknowledgement by itself takes three bytes, a data header six")
    func sizes() throws {
        let (left, right) = joined()
        try send(1...1, from: left)
        settle(left, right)
        try send(2...2, from: left)
        let block = try #require(left.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        var rest = block
        let header = try #require(try BlockHeader(reading: &rest))
        #expect(block.readableBytes - rest.readableBytes <= 6)
        #expect(header.body?.length == rest.readableBytes)
        right.receive(block)
        right.clock = right.clock + .seconds(1)
        #expect(right.session.nextServiceBlock(now: right.clock, willCut: false)?.readableBytes == 3)
    }

    @Test("A refusal counts although what else the peer sends is held")
    func refusalWhileHeld() throws {
        let (left, right) = joined()
        try send(1...5, from: left)
        settle(left, right)
        right.journal.rows[.receivedText] = []
        right.restart()
        connect(left, right)
        try send(6...7, from: left)
        var isHeld: [Bool] = []
        for _ in 0..<6 {
            while let block = left.nextBlock(maximumStanzas: 8, partBytes: 2_000) {
                right.receive(block)
            }
            while let block = right.nextBlock(maximumStanzas: 8, partBytes: 2_000) {
                isHeld.append(left.session.blockHeld(block, now: left.clock))
                left.collect()
                left.commit()
            }
            for end in [left, right] { end.clock = end.clock + .seconds(1) }
        }
        #expect(right.delivered == (1...7).map { "m\($0)" })
        #expect(left.notes.contains(.historyRefused) && left.isIdle)
        // The refusal is done with; of the rest, only the opening has a body to be read later.
        #expect(isHeld.count { $0 } == 1)
    }

    @Test("A peer that has read nothing of a session is no sign that its blocks arrive, whatever number it has")
    func deadInOneDirection() throws {
        var configuration = LinkSessionConfiguration()
        configuration.repeatAfter = .seconds(5)
        configuration.deadAfter = .seconds(60)
        for sessions in 14...18 {
            let (left, right) = (SessionEnd(configuration, seed: 1), SessionEnd(configuration, seed: 2))
            for _ in 1..<sessions {
                left.session.connected(now: left.clock)
                left.session.disconnected(now: left.clock)
            }
            connect(left, right)
            try send(1...1, from: left)
            for number in 0..<13 {
                // Nothing of the left one arrives; everything of the right one does.
                while left.nextBlock(maximumStanzas: 8, partBytes: 2_000) != nil {}
                try send(number...number, from: right)
                while let block = right.nextBlock(maximumStanzas: 8, partBytes: 2_000) {
                    left.receive(block)
                }
                for end in [left, right] { end.clock = end.clock + .seconds(5) }
                left.session.deadlineReached(now: left.clock)
                left.collect()
            }
            #expect(left.failures.contains(.silent), "\(sessions) sessions")
            #expect(left.delivered.count == 13)
        }
    }

    @Test("A first block that nobody was there to read is sent again soon, and then less and less often")
    func firstBlockAgain() throws {
        var configuration = LinkSessionConfiguration()
        configuration.repeatAfter = .minutes(30)
        configuration.firstRepeatAfter = .minutes(5)
        let (left, right) = (SessionEnd(configuration, seed: 1), SessionEnd(configuration, seed: 2))
        connect(left, right)
        try send(1...2, from: left)
        let start = left.clock
        var times: [Int64] = []
        while left.nextBlock(maximumStanzas: 1, partBytes: 2_000) != nil { times.append(0) }
        #expect(times.count == 2)
        // The transport takes ten minutes for them, so it is known of neither where it is.
        left.session.transportTurned(isIdle: false, now: left.clock)
        #expect(left.session.nextDeadline(after: left.clock) == start + .minutes(30))
        left.clock = start + .minutes(10)
        #expect(left.nextBlock(maximumStanzas: 1, partBytes: 2_000) == nil)
        left.session.transportTurned(isIdle: true, now: left.clock)
        var blocks: [ByteBuffer] = []
        times = []
        for minute in 11...90 {
            left.clock = start + .minutes(Int64(minute))
            while let block = left.nextBlock(maximumStanzas: 1, partBytes: 2_000) {
                times.append(Int64(minute))
                blocks.append(block)
            }
        }
        // After 5, after 15 more; both after 30, and again.
        #expect(times == [15, 30, 30, 60, 60, 90, 90])
        // Where the first is read at last, the second is known to be missing.
        let first = try #require(blocks.dropLast().last)
        right.clock = left.clock
        right.receive(first)
        #expect(right.delivered == ["m1"])
        right.clock = right.clock + .minutes(1)
        left.clock = right.clock
        while let answer = right.nextBlock(maximumStanzas: 1, partBytes: 2_000) {
            left.receive(answer)
        }
        let second = try #require(left.nextBlock(maximumStanzas: 1, partBytes: 2_000))
        #expect(left.nextBlock(maximumStanzas: 1, partBytes: 2_000) == nil)
        right.receive(second)
        #expect(right.delivered == ["m1", "m2"])
    }

    @Test("After a reconnect and after a restart of both ends the history is still there")
    func historySurvives() throws {
        let (left, right) = joined()
        try send(1...40, from: left)
        settle(left, right)
        left.restart()
        right.restart()
        connect(left, right)
        try send(41...48, from: left)
        let block = try #require(left.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        var rest = block
        let header = try #require(try BlockHeader(reading: &rest))
        guard case .session(let opening) = header.opening, case .text = opening.history else {
            Issue.record("the opening names no history")
            return
        }
        right.receive(block)
        #expect(right.delivered.count == 48)
        #expect(!left.notes.contains(.historyRefused))
    }

    @Test("A history that the other side does not have is refused, and the link goes on without it")
    func unknownHistory() throws {
        let (left, right) = joined()
        try send(1...20, from: left)
        settle(left, right)
        right.journal.rows[.receivedText] = []
        right.restart()
        connect(left, right)
        try send(21...25, from: left)
        settle(left, right)
        #expect(right.delivered == (1...25).map { "m\($0)" })
        #expect(left.notes.contains(.historyRefused))
        #expect(left.failures.isEmpty)
    }

    @Test("peers d21: acknowledgements above what was sent, backwards or of another session free nothing")
    func rogueAcknowledgements() throws {
        let (left, right) = joined()
        try send(1...3, from: left)
        settle(left, right)
        try send(4...4, from: left)
        let block = try #require(left.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        #expect(left.numbered.count == 1)
        let session = UInt8(truncatingIfNeeded: left.session.sessionNumber)
        let peer = UInt8(truncatingIfNeeded: right.session.sessionNumber)
        for (own, count) in [(session, UInt8(100)), (session, 0), (session &+ 1, 3), (session, 127), (session, 255)] {
            var rogue = ByteBuffer()
            BlockHeader(session: peer, acknowledgedSession: own, acknowledgedNormal: count).encode(into: &rogue)
            left.session.blockReceived(rogue, now: left.clock)
            left.collect()
            #expect(left.numbered.count == 1, "count \(count)")
        }
        right.receive(block)
        settle(left, right)
        #expect(left.isIdle)
    }

    @Test("Another version is refused in words at both ends")
    func version() throws {
        let (left, right) = joined()
        var foreign = ByteBuffer()
        foreign.writeBytes([0x01, 0x10, 0x00, 0x02])
        left.session.blockReceived(foreign, now: left.clock)
        left.collect()
        #expect(left.failures == [.version(own: 1, peer: 2)])
        right.session.blockReceived(LinkSession.versionRefusal, now: right.clock)
        right.collect()
        #expect(right.failures == [.version(own: 1, peer: 1)])
    }

    @Test("Numbers survive the wrap of every truncated count")
    func manyBlocks() throws {
        let (left, right) = joined()
        for round in 0..<700 {
            try send(round...round, from: left)
            settle(left, right, rounds: 3)
        }
        settle(left, right)
        #expect(right.delivered == (0..<700).map { "m\($0)" })
        #expect(left.isIdle)
    }

    @Test("A peer that has nothing any more of a stanza in parts gets it from the beginning")
    func forgottenParts() throws {
        let (left, right) = joined()
        settle(left, right)
        let body = (0..<900).map { String($0 % 36, radix: 36) }.joined()
        left.queue[.normal] = [
            try stanza("<message from='u@alpha.example' to='v@bravo.example' id='m1'><body>\(body)</body></message>")
        ]
        func part() throws {
            let block = try #require(left.nextBlock(maximumStanzas: 1, partBytes: 200))
            right.receive(block)
        }
        func openRight() throws {
            let block = try #require(right.nextBlock(maximumStanzas: 1, partBytes: 200))
            left.receive(block)
        }
        for _ in 0..<3 { try part() }
        connect(left, right)
        try openRight()
        try part()
        // Its journal is gone.
        right.journal = RecoveredPeer(needsNewEpoch: true)
        right.restart()
        connect(left, right)
        try openRight()
        while left.numbered.count > 0, let block = left.nextBlock(maximumStanzas: 1, partBytes: 200) {
            right.receive(block)
        }
        settle(left, right)
        #expect(!right.notes.contains(.damagedBlock))
        #expect(right.delivered == ["m1"])
    }
}
