import Blocks
import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// What must not be seen before its commit, timers that must not be forgotten, rows that must not be missing.
@Suite struct JournalBoundaryTests {
    private func peer(_ change: (inout PeerPolicy) -> Void = { _ in }) -> DurablePeer {
        var policy = TestPeer.policy()
        policy.isJournaled = true
        policy.hold = .turn
        change(&policy)
        return DurablePeer(policy, seed: 9)
    }

    @Test func `what expires while nothing can be committed is answered with the commit that ends it, once`() throws {
        let peer = peer()
        peer.send(try message("old"))
        peer.send(try iq("get", id: "q"))
        commitAll(peer)
        peer.run { $0.journalStalled(true, now: peer.now) }
        // Refused at once: it was never taken.
        peer.send(try message("new", id: "n"))
        #expect(peer.delivered.map(\.id) == ["n"])
        peer.confirm(1)
        peer.now = peer.now + .hours(25)
        peer.run { $0.deadlineReached(now: peer.now) }
        peer.take()
        #expect(peer.delivered.map(\.id) == ["n"])
        // The disk never took it; after a restart all is as it was.
        peer.restart()
        peer.now = peer.now + .hours(25)
        peer.run { $0.deadlineReached(now: peer.now) }
        commitAll(peer)
        #expect(peer.delivered.map(\.id) == ["n", "m", "q"])
    }

    @Test func `what the local server refuses while the bridge stops goes back to its sender`() throws {
        let peer = peer()
        let stanza = try message("hello", from: juliet, to: romeo)
        peer.run { $0.linkStanzaReceived(stanza, now: peer.now) }
        commitAll(peer)
        let id = try #require(peer.unconfirmed.first)
        peer.run { $0.shutdownRequested(now: peer.now) }
        peer.run { $0.localDeliveryFailed(id, stanza, .serviceUnavailable, .cancel, now: peer.now) }
        commitAll(peer)
        #expect(peer.journal.peer[.inbox].isEmpty && peer.journal.peer[.outbox].count == 1)
    }

    @Test func `a link that takes nothing is found dead although an acknowledgement is overdue`() throws {
        let pair = PeerPair(seed: 1) { $0.linkSession.deadAfter = .seconds(60) }
        pair.connect()
        pair.quiesce()
        pair.shore.send(try message("hello", from: juliet, to: romeo))
        commitAll(pair.shore)
        let block = try #require(pair.shore.outgoing.first)
        pair.ship.send(try message("out"))
        commitAll(pair.ship)
        // It is on its way, and the transport never takes another one.
        #expect(pair.ship.outgoing.count == 1)
        pair.ship.run { $0.linkBlockReceived(block, now: pair.ship.now) }
        commitAll(pair.ship)
        let end = pair.ship.now + .seconds(61)
        for _ in 0..<20 where pair.ship.armed.map({ $0 <= end }) ?? false { pair.ship.fireTimer() }
        #expect(pair.ship.failures.map(\.condition) == [.connectionTimeout])
    }

    @Test func `what comes back from a link of stanzas after its row is gone gets another`() throws {
        var policy = TestPeer.policy()
        policy.isJournaled = true
        policy.hold = .turn
        let now = NIODeadline.seconds(0)
        var journal = TestJournal()
        var machine = PeerStateMachine(policy: policy, clock: ServiceClock(now: now), now: now, random: 1)
        func commit(_ machine: inout PeerStateMachine) {
            while machine.nextAction() != nil {}
            while let batch = machine.takeBatch() {
                journal.commit(batch)
                machine.batchCommitted(batch.number, now: now)
                while machine.nextAction() != nil {}
            }
        }
        let subscribe = try presence(from: "romeo@ship.example", to: "juliet@shore.example", type: "subscribe")
        let leave = try presence(type: "unavailable")
        machine.linkConnected(now: now)
        machine.linkReady(now: now)
        machine.localStanzaReceived(subscribe, receipt: nil, now: now)
        machine.localStanzaReceived(leave, receipt: nil, now: now)
        commit(&machine)
        machine.linkReady(now: now)
        commit(&machine)
        machine.linkReady(now: now)
        commit(&machine)
        #expect(journal.peer[.outbox].isEmpty)
        machine.linkDisconnected(unsent: [leave], inDoubt: [subscribe], now: now)
        commit(&machine)
        #expect(journal.peer[.outbox].map { String(decoding: $0.payload, as: UTF8.self) } == [subscribe.text, leave.text])
        machine.linkConnected(now: now)
        machine.linkReady(now: now)
        commit(&machine)
        machine.linkReady(now: now)
        commit(&machine)
        machine.linkReady(now: now)
        commit(&machine)
        #expect(journal.peer[.outbox].isEmpty)
    }
}
