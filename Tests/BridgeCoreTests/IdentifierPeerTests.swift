import BridgeCore
import NIOCore
import Testing
import XMPP

/// Id folding in a peer's machine: tokens on the link and in the outbox, originals everywhere else.
@Suite struct IdentifierPeerTests {
    private static let id = "3f0a7c1e-55d2-4b7e-9a42-0c8d6f1b2e90"

    private func peer(_ change: (inout PeerPolicy) -> Void = { _ in }) -> TestPeer {
        TestPeer.ready {
            $0.foldsIDs = true
            change(&$0)
        }
    }

    private func message(_ more: String = "") throws -> Stanza {
        try stanza("<message from='\(romeo)' to='\(juliet)' type='chat' id='\(Self.id)'><body>hi</body>\(more)</message>")
    }

    private func version() throws -> Stanza {
        try stanza("<iq from='\(romeo)' to='\(juliet)' type='get' id='\(Self.id)'><query xmlns='jabber:iq:version'/></iq>")
    }

    @Test func `a message leaves with a token, and a receipt for it names the original`() throws {
        let peer = peer()
        peer.local(try message())
        let token = try #require(peer.sent.first?.id)
        #expect(token.count == 8 && token != Self.id)
        peer.linkReady()
        let receipt = "<received xmlns='urn:xmpp:receipts' id='%'/>"
        peer.link(
            try stanza(
                "<message from='\(juliet)' to='\(romeo)' id='r'>\(receipt.replacing("%", with: token))</message>"))
        #expect(peer.delivered.first?.text.contains(receipt.replacing("%", with: Self.id)) == true)
    }

    @Test func `a request is matched with its answer, also where the answer is an error`() throws {
        for type in ["result", "error"] {
            let peer = peer()
            peer.local(try version())
            let token = try #require(peer.sent.first?.id)
            #expect(token != Self.id && peer.status.pendingLocalRequests == 1)
            peer.link(try stanza("<iq from='\(juliet)' to='\(romeo)' type='\(type)' id='\(token)'/>"))
            #expect(peer.delivered.map(\.id) == [Self.id])
            #expect(peer.status.pendingLocalRequests == 0)
        }
    }

    @Test func `what comes back from the outbox names the original, once`() throws {
        let peer = TestPeer(TestPeer.policy { $0.foldsIDs = true })
        peer.local(try message())
        peer.local(try version())
        peer.shutdown()
        #expect(peer.delivered.map(\.id) == [Self.id, Self.id])
        #expect(peer.delivered.map(\.isError) == [true, true])
        #expect(peer.delivered.map(\.kind) == [.message, .iq])
    }

    @Test func `a request in doubt comes back with its own id, and a late answer is none`() throws {
        let peer = peer()
        peer.local(try version())
        let folded = try #require(peer.sent.first)
        peer.linkDisconnected(inDoubt: [folded])
        #expect(peer.delivered.map(\.id) == [Self.id])
        peer.linkConnected()
        peer.link(try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='\(folded.id ?? "")'/>"))
        #expect(peer.delivered.isEmpty && peer.count(.answerDiscarded) == 1)
    }

    @Test func `a full outbox answers with the original`() throws {
        let peer = TestPeer(
            TestPeer.policy {
                $0.foldsIDs = true
                $0.outboxStanzas = 1
            })
        peer.local(try message())
        peer.local(try version())
        #expect(peer.delivered.map(\.id) == [Self.id] && peer.delivered.first?.errorCondition == .resourceConstraint)
        #expect(peer.status.pendingLocalRequests == 0)
    }

    @Test func `an answer over the size limit still answers the request`() throws {
        let peer = peer()
        peer.local(try version())
        let token = try #require(peer.sent.first?.id)
        peer.linkOversize(
            try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='\(token)'/>"), limit: 10_000)
        #expect(peer.delivered.map(\.id) == [Self.id] && peer.delivered.first?.isError == true)
    }

    @Test func `after folding is switched off tokens that are under way are restored`() throws {
        let peer = peer()
        peer.local(try version())
        let token = try #require(peer.sent.first?.id)
        peer.policyChanged(TestPeer.policy())
        peer.linkReady()
        peer.link(try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='\(token)'/>"))
        #expect(peer.delivered.map(\.id) == [Self.id])
        peer.advance(.seconds(1))
        peer.local(try message())
        #expect(peer.sent.map(\.id) == [Self.id])
    }

    @Test func `a restart keeps what tokens stand for`() throws {
        let pair = PeerPair(seed: 5) { $0.foldsIDs = true }
        pair.connect()
        let (ship, shore) = ("u0@ship.example/r", "u1@shore.example/r")
        pair.ship.send(
            try stanza("<message from='\(ship)' to='\(shore)' type='chat' id='\(Self.id)'><body>hi</body></message>"))
        pair.quiesce()
        let token = try #require(pair.shore.delivered.last?.id)
        #expect(token.count == 8)
        pair.restart(0)
        pair.connect()
        let receipt = "<received xmlns='urn:xmpp:receipts' id='%'/>"
        pair.shore.send(
            try stanza("<message from='\(shore)' to='\(ship)' id='r'>\(receipt.replacing("%", with: token))</message>"))
        pair.quiesce()
        #expect(pair.ship.delivered.last?.text.contains(receipt.replacing("%", with: Self.id)) == true)
    }

    @Test(arguments: Array(1...4) as [UInt64])
    func `cuts and restarts lose and double nothing where ids are folded and presence is remembered`(seed: UInt64) throws {
        let pair = PeerPair(seed: seed &+ 900) {
            $0.foldsIDs = true
            $0.cachesPresence = true
        }
        for _ in 0..<900 { try pair.step(restarts: true) }
        pair.connect()
        pair.quiesce()
        pair.cut()
        pair.connect()
        pair.quiesce()
        _ = pair.check("seed \(seed)")
    }
}
