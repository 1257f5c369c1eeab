import Blocks
import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// What survives, what waits for the journal, and what an operator sees.
@Suite struct DurabilityTests {
    private func peer(_ change: (inout PeerPolicy) -> Void = { _ in }) -> DurablePeer {
        var policy = TestPeer.policy()
        policy.isJournaled = true
        policy.hold = .turn
        change(&policy)
        return DurablePeer(policy, seed: 9)
    }

    @Test func `nothing is acknowledged, sent or delivered before its batch is committed`() throws {
        let pair = PeerPair(seed: 1)
        pair.connect()
        pair.quiesce()
        pair.ship.send(try message("1"))
        #expect(pair.ship.unacknowledged.count == 1)
        #expect(pair.ship.outgoing.isEmpty)
        pair.ship.take()
        #expect(pair.ship.unacknowledged.count == 1 && pair.ship.outgoing.isEmpty)
        pair.ship.commit()
        #expect(pair.ship.unacknowledged.isEmpty && pair.ship.outgoing.count == 1)
        pair.transmit(0)
        pair.arrive(0)
        #expect(pair.shore.delivered.isEmpty)
        pair.shore.take()
        pair.shore.commit()
        #expect(pair.shore.delivered == [try message("1")])
        // The row goes when the local server is responsible.
        #expect(pair.shore.journal.peer[.inbox].count == 1)
        pair.shore.confirm(1)
        pair.shore.take()
        pair.shore.commit()
        #expect(pair.shore.journal.peer[.inbox].isEmpty)
    }

    @Test func `several batches may be under way, and what they gate comes in order`() throws {
        let peer = peer()
        for number in 0..<3 {
            peer.send(try message("\(number)"))
            peer.take()
        }
        #expect(peer.pending.map(\.number) == [1, 2, 3])
        peer.commit()
        #expect(peer.unacknowledged.count == 2)
        peer.commit()
        peer.commit()
        #expect(peer.unacknowledged.isEmpty)
    }

    @Test func `presence that is worth something only while fresh has no row; what changes something has`() throws {
        let muc = "<x xmlns='http://jabber.org/protocol/muc'/>"
        let volatile = [try presence(), try presence(type: "probe")]
        let lasting = [
            try presence(type: "unavailable"), try presence(type: "subscribe"), try presence(payload: muc),
            try presence(payload: mucUser),
        ]
        let peer = peer()
        for stanza in volatile + lasting { peer.send(stanza) }
        commitAll(peer)
        #expect(peer.journal.peer[.outbox].count == lasting.count)
        #expect(peer.unacknowledged.isEmpty)
        let keeping = self.peer { $0.journalsPresence = true }
        keeping.send(try presence())
        commitAll(keeping)
        #expect(keeping.journal.peer[.outbox].map(\.id) == [1])
        // A newer one replaces the row as well, when what waits is put into order.
        keeping.send(try presence(payload: "<show>away</show>"))
        #expect(keeping.queue().count == 1)
        keeping.run { $0.deadlineReached(now: keeping.now) }
        commitAll(keeping)
        #expect(keeping.journal.peer[.outbox].map(\.id) == [2])
    }

    @Test func `order, ages and classes are the same after a restart`() throws {
        let peer = peer { $0.messageLifetime = .seconds(100) }
        for number in 0..<5 {
            peer.send(try message("\(number)", id: "\(number)"))
            peer.now = peer.now + .seconds(10)
        }
        peer.send(try iq("get", id: "asked"))
        commitAll(peer)
        let before = peer.queue()
        peer.restart()
        #expect(peer.queue() == before)
        #expect(before.map(\.age) == [50_000, 40_000, 30_000, 20_000, 10_000, 0])
        #expect(peer.isLinkWanted)
        // Ages go on: the oldest expires when its time has come.
        peer.now = peer.now + .seconds(55)
        peer.fireTimer()
        commitAll(peer)
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
        #expect(peer.journal.peer[.outbox].count == 5)
    }

