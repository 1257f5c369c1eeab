import Blocks
import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// Dialect `xep` over a link that says of each stanza what became of it.
@Suite struct ConfirmedStanzaTests {
    private func peer(isJournaled: Bool = true, _ change: (inout PeerPolicy) -> Void = { _ in }) -> DurablePeer {
        var policy = TestPeer.policy()
        policy.isJournaled = isJournaled
        policy.hold = .turn
        policy.confirmsStanzas = true
        change(&policy)
        let peer = DurablePeer(policy, seed: 9, dialect: .xep)
        up(peer)
        return peer
    }

    private func up(_ peer: DurablePeer) {
        peer.run { $0.linkConnected(now: peer.now) }
        ready(peer)
    }

    private func ready(_ peer: DurablePeer) { peer.run { $0.linkReady(now: peer.now) } }

    private func send(_ peer: DurablePeer, _ stanza: Stanza) {
        peer.send(stanza)
        commitAll(peer)
    }

    private func confirmed(_ peer: DurablePeer, _ stanzas: [Stanza]) {
        peer.run { $0.linkConfirmed(stanzas, now: peer.now) }
        commitAll(peer)
    }

    private func returned(_ peer: DurablePeer, _ unsent: [Stanza], inDoubt: [Stanza] = []) {
        peer.run { $0.linkReturned(unsent: unsent, inDoubt: inDoubt, now: peer.now) }
        commitAll(peer)
    }

    private func rows(_ peer: DurablePeer) -> [UInt64] { peer.journal.peer[.outbox].map(\.id) }
    private func sent(_ peer: DurablePeer) -> [Stanza] { peer.batches.flatMap { $0 } }

    @Test func `a row stays until its stanza is confirmed, however much more the link takes`() throws {
        let peer = peer()
        let stanzas = try (0..<3).map { try message("\($0)", id: "\($0)") }
        for stanza in stanzas {
            send(peer, stanza)
            ready(peer)
            commitAll(peer)
        }
        #expect(sent(peer) == stanzas)
        #expect(rows(peer) == [1, 2, 3])
        #expect(peer.status.inFlightStanzas == 3 && peer.status.queuedStanzas == 0)
        #expect(peer.queue().map(\.state) == [.inFlight, .inFlight, .inFlight])
        confirmed(peer, [stanzas[1]])
        #expect(rows(peer) == [1, 3])
        confirmed(peer, [stanzas[1], stanzas[0], stanzas[2]])
        #expect(rows(peer).isEmpty)
        #expect(peer.status.inFlightStanzas == 0 && peer.status.inFlightBytes == 0)
        #expect(peer.status.acknowledgedStanzas == 3)
    }

    @Test func `a link that does not confirm is done with a batch when it wants the next`() throws {
        let peer = peer { $0.confirmsStanzas = false }
        send(peer, try message("1"))
        #expect(rows(peer) == [1])
        ready(peer)
        commitAll(peer)
        #expect(rows(peer).isEmpty)
    }

    @Test func `after a crash what was not confirmed goes again, in order and before what is newer`() throws {
        let peer = peer()
        let stanzas = try (0..<5).map { try message("\($0)", id: "\($0)") }
        for stanza in stanzas {
            send(peer, stanza)
            ready(peer)
        }
        confirmed(peer, [stanzas[0], stanzas[3]])
        peer.restart()
        let newer = try message("newer", id: "newer")
        send(peer, newer)
        up(peer)
        #expect(sent(peer) == [stanzas[1], stanzas[2], stanzas[4], newer])
        confirmed(peer, sent(peer))
        #expect(rows(peer).isEmpty)
    }

    @Test func `what comes back one by one keeps its row, its age and its place`() throws {
        let peer = peer()
        let stanzas = try (0..<4).map { try message("\($0)", id: "\($0)") }
        let start = peer.now
        for stanza in stanzas {
            send(peer, stanza)
            ready(peer)
        }
        // The last one waits for the link; two come back that were before it.
        peer.now = start + .minutes(10)
        let last = try message("last", id: "last")
        send(peer, last)
        peer.batches = []
        send(peer, try message("waits", id: "waits"))
        returned(peer, [stanzas[1]])
        returned(peer, [stanzas[2]])
        returned(peer, [stanzas[0]])
        #expect(rows(peer) == [1, 2, 3, 4, 5, 6])
        #expect(peer.queue().filter { $0.state == .waiting }.map(\.age) == [600_000, 600_000, 600_000, 0])
        ready(peer)
        #expect(sent(peer).map { $0.id ?? "" } == ["0", "1", "2", "waits"])
        // What was told of them before says nothing of what is under way now, but for what it names.
        confirmed(peer, [stanzas[3], last] + sent(peer))
        #expect(rows(peer).isEmpty)
    }

