import Blocks
import BridgeCore
import NIOCore
import Outbox
import Profiles
import Testing
import XMPP

/// The memory of presence in a peer's machine: what does not cross, and what is answered.
@Suite struct PresencePeerTests {
    private static let bareJuliet = "juliet@shore.example"
    private static let bareRomeo = "romeo@ship.example"

    private func peer(_ profile: String = "", _ change: (inout PeerPolicy) -> Void = { _ in }) throws -> TestPeer {
        let library = ProfileLibrary { _ in .init(file: "test.toml", text: "name = \"test\"\n" + profile) }
        let compiled = CompiledProfile(try library.profile(named: "test"))
        return TestPeer.ready {
            $0.cachesPresence = true
            $0.profile = compiled
            change(&$0)
        }
    }

    /// Gives a stanza of the local server to the machine; what leaves at once.
    private func crossing(_ stanza: Stanza, _ peer: TestPeer) -> [Stanza] {
        peer.advance(.seconds(1))
        peer.local(stanza)
        defer { peer.linkReady() }
        return peer.sent
    }

    /// The contact's server answers a probe that crossed: with the stamp that only it writes.
    private func answered(_ peer: TestPeer, show: String = "away") throws {
        peer.link(
            try presence(
                from: juliet, to: Self.bareRomeo,
                payload: "<show>\(show)</show><delay xmlns='urn:xmpp:delay' from='shore.example' stamp='2026-01-01T00:00:00Z'/>"))
    }

    @Test func `equal presence does not cross again, a change does, and so does the end`() throws {
        let peer = try peer()
        let away = try presence(to: Self.bareJuliet, payload: "<show>away</show>")
        #expect(crossing(away, peer) == [away])
        #expect(crossing(try presence(to: Self.bareJuliet, payload: "<show>away</show>"), peer).isEmpty)
        #expect(peer.count(.presenceRepeated) == 1)
        let busy = try presence(to: Self.bareJuliet, payload: "<show>dnd</show>")
        #expect(crossing(busy, peer) == [busy])
        let gone = try presence(to: Self.bareJuliet, type: "unavailable")
        #expect(crossing(gone, peer) == [gone])
        #expect(crossing(busy, peer) == [busy])
    }

    @Test func `a probe crosses once, then it is answered here, to who asked`() throws {
        let peer = try peer()
        let probe = try presence(from: Self.bareRomeo, to: Self.bareJuliet, type: "probe")
        #expect(crossing(probe, peer) == [probe])
        try answered(peer)
        #expect(peer.delivered.count == 1)
        // Other resources may still follow.
        peer.pass(.minutes(2))
        peer.local(probe)
        #expect(peer.sent.isEmpty)
        #expect(peer.delivered.map(\.fromText) == [juliet])
        #expect(peer.delivered.map(\.toText) == [Self.bareRomeo])
        #expect(peer.delivered.first?.text.contains("<show>away</show>") == true)
        #expect(peer.count(.probeAnswered) == 1)
        // Somebody else was told nothing.
        let other = try presence(from: "tybalt@ship.example", to: Self.bareJuliet, type: "probe")
        #expect(crossing(other, peer) == [other])
        #expect(peer.count(.probeAnswered) == 1)
    }

    @Test("peers d16: presence that a stranger sends to somebody is no answer to his probes")
    func poisoned() throws {
        let peer = try peer()
        peer.link(try presence(from: juliet, to: Self.bareRomeo))
        peer.pass(.minutes(2))
        let probe = try presence(from: Self.bareRomeo, to: Self.bareJuliet, type: "probe")
        #expect(crossing(probe, peer) == [probe])
        #expect(peer.count(.probeAnswered) == 0)
    }

