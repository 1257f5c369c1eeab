import NIOCore
import ServerStreams
import Testing
import XMPP

/// XEP-0198 as the server sees it, in both roles.
@Suite struct StreamManagementTests {
    private static let features =
        "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback><sm xmlns='urn:xmpp:sm:3'/></stream:features>"
    private static let acknowledged = "<enabled xmlns='urn:xmpp:sm:3'/>"

    private func stanza(_ number: Int, from: String = "b@hq.example") -> Stanza {
        message(from: from, to: "a@ship.example", "\(number)", attributes: "id='\(number)'")
    }

    private func ack(_ h: Int) -> String { "<a xmlns='urn:xmpp:sm:3' h='\(h)'/>" }

    /// A stream of the bridge's, up to the answer about `enable`; returns what was written after the proof.
    @discardableResult
    private func authorize(
        _ side: inout Transcript, token: UInt64, connection: UInt64, answer: String? = acknowledged
    ) -> [LocalAction] {
        _ = side.dialed(token, connection)
        _ = side.open(connection, from: "ship.example", to: "hq.example", id: "srv")
        _ = side.receive(connection, Self.features)
        let actions = side.receive(connection, "<db:result from='ship.example' to='hq.example' type='valid'/>")
        return actions + (answer.map { side.receive(connection, $0) } ?? [])
    }

    private func opened(_ stanzas: ClosedRange<Int> = 1...1, _ configuration: LocalSideConfiguration = .site()) -> Transcript {
        var side = Transcript(configuration)
        for number in stanzas { _ = side.deliver(self.stanza(number), ticket: UInt64(number)) }
        self.authorize(&side, token: 0, connection: 1)
        return side
    }

    private func writes(_ actions: [LocalAction]) -> [String] {
        actions.compactMap { if case .writeStanza(_, let stanza) = $0 { stanza.id } else { nil } }
    }

    // MARK: The bridge sends

    @Test("enable goes out before the first stanza, stanzas do not wait for the answer, the request does")
    func enables() {
        var side = Transcript()
        _ = side.deliver(self.stanza(1), ticket: 1)
        let first = self.authorize(&side, token: 0, connection: 1, answer: nil)
        #expect(first.written(1) == "<enable xmlns='urn:xmpp:sm:3'/>" + self.stanza(1).text)
        #expect(side.written(1, 1).isEmpty, "taken by the kernel is not enough here")
        #expect(side.receive(1, Self.acknowledged).written(1) == "<r xmlns='urn:xmpp:sm:3'/>")
        #expect(side.side.snapshot.streams.map(\.isAcknowledged) == [true])
        #expect(side.side.snapshot.streams.map(\.unacknowledged) == [1])
        #expect(side.receive(1, self.ack(1)).delivered == [1])
        #expect(side.side.snapshot.streams.map(\.unacknowledged) == [0])
    }

    @Test("A server that does not offer it is never asked, and the kernel's word counts")
    func notOffered() {
        var side = Transcript()
        _ = side.deliver(self.stanza(1), ticket: 1)
        _ = side.dialed(0, 1)
        _ = side.open(1, id: "srv")
        _ = side.receive(1, "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>")
        let actions = side.receive(1, "<db:result from='ship.example' to='hq.example' type='valid'/>")
        #expect(actions.written(1) == self.stanza(1).text)
        #expect(side.written(1, 1).delivered == [1])
        #expect(side.written(1, 5).delivered.isEmpty)
    }

    @Test("A server that refuses enable is served as if it had not offered it")
    func refused() {
        var side = Transcript()
        for number in 1...2 { _ = side.deliver(self.stanza(number), ticket: UInt64(number)) }
        self.authorize(&side, token: 0, connection: 1, answer: nil)
        _ = side.written(1, 1)
        let failed = "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        #expect(side.receive(1, failed).delivered == [1])
        #expect(side.written(1, 1).delivered == [2])
        #expect(!side.actions.written(1).contains("<r "))
    }

    @Test("What was not acknowledged goes out again first, in order, and counts as in doubt as far as it had left")
    func again() {
        var side = self.opened(1...5)
        _ = side.written(1, 4)
        #expect(side.receive(1, self.ack(2)).delivered == [1, 2])
        _ = side.wait(10)
        #expect(side.closed(1).dials == [1])
        _ = side.deliver(self.stanza(6), ticket: 6)
        let actions = self.authorize(&side, token: 1, connection: 2)
        #expect(self.writes(actions) == ["3", "4", "5", "6"])
        #expect(side.side.snapshot.stanzasInDoubt == 2)
        #expect(side.noted(.stanzaInDoubt).count == 1)
        #expect(side.receive(2, self.ack(4)).delivered == [3, 4, 5, 6])
        #expect(side.domains == ["+ship.example", "-ship.example", "+ship.example"])
    }

