import Blocks
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// Sends from one end to the other over a link that fails, and looks that everything arrives once and in order.
private struct Exchange {
    var random: SeededGenerator
    let isReliable: Bool
    let left: SessionEnd
    let right: SessionEnd
    /// Blocks under way, by direction, oldest first.
    var wire: [[(block: ByteBuffer, session: UInt64)]] = [[], []]
    var isUp = false
    var sent: [[Lane: [String]]] = [[:], [:]]
    var counter = 0

    init(seed: UInt64, isReliable: Bool) {
        random = SeededGenerator(seed: seed)
        self.isReliable = isReliable
        var configuration = LinkSessionConfiguration()
        configuration.windowBlocks = Int.random(in: 2...20, using: &random)
        configuration.windowText = Int.random(in: 500...20_000, using: &random)
        configuration.repeatAfter = isReliable ? nil : .seconds(2)
        left = SessionEnd(configuration, seed: random.next())
        right = SessionEnd(configuration, seed: random.next())
    }

    var ends: [SessionEnd] { [left, right] }

    mutating func connect() {
        guard !isUp else { return }
        isUp = true
        for end in ends {
            end.session.connected(now: end.clock)
            end.collect()
            end.commit()
        }
    }

    mutating func cut() {
        guard isUp else { return }
        isUp = false
        for end in ends {
            end.session.disconnected(now: end.clock)
            end.collect()
        }
        // A reliable connection dies with what was in it; datagrams may still come out of the air later.
        if isReliable { wire = [[], []] }
    }

    mutating func enqueue() throws {
        let side = Int.random(in: 0...1, using: &random)
        let lane: Lane = Int.random(in: 0..<5, using: &random) == 0 ? .express : .normal
        counter += 1
        let large = lane == .normal && Int.random(in: 0..<12, using: &random) == 0
        let body = large
            ? (0..<Int.random(in: 500...2_000, using: &random)).map { _ in String(random.next() % 36, radix: 36) }.joined()
            : "hello \(random.next() % 50)"
        // Most ids follow the last one of their half, as long as nothing is lost or cut again.
        let id = SerialIDTests.token(counter % 3 == 0 ? 0x8000_0000 + UInt32(counter / 3) : UInt32(counter - counter / 3))
        let message = try stanza(
            "<message from='u@alpha.example' to='v@bravo.example' id='\(id)'><body>\(body)</body></message>")
        ends[side].queue[lane, default: []].append(message)
        sent[side][lane, default: []].append(id)
    }

    mutating func step(faults: Bool) throws {
        for end in ends { end.clock = end.clock + .milliseconds(Int64.random(in: 1...400, using: &random)) }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<3 where faults: cut()
        case 3..<5 where faults:
            // A process ends between two commits.
            let side = Int.random(in: 0...1, using: &random)
            if isReliable { cut() }
            ends[side].restart()
            if isUp {
                ends[side].session.connected(now: ends[side].clock)
                ends[side].collect()
                ends[side].commit()
            }
        case 5..<40:
            if isUp {
                let side = Int.random(in: 0...1, using: &random)
                if let block = ends[side].nextBlock(
                    maximumStanzas: Int.random(in: 1...8, using: &random), partBytes: 700)
                {
                    wire[side].append((block, ends[side].session.sessionNumber))
                }
            } else {
                connect()
            }
        case 40..<80:
            let side = Int.random(in: 0...1, using: &random)
            guard isUp, !wire[side].isEmpty else { return }
            var index = 0
            if !isReliable, faults {
                switch Int.random(in: 0..<10, using: &random) {
                case 0:
                    wire[side].removeFirst()
                    return
                case 1: wire[side].append(wire[side][0])
                case 2: index = Int.random(in: 0..<wire[side].count, using: &random)
                default: break
                }
            }
            let (block, session) = wire[side].remove(at: index)
            let receiver = ends[1 - side]
            // Nothing stays in the air for longer than the four bits of a session can tell.
            guard session + 12 > ends[side].session.sessionNumber else { return }
            receiver.session.blockReceived(block, now: receiver.clock)
            receiver.collect()
            // What is not committed is lost with the process.
            if Int.random(in: 0..<4, using: &random) != 0 || !faults { receiver.commit() }
        default:
            for end in ends where Int.random(in: 0...1, using: &random) == 0 { end.commit() }
        }
    }
}

@Suite("Link session")
struct LinkSessionTests {
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

    private func joined(
        _ configuration: LinkSessionConfiguration = LinkSessionConfiguration()
    ) -> (left: SessionEnd, right: SessionEnd) {
        let ends = (SessionEnd(configuration, seed: 1), SessionEnd(configuration, seed: 2))
        connect(ends.0, ends.1)
        return ends
    }

