import ServerStreams
import TLS
import Testing
import XMPP

@Suite struct DialbackTests {
    /// XEP-0220 §2.1.1 and §2.1.2, with the secrets of its examples.
    private static let capulet = OpenSSLServerStreamSecrets(secret: Array("s3cr3tf0rd14lb4ck".utf8))
    private static let montague = OpenSSLServerStreamSecrets(secret: Array("d14lb4ck43v3r".utf8))

    @Test("Both examples of XEP-0220 give the keys that it prints")
    func vectors() {
        #expect(
            Self.capulet.dialbackKey(
                receiving: "montague.example", originating: "capulet.example", streamID: "D60000229F")
                == "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3")
        #expect(
            Self.montague.dialbackKey(
                receiving: "capulet.example", originating: "montague.example", streamID: "417GAF25")
                == "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d")
    }

    private func authority(
        _ secrets: any ServerStreamSecrets, remote: String, local: Domain,
        encryption: LocalSideConfiguration.Encryption = .off
    ) -> DialbackAuthority {
        var configuration = LocalSideConfiguration(
            localDomains: [local], remoteDomains: [DomainPattern(remote)].compactMap { $0 })
        configuration.encryption = encryption
        configuration.authentication = .dialback
        return DialbackAuthority(configuration: configuration, secrets: secrets)
    }

    @Test("The authority knows its own key from the question alone")
    func ownKey() {
        let authority = self.authority(Self.montague, remote: "montague.example", local: "capulet.example")
        let key = "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d"
        func answer(_ receiving: Domain, _ originating: Domain, _ id: String?, _ key: String) -> DialbackAnswer {
            authority.answer(
                receiving: receiving, originating: originating, streamID: id, key: key, isEncrypted: false)
        }
        #expect(answer("capulet.example", "montague.example", "417GAF25", key) == .valid)
        #expect(answer("capulet.example", "montague.example", "417GAF26", key) == .invalid)
        #expect(answer("evil.example", "montague.example", "417GAF25", key) == .invalid)
        #expect(answer("capulet.example", "montague.example", "417GAF25", String(key.dropLast())) == .invalid)
        #expect(answer("capulet.example", "montague.example", "417GAF25", "") == .invalid)
        #expect(answer("capulet.example", "montague.example", nil, key) == .invalid)
        #expect(answer("montague.example", "capulet.example", "417GAF25", key) == .error(.itemNotFound))
        #expect(answer("capulet.example", "other.example", "417GAF25", key) == .error(.itemNotFound))
    }

    @Test("Where TLS is demanded, a question in the clear is refused")
    func clearQuestion() {
        let authority = self.authority(
            Self.montague, remote: "montague.example", local: "capulet.example", encryption: .required)
        let key = authority.key(for: DomainPair(remote: "montague.example", local: "capulet.example"), streamID: "1")
        let inClear = authority.answer(
            receiving: "capulet.example", originating: "montague.example", streamID: "1", key: key, isEncrypted: false)
        let overTLS = authority.answer(
            receiving: "capulet.example", originating: "montague.example", streamID: "1", key: key, isEncrypted: true)
        #expect(inClear == .error(.policyViolation))
        #expect(overTLS == .valid)
    }

    @Test("peers d2: domains that run into each other, swapped roles and other secrets give other keys")
    func unambiguousKeys() {
        let inputs: [(Domain, Domain, String)] = [
            ("example.info", "rm.example.org", "1"), ("example.in", "form.example.org", "1"),
            ("example.inform", "example.org", "1"), ("rm.example.org", "example.info", "1"),
            ("example.info", "rm.example.org", "11"), ("example.info", "rm.example.or", "g1"),
            ("example.info", "rm.example.org", ""), ("example.info", "rm.example.org", " 1"),
        ]
        var keys: Set<String> = []
        for secrets in [Self.capulet, Self.montague, .random(), .random()] {
            for (receiving, originating, id) in inputs {
                keys.insert(secrets.dialbackKey(receiving: receiving, originating: originating, streamID: id))
            }
        }
        #expect(keys.count == inputs.count * 4)
        #expect(keys.allSatisfy { $0.utf8.count == 64 })
        // No domain can hold the separator.
        let separated = "example.info rm.example.org"
        #expect(Domain(separated) == nil)
    }

    @Test("A question over a stream is answered with swapped addresses and the id, without any proof asked for")
    func question() {
        var side = Transcript(secrets: Self.montague)
        _ = side.accept(1)
        _ = side.open(1)
        let key = Self.montague.dialbackKey(receiving: "ship.example", originating: "hq.example", streamID: "a'b")
        #expect(
            side.receive(1, "<db:verify from='ship.example' to='hq.example' id='a&apos;b'>\n \(key)\n</db:verify>")
                .written(1) == "<db:verify from='hq.example' id='a&apos;b' to='ship.example' type='valid'/>")
        #expect(
            side.receive(1, "<db:verify from='ship.example' to='hq.example' id='x'>\(key)</db:verify>")
                .written(1) == "<db:verify from='hq.example' id='x' to='ship.example' type='invalid'/>")
        #expect(
            side.receive(1, "<db:verify from='ship.example' to='ship.example' id='x'>\(key)</db:verify>")
                .written(1).contains("type='error'><error type='cancel'><item-not-found "))
        #expect(side.noted(.dialbackInvalid).count == 1)
    }

    @Test("Strangers' bad keys, passed on by the server, do not cost the server its stream")
    func manyInvalidQuestions() {
        var side = Transcript()
        _ = side.accept(1)
        _ = side.open(1)
        for number in 0..<20 {
            let actions = side.receive(1, "<db:verify from='ship.example' to='hq.example' id='\(number)'>k</db:verify>")
            #expect(actions.closes.isEmpty)
        }
    }

    @Test("Base64 of identities reads what it writes and refuses everything else", arguments: [
        ("h", "aA=="), ("hr", "aHI="), ("hr.", "aHIu"), ("hr.example", "aHIuZXhhbXBsZQ=="),
        ("ünïcode.example", "w7xuw69jb2RlLmV4YW1wbGU="),
    ])
    func base64(_ text: String, _ encoded: String) {
        // Seen through the machine: the identity that is sent, and the one that is accepted.
        guard let domain = Domain(text) else { return }
        var configuration = LocalSideConfiguration.site(encryption: .required, authentication: .certificate)
        configuration.localDomains = [domain]
        var side = Transcript(configuration)
        _ = side.accept(1)
        _ = side.open(1, from: text)
        _ = side.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        _ = side.tls(1, CertificateIdentities(isValid: true, xmppAddresses: [text]))
        _ = side.open(1, from: text)
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>"
        for bad in ["a", "aHI", "aH=I", "a!I=", "=aHI", "aHJ=", "/w=="] {
            var other = Transcript(configuration)
            _ = other.accept(1)
            _ = other.open(1, from: text)
            _ = other.receive(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            _ = other.tls(1, CertificateIdentities(isValid: true, xmppAddresses: [text]))
            _ = other.open(1, from: text)
            #expect(other.receive(1, auth + bad + "</auth>").written(1).contains("<failure "), "\(bad)")
        }
        #expect(side.receive(1, auth + encoded + "</auth>").written(1).contains("<success "))
    }
}