    @Test func `a bounce is durable in the batch that removes the stanza`() throws {
        let peer = peer { $0.messageLifetime = .seconds(10) }
        peer.send(try message("1"))
        commitAll(peer)
        peer.now = peer.now + .seconds(11)
        peer.fireTimer()
        peer.take()
        // Before the commit nothing has happened; with it, both.
        #expect(peer.delivered.isEmpty)
        let batch = try #require(peer.pending.first)
        let puts = batch.records.filter { if case .put(.inbox, _, _, _) = $0 { true } else { false } }
        let removes = batch.records.filter { if case .remove(.outbox, _) = $0 { true } else { false } }
        #expect(puts.count == 1 && removes.count == 1)
        peer.restart()
        peer.now = peer.now + .seconds(11)
        peer.fireTimer()
        commitAll(peer)
        #expect(peer.delivered.count == 1)
        peer.restart()
        commitAll(peer)
        #expect(peer.delivered.count == 2 && peer.inDoubt.count == 1)
        peer.confirm(1)
        commitAll(peer)
        peer.restart()
        #expect(peer.delivered.count == 2)
    }

    @Test func `a clean end with a journal bounces nothing and keeps everything`() throws {
        let peer = peer()
        peer.send(try message("1"))
        peer.send(try iq("get", id: "asked"))
        commitAll(peer)
        peer.run { $0.shutdownRequested(now: peer.now) }
        peer.send(try message("late"))
        commitAll(peer)
        #expect(peer.delivered.isEmpty && peer.unacknowledged.isEmpty)
        peer.restart()
        #expect(peer.status.queuedStanzas == 3 && peer.status.pendingLocalRequests == 1)
    }

    @Test func `presence that waits when the bridge stops in peace is sent by the next run, before its end`() throws {
        let peer = peer()
        let away = try presence(payload: "<show>away</show>")
        peer.send(away)
        peer.send(try presence(from: "other@ship.example/1", payload: "<show>dnd</show>"))
        peer.send(try presence(from: "other@ship.example/1", type: "unavailable"))
        commitAll(peer)
        peer.run { $0.shutdownRequested(now: peer.now) }
        peer.send(try presence(from: "third@ship.example/1", payload: "<show>xa</show>"))
        commitAll(peer)
        peer.restart()
        #expect(peer.status.queuedStanzas == 4)
        // A crash keeps only what ends presence.
        let other = self.peer()
        other.send(away)
        other.send(try presence(type: "unavailable"))
        commitAll(other)
        other.restart()
        #expect(other.status.queuedStanzas == 1)
    }

    @Test func `a request is answered once, by the bridge or by the peer, across restarts`() throws {
        let pair = PeerPair(seed: 4) { $0.iqTimeout = .seconds(60) }
        pair.ship.send(try iq("get", id: "answered"))
        pair.ship.send(try iq("get", id: "never", from: "other@ship.example/1"))
        pair.connect()
        pair.quiesce()
        #expect(pair.shore.delivered.count == 2)
        for peer in pair.sides { peer.restart() }
        #expect(pair.ship.status.pendingLocalRequests == 2 && pair.shore.status.pendingRemoteRequests == 2)
        pair.cut()
        pair.connect()
        pair.shore.send(try iq("result", id: "answered", from: juliet, to: romeo))
        pair.quiesce()
        #expect(pair.ship.delivered.map(\.id) == ["answered"])
        pair.restart(0)
        pair.connect()
        pair.advance(.seconds(61))
        pair.quiesce()
        #expect(pair.ship.delivered.map(\.id) == ["answered", "never"])
        #expect(pair.ship.delivered.last?.errorCondition == .remoteServerTimeout)
        pair.shore.send(try iq("result", id: "never", from: juliet, to: "other@ship.example/1"))
        pair.quiesce()
        #expect(pair.ship.delivered.count == 2)
        #expect(pair.ship.journal.peer[.localRequests].isEmpty && pair.shore.journal.peer[.remoteRequests].isEmpty)
    }