    private func connect(_ left: SessionEnd, _ right: SessionEnd) {
        for end in [left, right] {
            end.session.disconnected(now: end.clock)
            end.session.connected(now: end.clock)
            end.collect()
            end.commit()
        }
    }

    private func send(_ ids: ClosedRange<Int>, from end: SessionEnd) throws {
        for number in ids {
            let text = "<message from='u@alpha.example' to='v@bravo.example' id='m\(number)'><body>hi \(number)</body></message>"
            end.queue[.normal, default: []].append(try stanza(text))
        }
    }

    /// Moves blocks both ways until neither end has one; returns their sizes.
    @discardableResult
    private func settle(_ left: SessionEnd, _ right: SessionEnd, rounds: Int = 200) -> [Int] {
        var sizes: [Int] = []
        for _ in 0..<rounds {
            var moved = false
            for (from, to) in [(left, right), (right, left)] {
                from.clock = from.clock + .milliseconds(300)
                guard let block = from.nextBlock(maximumStanzas: 8, partBytes: 2_000) else { continue }
                sizes.append(block.readableBytes)
                to.session.blockReceived(block, now: to.clock)
                to.collect()
                to.commit()
                moved = true
            }
            if !moved { break }
        }
        return sizes
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
        right.session.blockReceived(block, now: right.clock)
        right.collect()
        right.commit()
        right.clock = right.clock + .seconds(1)
        #expect(right.session.nextServiceBlock(now: right.clock, willCut: false)?.readableBytes == 3)
    }

    @Test("A sender restored from a copy is found out by the receiver, begins a new epoch, and nothing new is discarded")
    func restoredSender() throws {
        let (left, right) = joined()
        try send(1...5, from: left)
        settle(left, right)
        let copy = left.journal
        try send(6...9, from: left)
        settle(left, right)
        #expect(right.delivered.count == 9)
        left.journal = copy
        left.numbered = []
        left.restart()
        connect(left, right)
        try send(10...12, from: left)
        settle(left, right)
        #expect(right.delivered == (1...12).map { "m\($0)" })
        #expect(left.notes.contains(.selfRestored))
    }

    @Test("A sender restored from a copy is found out although it numbered more than it had lost, and was restarted, before it spoke")
    func restoredSenderThatHides() throws {
        for restarts in [1, 3, 20] {
            let (left, right) = joined()
            try send(1...5, from: left)
            settle(left, right)
            let copy = left.journal
            try send(6...9, from: left)
            settle(left, right)
            left.journal = copy
            left.numbered = []
            left.restart()
            // Its blocks go nowhere, run after run.
            for run in 0..<restarts {
                left.session.connected(now: left.clock)
                left.collect()
                let first = 10 + 8 * run
                try send(first...first + 7, from: left)
                for _ in 0..<4 { _ = left.nextBlock(maximumStanzas: 8, partBytes: 2_000) }
                left.restart()
            }
            connect(left, right)
            settle(left, right)
            let last = 9 + 8 * restarts
            #expect(right.delivered == (1...last).map { "m\($0)" }, "\(restarts) restarts")
            #expect(left.notes.contains(.selfRestored))
        }
    }

    /// A node may deliver what it was given long ago, and first what it was given later.
    @Test("An epoch that nobody had heard of, and that is over, takes the place of the newer one for a while only")
    func lateOlderEpoch() throws {
        let (left, right) = (SessionEnd(LinkSessionConfiguration(), seed: 5), SessionEnd(LinkSessionConfiguration(), seed: 6))
        left.session.connected(now: left.clock)
        left.collect()
        try send(1...1, from: left)
        let late = try #require(left.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        let epoch = left.session.epoch
        left.journal.needsNewEpoch = true
        left.restart()
        connect(left, right)
        #expect(left.session.epoch != epoch)
        try send(2...3, from: left)
        settle(left, right)
        right.session.blockReceived(late, now: right.clock)
        right.collect()
        right.commit()
        let present = left.session.epoch
        for number in 4...6 {
            try send(number...number, from: left)
            connect(left, right)
            settle(left, right)
        }
        // The copy knew nothing of what came late; what follows arrives once, since the numbers of its epoch count again.
        #expect(right.delivered.filter { $0 != "m1" } == (2...6).map { "m\($0)" })
        let isSame = left.session.epoch == present
        #expect(isSame)
        #expect(left.numbered.isEmpty)
    }