    @Test func `what ended before is not taken back a second time`() throws {
        let peer = peer()
        let stanza = try message("1")
        send(peer, stanza)
        ready(peer)
        confirmed(peer, [stanza])
        returned(peer, [stanza], inDoubt: [stanza])
        #expect(sent(peer) == [stanza])
        #expect(peer.status.queuedStanzas == 0 && peer.delivered.isEmpty)
    }

    @Test func `a link that ends gives back all that it has not confirmed, named or not`() throws {
        let peer = peer()
        let stanzas = try (0..<3).map { try message("\($0)", id: "\($0)") }
        for stanza in stanzas {
            send(peer, stanza)
            ready(peer)
        }
        peer.run { $0.linkDisconnected(unsent: [stanzas[1]], inDoubt: [], now: peer.now) }
        commitAll(peer)
        #expect(rows(peer) == [1, 2, 3])
        #expect(peer.status.inFlightStanzas == 0 && peer.status.queuedStanzas == 3)
        peer.batches = []
        up(peer)
        #expect(sent(peer) == stanzas)
        // Confirmed after all, from before: the copies that are under way are the same words.
        confirmed(peer, stanzas)
        #expect(rows(peer).isEmpty)
    }

    @Test func `what the link cannot send comes back to its sender, once, and its row goes`() throws {
        let peer = peer()
        let large = try message("large", id: "large")
        send(peer, large)
        ready(peer)
        returned(peer, [], inDoubt: [large])
        #expect(rows(peer).isEmpty)
        #expect(peer.delivered.map(\.isError) == [true])
        #expect(peer.delivered.map(\.id) == ["large"])
    }

    @Test func `what is under way counts toward the limits of what waits`() throws {
        let peer = peer { $0.outboxStanzas = 4 }
        var taken: [Stanza] = []
        for number in 0..<8 {
            let stanza = try message("\(number)", id: "\(number)")
            send(peer, stanza)
            ready(peer)
            taken.append(stanza)
        }
        #expect(sent(peer) == Array(taken[..<4]))
        #expect(peer.delivered.filter(\.isError).count == 4)
        confirmed(peer, Array(taken[..<2]))
        send(peer, try message("again", id: "again"))
        #expect(sent(peer).last?.id == "again")
    }

    @Test func `a stop in peace keeps what is under way, presence too, and what is confirmed yet goes`() throws {
        let peer = peer()
        let stanzas = [try presence(payload: "<show>away</show>"), try message("1", id: "1"), try message("2", id: "2")]
        for stanza in stanzas {
            send(peer, stanza)
            ready(peer)
        }
        #expect(rows(peer) == [2, 3])
        peer.run { $0.shutdownRequested(now: peer.now) }
        commitAll(peer)
        #expect(rows(peer) == [1, 2, 3])
        confirmed(peer, [stanzas[1]])
        #expect(rows(peer) == [1, 3])
        peer.run { $0.linkDisconnected(unsent: [stanzas[2]], inDoubt: [], now: peer.now) }
        commitAll(peer)
        #expect(rows(peer) == [1, 3])
        peer.batches = []
        peer.restart()
        up(peer)
        #expect(sent(peer).filter { $0.kind == .message } == [stanzas[2]])
        #expect(sent(peer).contains(stanzas[0]))
    }

