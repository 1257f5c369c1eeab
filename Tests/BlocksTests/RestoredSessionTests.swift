import Blocks
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// Restarts of one end, and copies of a journal that are older than the world.
@Suite("Link session after a restart or from a restored copy")
struct RestoredSessionTests: JoinedSessions {
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
        right.receive(late)
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
        left.receive(opening)
        right.receive(first)
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
                    right.receive(block)
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
            right.receive(block)
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
            left.receive(block)
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
        left.receive(opening)
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
        right.receive(first)
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
                right.receive(block)
                if copy == nil, !right.journal[.fragments].isEmpty { copy = right.journal }
            }
            right.clock = right.clock + .seconds(1)
            if let block = right.nextBlock(maximumStanzas: 8, partBytes: 1_000) {
                left.receive(block)
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
                right.receive(block)
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
}