    /// The node delivers what both runs gave it.
    @Test("Two runs that began the same session, one from a copy, are not taken for one")
    func sameSessionTwice() throws {
        let (left, right) = joined()
        try send(1...2, from: left)
        settle(left, right)
        let copy = left.journal
        left.restart()
        left.session.connected(now: left.clock)
        left.collect()
        try send(3...4, from: left)
        let first = try #require(left.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        left.journal = copy
        left.numbered = []
        left.restart()
        let epoch = left.session.epoch
        connect(left, right)
        try send(5...6, from: left)
        // What the other side says of itself is said before.
        let opening = try #require(right.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        left.session.blockReceived(opening, now: left.clock)
        left.collect()
        left.commit()
        right.session.blockReceived(first, now: right.clock)
        right.collect()
        right.commit()
        settle(left, right)
        #expect(left.session.epoch != epoch)
        #expect(left.notes.contains(.selfRestored))
        #expect(right.delivered == (1...6).map { "m\($0)" })
        #expect(left.numbered.isEmpty)
    }

    @Test("Restarts of a sender that goes on cost no new epoch, however many there are and whatever was read in between")
    func honestRestarts() throws {
        let (left, right) = joined()
        try send(1...5, from: left)
        settle(left, right)
        let epoch = left.session.epoch
        for run in 0..<20 {
            left.restart()
            try send(6 + run...6 + run, from: left)
            connect(left, right)
            if run % 3 == 0 {
                // Read, but the acknowledgement is lost.
                while let block = left.nextBlock(maximumStanzas: 8, partBytes: 2_000) {
                    right.session.blockReceived(block, now: right.clock)
                    right.collect()
                    right.commit()
                }
            }
        }
        connect(left, right)
        settle(left, right)
        #expect(right.delivered == (1...25).map { "m\($0)" })
        #expect(left.session.epoch == epoch)
        #expect(!left.notes.contains(.selfRestored))
    }

    @Test("A receiver restored from a copy takes what comes next")
    func restoredReceiver() throws {
        let (left, right) = joined()
        try send(1...3, from: left)
        settle(left, right)
        let copy = right.journal
        try send(4...6, from: left)
        settle(left, right)
        right.journal = copy
        right.restart()
        connect(left, right)
        try send(7...9, from: left)
        settle(left, right)
        #expect(right.delivered == (1...9).map { "m\($0)" })
        #expect(left.isIdle)
    }

    /// Behind a node the other side knows nothing of a restart here, and keeps its session.
    @Test("A side restored from a copy that had not heard of the other one is sent the opening that it lacks")
    func restoredBeforeContact() throws {
        let (left, right) = (SessionEnd(.init(), seed: 1), SessionEnd(.init(), seed: 2))
        right.commit()
        let copy = right.journal
        connect(left, right)
        try send(1...3, from: left)
        try send(11...12, from: right)
        settle(left, right)
        right.journal = copy
        right.restart()
        right.session.connected(now: right.clock)
        right.collect()
        try send(13...14, from: right)
        settle(left, right)
        #expect(left.delivered == [11, 12, 13, 14].map { "m\($0)" })
        #expect(right.isIdle)
        let reads = right.session.isPeerRecognised
        #expect(reads)
    }

    /// A node delivers to the run after the crash what it was given for the one before.
    @Test("Acknowledgements of the epoch before a lost journal, with the bits of the session after it, free nothing")
    func acknowledgementsOfAnotherEpoch() throws {
        let (left, right) = joined()
        let opening = try #require(right.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        try send(1...3, from: left)
        while let block = left.nextBlock(maximumStanzas: 8, partBytes: 2_000) {
            right.session.blockReceived(block, now: right.clock)
            right.collect()
            right.commit()
        }
        try send(11...11, from: right)
        let answer = try #require(right.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        left.journal = RecoveredPeer(needsNewEpoch: true)
        left.numbered = []
        left.restart()
        left.session.connected(now: left.clock)
        left.collect()
        left.commit()
        try send(4...6, from: left)
        // It goes to a place where nobody is.
        _ = left.nextBlock(maximumStanzas: 8, partBytes: 2_000)
        for block in [opening, answer] {
            left.session.blockReceived(block, now: left.clock)
            left.collect()
            left.commit()
        }
        #expect(left.delivered == ["m11"])
        #expect(left.numbered.count == 3)
        connect(left, right)
        settle(left, right)
        #expect(right.delivered == (1...6).map { "m\($0)" })
        #expect(left.isIdle)
    }