    @Test func `without a journal a stop gives back at once what was not confirmed, and sends nothing more`() throws {
        let peer = peer(isJournaled: false)
        let stanzas = try (0..<3).map { try message("\($0)", id: "\($0)") }
        for stanza in stanzas {
            peer.send(stanza)
            ready(peer)
        }
        peer.run { $0.linkConfirmed([stanzas[0]], now: peer.now) }
        // It waits for the end of a turn.
        peer.run { $0.linkTurnChanged(isOpen: false, now: peer.now) }
        peer.send(try message("waits", id: "waits"))
        peer.batches = []
        peer.run { $0.shutdownRequested(now: peer.now) }
        #expect(peer.batches.isEmpty)
        #expect(peer.delivered.map { $0.id ?? "" }.sorted() == ["1", "2", "waits"])
        #expect(peer.delivered.filter { !$0.isError }.isEmpty)
        let unknown = peer.delivered.filter {
            $0.root.children.first?.children.last?.text == "delivery unknown: the link broke while this was being sent"
        }
        #expect(unknown.map { $0.id ?? "" } == ["1", "2"])
        // The local streams are shut by now: what the link says yet is no news.
        peer.run { $0.linkConfirmed([stanzas[1]], now: peer.now) }
        peer.run { $0.linkReturned(unsent: [stanzas[1]], inDoubt: [], now: peer.now) }
        peer.run { $0.linkDisconnected(unsent: [stanzas[2]], inDoubt: [], now: peer.now) }
        #expect(peer.delivered.count == 3)
        #expect(peer.status.inFlightStanzas == 0)
    }

    @Test func `what is urgent does not wait for the end of a radio's turn, and what waits goes with it`() throws {
        let chief = try #require(JID("chief@shore.example"))
        let peer = peer { $0.classes.urgentAddresses = [chief] }
        send(peer, try message("first", id: "first"))
        ready(peer)
        peer.run { $0.linkTurnChanged(isOpen: false, now: peer.now) }
        send(peer, try message("waits", id: "waits"))
        #expect(sent(peer).map(\.id) == ["first"])
        send(peer, try message("now", to: "chief@shore.example", id: "now"))
        #expect(Set(sent(peer).map { $0.id ?? "" }) == ["first", "waits", "now"])
    }

    @Test func `what is urgent overtakes the batch that the link works on, but nothing between the same addresses`() throws {
        let chief = try #require(JID("chief@shore.example"))
        let peer = peer { $0.classes.urgentAddresses = [chief] }
        send(peer, try message("to the chief", from: "nurse@ship.example", to: "chief@shore.example", id: "first"))
        send(peer, try message("ordinary", id: "ordinary"))
        send(peer, try message("again", from: "nurse@ship.example", to: "chief@shore.example", id: "second"))
        let now = try message("now", to: "chief@shore.example", id: "now")
        send(peer, now)
        #expect(sent(peer).map(\.id) == ["first"] && peer.urgentBatches.isEmpty, "the link has said nothing yet")
        peer.run { $0.linkReadyForUrgent(now: peer.now) }
        #expect(peer.urgentBatches == [[now]])
        // One at a time, and what comes then goes at once.
        let later = try message("later", to: "chief@shore.example", id: "later")
        send(peer, later)
        #expect(peer.urgentBatches.count == 1)
        peer.run { $0.linkReadyForUrgent(now: peer.now) }
        #expect(peer.urgentBatches == [[now], [later]])
        peer.run { $0.linkReadyForUrgent(now: peer.now) }
        #expect(peer.status.inFlightStanzas == 3 && rows(peer) == [1, 2, 3, 4, 5])
        confirmed(peer, [now, later])
        #expect(rows(peer) == [1, 2, 3])
        // Nothing before them is under way any more.
        returned(peer, [sent(peer)[0]])
        #expect(peer.urgentBatches.last?.map(\.id) == ["first", "second"])
        ready(peer)
        #expect(sent(peer).map(\.id) == ["first", "ordinary"])
        peer.run { $0.linkDisconnected(unsent: [], inDoubt: [], now: peer.now) }
        #expect(peer.status.inFlightStanzas == 0 && peer.status.queuedStanzas == 3)
    }

    @Test func `a request that was answered in time is not answered again when it comes back`() throws {
        let peer = peer()
        let request = try iq("get")
        send(peer, request)
        ready(peer)
        while peer.now < .seconds(0) + .minutes(6), peer.armed != nil { peer.fireTimer() }
        commitAll(peer)
        #expect(peer.delivered.map(\.isError) == [true])
        returned(peer, [request])
        peer.now = peer.now + .minutes(6)
        while let armed = peer.armed, armed <= peer.now { peer.fireTimer() }
        ready(peer)
        commitAll(peer)
        #expect(peer.delivered.count == 1)
        #expect(rows(peer).isEmpty)
    }

    @Test func `a new agreement does not change how the link is`() throws {
        let peer = peer()
        var policy = peer.policy
        policy.confirmsStanzas = false
        peer.run { $0.policyChanged(policy, now: peer.now) }
        send(peer, try message("1"))
        ready(peer)
        commitAll(peer)
        #expect(rows(peer) == [1])
    }
}