    @Test("Streams that break together are one loss; one that breaks later is another, though no new one came in between")
    func losses() {
        var side = self.opened(1...1)
        let others = ["rooms.hq.example", "other.hq.example"]
        for (place, remote) in others.enumerated() {
            let token = UInt64(place + 1)
            _ = side.deliver(element("<message from='a@\(remote)' to='b@ship.example'/>"))
            _ = side.dialed(token, 10 + token)
            _ = side.open(10 + token, from: "ship.example", to: remote, id: "id\(token)")
            _ = side.receive(10 + token, "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>")
            _ = side.receive(10 + token, "<db:result from='ship.example' to='\(remote)' type='valid'/>")
        }
        #expect(side.domains == ["+ship.example"])
        _ = side.closed(11)
        _ = side.closed(12)
        #expect(side.domains == ["+ship.example", "-ship.example"])
        _ = side.wait(2)
        _ = side.closed(1)
        #expect(side.domains == ["+ship.example", "-ship.example", "-ship.example"])
    }

    @Test("The window is bounded: what is not acknowledged holds up the rest")
    func window() {
        var configuration = LocalSideConfiguration.site()
        configuration.unacknowledgedStanzas = 3
        var side = self.opened(1...5, configuration)
        #expect(self.writes(side.actions) == ["1", "2", "3"])
        #expect(self.writes(side.receive(1, self.ack(1))) == ["4"])
        #expect(side.side.snapshot.queuedStanzas == 1)
        #expect(self.writes(side.receive(1, self.ack(4))) == ["5"])
        #expect(side.receive(1, self.ack(5)).delivered == [5])
    }

    @Test("peers d21: acknowledging more than was sent ends the stream with both counts; so does going back")
    func faults() {
        var high = self.opened(1...3)
        let actions = high.receive(1, self.ack(4))
        #expect(actions.written(1).contains("<undefined-condition "))
        #expect(actions.written(1).contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='4' send-count='3'/>"))
        #expect(actions.closes == [1])
        #expect(actions.delivered.isEmpty)
        var back = self.opened(1...3)
        _ = back.receive(1, self.ack(2))
        let answer = back.receive(1, self.ack(1))
        #expect(answer.written(1).contains("<undefined-condition "))
        #expect(answer.closes == [1])
        for nonsense in ["", " h=''", " h='-1'", " h='+1'", " h='4294967296'", " h='0x1'", " h='1 '"] {
            var side = self.opened(1...3)
            let actions = side.receive(1, "<a xmlns='urn:xmpp:sm:3'\(nonsense)/>")
            #expect(actions.written(1).contains("<invalid-xml "), "\(nonsense)")
        }
    }

    @Test("peers d21: a server whose counts are wrong is believed twice, then no longer asked")
    func distrust() {
        var side = self.opened(1...1)
        _ = side.receive(1, self.ack(2))
        #expect(side.closed(1).dials.isEmpty)
        #expect(side.wait(3).dials == [1])
        _ = self.authorize(&side, token: 1, connection: 2)
        _ = side.receive(2, self.ack(9))
        _ = side.closed(2)
        #expect(side.wait(5).dials == [2])
        let third = self.authorize(&side, token: 2, connection: 3, answer: nil)
        #expect(third.written(3) == self.stanza(1).text)
        #expect(side.written(3, 1).delivered == [1])
        #expect(side.noted(.acknowledgementRefused).count == 2)
    }

    @Test("A server that owes an acknowledgement is asked again, and given up after a while")
    func owed() {
        var side = self.opened(1...3)
        _ = side.receive(1, self.ack(1))
        #expect(side.wait(2).written(1) == "<r xmlns='urn:xmpp:sm:3'/>")
        let actions = side.wait(121)
        #expect(actions.written(1).contains("<connection-timeout "))
        #expect(actions.closes == [1])
        #expect(side.closed(1).dials == [1])
        #expect(self.writes(self.authorize(&side, token: 1, connection: 2)) == ["2", "3"])
        #expect(side.noted(.acknowledgementRefused).isEmpty)
    }