    @Test func `peers d19: a row that cannot be read is set aside and named, the rest goes on`() throws {
        let peer = peer()
        for number in 0..<3 { peer.send(try message("\(number)", id: "\(number)")) }
        commitAll(peer)
        peer.damageJournal(.outbox, row: 1)
        peer.restart()
        #expect(peer.status.queuedStanzas == 2)
        #expect(peer.status.count(of: .unreadableRow) == 1)
        #expect(peer.status.poison.map(\.reason) == ["row 2 of outbox: not-well-formed"])
        commitAll(peer)
        #expect(peer.journal.peer[.outbox].map(\.id) == [1, 3])
        peer.restart()
        #expect(peer.status.poison.count == 1 && peer.status.count(of: .unreadableRow) == 0)
    }

    @Test func `a restored journal begins a new epoch and sends everything again, in order`() throws {
        let pair = PeerPair(seed: 3)
        pair.connect()
        pair.quiesce()
        for number in 0..<10 { pair.ship.send(try message("\(number)", id: "\(number)")) }
        commitAll(pair.ship)
        let epoch = pair.ship.status.session?.epoch
        pair.ship.loseEpoch()
        pair.restart(0)
        #expect(pair.ship.status.session?.epoch != epoch)
        #expect(pair.ship.status.inFlightStanzas == 0 && pair.ship.status.queuedStanzas == 10)
        pair.connect()
        pair.quiesce()
        #expect(pair.shore.delivered.map(\.id) == (0..<10).map { "\($0)" })
    }

    @Test func `only a window is with the local side, and a full inbox holds the link`() throws {
        let pair = PeerPair(seed: 2) {
            $0.inboxWindow = 4
            $0.inboxStanzas = 20
        }
        pair.connect()
        for number in 0..<60 { pair.ship.send(try message("\(number)", id: "\(number)")) }
        for _ in 0..<200 {
            for side in 0..<2 {
                pair.sides[side].take()
                pair.sides[side].commit()
                pair.transmit(side)
                pair.arrive(side)
            }
        }
        #expect(pair.shore.unconfirmed.count == 4)
        #expect(pair.shore.isLinkHeld)
        let waiting = pair.shore.status.inboxStanzas
        #expect(waiting > 20 && waiting < 40)
        pair.shore.confirm(2)
        #expect(pair.shore.unconfirmed.count == 4)
        pair.quiesce()
        #expect(!pair.shore.isLinkHeld)
        #expect(pair.shore.delivered.map(\.id) == (0..<60).map { "\($0)" })
    }

    @Test func `what the local server cannot take is bounced over the link, once, and never to a room`() throws {
        let pair = PeerPair(seed: 5)
        pair.connect()
        pair.ship.send(try message("1", id: "a"))
        pair.ship.send(try message("2", from: "room@conference.ship.example/nick", type: "groupchat", id: "b"))
        pair.exchange()
        for stanza in pair.shore.delivered {
            let id = try #require(pair.shore.unconfirmed.first)
            pair.shore.forget(1)
            pair.shore.run {
                $0.localDeliveryFailed(id, stanza, .remoteServerNotFound, .cancel, now: pair.shore.now)
                $0.localDeliveryFailed(id, stanza, .remoteServerNotFound, .cancel, now: pair.shore.now)
            }
        }
        pair.quiesce()
        #expect(pair.ship.delivered.map(\.errorCondition) == [.remoteServerNotFound])
        #expect(pair.shore.journal.peer[.inbox].isEmpty)
    }

