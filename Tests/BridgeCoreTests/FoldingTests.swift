import Blocks
import BridgeCore
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// What differs in `to` alone crosses once, and arrives as if it had crossed one by one.
@Suite struct FoldingTests {
    private func contact(_ number: Int) -> String { "contact\(number)@shore.example" }

    private func room(_ text: String, _ number: Int, nick: String = "nick", id: String = "1") throws -> Stanza {
        try stanza(
            "<message from='ops@conference.ship.example/\(nick)' to='\(contact(number))/r' type='groupchat' id='\(id)'>"
                + "<body>\(text)</body></message>")
    }

    /// A server writes all of these in one go.
    private func write(_ stanzas: [Stanza], to peer: DurablePeer) {
        peer.run { machine in
            for stanza in stanzas { machine.localStanzaReceived(stanza, receipt: nil, isTurnOpen: true, now: peer.now) }
            machine.turnEnded(now: peer.now)
        }
    }

    private func connected(_ change: (inout PeerPolicy) -> Void = { _ in }) -> PeerPair {
        let pair = PeerPair(seed: 3) {
            $0.blockBytes = 16 << 10
            $0.batchStanzas = 64
            change(&$0)
        }
        pair.connect()
        pair.quiesce()
        return pair
    }

    private func expectRest(_ pair: PeerPair) {
        #expect(pair.check("") == 0)
        #expect(pair.ship.status.poison.isEmpty && pair.shore.status.poison.isEmpty)
    }

    @Test func `one presence to all contacts takes little more than one stanza, whatever the batch`() throws {
        let pair = connected { $0.batchStanzas = 4 }
        func bytes() -> UInt64 { pair.ship.status.traffic.sentBytes }
        var costs: [UInt64] = []
        for status in ["away", "back", "out to sea"] {
            let before = bytes()
            let all = try (0..<40).map { try presence(to: contact($0), payload: "<status>\(status)</status>") }
            write(all, to: pair.ship)
            pair.quiesce()
            #expect(Array(pair.shore.delivered.suffix(40)) == all)
            costs.append(bytes() - before)
        }
        #expect(pair.shore.delivered.count == 120)
        #expect(costs[0] < 250 && costs[1] < 40 && costs[2] < 40, "\(costs)")
        #expect(pair.ship.status.traffic.folded.presences == 117)
        #expect(pair.ship.status.sent.presences == 120)
        expectRest(pair)
    }

    @Test func `only those who were addressed get it`() throws {
        let pair = connected()
        write(try (0..<10).map { try presence(to: contact($0)) }, to: pair.ship)
        let some = try [1, 4, 5].map { try presence(to: contact($0), payload: "<show>dnd</show>") }
        write(some, to: pair.ship)
        pair.quiesce()
        #expect(pair.shore.delivered.count == 13 && Array(pair.shore.delivered.suffix(3)) == some)
        expectRest(pair)
    }

    @Test func `messages of a room that wait among each other meet, and each occupant gets them in order`() throws {
        let pair = connected()
        pair.cut()
        var all: [Stanza] = []
        // As three occupants wrote them, the copies mixed; the presences of those who join are different for each.
        for number in 0..<12 {
            for (nick, text) in [("a", "one"), ("b", "two"), ("a", "three")] {
                all.append(try room(text, number, nick: nick, id: text))
            }
            let nick = "ops@conference.ship.example/n\(number)"
            all.append(try presence(from: nick, to: contact(3) + "/r", payload: mucUser))
        }
        write(all, to: pair.ship)
        pair.connect()
        pair.quiesce()
        // What is for contact 3 stands behind presence for him, so that the copies go in two records for each message.
        #expect(pair.ship.status.traffic.folded.messages == 30)
        for number in 0..<12 {
            func own(_ stanzas: [Stanza]) -> [Stanza] { stanzas.filter { $0.to?.bare.description == contact(number) } }
            #expect(own(pair.shore.delivered) == own(all), "\(number)")
        }
        expectRest(pair)
    }

    @Test func `a copy does not overtake what its pair sent before`() throws {
        let pair = connected()
        pair.cut()
        func copy(_ number: Int) throws -> Stanza { try message("the same", to: contact(number)) }
        func own(_ number: Int, _ text: String) throws -> Stanza { try message(text, to: contact(number), id: text) }
        let all = [try copy(0), try own(1, "before"), try copy(1), try copy(2), try own(2, "after"), try copy(3)]
        write(all, to: pair.ship)
        pair.connect()
        pair.quiesce()
        for number in 0..<4 {
            func own(_ stanzas: [Stanza]) -> [Stanza] { stanzas.filter { $0.to?.bare.description == contact(number) } }
            #expect(own(pair.shore.delivered) == own(all), "\(number)")
        }
        #expect(pair.ship.status.traffic.folded.messages == 2)
    }

    @Test func `what waits longer or shorter than the first of a record has its own age`() throws {
        let pair = connected()
        pair.shore.run { $0.wallClockRead(1_767_225_600_000, now: pair.shore.now) }
        pair.cut()
        write([try room("old", 0), try room("old", 1)], to: pair.ship)
        pair.advance(.seconds(120))
        write([try room("old", 2)], to: pair.ship)
        pair.connect()
        pair.quiesce()
        #expect(pair.ship.status.traffic.folded.total == 1)
        #expect(pair.shore.delivered.map { $0.hasChild(.delay) } == [true, true, false])
    }

