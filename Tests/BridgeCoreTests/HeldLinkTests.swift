import Blocks
import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// A side that can take nothing: the other one goes on hearing that it lives, and its own stanzas go on.
@Suite struct HeldLinkTests {
    private func pair(_ change: (inout PeerPolicy) -> Void = { _ in }) -> PeerPair {
        PeerPair(seed: 3) {
            $0.hold = .turn
            $0.inboxWindow = 4
            $0.inboxStanzas = 10
            $0.linkSession.deadAfter = .seconds(60)
            change(&$0)
        }
    }

    /// Everything but the local servers, which take nothing.
    private func run(_ pair: PeerPair, rounds: Int = 60) {
        for _ in 0..<rounds {
            for side in 0..<2 {
                while pair.sides[side].take() { while !pair.sides[side].pending.isEmpty { pair.sides[side].commit() } }
                while pair.transmit(side) {}
                while pair.arrive(side) {}
            }
        }
    }

    @Test func `a full inbox does not stop what goes the other way`() throws {
        let pair = pair()
        pair.connect()
        for number in 0..<40 { pair.ship.send(try message("\(number)", id: "\(number)")) }
        run(pair)
        #expect(pair.shore.isLinkHeld && pair.shore.status.inboxStanzas < 40)
        for number in 0..<20 {
            pair.shore.send(try message("\(number)", from: juliet, to: romeo, id: "back\(number)"))
            run(pair, rounds: 4)
            while !pair.ship.unconfirmed.isEmpty { pair.ship.confirm(1) }
        }
        pair.advance(.seconds(1))
        run(pair)
        #expect(pair.ship.delivered.count == 20)
        #expect(pair.shore.status.inFlightStanzas == 0 && pair.shore.journal.peer[.outbox].isEmpty)
        pair.quiesce()
        #expect(pair.shore.delivered.map(\.id) == (0..<40).map { "\($0)" })
    }

    @Test func `a side that takes nothing for long is not taken for dead, and nothing is sent again`() throws {
        let pair = pair()
        pair.connect()
        run(pair)
        pair.shore.run { $0.intakeHeld(true, now: pair.shore.now) }
        for number in 0..<5 { pair.ship.send(try message("\(number)", id: "\(number)")) }
        run(pair)
        let sent = pair.ship.status.traffic
        let heard = pair.ship.status.traffic
        for _ in 0..<120 {
            pair.advance(.seconds(5))
            run(pair, rounds: 2)
        }
        #expect(pair.ship.failures.isEmpty && pair.shore.failures.isEmpty)
        #expect(pair.ship.status.traffic.sentBlocks == sent.sentBlocks)
        // Ten minutes, one sign of life each twenty seconds, three bytes each.
        let signs = pair.ship.status.traffic.receivedBlocks - heard.receivedBlocks
        #expect(signs >= 20 && signs <= 32)
        #expect(pair.shore.delivered.isEmpty && pair.ship.status.inFlightStanzas == 5)
        pair.shore.run { $0.intakeHeld(false, now: pair.shore.now) }
        pair.quiesce()
        #expect(pair.shore.delivered.map(\.id) == (0..<5).map { "\($0)" })
    }

    @Test func `a side that takes nothing is not taken for dead on a connection that comes up meanwhile either`() throws {
        let pair = pair()
        pair.shore.run { $0.intakeHeld(true, now: pair.shore.now) }
        for number in 0..<5 { pair.ship.send(try message("\(number)", id: "\(number)")) }
        commitAll(pair.ship)
        pair.connect()
        run(pair)
        let sent = pair.ship.status.traffic.sentBlocks
        pair.shore.send(try message("back", from: juliet, to: romeo, id: "back"))
        for _ in 0..<120 {
            pair.advance(.seconds(5))
            run(pair, rounds: 2)
            while !pair.ship.unconfirmed.isEmpty { pair.ship.confirm(1) }
        }
        #expect(pair.ship.failures.isEmpty && pair.shore.failures.isEmpty)
        // Acknowledgements of the opening and of what comes back, and nothing again.
        #expect(pair.ship.status.traffic.sentBlocks == sent + 2)
        #expect(pair.ship.delivered.map(\.id) == ["back"] && pair.shore.status.inFlightStanzas == 0)
        #expect(pair.shore.delivered.isEmpty && pair.ship.status.inFlightStanzas == 5)
        pair.shore.run { $0.intakeHeld(false, now: pair.shore.now) }
        pair.quiesce()
        #expect(pair.shore.delivered.map(\.id) == (0..<5).map { "\($0)" })
    }

    @Test func `a peer that sends more than it may have under way is read no further`() throws {
        let peer = TestPeer.policy {
            $0.isJournaled = true
            $0.dialect = .skywave
        }
        let near = DurablePeer(peer, seed: 1)
        var far = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 5)
        far.connected(now: near.now)
        near.run { $0.linkConnected(now: near.now) }
        near.run { $0.intakeHeld(true, now: near.now) }
        let stanza = try message("hello", from: juliet, to: romeo)
        var blocks = 0
        while !near.isReadingStopped, blocks < 1_000 {
            let block = far.cut(
                [OutgoingStanza(stanza: stanza, ageSeconds: 0)], lane: .normal, firstNumber: far.nextNumber(.normal),
                now: near.now)
            near.run { $0.linkBlockReceived(block, now: near.now) }
            blocks += 1
        }
        #expect(blocks == 256)
        // The end of the connection is the end of that.
        near.run { $0.linkDisconnected(unsent: [], inDoubt: [], now: near.now) }
        #expect(!near.isReadingStopped)
        near.run { $0.intakeHeld(false, now: near.now) }
        #expect(near.delivered.isEmpty)
    }

    @Test func `one domain whose server takes nothing holds up nobody else, and its senders hear of it in the end`() throws {
        let pair = pair { $0.inboxStanzas = 1_000 }
        pair.connect()
        run(pair)
        for number in 0..<30 {
            pair.shore.send(try message("\(number)", from: juliet, to: "club@club.ship.example", id: "club\(number)"))
            pair.shore.send(try message("\(number)", from: juliet, to: romeo, id: "\(number)"))
        }
        run(pair)
        var confirmed: Set<String> = []
        for _ in 0..<60 {
            // The server of the club takes nothing; the other takes all.
            for (place, stanza) in pair.ship.delivered.enumerated() where stanza.toDomain?.string == "ship.example" {
                guard let id = stanza.id, confirmed.insert(id).inserted else { continue }
                pair.ship.confirmOnly(pair.ship.deliveredIDs[place])
            }
            run(pair, rounds: 2)
        }
        #expect(pair.ship.delivered.filter { $0.toDomain?.string == "ship.example" }.count == 30)
        #expect(pair.ship.delivered.filter { $0.toDomain?.string == "club.ship.example" }.count == 4)
        #expect(pair.ship.status.inboxStanzas == 30)
        for _ in 0..<26 {
            pair.advance(.hours(1))
            run(pair, rounds: 4)
            while !pair.shore.unconfirmed.isEmpty { pair.shore.confirm(1) }
        }
        #expect(pair.shore.delivered.map(\.errorCondition) == Array(repeating: .remoteServerTimeout, count: 26))
        #expect(pair.ship.status.count(of: .expiredInInbox) == 26 && pair.ship.status.inboxStanzas == 4)
    }
}