    @Test func `the operator sees what waits and takes it out, but not what has left`() throws {
        let pair = PeerPair(seed: 6)
        for number in 0..<3 { pair.ship.send(try message("\(number)", id: "\(number)")) }
        pair.ship.send(try presence(from: "x@ship.example/y"))
        commitAll(pair.ship)
        var entries = pair.ship.queue()
        #expect(entries.map(\.id) == [1, 2, 3, 4] && entries.allSatisfy { $0.state == .waiting })
        #expect(pair.ship.status.classes.map(\.stanzas) == [0, 3, 0, 1])
        #expect(pair.ship.queue(2).count == 2)
        #expect(pair.ship.cancel(2))
        #expect(!pair.ship.cancel(2) && !pair.ship.cancel(77))
        commitAll(pair.ship)
        #expect(pair.ship.delivered.map(\.errorCondition) == [.undefinedCondition])
        pair.connect()
        commitAll(pair.ship)
        entries = pair.ship.queue()
        #expect(entries.map(\.state) == [.inFlight, .inFlight, .inFlight])
        #expect(!pair.ship.cancel(1))
        pair.quiesce()
        #expect(pair.ship.status.acknowledgedStanzas == 3 && pair.ship.queue().isEmpty)
        #expect(pair.ship.status.session?.isPeerRecognised == true && pair.ship.status.traffic.sentBytes > 0)
    }

    @Test func `a stanza that waited long says so at the other end, if the clock there can be believed`() throws {
        for (wall, stamp) in [
            (Int64(1_767_225_600_000), "2025-12-31T23:58:20Z" as String?), (Int64(3_600_000), nil),
        ] {
            let pair = PeerPair(seed: 7)
            pair.shore.run { $0.wallClockRead(wall - 100_000, now: pair.shore.now) }
            pair.ship.send(try message("old"))
            pair.ship.send(try iq("get", id: "asked"))
            pair.advance(.seconds(100))
            pair.connect()
            pair.exchange()
            let delivered = try #require(pair.shore.delivered.first)
            #expect(delivered.root.firstChild("delay", XMLNamespace.delay)?.attribute("stamp") == stamp)
            #expect(delivered.root.firstChild("body", XMLNamespace.server)?.text == "old")
            #expect(pair.shore.delivered.last?.hasChild(.delay) == false)
        }
    }

    @Test func `presence that is on its way when the bridge stops in peace is sent again by the next run, in its place`() throws {
        for isWithOthers in [false, true] {
            let pair = PeerPair(seed: 8)
            pair.connect()
            pair.quiesce()
            if isWithOthers { pair.ship.send(try message("before")) }
            pair.ship.send(try presence(payload: "<show>away</show>"))
            commitAll(pair.ship)
            if isWithOthers { pair.ship.send(try message("after")) }
            pair.ship.send(try presence(from: "other@ship.example/1"))
            pair.ship.send(try presence(from: "other@ship.example/1", type: "unavailable"))
            commitAll(pair.ship)
            while pair.transmit(0) { commitAll(pair.ship) }
            pair.cut()
            pair.ship.run { $0.shutdownRequested(now: pair.ship.now) }
            commitAll(pair.ship)
            pair.restart(0)
            pair.connect()
            pair.quiesce()
            let delivered = pair.shore.delivered
            #expect(delivered.filter { $0.fromText == "other@ship.example/1" }.map(\.type) == [.absent, .unavailable])
            let own = delivered.filter { $0.fromText == romeo }
            let kinds: [StanzaKind] = isWithOthers ? [.message, .presence, .message] : [.presence]
            #expect(own.map(\.kind) == kinds)
            for table in [JournalTable.outbox, .normalNumbers, .expressNumbers] {
                #expect(pair.ship.journal.peer[table].isEmpty)
            }
        }
    }

    @Test func `presence on its way that arrives after all is not sent twice by the next run`() throws {
        let pair = PeerPair(seed: 9)
        pair.connect()
        pair.quiesce()
        pair.ship.send(try presence(payload: "<show>away</show>"))
        commitAll(pair.ship)
        pair.transmit(0)
        pair.ship.run { $0.shutdownRequested(now: pair.ship.now) }
        commitAll(pair.ship)
        pair.arrive(0)
        commitAll(pair.shore)
        pair.restart(0)
        pair.connect()
        pair.quiesce()
        #expect(pair.shore.delivered == [try presence(payload: "<show>away</show>")])
        #expect(pair.ship.journal.peer[.outbox].isEmpty && pair.ship.journal.peer[.normalNumbers].isEmpty)
    }
}