    @Test func `a newer presence replaces the copies of the older one that have not left`() throws {
        let pair = connected()
        pair.cut()
        write(try (0..<8).map { try presence(to: contact($0), payload: "<show>away</show>") }, to: pair.ship)
        let newer = try (0..<8).map { try presence(to: contact($0), payload: "<show>xa</show>") }
        write(newer, to: pair.ship)
        // Sorting is put off until it is needed: a wait does it.
        pair.advance(.seconds(2))
        pair.connect()
        pair.quiesce()
        #expect(pair.shore.delivered == newer)
        #expect(pair.ship.status.supersededPresences == 8 && pair.ship.status.traffic.folded.presences == 7)
        expectRest(pair)
    }

    @Test func `what shares a number survives cuts and restarts on both sides, and its rows go`() throws {
        for side in [0, 1] {
            for commits in 0..<4 {
                let pair = connected()
                let all = try (0..<9).map { try room("kept", $0) }
                for stanza in all { pair.ship.send(stanza) }
                for _ in 0..<commits { pair.exchange() }
                pair.restart(side)
                pair.connect()
                pair.quiesce()
                pair.cut()
                pair.connect()
                pair.quiesce()
                #expect(Set(pair.shore.delivered.map(\.toText)) == Set(all.map(\.toText)), "\(side) \(commits)")
                let certain = pair.shore.delivered.filter { !pair.shore.inDoubt.contains($0.text) }
                #expect(Set(certain.map(\.toText)).count == certain.count, "\(side) \(commits)")
                for table in [JournalTable.outbox, .normalNumbers, .expressNumbers, .inbox] {
                    #expect(pair.ship.journal.peer[table].isEmpty && pair.shore.journal.peer[table].isEmpty, "\(table)")
                }
            }
        }
    }

    @Test(arguments: Array(1...12) as [UInt64])
    func `broadcasts among everything else, cuts and restarts: nothing lost, order kept`(seed: UInt64) throws {
        let pair = PeerPair(seed: seed) { $0.blockBytes = seed % 2 == 0 ? 400 : 4_000 }
        for step in 0..<700 {
            if step % 6 == 0 { try pair.broadcast(step / 6 % 2) }
            try pair.step(restarts: seed % 3 != 0)
        }
        pair.connect()
        pair.quiesce()
        pair.cut()
        pair.connect()
        pair.quiesce()
        let doubtful = pair.check("seed \(seed)")
        #expect(seed % 3 != 0 || doubtful == 0)
        #expect(pair.foldedStanzas > 20)
    }

    @Test func `each address of a list is held against the agreement`() throws {
        var policy = TestPeer.policy()
        policy.isJournaled = true
        let peer = DurablePeer(policy, seed: 9)
        var far = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 5)
        far.connected(now: peer.now)
        peer.run { $0.linkConnected(now: peer.now) }
        let recipients = ["a@ship.example", "mallory@elsewhere.example", "b@ship.example"]
        let folded = OutgoingStanza(
            stanza: try message("x", from: juliet, to: recipients[0]), recipients: recipients.map { Array($0.utf8) },
            ageSeconds: 0)
        let block = far.cut([folded], lane: .normal, firstNumber: far.nextNumber(.normal), now: peer.now)
        peer.run { $0.linkBlockReceived(block, now: peer.now) }
        commitAll(peer)
        #expect(peer.delivered.map(\.toText) == ["a@ship.example", "b@ship.example"])
        #expect(peer.status.received.messages == 2 && peer.status.count(of: .foreignRecipient) == 1)
    }

    @Test func `what users write as lists of recipients is text`() throws {
        let pair = connected()
        let forged = try stanza(
            "<message from='\(romeo)' to='\(juliet)' id='1'><addresses xmlns='http://jabber.org/protocol/address'>"
                + "<address type='to' jid='\(contact(1))'/></addresses><body>&#x9;02 19 00 \u{E000}'06' to=''</body></message>")
        write([forged, try message("after", id: "2")], to: pair.ship)
        pair.quiesce()
        #expect(pair.shore.delivered.map(\.id) == ["1", "2"] && pair.shore.delivered.first == forged)
        // The marks themselves are no characters of XML: no stanza brings them in.
        #expect(throws: (any Error).self) { try message("\u{2}\u{19}\u{6}") }
    }

    @Test func `a record goes in one block even where blocks have become smaller`() throws {
        let pair = connected()
        let text = String((0..<400).map { _ in "abcdefghijklmnop".randomElement(using: &pair.random) ?? "a" })
        let all = try (0..<30).map { try room(text, $0) }
        write(all, to: pair.ship)
        // Numbered, and not on the link.
        while pair.ship.take() { pair.ship.commit() }
        #expect(pair.ship.status.inFlightStanzas == 30)
        var policy = pair.ship.policy
        policy.blockBytes = 100
        pair.cut()
        pair.ship.run { $0.policyChanged(policy, now: pair.ship.now) }
        pair.connect()
        pair.quiesce()
        #expect(pair.shore.delivered == all)
        expectRest(pair)
    }
}
