import NIOCore
import ServerStreams
import Testing
import XMPP

@Suite struct InboundTLSTests {
    private static let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>"

    /// A server at the door after STARTTLS and its second header.
    private func encrypted(
        _ peer: CertificateIdentities?, authentication: LocalSideConfiguration.Authentication = .certificateOrDialback
    ) -> Transcript {
        var side = Transcript(.site(encryption: .required, authentication: authentication))
        _ = side.accept(1)
        _ = side.open(1, streamID: "one")
        _ = side.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        _ = side.tls(1, peer)
        _ = side.open(1, streamID: "two")
        return side
    }

    @Test("STARTTLS: offered alone where it is required, answered with proceed, the certificate is that of the header")
    func startTLS() {
        var side = Transcript(.site(encryption: .required))
        _ = side.accept(1)
        let offer = side.open(1, to: "rooms.hq.example").written(1)
        #expect(
            offer.hasSuffix(
                "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
                    + "</stream:features>"))
        let actions = side.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        #expect(
            actions == [
                .write(ConnectionID(number: 1), "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
                .restartReader(ConnectionID(number: 1)),
                .startTLS(ConnectionID(number: 1), asServer: true, domain: "rooms.hq.example", peerName: nil),
            ])
    }

    @Test("Optional TLS stands beside dialback; off means that it is not offered and refused")
    func optionalAndOff() {
        var optional = Transcript(.site(encryption: .optional))
        _ = optional.accept(1)
        let offer = optional.open(1).written(1)
        #expect(offer.contains("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><dialback "))
        var off = Transcript(.site(encryption: .off))
        _ = off.accept(1)
        #expect(!off.open(1).written(1).contains("starttls"))
        let actions = off.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        #expect(actions.written(1) == "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
        #expect(actions.closes == [1])
    }

    @Test("TLS is never started a second time")
    func noSecondTLS() {
        var side = self.encrypted(.naming("ship.example"))
        let actions = side.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        #expect(actions.written(1).hasPrefix("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"))
        #expect(actions.closes == [1])
    }

    @Test("What is sent between proceed and the handshake ends the connection")
    func nothingBesideTheHandshake() {
        var side = Transcript(.site(encryption: .required))
        _ = side.accept(1)
        _ = side.open(1)
        _ = side.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        let actions = side.receive(1, message(from: "a@ship.example", to: "b@hq.example"))
        #expect(actions == [.close(ConnectionID(number: 1))])
    }

    @Test("SASL EXTERNAL: offered for a matching certificate, success restarts the stream, then the pair speaks")
    func external() {
        var side = self.encrypted(.naming("ship.example"))
        #expect(side.actions.written(1).contains("<mechanism>EXTERNAL</mechanism>"))
        let actions = side.receive(1, Self.auth + "c2hpcC5leGFtcGxl</auth>")
        #expect(
            actions == [
                .write(ConnectionID(number: 1), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
                .restartReader(ConnectionID(number: 1)), .authenticated(ConnectionID(number: 1)),
            ])
        let features = side.open(1, streamID: "three").written(1)
        #expect(features.contains("id='three'"))
        #expect(!features.contains("mechanism") && !features.contains("starttls"))
        let stanza = message(from: "a@ship.example", to: "b@hq.example")
        #expect(side.receive(1, stanza).received == [stanza])
    }

    @Test("After SASL further pairs may be proved by dialback on the same stream")
    func piggyback() {
        var side = self.encrypted(.naming("ship.example"))
        _ = side.receive(1, Self.auth + "=</auth>")
        _ = side.open(1, streamID: "three")
        _ = side.receive(1, "<db:result from='conference.ship.example' to='hq.example'>k</db:result>")
        _ = side.dialed(0, 2)
        _ = side.open(2, from: "conference.ship.example", id: "srv")
        _ = side.receive(2, "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")
        _ = side.receive(2, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        _ = side.tls(2, .naming("conference.ship.example"))
        _ = side.open(2, from: "conference.ship.example", id: "srv")
        let question = side.receive(2, "<stream:features/>").written(2)
        #expect(question.contains("<db:verify from='hq.example' id='three' to='conference.ship.example'>k"))
        _ = side.receive(2, "<db:verify from='conference.ship.example' to='hq.example' id='three' type='valid'/>")
        let stanza = message(from: "room@conference.ship.example/nick", to: "b@hq.example")
        #expect(side.receive(1, stanza).received == [stanza])
    }

    struct Identity: Sendable, CustomTestStringConvertible {
        var name: String
        var certificate: CertificateIdentities?
        var response = "="
        /// The SASL failure, or `nil` for success.
        var failure: String?
        var isOffered: Bool
        var testDescription: String { self.name }
    }

    @Test(
        "peers d4: EXTERNAL is offered to and granted by exactly the certificates that prove the header's domain",
        arguments: [
            Identity(name: "the name, empty authzid", certificate: .naming("ship.example"), isOffered: true),
            Identity(name: "the name, no text", certificate: .naming("ship.example"), response: "", isOffered: true),
            Identity(
                name: "the name, matching authzid", certificate: .naming("ship.example"),
                response: "c2hpcC5leGFtcGxl", isOffered: true),
            Identity(
                name: "another authzid that the certificate names as well",
                certificate: .naming("ship.example", "conference.ship.example"),
                response: "Y29uZmVyZW5jZS5zaGlwLmV4YW1wbGU=", failure: "invalid-authzid", isOffered: true),
            Identity(
                name: "an authzid that is not base64", certificate: .naming("ship.example"), response: "ship.example",
                failure: "incorrect-encoding", isOffered: true),
            Identity(
                name: "a wildcard for what lies below the domain", certificate: .naming("*.ship.example"),
                failure: "not-authorized", isOffered: false),
            Identity(
                name: "another name", certificate: .naming("evil.example"), failure: "not-authorized",
                isOffered: false),
            Identity(
                name: "expired", certificate: .invalid("certificate has expired", naming: "ship.example"),
                failure: "not-authorized", isOffered: false),
            Identity(
                name: "unknown authority", certificate: .invalid("unable to get issuer", naming: "ship.example"),
                failure: "not-authorized", isOffered: false),
            Identity(
                name: "a common name only",
                certificate: CertificateIdentities(isValid: true, subject: "CN=ship.example"),
                failure: "not-authorized", isOffered: false),
            Identity(
                name: "the name hidden in another attribute",
                certificate: CertificateIdentities(
                    isValid: true, dnsNames: ["evil.example"], subject: "O=CN\\=ship.example,CN=evil.example"),
                failure: "not-authorized", isOffered: false),
            Identity(name: "none", certificate: nil, failure: "not-authorized", isOffered: false),
        ])
    func matrix(_ identity: Identity) {
        var side = self.encrypted(identity.certificate)
        #expect(side.actions.written(1).contains("EXTERNAL") == identity.isOffered)
        let actions = side.receive(1, Self.auth + identity.response + "</auth>")
        if let failure = identity.failure {
            #expect(
                actions.written(1) == "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><\(failure)/></failure>")
            let stanza = message(from: "a@ship.example", to: "b@hq.example")
            #expect(side.receive(1, stanza).received.isEmpty)
        } else {
            #expect(actions.written(1) == "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        }
    }

    @Test("SASL in the clear, by another mechanism, or where policy has none is refused")
    func refusedSASL() {
        var clear = Transcript(.site(encryption: .optional, authentication: .certificateOrDialback))
        _ = clear.accept(1)
        _ = clear.open(1)
        #expect(clear.receive(1, Self.auth + "=</auth>").written(1).contains("<encryption-required/>"))
        var plain = self.encrypted(.naming("ship.example"))
        let other = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AA==</auth>"
        #expect(plain.receive(1, other).written(1).contains("<invalid-mechanism/>"))
        var none = self.encrypted(.naming("ship.example"), authentication: .dialback)
        #expect(!none.actions.written(1).contains("EXTERNAL"))
        #expect(none.receive(1, Self.auth + "=</auth>").written(1).contains("<invalid-mechanism/>"))
    }

    @Test(
        "Where only certificates count, a bad one ends the stream with the reason",
        arguments: [
            (CertificateIdentities.invalid("certificate has expired", naming: "ship.example"), "expired"),
            (.naming("evil.example"), "does not name ship.example"),
        ])
    func certificateOnly(_ certificate: CertificateIdentities, _ reason: String) {
        let side = self.encrypted(certificate, authentication: .certificate)
        let written = side.actions.written(1)
        #expect(written.contains("<not-authorized "))
        #expect(written.contains(reason))
        #expect(side.actions.closes == [1])
        #expect(side.noted(.certificateRefused).first?.text.contains(reason) == true)
    }

    @Test("peers d5: after authentication neither from nor to may change, and before it they may not either")
    func fixedIdentity() {
        for (from, to) in [
            ("conference.ship.example", "hq.example"), ("ship.example", "rooms.hq.example"),
            ("hq.example", "hq.example"),
        ] {
            var authenticated = self.encrypted(.naming("ship.example", "conference.ship.example"))
            _ = authenticated.receive(1, Self.auth + "=</auth>")
            let actions = authenticated.open(1, from: from, to: to, streamID: "three")
            #expect(actions.written(1).contains("<invalid-from "), "\(from) \(to)")
            #expect(actions.closes == [1])
            let stanza = message(from: "a@\(from)", to: "b@\(to)")
            #expect(authenticated.receive(1, stanza).received.isEmpty)

            var early = Transcript(.site(encryption: .optional))
            _ = early.accept(1)
            _ = early.open(1)
            _ = early.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            _ = early.tls(1, nil)
            #expect(early.open(1, from: from, to: to, streamID: "two").written(1).contains("<invalid-from "))
        }
    }

    @Test("A header after authentication that leaves the addresses out keeps them")
    func keptIdentity() {
        var side = self.encrypted(.naming("ship.example"))
        _ = side.receive(1, Self.auth + "=</auth>")
        let written = side.open(1, from: nil, to: nil, streamID: "three").written(1)
        #expect(written.contains("from='hq.example' to='ship.example'"))
        let stanza = message(from: "a@ship.example", to: "b@hq.example")
        #expect(side.receive(1, stanza).received == [stanza])
    }

    @Test("peers d3: a certificate that fails validation authorises nothing by any path")
    func badCertificateProvesNothing() {
        var side = self.encrypted(.invalid("self-signed certificate", naming: "ship.example"))
        #expect(side.receive(1, Self.auth + "=</auth>").written(1).contains("<not-authorized/>"))
        // A key is not waved through because of the certificate: the authoritative server is asked.
        let actions = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        #expect(!actions.written(1).contains("valid"))
        #expect(actions.dials == [0])
        #expect(
            side.receive(1, message(from: "a@ship.example", to: "b@hq.example")).received.isEmpty)
    }

    @Test("Not even a valid certificate replaces the authoritative server's word on a key")
    func noDialbackWithoutDialback() {
        var side = self.encrypted(.naming("ship.example"))
        let actions = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        #expect(actions.dials == [0] && !actions.written(1).contains("valid"))
    }
}
