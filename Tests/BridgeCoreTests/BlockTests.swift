import Blocks
import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// What a machine does with the blocks of a peer, and what its own hold.
@Suite struct BlockTests {
    private func peer(isJournaled: Bool = true, _ change: (inout PeerPolicy) -> Void = { _ in }) -> DurablePeer {
        var policy = TestPeer.policy()
        policy.isJournaled = isJournaled
        policy.hold = .turn
        change(&policy)
        return DurablePeer(policy, seed: 9)
    }

    private func label(_ name: String) -> String {
        "<securitylabel xmlns='urn:xmpp:sec-label:0'><label><l xmlns='urn:x'>\(name)</l></label></securitylabel>"
    }

    private func labelled(_ name: String, _ number: Int, payload: String = "") throws -> Stanza {
        try stanza(
            "<message from='u\(number)@ship.example/r' to='\(juliet)' type='chat' id='\(number)'><body>text \(number)</body>"
                + (name.isEmpty ? "" : label(name)) + payload + "</message>")
    }

    @Test func `peers d10: stanzas of different labels never share a block or a context`() throws {
        let peer = peer()
        for number in 0..<12 { peer.send(try labelled(["", "A", "B"][number % 3], number)) }
        peer.run { $0.linkConnected(now: peer.now) }
        var contexts: [UInt8] = []
        for _ in 0..<10 {
            peer.run { $0.linkReady(now: peer.now) }
            commitAll(peer)
            for var block in peer.outgoing {
                contexts.append(try #require(try BlockHeader(reading: &block)).body?.context ?? 0)
            }
            peer.outgoing = []
        }
        #expect(contexts == [0, 1, 2])
        #expect(peer.status.inFlightStanzas == 12)
    }

    @Test func `more labels than there are contexts get no history, and their stanzas arrive`() throws {
        let pair = PeerPair(seed: 8) { $0.batchStanzas = 1 }
        pair.connect()
        for number in 0..<140 { pair.ship.send(try labelled("label \(number)", number)) }
        pair.quiesce()
        #expect(pair.shore.delivered.count == 140)
        #expect(pair.ship.urgentBlocks == 12)
        pair.cut()
        for number in 140..<150 { pair.ship.send(try labelled("label \(number)", number)) }
        pair.connect()
        pair.quiesce()
        #expect(pair.shore.delivered.count == 150 && pair.ship.urgentBlocks == 12)
    }

    @Test func `a large stanza goes in parts whatever its labels, so that nothing urgent waits for all of it`() throws {
        let pair = PeerPair(seed: 8) { $0.batchStanzas = 1 }
        pair.connect()
        for number in 0..<128 { pair.ship.send(try labelled("label \(number)", number)) }
        pair.quiesce()
        let filler = "<x xmlns='urn:x'>" + (0..<700).map { "\($0 &* 7_919)" }.joined() + "</x>"
        // One label set more than there are contexts, and one that nobody should have to remember.
        pair.ship.send(try labelled("another", 128, payload: filler))
        pair.ship.send(try labelled(String(repeating: "long", count: 2_000), 129))
        pair.quiesce()
        #expect(pair.shore.delivered.count == 130)
        #expect(pair.ship.urgentBlocks == 0)
        #expect(pair.ship.failures.isEmpty && pair.shore.failures.isEmpty)
    }

    @Test func `peers d19: a poison stanza is set aside and named, acknowledged, and the stream goes on`() throws {
        let pair = PeerPair(seed: 9) { $0.linkSession.limits.stanzaBytes = 600 }
        pair.connect()
        pair.ship.send(try message("before", id: "before"))
        pair.ship.send(try message(String(repeating: "x", count: 700), id: "poison"))
        pair.ship.send(try message("after", id: "after"))
        pair.quiesce()
        #expect(pair.shore.delivered.map(\.id) == ["before", "after"])
        #expect(pair.shore.status.poison.count == 1)
        #expect(pair.shore.status.count(of: .poison) == 1)
        #expect(pair.shore.journal.peer[.poison].count == 1)
        #expect(pair.ship.status.inFlightStanzas == 0 && pair.ship.status.queuedStanzas == 0)
        pair.restart(1)
        #expect(pair.shore.status.poison.count == 1)
        #expect(pair.shore.failures.isEmpty && pair.ship.failures.isEmpty)
    }

    @Test func `peers d6: violations in blocks are dropped and counted, and end the link only at the limit`() throws {
        let peer = peer { $0.violationLimit = 10 }
        var far = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 5)
        far.connected(now: peer.now)
        peer.run { $0.linkConnected(now: peer.now) }
        let wrong = try message("x", from: "mallory@elsewhere.example/1", to: romeo)
        let right = try message("right", from: juliet, to: romeo)
        for number in 1...10 {
            let block = far.cut(
                [OutgoingStanza(stanza: wrong, ageSeconds: 0), OutgoingStanza(stanza: right, ageSeconds: 0)], lane: .normal,
                firstNumber: far.nextNumber(.normal), now: peer.now)
            peer.run { $0.linkBlockReceived(block, now: peer.now) }
            commitAll(peer)
            #expect(peer.delivered.count == number)
            #expect(peer.failures.count == (number == 10 ? 1 : 0))
        }
        #expect(peer.status.count(of: .foreignSender) == 10)
    }

    @Test func `peers d8: what a peer makes wait for the journal is bounded, whatever comes of it`() throws {
        let peer = peer {
            $0.violationLimit = 0
            $0.inboxBytes = 128 << 10
        }
        var far = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 5)
        far.connected(now: peer.now)
        peer.run { $0.linkConnected(now: peer.now) }
        let foreign = try message(
            String(repeating: "x", count: 30_000), from: "mallory@elsewhere.example/1", to: romeo)
        var blocks = 0
        while !peer.isLinkHeld, blocks < 20 {
            let block = far.cut(
                [OutgoingStanza(stanza: foreign, ageSeconds: 0)], lane: .normal, firstNumber: far.nextNumber(.normal),
                now: peer.now)
            peer.run { $0.linkBlockReceived(block, now: peer.now) }
            _ = peer.take()
            blocks += 1
        }
        #expect(blocks < 8)
        while !peer.pending.isEmpty { peer.commit() }
        commitAll(peer)
        #expect(!peer.isLinkHeld && peer.failures.isEmpty)
    }

    @Test func `without a journal nothing is recorded and nothing waits`() throws {
        let peer = peer(isJournaled: false)
        peer.run { $0.linkConnected(now: peer.now) }
        peer.run { $0.linkReady(now: peer.now) }
        #expect(peer.outgoing.count == 1)
        peer.run { $0.linkReady(now: peer.now) }
        peer.send(try message("1"))
        #expect(peer.unacknowledged.isEmpty && peer.outgoing.count == 2)
        let hasBatch = peer.take()
        #expect(!hasBatch)
        var far = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 5)
        far.connected(now: peer.now)
        let block = far.cut(
            [OutgoingStanza(stanza: try message("2", from: juliet, to: romeo), ageSeconds: 0)], lane: .normal, firstNumber: 1,
            now: peer.now)
        peer.run { $0.linkBlockReceived(block, now: peer.now) }
        #expect(peer.delivered.count == 1 && peer.unconfirmed.isEmpty)
        // At the end what is in flight is answered, once.
        peer.run { $0.shutdownRequested(now: peer.now) }
        #expect(peer.delivered.count == 2 && peer.delivered.last?.errorCondition == .remoteServerTimeout)
    }
}