    @Test func `a second change waits for its interval, and the last one crosses`() throws {
        let peer = try peer("[presence]\nmin-interval = \"60s\"")
        func told(_ text: String) throws -> Stanza { try presence(to: Self.bareJuliet, payload: "<status>\(text)</status>") }
        #expect(crossing(try told("one"), peer).count == 1)
        for change in ["two", "three"] { #expect(crossing(try told(change), peer).isEmpty) }
        #expect(peer.count(.presenceHeld) == 2)
        peer.pass(.seconds(70))
        #expect(peer.sent == [try told("three")])
    }

    @Test func `joining a room and what a room says are no presence to remember`() throws {
        let peer = try peer("[presence]\nmin-interval = \"60s\"")
        let join = try presence(to: "room@conference.shore.example/romeo", payload: "<x xmlns='http://jabber.org/protocol/muc'/>")
        #expect(crossing(join, peer) == [join] && crossing(join, peer) == [join])
        let occupant = try presence(from: "room@conference.ship.example/nick", payload: mucUser)
        #expect(crossing(occupant, peer) == [occupant] && crossing(occupant, peer) == [occupant])
    }

    @Test func `presence that expired is owed, and crosses when the link is there`() throws {
        let peer = try peer { $0.presenceLifetime = .seconds(30) }
        peer.linkDisconnected()
        let away = try presence(to: Self.bareJuliet, payload: "<show>away</show>")
        peer.local(away)
        peer.pass(.minutes(2))
        #expect(peer.status.queuedStanzas == 0)
        peer.linkConnected()
        peer.linkReady()
        peer.pass(.seconds(10))
        #expect(peer.sent == [away])
    }

    @Test func `after the other bridge's connection in dialect xep nothing of before answers`() throws {
        let peer = try peer()
        let probe = try presence(from: Self.bareRomeo, to: Self.bareJuliet, type: "probe")
        _ = crossing(probe, peer)
        try answered(peer)
        peer.pass(.minutes(5))
        peer.linkDisconnected()
        peer.linkConnected()
        peer.linkReady()
        #expect(crossing(probe, peer) == [probe])
    }

    @Test func `what the cache knew is forgotten by a run without it`() throws {
        var policy = TestPeer.policy()
        policy.isJournaled = true
        policy.cachesPresence = true
        let peer = DurablePeer(policy, seed: 3)
        peer.send(try presence(from: Self.bareRomeo, to: Self.bareJuliet, type: "subscribe"))
        commitAll(peer)
        var journal = peer.journal
        #expect(journal.peer[.presence].count == 1)
        policy.dialect = .skywave
        policy.cachesPresence = false
        var machine = PeerStateMachine(
            policy: policy, recovered: journal.peer, clock: ServiceClock(now: .seconds(0)), now: .seconds(0), random: 1)
        let batch = machine.takeBatch()
        journal.commit(try #require(batch))
        #expect(journal.peer[.presence].isEmpty)
    }

    @Test func `presence that waits over a stop and expires then is owed by the next run`() throws {
        let pair = PeerPair(seed: 4) {
            $0.cachesPresence = true
            $0.presenceLifetime = .minutes(1)
        }
        let away = try presence(to: Self.bareJuliet, payload: "<show>away</show>")
        let gone = "tybalt@ship.example/deck"
        pair.ship.send(away)
        for type in [nil, "unavailable"] { pair.ship.send(try presence(from: gone, to: Self.bareJuliet, type: type)) }
        pair.ship.run { $0.shutdownRequested(now: pair.ship.now) }
        commitAll(pair.ship)
        pair.restart(0)
        for _ in 0..<10 { pair.advance(.seconds(20)) }
        pair.connect()
        pair.quiesce()
        pair.advance(.seconds(1))
        pair.quiesce()
        let delivered = pair.shore.delivered
        #expect(delivered.filter { $0.fromText == romeo } == [away])
        #expect(delivered.filter { $0.fromText == gone }.map(\.type) == [.unavailable])
    }

    @Test func `the answer to a probe that waits over a stop and expires then is owed too`() throws {
        let pair = PeerPair(seed: 4) {
            $0.cachesPresence = true
            $0.presenceLifetime = .minutes(1)
        }
        pair.connect()
        pair.shore.send(try presence(from: juliet, to: Self.bareRomeo, type: "probe"))
        pair.quiesce()
        #expect(pair.ship.delivered.map(\.type) == [.probe])
        pair.cut()
        let stamp = "<delay xmlns='urn:xmpp:delay' from='ship.example' stamp='2026-01-01T00:00:00Z'/>"
        pair.ship.send(try presence(payload: "<show>away</show>" + stamp))
        pair.ship.run { $0.shutdownRequested(now: pair.ship.now) }
        commitAll(pair.ship)
        pair.restart(0)
        for _ in 0..<10 { pair.advance(.seconds(20)) }
        pair.connect()
        pair.quiesce()
        pair.advance(.seconds(1))
        pair.quiesce()
        #expect(pair.shore.delivered == [try presence(to: Self.bareJuliet, payload: "<show>away</show>")])
    }
}
