import NIOCore
import ServerStreams
import TLS
import Testing
import XMPP

/// Two local sides, each playing the other's server, over real readers and bytes that come in drips.
@Suite struct WiredSidesTests {
    struct Setting: Sendable, CustomTestStringConvertible {
        var name: String
        var encryption: LocalSideConfiguration.Encryption
        var authentication: LocalSideConfiguration.Authentication
        /// The other one's, where it differs.
        var serverEncryption: LocalSideConfiguration.Encryption?
        var serverAuthentication: LocalSideConfiguration.Authentication?
        var testDescription: String { self.name }
    }

    static let settings = [
        Setting(name: "dialback in the clear", encryption: .off, authentication: .dialback),
        Setting(name: "STARTTLS and dialback", encryption: .required, authentication: .dialback),
        Setting(name: "SASL EXTERNAL", encryption: .required, authentication: .certificate),
        Setting(name: "either", encryption: .optional, authentication: .certificateOrDialback),
        Setting(
            name: "TLS that only one side can", encryption: .optional, authentication: .certificateOrDialback,
            serverEncryption: .off),
        Setting(
            name: "EXTERNAL that only one side takes", encryption: .required, authentication: .certificateOrDialback,
            serverAuthentication: .dialback),
        Setting(
            name: "EXTERNAL that one side insists on", encryption: .optional, authentication: .certificateOrDialback,
            serverEncryption: .required, serverAuthentication: .certificate),
    ]

    private func wire(_ setting: Setting, seed: UInt64) -> Wire {
        Wire(
            bridge: .site(encryption: setting.encryption, authentication: setting.authentication),
            server: .server(
                encryption: setting.serverEncryption ?? setting.encryption,
                authentication: setting.serverAuthentication ?? setting.authentication), seed: seed)
    }

    /// Stanzas of every pair, both ways.
    private func conversation(_ rounds: Range<Int>) -> [(Wire.Which, Stanza)] {
        rounds.flatMap { round -> [(Wire.Which, Stanza)] in
            let pairs = [("b@hq.example", "a@ship.example"), ("r@rooms.hq.example", "a@ship.example"),
                ("b@hq.example", "r@conference.ship.example")]
            return pairs.flatMap { remote, local in
                [
                    (.bridge, message(from: remote, to: local, "to \(local) \(round)")),
                    (.server, message(from: local, to: remote, "to \(remote) \(round)")),
                ]
            }
        }
    }