    @Test("An opening that was renewed begins no session: what went before it does not come again")
    func renewedOpening() throws {
        let (left, right) = joined()
        try send(1...2, from: left)
        let first = try #require(left.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        let opening = try #require(right.nextBlock(maximumStanzas: 8, partBytes: 2_000))
        left.session.blockReceived(opening, now: left.clock)
        left.collect()
        left.commit()
        left.clock = left.clock + .seconds(1)
        let renewal = left.session.nextServiceBlock(now: left.clock, willCut: false) ?? ByteBuffer()
        var rest = renewal
        let header = try #require(try BlockHeader(reading: &rest))
        guard case .session(let renewed) = header.opening else { return #expect(Bool(false), "it has no opening") }
        let epoch = right.session.epoch
        #expect(header.body == nil && renewed.peerEpoch == epoch)
        right.session.blockReceived(renewal, now: right.clock)
        let begins = right.session.isPeerRecognised
        #expect(!begins)
        right.session.blockReceived(first, now: right.clock)
        right.collect()
        right.commit()
        #expect(right.delivered == ["m1", "m2"])
        settle(left, right)
        #expect(left.isIdle && right.isIdle)
    }

    @Test("Parts in a restored copy, of a stanza that came whole since, are forgotten although nothing more is sent")
    func restoredParts() throws {
        let (left, right) = joined()
        let body = String(repeating: "abcdefgh ", count: 600)
        left.queue[.normal] = [
            try stanza("<message from='u@alpha.example' to='v@bravo.example' id='large'><body>\(body)</body></message>")
        ]
        var copy: RecoveredPeer?
        while !left.isIdle {
            if let block = left.nextBlock(maximumStanzas: 8, partBytes: 1_000) {
                right.session.blockReceived(block, now: right.clock)
                right.collect()
                right.commit()
                if copy == nil, !right.journal[.fragments].isEmpty { copy = right.journal }
            }
            right.clock = right.clock + .seconds(1)
            if let block = right.nextBlock(maximumStanzas: 8, partBytes: 1_000) {
                left.session.blockReceived(block, now: left.clock)
                left.collect()
                left.commit()
            }
        }
        #expect(right.delivered == ["large"])
        right.journal = try #require(copy)
        right.restart()
        connect(left, right)
        settle(left, right)
        #expect(right.journal[.fragments].isEmpty)
    }

    @Test("A sender restored from a copy that knows nothing of a stanza of which parts arrived does not go on with another one")
    func restoredSenderOfParts() throws {
        for isSameSize in [true, false] {
            let (left, right) = joined()
            try send(1...5, from: left)
            settle(left, right)
            let copy = left.journal
            func large(_ id: String, _ size: Int) throws -> Stanza {
                let body = String(repeating: id, count: size / 4)
                return try stanza("<message from='u@alpha.example' to='v@bravo.example' id='\(id)'><body>\(body)</body></message>")
            }
            left.queue[.normal] = [try large("lost", 5_000)]
            while right.journal[.fragments].count < 2 {
                let block = try #require(left.nextBlock(maximumStanzas: 8, partBytes: 1_000))
                right.session.blockReceived(block, now: right.clock)
                right.collect()
                right.commit()
            }
            left.journal = copy
            left.numbered = []
            left.restart()
            left.queue[.normal] = [try large("next", isSameSize ? 5_000 : 6_000)]
            connect(left, right)
            settle(left, right)
            #expect(right.delivered == ["m1", "m2", "m3", "m4", "m5", "next"])
            #expect(left.isIdle && right.journal[.fragments].isEmpty)
            #expect(left.failures.isEmpty && left.notes.contains(.selfRestored))
        }
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
                right.session.blockReceived(block, now: right.clock)
                right.collect()
                right.commit()
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
                    left.session.blockReceived(block, now: left.clock)
                    left.collect()
                    left.commit()
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
        right.session.blockReceived(first, now: right.clock)
        right.collect()
        right.commit()
        #expect(right.delivered == ["m1"])
        right.clock = right.clock + .minutes(1)
        left.clock = right.clock
        while let answer = right.nextBlock(maximumStanzas: 1, partBytes: 2_000) {
            left.session.blockReceived(answer, now: left.clock)
            left.collect()
            left.commit()
        }
        let second = try #require(left.nextBlock(maximumStanzas: 1, partBytes: 2_000))
        #expect(left.nextBlock(maximumStanzas: 1, partBytes: 2_000) == nil)
        right.session.blockReceived(second, now: right.clock)
        right.collect()
        right.commit()
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
        right.session.blockReceived(block, now: right.clock)
        right.collect()
        right.commit()
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
        right.session.blockReceived(block, now: right.clock)
        right.collect()
        right.commit()
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
            right.session.blockReceived(block, now: right.clock)
            right.collect()
            right.commit()
        }
        func openRight() throws {
            let block = try #require(right.nextBlock(maximumStanzas: 1, partBytes: 200))
            left.session.blockReceived(block, now: left.clock)
            left.collect()
            left.commit()
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
            right.session.blockReceived(block, now: right.clock)
            right.collect()
            right.commit()
        }
        settle(left, right)
        #expect(!right.notes.contains(.damagedBlock))
        #expect(right.delivered == ["m1"])
    }
}