    @Test("peers d19: a stanza on which the server ends every stream is given back, the ones around it arrive")
    func poison() {
        for number in [1, 3, 5] {
            var side = Transcript()
            for number in 1...5 { _ = side.deliver(self.stanza(number), ticket: UInt64(number)) }
            var streams: UInt64 = 0
            var dials: [UInt64] = [0]
            var arrived: [String] = []
            while let token = dials.first, streams < 12 {
                dials.removeFirst()
                streams += 1
                // The server handles stanzas one by one and answers at once; on the bad one it breaks off.
                var actions = self.authorize(&side, token: token, connection: streams)
                var handled = 0
                var isOpen = true
                while isOpen, !self.writes(actions).isEmpty {
                    let ids = self.writes(actions)
                    actions = side.written(streams, ids.count)
                    for id in ids where isOpen {
                        if id == "\(number)" {
                            let error = "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                            actions += side.receive(streams, self.ack(handled))
                            actions += side.receive(streams, error)
                            isOpen = false
                        } else {
                            arrived.append(id)
                            handled += 1
                        }
                    }
                    if isOpen { actions += side.receive(streams, self.ack(handled)) }
                }
                guard !isOpen else { break }
                dials += side.closed(streams).dials
                dials += side.wait(61).dials
            }
            #expect(arrived == (1...5).filter { $0 != number }.map { "\($0)" })
            #expect(side.actions.tickets == [UInt64(number)])
            #expect(side.actions.delivered.count == 4)
            #expect(streams <= 5)
            #expect(side.noted(.stanzaPoisonous).count == 1)
        }
    }