    private func expectAll(
        _ wire: borrowing Wire, _ sent: [(Wire.Which, Stanza)], _ comment: Comment,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for which in Wire.Which.allCases {
            let expected = sent.filter { $0.0 == which }.map(\.1)
            let got = wire.received[which.other] ?? []
            #expect(got.count == expected.count, comment, sourceLocation: sourceLocation)
            // Order holds per pair.
            for pair in Set(expected.map(\.pairHash)) {
                #expect(
                    got.filter { $0.pairHash == pair } == expected.filter { $0.pairHash == pair }, comment,
                    sourceLocation: sourceLocation)
            }
            let undelivered = wire.undeliverable[which]?.isEmpty
            #expect(undelivered == true, comment, sourceLocation: sourceLocation)
        }
    }

    @Test("Every negotiation ends with all stanzas delivered both ways, in order", arguments: settings, 0..<8 as Range<UInt64>)
    func negotiations(_ setting: Setting, _ seed: UInt64) {
        var wire = self.wire(setting, seed: seed)
        let sent = self.conversation(0..<5)
        for (which, stanza) in sent[..<12] { wire.deliver(which, stanza) }
        wire.wait(1)
        for (which, stanza) in sent[12...] { wire.deliver(which, stanza) }
        wire.wait(120)
        self.expectAll(wire, sent, "seed \(seed)")
        let problems = Wire.Which.allCases.flatMap { which in
            (wire.notes[which] ?? []).filter { $0.severity > .information }.map { $0.text }
        }
        #expect(problems == [], "seed \(seed)")
        // Streams that were only there to ask are gone: one per pair and direction is left.
        let streams = wire.bridge.snapshot.streams
        #expect(streams.count == 6)
        #expect(streams.allSatisfy { $0.pairs.count == 1 && $0.state == "open" })
    }

    @Test("One byte at a time makes no difference, and real keys work", arguments: settings)
    func bytewise(_ setting: Setting) {
        var wire = Wire(
            bridge: .site(encryption: setting.encryption, authentication: setting.authentication),
            server: .server(
                encryption: setting.serverEncryption ?? setting.encryption,
                authentication: setting.serverAuthentication ?? setting.authentication), seed: 1,
            bridgeSecrets: OpenSSLServerStreamSecrets.random(), serverSecrets: OpenSSLServerStreamSecrets.random())
        wire.largestPiece = 1
        let sent = self.conversation(0..<2)
        for (which, stanza) in sent { wire.deliver(which, stanza) }
        wire.wait(60)
        self.expectAll(wire, sent, "\(setting.name)")
    }

    @Test("Only one side speaks: the other one still dials back to verify, and closes that stream again")
    func oneWay() {
        var wire = self.wire(Self.settings[0], seed: 3)
        wire.deliver(.server, message(from: "a@ship.example", to: "b@hq.example"))
        wire.wait(10)
        #expect(wire.received[.bridge]?.count == 1)
        #expect(wire.dials == [.bridge: 1, .server: 1])
        #expect(wire.openConnections == 2)
    }

    @Test("An expired certificate: dialback carries on where policy has it, nothing passes where it has not")
    func badCertificate() {
        for (setting, passes) in [(Self.settings[3], true), (Self.settings[2], false)] {
            var wire = self.wire(setting, seed: 4)
            wire.certificate = { .invalid("certificate has expired", naming: $0.string) }
            wire.deliver(.bridge, message(from: "b@hq.example", to: "a@ship.example"))
            wire.wait(400)
            #expect(wire.received[.server]?.count == (passes ? 1 : 0))
            #expect(wire.undeliverable[.bridge]?.count == (passes ? 0 : 1))
            #expect(wire.noted(.bridge, .certificateRefused) > 0)
        }
    }

    @Test("Streams that are cut heal; nothing that still lay in a queue is lost", arguments: 0..<6 as Range<UInt64>)
    func cuts(_ seed: UInt64) {
        var wire = self.wire(Self.settings[Int(seed) % Self.settings.count], seed: seed)
        let sent = self.conversation(0..<9)
        for (which, stanza) in sent[..<18] { wire.deliver(which, stanza) }
        wire.wait(20)
        wire.cut()
        wire.canDial = { _ in false }
        for (which, stanza) in sent[18..<36] { wire.deliver(which, stanza) }
        wire.wait(45)
        wire.canDial = { _ in true }
        wire.wait(90)
        for (which, stanza) in sent[36...] { wire.deliver(which, stanza) }
        wire.wait(30)
        self.expectAll(wire, sent, "seed \(seed)")
    }

    @Test("Shutdown of one side closes every stream on both")
    func shutdown() {
        var wire = self.wire(Self.settings[1], seed: 5)
        let sent = self.conversation(0..<2)
        for (which, stanza) in sent { wire.deliver(which, stanza) }
        wire.wait(10)
        #expect(wire.openConnections == 12)
        let now = wire.now
        wire.with(.bridge) { $0.shutdownRequested(now: now) }
        wire.wait(1)
        let isShutDown = wire.bridge.isShutDown
        #expect(isShutDown)
        #expect(wire.openConnections == 0)
        self.expectAll(wire, sent, "")
    }

    @Test("Several senders share streams where both sides take it")
    func multiplexing() {
        var bridge = LocalSideConfiguration.site()
        bridge.multiplexesSenderDomains = true
        var wire = Wire(bridge: bridge, server: .server(), seed: 6)
        let sent = self.conversation(0..<3)
        wire.deliver(sent[0].0, sent[0].1)
        wire.wait(5)
        for (which, stanza) in sent[1...] { wire.deliver(which, stanza) }
        wire.wait(10)
        self.expectAll(wire, sent, "")
        let outbound = wire.bridge.snapshot.streams.filter { $0.direction == .outbound }
        #expect(outbound.map(\.pairs.count).sorted() == [1, 2])
    }

    @Test("Keys of another secret are found out: nothing passes, senders are told")
    func impostor() {
        // The server asks a bridge that does not know the key: here the real one has another secret than the dialler.
        var wire = self.wire(Self.settings[0], seed: 7)
        let now = wire.now
        wire.with(.server) { $0.connectionAccepted(ConnectionID(number: 900), now: now) }
        let header = StreamHeader(from: "hq.example", to: "ship.example")
        wire.with(.server) { $0.streamOpened(ConnectionID(number: 900), header: header, streamID: "s900", now: now) }
        let claim = element("<db:result from='hq.example' to='ship.example'>forged</db:result>")
        wire.with(.server) { $0.stanzaReceived(ConnectionID(number: 900), claim, now: now) }
        wire.wait(5)
        let stanza = message(from: "b@hq.example", to: "a@ship.example")
        wire.with(.server) { $0.stanzaReceived(ConnectionID(number: 900), stanza, now: now) }
        wire.wait(5)
        #expect(wire.received[.server]?.isEmpty == true)
        #expect(wire.noted(.server, .dialbackInvalid) == 1)
        #expect(wire.noted(.bridge, .dialbackInvalid) == 1)
    }
}
