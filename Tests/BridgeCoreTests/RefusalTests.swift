import Blocks
import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// What the bridge does with stanzas while its journal or outbox takes nothing, and what it knows of the server's stanzas later.
@Suite struct RefusalTests {
    private func peer(_ change: (inout PeerPolicy) -> Void = { _ in }) -> DurablePeer {
        var policy = TestPeer.policy()
        policy.isJournaled = true
        policy.hold = .turn
        change(&policy)
        return DurablePeer(policy, seed: 9)
    }

    @Test func `while the journal takes nothing senders are told to wait, and what must arrive is taken all the same`() throws {
        let peer = peer()
        peer.send(try message("taken"))
        peer.take()
        peer.run { $0.journalStalled(true, now: peer.now) }
        peer.send(try message("refused", id: "refused"))
        peer.send(try presence(type: "unavailable"))
        #expect(peer.delivered.map(\.errorCondition) == [.resourceConstraint])
        #expect(peer.delivered.first?.id == "refused")
        #expect(peer.unacknowledged.count == 3)
        peer.commit()
        // What was refused counts as handled when the server has the refusal: else both would be gone with the process.
        #expect(peer.unacknowledged.count == 2)
        peer.confirm(1)
        #expect(peer.unacknowledged.count == 1)
        peer.run { $0.journalStalled(false, now: peer.now) }
        commitAll(peer)
        #expect(peer.unacknowledged.isEmpty)
        #expect(peer.status.queuedStanzas == 2 && peer.status.count(of: .journalStalled) == 1)
    }

    @Test func `a refusal that the server has not got becomes a row as soon as there is space, and outlives a restart`() throws {
        let peer = peer()
        peer.run { $0.journalStalled(true, now: peer.now) }
        peer.send(try message("refused", id: "refused"))
        #expect(peer.delivered.map(\.id) == ["refused"] && peer.unacknowledged.count == 1)
        // The server does not take it. Then there is space.
        peer.run { $0.journalStalled(false, now: peer.now) }
        commitAll(peer)
        #expect(peer.unacknowledged.isEmpty && peer.journal.peer[.inbox].count == 1)
        peer.restart()
        #expect(peer.delivered.map(\.id) == ["refused", "refused"])
        #expect(peer.delivered.last?.errorCondition == .resourceConstraint)
        peer.confirm(1)
        commitAll(peer)
        #expect(peer.journal.peer[.inbox].isEmpty && peer.status.queuedStanzas == 0)
    }

    @Test func `a refusal that is nowhere durable leaves its stanza to the server`() throws {
        let peer = peer()
        peer.run { $0.journalStalled(true, now: peer.now) }
        peer.send(try message("refused", id: "refused"))
        // The process ends before the disk takes anything; the server sends the stanza again, and it is taken.
        peer.restart()
        commitAll(peer)
        #expect(peer.unacknowledged.isEmpty && peer.status.queuedStanzas == 1)
    }

    @Test func `a stanza that was refused is known after a restart, as refused`() throws {
        let peer = peer { $0.outboxStanzas = 1 }
        peer.send(try message("taken", id: "1"))
        peer.send(try message("refused", id: "2"))
        commitAll(peer)
        #expect(peer.delivered.map(\.errorCondition) == [.resourceConstraint])
        peer.restart()
        #expect(
            peer.suspects == [
                StanzaMark(try message("taken", id: "1").fingerprint),
                StanzaMark(try message("refused", id: "2").fingerprint, isRefused: true),
            ])
    }

    @Test func `what the server has and the journal does not know of is bounded`() throws {
        let peer = peer { $0.inboxWindow = 2 }
        for number in 0..<200 {
            let stanza = try message("\(number)", from: juliet, to: romeo, id: "\(number)")
            peer.run { $0.linkStanzaReceived(stanza, now: peer.now) }
        }
        commitAll(peer)
        while !peer.unconfirmed.isEmpty { peer.confirm(1) }
        let bound = 2 * (Inbox.unrecordedWindows + 1)
        #expect(peer.delivered.count <= bound && peer.delivered.count >= bound - 2)
        #expect(peer.status.inboxInDoubt == peer.delivered.count)
        // A restart gives all of them once more, and no others.
        peer.restart()
        #expect(peer.delivered.count <= bound + 2)
        while !peer.unconfirmed.isEmpty {
            peer.confirm(1)
            commitAll(peer)
        }
        #expect(peer.journal.peer[.inbox].isEmpty)
        #expect(Set(peer.delivered.compactMap(\.id)).count == 200)
    }

    @Test func `a stanza that was taken is known after a restart, so that a server's repeat is recognised`() throws {
        let peer = peer()
        for number in 0..<2_500 {
            peer.send(try message("\(number)", id: "\(number)"))
            if number % 7 == 0 { commitAll(peer) }
        }
        commitAll(peer)
        let rows = peer.journal.peer[.taken]
        let kept = rows.reduce(0) { $0 + $1.payload.count / 8 }
        #expect(kept >= 1_000 && kept < 1_020)
        peer.restart()
        #expect(peer.status.queuedStanzas == 2_500)
    }
}
