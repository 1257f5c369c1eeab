import Testing

@testable import XMPP

@Suite("Certificate identities (RFC 6125, XEP-0178)")
struct CertificateIdentitiesTests {
    private func identities(
        dns: [String] = [], srv: [String] = [], xmpp: [String] = [], isValid: Bool = true, subject: String = ""
    ) -> CertificateIdentities {
        CertificateIdentities(
            isValid: isValid, failure: isValid ? nil : "it expired", dnsNames: dns, serviceNames: srv,
            xmppAddresses: xmpp, subject: subject)
    }

    private func matches(_ identities: CertificateIdentities, _ domain: String) throws -> Bool {
        identities.matches(try #require(Domain(domain)))
    }

    @Test(
        "peers d4: each kind of name proves its own domain in any case, and no other",
        arguments: [
            CertificateIdentities(isValid: true, dnsNames: ["HQ.example"]),
            CertificateIdentities(isValid: true, serviceNames: ["_XMPP-Server.hq.example"]),
            CertificateIdentities(isValid: true, xmppAddresses: ["hq.EXAMPLE"]),
        ])
    func kinds(_ identities: CertificateIdentities) throws {
        #expect(try self.matches(identities, "hq.example"))
        #expect(try self.matches(identities, "HQ.Example."))
        #expect(try !self.matches(identities, "ship.hq.example"))
        #expect(try !self.matches(identities, "example"))
        #expect(try !self.matches(identities, "hq.example.org"))
        #expect(try !self.matches(identities, "xhq.example"))
    }

    @Test(
        "peers d4: a wildcard stands for exactly one whole label",
        arguments: [
            ("*.hq.example", "rooms.hq.example", true), ("*.hq.example", "hq.example", false),
            ("*.hq.example", "a.rooms.hq.example", false), ("r*.hq.example", "rooms.hq.example", false),
            ("*", "example", false), ("*.example", "hq.example", false), ("rooms.*.example", "rooms.hq.example", false),
            ("*.*.example", "rooms.hq.example", false), ("*.hq.example", "*.hq.example", false),
            ("*hq.example", "hq.example", false), (".hq.example", "hq.example", false), ("", "hq.example", false),
            ("*.hq.example.", "rooms.hq.example", true),
        ])
    func wildcards(presented: String, wanted: String, expected: Bool) throws {
        let identities = CertificateIdentities(isValid: true, dnsNames: [presented])
        guard let domain = Domain(wanted) else {
            #expect(!expected)
            return
        }
        #expect(identities.matches(domain) == expected)
    }

    @Test("peers d4: only the XMPP server service counts, and never with a wildcard")
    func services() throws {
        #expect(try !self.matches(self.identities(srv: ["_xmpp-client.hq.example"]), "hq.example"))
        #expect(try !self.matches(self.identities(srv: ["hq.example"]), "hq.example"))
        #expect(try !self.matches(self.identities(srv: ["_xmpp-server.*.example"]), "hq.example"))
        #expect(try !self.matches(self.identities(srv: ["_xmpp-server"]), "hq.example"))
        #expect(try !self.matches(self.identities(dns: ["_xmpp-server.hq.example"]), "hq.example"))
    }

    @Test("an XMPP address of a user or with a resource does not prove his server")
    func addresses() throws {
        #expect(try !self.matches(self.identities(xmpp: ["ann@hq.example"]), "hq.example"))
        #expect(try !self.matches(self.identities(xmpp: ["hq.example/server"]), "hq.example"))
        #expect(try !self.matches(self.identities(xmpp: ["*.hq.example"]), "rooms.hq.example"))
    }

    @Test("peers d3, d4: a certificate that is not valid proves nothing, and the subject never does")
    func invalid() throws {
        let expired = self.identities(
            dns: ["hq.example", "*.hq.example"], srv: ["_xmpp-server.hq.example"], xmpp: ["hq.example"], isValid: false)
        #expect(try !self.matches(expired, "hq.example"))
        #expect(try !self.matches(expired, "rooms.hq.example"))
        #expect(expired.names(try #require(Domain("hq.example"))))
        #expect(try !self.matches(self.identities(subject: "CN=hq.example"), "hq.example"))
        #expect(try !self.matches(self.identities(subject: "hq.example"), "hq.example"))
    }

    @Test("an internationalised domain is found in either form")
    func internationalised() throws {
        #expect(try self.matches(self.identities(dns: ["xn--bcher-kva.example"]), "bücher.example"))
        #expect(try self.matches(self.identities(dns: ["xn--bcher-kva.example"]), "BÜCHER.example"))
        #expect(try self.matches(self.identities(xmpp: ["bücher.example"]), "xn--bcher-kva.example"))
        #expect(try self.matches(self.identities(dns: ["*.xn--bcher-kva.example"]), "räume.bücher.example"))
        #expect(try !self.matches(self.identities(dns: ["xn--bcher-kva.example"]), "bucher.example"))
    }

    // From RFC 3492 §7.1 in lower case, without the letters that folding changes; each checked with Python's own codec.
    @Test(
        "Punycode agrees with other implementations (RFC 3492)",
        arguments: [
            ("bücher", "xn--bcher-kva"), ("münchen", "xn--mnchen-3ya"),
            ("ليهمابتكلموشعربي؟", "xn--egbpdaj6bu4bxfgehfvwxn"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
            ("pročprostěnemluvíčesky", "xn--proprostnemluvesky-uyb24dma41a"),
            ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"),
            ("💡", "xn--ds8h"),
        ])
    func punycode(text: String, expected: String) {
        #expect(Punycode.label(of: text) == expected)
    }

    @Test("a label far too long for Punycode is left as it is")
    func longLabel() {
        let label = String(repeating: "ü", count: 1000)
        #expect(Punycode.label(of: label) == label)
    }

    @Test("the fingerprint is written in pairs with colons")
    func fingerprint() {
        let identities = CertificateIdentities(isValid: true, fingerprint: [0x00, 0x1f, 0xa0, 0xff])
        #expect(identities.fingerprintText == "00:1F:A0:FF")
    }
}
