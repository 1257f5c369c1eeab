import NIOCore
import ServerStreams
import Testing
import XMPP

@Suite struct OutboundStreamTests {
    private static let stanza = message(from: "b@hq.example", to: "a@ship.example")
    private static let features = "<stream:features>"
    private static let external =
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"
        + "<mechanism>EXTERNAL</mechanism></mechanisms>"
    private static let startTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    private static let requiredTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
    private static let dialback = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"

    /// A stanza waits, the server is connected, its header came.
    private func connected(
        _ configuration: LocalSideConfiguration = .site(), version: String? = "1.0", id: String? = "srv"
    ) -> Transcript {
        var side = Transcript(configuration)
        _ = side.deliver(Self.stanza)
        _ = side.dialed(0, 1)
        _ = side.open(1, from: "ship.example", to: "hq.example", id: id, version: version, streamID: "unused")
        return side
    }

    private func features(_ offers: String...) -> String { "<stream:features>\(offers.joined())</stream:features>" }

    /// The same over TLS, before the features.
    private func encrypted(
        _ configuration: LocalSideConfiguration, peer: CertificateIdentities? = .naming("ship.example")
    ) -> Transcript {
        var side = self.connected(configuration)
        _ = side.receive(1, self.features(Self.requiredTLS))
        _ = side.receive(1, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        _ = side.tls(1, peer)
        _ = side.open(1, from: "ship.example", id: "srv2")
        return side
    }

    @Test("A stanza makes the bridge dial and greet; nothing of it is written before the pair is authorised")
    func dialback() {
        var side = Transcript()
        #expect(side.deliver(Self.stanza) == [.dial(DialToken(number: 0))])
        #expect(
            side.dialed(0, 1).written(1)
                == "<?xml version='1.0'?><stream:stream xmlns='jabber:server' "
                + "xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' "
                + "from='hq.example' to='ship.example' version='1.0'>")
        #expect(side.open(1, id: "srv").isEmpty)
        #expect(
            side.receive(1, self.features(Self.dialback)).written(1)
                == "<db:result from='hq.example' to='ship.example'>key|ship.example|hq.example|srv</db:result>")
        let actions = side.receive(1, "<db:result from='ship.example' to='hq.example' type='valid'/>")
        #expect(
            actions == [
                .authenticated(ConnectionID(number: 1)), .writeStanza(ConnectionID(number: 1), Self.stanza),
            ])
        #expect(side.deliver(Self.stanza) == [.writeStanza(ConnectionID(number: 1), Self.stanza)])
    }

    @Test("A server of before features gets its key at once")
    func versionZero() {
        let side = self.connected(version: nil)
        #expect(side.actions.written(1).contains("<db:result "))
        let secured = self.connected(.site(encryption: .required), version: nil)
        #expect(!secured.actions.written(1).contains("<db:result "))
        #expect(secured.actions.written(1).contains("<policy-violation "))
        #expect(secured.noted(.negotiationFailed).count == 1)
    }

    @Test("STARTTLS and dialback over it")
    func startTLSAndDialback() {
        var side = self.connected(.site(encryption: .required))
        #expect(side.receive(1, self.features(Self.startTLS)).written(1) == Self.startTLS)
        #expect(
            side.receive(1, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                == [
                    .restartReader(ConnectionID(number: 1)),
                    .startTLS(
                        ConnectionID(number: 1), asServer: false, domain: "hq.example", peerName: "ship.example"),
                ])
        #expect(side.tls(1, .invalid("self-signed", naming: "ship.example")).written(1).contains("<stream:stream "))
        _ = side.open(1, id: "srv2")
        #expect(side.receive(1, self.features(Self.dialback)).written(1).contains("|srv2</db:result>"))
        let actions = side.receive(1, "<db:result from='ship.example' to='hq.example' type='valid'/>")
        #expect(actions.contains(.writeStanza(ConnectionID(number: 1), Self.stanza)))
    }

    @Test("SASL EXTERNAL with the domain as identity, restart, then stanzas without dialback")
    func external() {
        var side = self.encrypted(.site(encryption: .required, authentication: .certificate))
        #expect(
            side.receive(1, self.features(Self.external)).written(1)
                == "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>aHEuZXhhbXBsZQ==</auth>")
        let actions = side.receive(1, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        #expect(actions.first == .restartReader(ConnectionID(number: 1)))
        #expect(actions.written(1).contains("from='hq.example' to='ship.example'"))
        #expect(side.open(1, id: "srv3").isEmpty)
        #expect(
            side.receive(1, self.features())
                == [.authenticated(ConnectionID(number: 1)), .writeStanza(ConnectionID(number: 1), Self.stanza)])
    }

    @Test("EXTERNAL refused: dialback on the same stream, or the end where only certificates count")
    func externalRefused() {
        let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
        var either = self.encrypted(.site(encryption: .required, authentication: .certificateOrDialback))
        _ = either.receive(1, self.features(Self.external, Self.dialback))
        #expect(either.receive(1, failure).written(1).contains("|srv2</db:result>"))
        #expect(either.noted(.certificateRefused).count == 1)

        var strict = self.encrypted(.site(encryption: .required, authentication: .certificate))
        _ = strict.receive(1, self.features(Self.external))
        #expect(strict.receive(1, failure).closes == [1])
    }

    @Test("EXTERNAL refused with a closed stream: the next stream goes to dialback at once")
    func externalRefusedAndClosed() {
        var side = self.encrypted(.site(encryption: .required, authentication: .certificateOrDialback))
        _ = side.receive(1, self.features(Self.external))
        _ = side.receive(1, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
        side.side.streamClosed(ConnectionID(number: 1), now: side.now)
        _ = side.draw()
        #expect(side.closed(1).dials == [1])
        _ = side.dialed(1, 2)
        _ = side.open(2, id: "srv3")
        _ = side.receive(2, self.features(Self.requiredTLS))
        _ = side.receive(2, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        _ = side.tls(2, .naming("ship.example"))
        _ = side.open(2, id: "srv4")
        let written = side.receive(2, self.features(Self.external, Self.dialback)).written(2)
        #expect(written.contains("|srv4</db:result>") && !written.contains("<auth"))
    }

    struct DeadEnd: Sendable, CustomTestStringConvertible {
        var name: String
        var configuration: LocalSideConfiguration
        var offer: String
        var advice: String
        var testDescription: String { self.name }
    }

    @Test(
        "A negotiation that leads nowhere ends with a note that says why, and nothing is written",
        arguments: [
            DeadEnd(
                name: "TLS demanded here, not offered there", configuration: .site(encryption: .required),
                offer: "<dialback xmlns='urn:xmpp:features:dialback'/>", advice: "TLS is demanded here"),
            DeadEnd(
                name: "TLS demanded there, off here", configuration: .site(encryption: .off), offer: Self.requiredTLS,
                advice: "[site.tls] mode is \"off\""),
            DeadEnd(
                name: "certificates only, no TLS",
                configuration: .site(encryption: .optional, authentication: .certificate), offer: "",
                advice: "TLS is demanded here"),
        ])
    func deadEnds(_ end: DeadEnd) {
        var side = self.connected(end.configuration)
        let actions = side.receive(1, "<stream:features>\(end.offer)</stream:features>")
        #expect(actions.closes == [1])
        #expect(!actions.contains { if case .writeStanza = $0 { true } else { false } })
        #expect(side.noted(.negotiationFailed).first?.text.contains(end.advice) == true)
    }

    @Test("Where only certificates count, the server's must be valid for its domain and EXTERNAL must be offered")
    func serverCertificate() {
        let strict = LocalSideConfiguration.site(encryption: .required, authentication: .certificate)
        for peer in [
            CertificateIdentities.invalid("expired", naming: "ship.example"), .naming("evil.example"), nil,
        ] {
            let side = self.encrypted(strict, peer: peer)
            #expect(side.actions.closes == [1])
            #expect(side.noted(.certificateRefused).count == 1)
        }
        var untrusted = self.encrypted(strict)
        #expect(untrusted.receive(1, self.features(Self.dialback)).closes == [1])
        #expect(untrusted.noted(.negotiationFailed).first?.text.contains("skywave pki") == true)
    }

    @Test("Dialback invalid: what waits goes back with internal-server-error, the stream ends")
    func invalid() {
        var side = self.connected()
        _ = side.receive(1, self.features(Self.dialback))
        let actions = side.receive(1, "<db:result from='ship.example' to='hq.example' type='invalid'/>")
        #expect(actions.undeliverable.map(\.condition) == [.internalServerError])
        #expect(actions.closes == [1])
        #expect(side.closed(1).dials.isEmpty)
    }

    @Test("Dialback error: what waits goes back with remote-server-timeout")
    func dialbackError() {
        var side = self.connected()
        _ = side.receive(1, self.features(Self.dialback))
        let actions = side.receive(
            1,
            "<db:result from='ship.example' to='hq.example' type='error'><error type='cancel'>"
                + "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>")
        #expect(
            actions.contains(.undeliverable(Self.stanza, nil, .remoteServerTimeout, .wait)))
        #expect(side.side.snapshot.queues.first?.lastError?.contains("item-not-found") == true)
        // The next one waits for the pause, then tries again.
        _ = side.closed(1)
        #expect(side.deliver(Self.stanza).isEmpty)
        #expect(side.wait(2).dials == [1])
    }

    @Test("A question is asked before the bridge itself is authorised: the server may be waiting for just that")
    func questionBeforeAuthorisation() {
        var side = self.connected()
        _ = side.receive(1, self.features(Self.dialback))
        _ = side.accept(2)
        _ = side.open(2, streamID: "fresh")
        let actions = side.receive(2, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        #expect(actions.dials.isEmpty)
        #expect(actions.written(1) == "<db:verify from='hq.example' id='fresh' to='ship.example'>k</db:verify>")
    }

    @Test("peers d1: unsolicited answers change nothing and are noted")
    func unsolicited() {
        var side = self.connected()
        let answers = [
            "<db:result from='ship.example' to='hq.example' type='valid'/>",
            "<db:verify from='ship.example' to='hq.example' id='fresh' type='valid'/>",
        ]
        // Before anything was asked, on the stream of ours …
        for answer in answers { #expect(side.receive(1, answer).isEmpty) }
        _ = side.receive(1, self.features(Self.dialback))
        // … after a question about another pair, another id, or without addresses …
        _ = side.accept(2)
        _ = side.open(2, streamID: "fresh")
        _ = side.receive(2, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        for answer in [
            "<db:result from='conference.ship.example' to='hq.example' type='valid'/>",
            "<db:result from='ship.example' to='rooms.hq.example' type='valid'/>",
            "<db:result type='valid'/>",
            "<db:result from='ship.example' to='hq.example'/>",
            "<db:verify from='ship.example' to='hq.example' id='other' type='valid'/>",
            "<db:verify from='ship.example' to='rooms.hq.example' id='fresh' type='valid'/>",
            "<db:verify from='ship.example' to='hq.example' type='valid'/>",
        ] {
            #expect(side.receive(1, answer).isEmpty, "\(answer)")
        }
        // … and on a stream of the server, where nothing is ever asked.
        for answer in answers { #expect(side.receive(2, answer).isEmpty) }
        #expect(side.noted(.dialbackUnsolicited).count == 11)
        #expect(side.receive(2, message(from: "a@ship.example", to: "b@hq.example")).received.isEmpty)
        // The true answers still count.
        #expect(side.receive(1, answers[0]).contains(.writeStanza(ConnectionID(number: 1), Self.stanza)))
    }

    @Test("An answer counts only on the stream on which the question was asked")
    func answerOnAnotherStream() {
        var side = self.connected()
        _ = side.receive(1, self.features(Self.dialback))
        _ = side.deliver(message(from: "b@hq.example", to: "r@conference.ship.example"))
        _ = side.dialed(1, 3)
        _ = side.open(3, from: "conference.ship.example", id: "srv9")
        _ = side.receive(3, self.features(Self.dialback))
        #expect(side.receive(3, "<db:result from='ship.example' to='hq.example' type='valid'/>").isEmpty)
        #expect(side.noted(.dialbackUnsolicited).count == 1)
    }

    @Test("Stanzas, foreign answers and headers without an id end a stream of ours")
    func misbehaviour() {
        var side = self.connected()
        _ = side.receive(1, self.features(Self.dialback))
        let actions = side.receive(1, message(from: "a@ship.example", to: "b@hq.example"))
        #expect(actions.received.isEmpty)
        #expect(actions.written(1).contains("<not-authorized "))
        #expect(self.connected(id: nil).actions.closes == [1])
        #expect(self.connected(version: "x").actions.written(1).contains("<unsupported-version "))
        var other = Transcript()
        _ = other.deliver(Self.stanza)
        _ = other.dialed(0, 1)
        #expect(other.open(1, from: "evil.example", id: "x").written(1).contains("<invalid-from "))
    }

    @Test("Several remote domains share a stream where that is switched on and the server takes errors well")
    func senderMultiplexing() {
        var configuration = LocalSideConfiguration.site()
        configuration.multiplexesSenderDomains = true
        var side = self.connected(configuration)
        _ = side.receive(1, self.features(Self.dialback))
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example' type='valid'/>")
        let second = message(from: "r@rooms.hq.example", to: "a@ship.example")
        let actions = side.deliver(second)
        #expect(actions.dials.isEmpty)
        #expect(
            actions.written(1)
                == "<db:result from='rooms.hq.example' to='ship.example'>key|ship.example|rooms.hq.example|srv</db:result>")
        #expect(
            side.receive(1, "<db:result from='ship.example' to='rooms.hq.example' type='valid'/>")
                == [.writeStanza(ConnectionID(number: 1), second)])
        // To another local domain it is another stream.
        #expect(side.deliver(message(from: "b@hq.example", to: "r@conference.ship.example")).dials == [1])
    }

    @Test("A negotiation that does not end is ended, whatever the server says meanwhile (peers d22)")
    func deadline() {
        var side = self.connected()
        for _ in 0..<5 {
            _ = side.wait(11)
            _ = side.receive(1, "<db:verify from='ship.example' to='hq.example' id='x' type='valid'/>")
        }
        let actions = side.wait(6)
        #expect(actions.written(1).contains("<connection-timeout "))
        #expect(actions.closes == [1])
    }
}