    @Test("A server that merely stops accuses nobody")
    func shutdownIsNoPoison() {
        var side = self.opened(1...1)
        for stream in 1...6 as ClosedRange<UInt64> {
            _ = side.written(stream, 1)
            _ = side.receive(
                stream, "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
            _ = side.closed(stream)
            _ = side.wait(61)
            self.authorize(&side, token: stream, connection: stream + 1)
        }
        #expect(side.actions.tickets.isEmpty)
        #expect(side.receive(7, self.ack(1)).delivered == [1])
    }

    @Test("A stanza with a ticket waits as long as it must; one without goes back after the hold time")
    func durable() {
        var side = Transcript()
        _ = side.deliver(self.stanza(1), ticket: 1)
        _ = side.deliver(self.stanza(2))
        _ = side.deliver(self.stanza(3), ticket: 3)
        var failures = 0
        for _ in 0..<400 {
            for token in side.wait(60).dials {
                failures += 1
                _ = side.dialFailed(token)
            }
            if failures == 0 { _ = side.dialFailed(0); failures = 1 }
        }
        #expect(side.actions.undeliverable.map(\.stanza.id) == ["2"])
        #expect(side.side.snapshot.queuedStanzas == 2)
        var next = side.wait(120).dials
        while next.isEmpty { next = side.wait(10).dials }
        #expect(self.writes(self.authorize(&side, token: next[0], connection: 1)) == ["1", "3"])
    }

    @Test("A refused pair keeps what has a ticket, unless the refusal is for good")
    func refusedPair() {
        for (condition, isLasting) in [("remote-connection-failed", false), ("item-not-found", false), ("not-authorized", true)] {
            var side = Transcript()
            _ = side.deliver(self.stanza(1), ticket: 1)
            _ = side.deliver(self.stanza(2))
            _ = side.dialed(0, 1)
            _ = side.open(1, id: "srv")
            _ = side.receive(1, Self.features)
            let error = "<error type='cancel'><\(condition) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            let actions = side.receive(1, "<db:result from='ship.example' to='hq.example' type='error'>\(error)</db:result>")
            #expect(actions.undeliverable.map(\.stanza.id) == (isLasting ? ["1", "2"] : ["2"]), "\(condition)")
            #expect(side.side.snapshot.queuedStanzas == (isLasting ? 0 : 1))
        }
    }

    @Test("Shutdown says nothing of tickets that are not settled, and waits for acknowledgements a while")
    func shutdown() {
        var side = self.opened(1...2)
        _ = side.written(1, 2)
        side.side.shutdownRequested(now: side.now)
        #expect(side.draw().written(1).isEmpty, "the server may still acknowledge")
        let actions = side.receive(1, self.ack(2))
        #expect(actions.delivered == [1, 2])
        #expect(actions.written(1) == "</stream:stream>")
        var silent = self.opened(1...2)
        _ = silent.deliver(message(from: "b@hq.example", to: "r@conference.ship.example"), ticket: 3)
        silent.side.shutdownRequested(now: silent.now)
        _ = silent.draw()
        #expect(silent.wait(6).written(1) == "</stream:stream>")
        _ = silent.closed(1)
        #expect(silent.actions.undeliverable.isEmpty && silent.actions.delivered.isEmpty)
    }

    // MARK: The server sends

    /// A stream of the server's with SASL EXTERNAL, after which the features offer acknowledgements.
    private func inbound(_ side: inout Transcript, _ connection: UInt64, enables: Bool = true) {
        _ = side.accept(connection)
        _ = side.open(connection)
        _ = side.receive(connection, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        _ = side.tls(connection, .naming("ship.example"))
        _ = side.open(connection)
        _ = side.receive(connection, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
        let features = side.open(connection).written(connection)
        #expect(features.hasSuffix("<sm xmlns='urn:xmpp:sm:3'/></stream:features>"))
        guard enables else { return }
        #expect(side.receive(connection, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>").written(connection) == Self.acknowledged)
    }

    private func certified(suspects: [StanzaMark] = []) -> Transcript {
        Transcript(.site(encryption: .required, authentication: .certificate), suspects: suspects)
    }

    private func own(_ number: Int, delay: Bool = false) -> Stanza {
        let stamp = delay ? "<delay xmlns='urn:xmpp:delay' from='ship.example' stamp='2026-11-21T05:00:00Z'/>" : ""
        return element("<message from='a@ship.example' to='b@hq.example' id='\(number)'><body>x</body>\(stamp)</message>")
    }

    @Test("A request is answered at once with what was handled, and what follows is told unasked")
    func answers() {
        var side = self.certified()
        self.inbound(&side, 1)
        for number in 1...3 { _ = side.receive(1, self.own(number)) }
        #expect(side.receive(1, "<r xmlns='urn:xmpp:sm:3'/>").written(1) == self.ack(0))
        _ = side.handled(1, 2...3)
        #expect(side.receive(1, "<r xmlns='urn:xmpp:sm:3'/>").written(1) == self.ack(0), "the first is not handled")
        #expect(side.handled(1, 1...1).written(1).isEmpty)
        #expect(side.wait(1).written(1) == self.ack(3))
        #expect(side.wait(1).written(1).isEmpty)
        for number in 4...60 { _ = side.receive(1, self.own(number)) }
        #expect(side.side.snapshot.streams.map(\.unacknowledged) == [57])
        var told = 0
        for number in 4...60 as ClosedRange<UInt64> { told += side.handled(1, number...number).written(1).isEmpty ? 0 : 1 }
        #expect(told == 3)
        #expect(side.wait(1).written(1) == self.ack(60))
    }

    @Test("Only stanzas after enable count; oversize ones count as well")
    func counting() {
        var side = self.certified()
        self.inbound(&side, 1, enables: false)
        _ = side.receive(1, self.own(1))
        _ = side.receive(1, "<enable xmlns='urn:xmpp:sm:3'/>")
        #expect(side.handled(1, 1...1).written(1).isEmpty)
        side.side.oversizeReceived(ConnectionID(number: 1), self.own(2), now: side.now)
        _ = side.draw()
        #expect(side.receive(1, "<r xmlns='urn:xmpp:sm:3'/>").written(1) == self.ack(1))
    }

    @Test("enable before a proof or twice, resume, and counts that cannot be are refused")
    func refusals() {
        var early = Transcript()
        _ = early.accept(1)
        _ = early.open(1)
        let failed = "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        for element in ["enable", "r", "a"] {
            #expect(early.receive(1, "<\(element) xmlns='urn:xmpp:sm:3'/>").written(1) == failed)
        }
        var side = self.certified()
        self.inbound(&side, 1)
        #expect(side.receive(1, "<enable xmlns='urn:xmpp:sm:3'/>").written(1) == failed)
        #expect(
            side.receive(1, "<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>").written(1)
                .contains("<feature-not-implemented "))
        #expect(side.receive(1, self.ack(0)).isEmpty)
        #expect(side.receive(1, self.ack(1)).written(1).contains("<handled-count-too-high "))
    }

    @Test("A stanza that comes again after its stream broke is acknowledged and not passed on, once")
    func repeated() {
        var side = self.certified()
        self.inbound(&side, 1)
        for number in 1...3 { #expect(side.receive(1, self.own(number)).received.count == 1) }
        let nameless = element("<message from='a@ship.example' to='b@hq.example'><body>x</body></message>")
        _ = side.receive(1, nameless)
        _ = side.handled(1, 1...2)
        _ = side.closed(1)
        #expect(side.domains == ["+ship.example", "-ship.example"])
        self.inbound(&side, 2)
        #expect(side.receive(2, self.own(1, delay: true)).received.isEmpty)
        #expect(side.receive(2, self.own(2)).received.isEmpty)
        #expect(side.receive(2, self.own(3, delay: true)).received.isEmpty)
        #expect(side.receive(2, nameless).received.count == 1)
        #expect(side.receive(2, "<r xmlns='urn:xmpp:sm:3'/>").written(2) == self.ack(2), "the third is not durable yet")
        _ = side.handled(1, 3...3)
        #expect(side.receive(2, "<r xmlns='urn:xmpp:sm:3'/>").written(2) == self.ack(3))
        #expect(side.receive(2, self.own(1)).received.count == 1, "known once only")
        #expect(side.side.snapshot.repeatedStanzas == 3)
        #expect(side.noted(.stanzaRepeated).count == 3)
    }

    @Test("A stanza that was refused before its stream broke is refused again, once, and taken when its sender tries once more")
    func refusedAgain() throws {
        for isRestarted in [false, true] {
            var side = self.certified(
                suspects: isRestarted ? [try #require(StanzaMark(self.own(1).fingerprint, isRefused: true))] : [])
            if !isRestarted {
                self.inbound(&side, 1)
                _ = side.receive(1, self.own(1))
                side.side.stanzaHandled(LocalReceipt(connection: 1, number: 1), isRefused: true, now: side.now)
                side.draw()
                _ = side.closed(1)
            }
            self.inbound(&side, 2)
            let actions = side.receive(2, self.own(1, delay: true))
            #expect(actions.received.isEmpty && actions.dials.count == 1)
            #expect(side.side.snapshot.queuedStanzas == 1)
            #expect(side.receive(2, "<r xmlns='urn:xmpp:sm:3'/>").written(2) == self.ack(1))
            #expect(side.receive(2, self.own(1)).received.count == 1)
        }
    }

    @Test("A stanza whose streams break each time is refused each time")
    func refusedEachTime() throws {
        var side = self.certified(suspects: [try #require(StanzaMark(self.own(1).fingerprint, isRefused: true))])
        for connection in UInt64(1)...3 {
            self.inbound(&side, connection)
            #expect(side.receive(connection, self.own(1)).received.isEmpty)
            #expect(side.side.snapshot.queuedStanzas == Int(connection))
            _ = side.closed(connection)
        }
    }

    @Test("Of a stanza that was refused first and then taken, the server sends what it sent last")
    func refusedThenTaken() throws {
        let marks = [
            try #require(StanzaMark(self.own(1).fingerprint, isRefused: true)), try #require(StanzaMark(self.own(1).fingerprint)),
        ]
        var side = self.certified(suspects: marks)
        self.inbound(&side, 1)
        #expect(side.receive(1, self.own(1)).received.isEmpty)
        #expect(side.side.snapshot.queuedStanzas == 0)
    }

    @Test("What the last run took is known again in this one, for a while")
    func restarted() {
        let suspects = (1...3).compactMap { StanzaMark(self.own($0).fingerprint) }
        var side = self.certified(suspects: suspects)
        self.inbound(&side, 1)
        #expect(side.receive(1, self.own(2, delay: true)).received.isEmpty)
        #expect(side.receive(1, "<r xmlns='urn:xmpp:sm:3'/>").written(1) == self.ack(1))
        #expect(side.receive(1, self.own(2)).received.count == 1)
        _ = side.wait(901)
        #expect(side.receive(1, self.own(1)).received.count == 1)
    }

    @Test("The last word on a stream that is closed in good order is how far the bridge came")
    func lastWord() {
        var side = self.certified()
        self.inbound(&side, 1)
        _ = side.receive(1, self.own(1))
        _ = side.handled(1, 1...1)
        side.side.streamClosed(ConnectionID(number: 1), now: side.now)
        #expect(side.draw().written(1) == self.ack(1) + "</stream:stream>")
        _ = side.closed(1)
        #expect(side.domains == ["+ship.example"], "nothing broke")
    }
}
