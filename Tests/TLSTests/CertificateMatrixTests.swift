import NIOEmbedded
import TestSupport
import Testing
import XMPP

@testable import TLS

@Suite("peers d4: which certificate proves hq.example")
struct CertificateMatrixTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Whether a client that dials hq.example accepts it.
        var provesServer = false
        /// Whether a server may authorise a client that claims hq.example.
        var provesClient: Bool
        /// What an operator reads when it is refused.
        var sentence = ""
        /// Changes an otherwise good certificate.
        let change: @Sendable (inout CertificateContents) -> Void

        init(
            _ description: String, proves: Bool = false, asClient: Bool? = nil, _ sentence: String = "",
            change: @escaping @Sendable (inout CertificateContents) -> Void
        ) {
            self.testDescription = description
            self.provesServer = proves
            self.provesClient = asClient ?? proves
            self.sentence = sentence
            self.change = change
        }
    }

    static let now = UnixTime.now
    static let day: Int64 = 86_400

    static let rows: [Row] = [
        Row("dNSName only", proves: true) { $0.names = SubjectNames(dnsNames: ["hq.example"]) },
        Row("dNSName in other case", proves: true) { $0.names = SubjectNames(dnsNames: ["HQ.Example"]) },
        Row("SRVName only", proves: true) { $0.names = SubjectNames(serviceNames: ["_xmpp-server.hq.example"]) },
        Row("xmppAddr only", proves: true) { $0.names = SubjectNames(xmppAddresses: ["hq.example"]) },
        Row("one of many names", proves: true) {
            $0.names = SubjectNames(dnsNames: (0..<200).map { "host\($0).example" } + ["hq.example"])
        },
        Row("good names beside a misleading common name", proves: true) { $0.subject = [("CN", "evil.example")] },
        Row("SRVName of another service", "it is not for hq.example; it names _xmpp-client.hq.example") {
            $0.names = SubjectNames(serviceNames: ["_xmpp-client.hq.example"])
        },
        Row("common name only", "it carries no name at all") {
            $0.names = SubjectNames()
            $0.subject = [("CN", "hq.example")]
        },
        Row("common name right, alternative names of another domain", "it names evil.example") {
            $0.names = SubjectNames(dnsNames: ["evil.example"])
            $0.subject = [("CN", "hq.example")]
        },
        Row("common name hidden in the organisation", "it names evil.example") {
            $0.names = SubjectNames(dnsNames: ["evil.example"])
            $0.subject = [("O", "x,CN=hq.example"), ("OU", "CN=hq.example"), ("CN", "evil.example")]
        },
        Row("several common names", "it names evil.example") {
            $0.names = SubjectNames(dnsNames: ["evil.example"])
            $0.subject = [("CN", "evil.example"), ("CN", "hq.example")]
        },
        Row("wildcard below the domain", "it names *.hq.example") {
            $0.names = SubjectNames(dnsNames: ["*.hq.example"])
        },
        Row("wildcard over a top level", "it names *.example") { $0.names = SubjectNames(dnsNames: ["*.example"]) },
        Row("wildcard alone", "it names *") { $0.names = SubjectNames(dnsNames: ["*"]) },
        Row("expired", "it expired on") { $0.notAfter = now - 60 },
        Row("not yet valid", "it is not valid before") { $0.notBefore = now + day },
        Row("NUL in the dNSName", "a name in it contains a NUL byte") {
            $0.names = SubjectNames(dnsNames: ["hq.example\u{0}.evil.example"])
        },
        Row("NUL in one of several names", "a name in it contains a NUL byte") {
            $0.names = SubjectNames(dnsNames: ["hq.example", "hq.example\u{0}.evil.example"])
        },
        Row("NUL in the xmppAddr", "a name in it contains a NUL byte") {
            $0.names = SubjectNames(xmppAddresses: ["hq.example\u{0}"])
        },
        Row("line break behind the name", "it carries no name at all") {
            $0.names = SubjectNames(dnsNames: ["hq.example\nevil.example"])
        },
        Row("a user's address", "it names ann@hq.example") {
            $0.names = SubjectNames(xmppAddresses: ["ann@hq.example"])
        },
        Row("an address that is none", "it carries no name at all") {
            $0.names = SubjectNames(xmppAddresses: ["hq.example\u{202e}", "@", "a b"])
        },
        Row("names as long as they are many", "it is not for hq.example; it names ") {
            $0.names = SubjectNames(dnsNames: (0..<30).map { "\($0)" + String(repeating: "x", count: 1000) })
            $0.subject = [("O", String(repeating: "o", count: 64)), ("OU", "hq.example\u{a}line")]
        },
        Row("for servers only: also good for a server that dials", proves: true) { $0.purposes = "serverAuth" },
        Row("for clients only: not good for a server", asClient: true, "it was issued for another use") {
            $0.purposes = "clientAuth"
        },
        Row("for mail only", "it was issued for another use") { $0.purposes = "emailProtection" },
        Row("without any purpose in it", proves: true) { $0.purposes = nil },
    ]

    private static func contents(_ kind: CertificateContents.Kind = .leaf) -> CertificateContents {
        CertificateContents(
            kind: kind, subject: [("CN", "hq.example")],
            names: SubjectNames(
                dnsNames: ["hq.example"], serviceNames: ["_xmpp-server.hq.example"], xmppAddresses: ["hq.example"]),
            notBefore: self.now - 3600, notAfter: self.now + 30 * self.day)
    }

    let authority: TestAuthority
    let domain: Domain

    init() throws {
        self.authority = try TestAuthority()
        self.domain = try #require(Domain("hq.example"))
    }

    private func identity(_ row: Row) throws -> TLSConfiguration.Identity {
        var contents = Self.contents()
        row.change(&contents)
        return try self.authority.identity(file: "hq.example", contents)
    }

    @Test("a client that demands a certificate accepts exactly the good ones and says why", arguments: rows)
    func serverCertificateRequired(_ row: Row) throws {
        let wire = try Wire(
            .testClient(self.authority.trust), serverName: "hq.example",
            .testServer(try self.identity(row)).with { $0.acceptsExpiredIdentity = true })
        wire.client.send("secret")
        try wire.run()
        #expect(wire.client.recorder.established.count == (row.provesServer ? 1 : 0))
        #expect(wire.server.recorder.text == (row.provesServer ? "secret" : ""))
        guard !row.provesServer else {
            #expect(wire.client.recorder.peer?.matches(self.domain) == true)
            return
        }
        let error = try #require(wire.client.recorder.error)
        #expect(error.code == .peerCertificateRefused)
        #expect(error.message.hasPrefix("the certificate of hq.example"))
        #expect(error.message.contains(row.sentence), "\(error.message)")
        #expect(error.message.count < 1000 && !error.message.contains { $0.isNewline })
        // The alert reached the other side, so that its operator knows as well.
        #expect(wire.server.recorder.error?.code == .ownCertificateRefused)
        #expect(!wire.client.channel.isActive)
        #expect(!wire.server.channel.isActive)
    }

    @Test("peers d3: where it is only recorded, the handshake goes on and nothing is authorised", arguments: rows)
    func serverCertificateRecorded(_ row: Row) throws {
        let wire = try Wire(
            .testClient(self.authority.trust, verification: .recorded), serverName: "hq.example",
            .testServer(try self.identity(row)).with { $0.acceptsExpiredIdentity = true })
        try wire.run()
        let peer = try #require(wire.client.recorder.peer)
        #expect(peer.matches(self.domain) == row.provesServer)
        #expect(peer.isValid == (peer.failure == nil))
        if let failure = peer.failure { #expect(failure.contains(row.sentence) || row.sentence.contains("not for")) }
    }

    @Test("a server records whether the client's certificate proves its domain", arguments: rows)
    func clientCertificateRecorded(_ row: Row) throws {
        let wire = try Wire(
            .testClient(self.authority.trust, identity: try self.identity(row)).with {
                $0.acceptsExpiredIdentity = true
            }, serverName: "peer.example",
            .testServer(
                try self.authority.identity("peer.example"), trust: self.authority.trust, verification: .recorded))
        wire.client.send("<stream/>")
        try wire.run()
        let peer = try #require(wire.server.recorder.peer)
        #expect(peer.matches(self.domain) == row.provesClient)
        #expect(wire.server.recorder.text == "<stream/>")
    }

    @Test("a server that demands a certificate refuses the bad ones, whatever name they carry", arguments: rows)
    func clientCertificateRequired(_ row: Row) throws {
        let wire = try Wire(
            .testClient(self.authority.trust, identity: try self.identity(row)).with {
                $0.acceptsExpiredIdentity = true
            }, serverName: "peer.example",
            .testServer(
                try self.authority.identity("peer.example"), trust: self.authority.trust, verification: .required))
        wire.client.send("<stream/>")
        try wire.run()
        if row.provesClient {
            #expect(wire.server.recorder.peer?.matches(self.domain) == true)
        } else if let peer = wire.server.recorder.peer {
            // Good chain, other name: TLS cannot know whom the client will claim to be.
            #expect(peer.isValid && !peer.matches(self.domain))
        } else {
            #expect(wire.server.recorder.error?.code == .peerCertificateRefused)
            #expect(wire.server.recorder.text == "")
            #expect(wire.client.recorder.error?.code == .ownCertificateRefused)
        }
    }

    // MARK: Authorities

    private func refusal(_ identity: TLSConfiguration.Identity, trust: TLSConfiguration.Trust? = nil) throws -> String {
        let wire = try Wire(
            .testClient(trust ?? self.authority.trust), serverName: "hq.example", .testServer(identity))
        wire.client.send("secret")
        try wire.run()
        #expect(wire.client.recorder.established.isEmpty)
        #expect(wire.server.recorder.text == "")
        return wire.client.recorder.error?.message ?? ""
    }

    @Test("another authority, also one of the same name, proves nothing")
    func wrongAuthority() throws {
        let other = try TestAuthority(name: "Other authority")
        let stranger = try self.refusal(other.identity("hq.example"))
        #expect(stranger.contains("its authority CN=Other authority is not trusted"), "\(stranger)")
        let impostor = try TestAuthority()
        let message = try self.refusal(impostor.identity("hq.example"))
        #expect(message.contains("CN=Test authority"), "\(message)")
        #expect(try !self.refusal(other.identity("hq.example"), trust: .systemRoots).isEmpty)
    }

    @Test("self-signed is refused unless exactly this certificate is trusted")
    func selfSigned() throws {
        let key = try PrivateKey.generate()
        let leaf = LeafCertificate(certificate: try Self.contents(.compactLeaf).signed(for: key, by: nil), key: key)
        let identity = try leaf.save(in: self.authority.directory.path, name: "self")
        #expect(try self.refusal(identity).contains("it is self-signed and is not itself trusted"))
        let wire = try Wire(
            .testClient(.certificateAuthorities(identity.certificateChainPath)), serverName: "hq.example",
            .testServer(identity))
        try wire.run()
        #expect(wire.client.recorder.peer?.matches(self.domain) == true)
    }

    @Test("a leaf cannot make itself an authority")
    func leafAsAuthority() throws {
        let leaf = try self.authority.authority.issue(for: try #require(Domain("evil.example")))
        let key = try PrivateKey.generate()
        let forged = try Self.contents(.compactLeaf).signed(for: key, by: (leaf.certificate, leaf.key))
        let identity = TLSConfiguration.Identity(
            certificateChainPath: try self.authority.directory.file(
                "forged.crt", forged.pem + leaf.certificate.pem + self.authority.authority.certificate.pem),
            keyPath: try self.authority.directory.file("forged.key", key.pem))
        #expect(try self.refusal(identity).contains("invalid CA certificate"))
    }

    @Test("no certificate at all: refused where one is demanded, named where it is not")
    func noCertificate() throws {
        let server = try self.authority.identity("hq.example")
        for version in [TLSVersion.v1_2, .v1_3] {
            let demanded = try Wire(
                .testClient(self.authority.trust).with { $0.maximumVersion = version }, serverName: "hq.example",
                .testServer(server, trust: self.authority.trust, verification: .required))
            demanded.client.send("<stream/>")
            try demanded.run()
            #expect(demanded.server.recorder.error?.code == .peerCertificateRefused)
            #expect(demanded.server.recorder.error?.message == "the peer showed no certificate, and one is required")
            #expect(demanded.client.recorder.error != nil)
            #expect(demanded.server.recorder.text == "")
            let recorded = try Wire(
                .testClient(self.authority.trust).with { $0.maximumVersion = version }, serverName: "hq.example",
                .testServer(server, trust: self.authority.trust, verification: .recorded))
            try recorded.run()
            let expected = TLSEvent.established(peer: nil, version: version, isResumed: false)
            #expect(recorded.server.recorder.established == [expected])
        }
    }

    @Test("a certificate that is not checked is never valid")
    func unchecked() throws {
        let wire = try Wire(
            .testClient(self.authority.trust, verification: .none), serverName: "hq.example",
            .testServer(try self.authority.identity("hq.example")))
        try wire.run()
        let peer = try #require(wire.client.recorder.peer)
        #expect(!peer.isValid && !peer.matches(self.domain))
        #expect(peer.failure == "it was not checked")
    }

    @Test("what is handed on describes the certificate")
    func description() throws {
        let wire = try Wire(
            .testClient(self.authority.trust), serverName: "hq.example",
            .testServer(try self.authority.identity("hq.example", withSubdomains: true)))
        try wire.run()
        let file = try Certificate.chain(file: "\(self.authority.directory.path)/hq.example.crt")[0]
        let peer = try #require(wire.client.recorder.peer)
        #expect(peer.dnsNames == ["hq.example", "*.hq.example"])
        #expect(peer.serviceNames == ["_xmpp-server.hq.example"])
        // ejabberd cannot stand one that is a bare domain.
        #expect(peer.xmppAddresses == [])
        #expect(peer.subject == "CN=hq.example")
        #expect(peer.fingerprint == file.fingerprint && peer.fingerprint.count == 32)
        #expect(abs(peer.notAfter - (Self.now + 825 * Self.day)) < 3600)
    }
}

@Suite("Pinned fingerprints")
struct PinnedFingerprintTests {
    let authority: TestAuthority

    init() throws {
        self.authority = try TestAuthority()
    }

    private func fingerprint(_ identity: TLSConfiguration.Identity) throws -> [UInt8] {
        try Certificate.chain(file: identity.certificateChainPath)[0].fingerprint
    }

    @Test("pins both ways need no authority, and hold whatever name and date the certificates carry")
    func good() throws {
        let ship = try self.authority.linkIdentity("ship.example")
        let hq = try self.authority.identity(
            file: "expired",
            CertificateContents(
                kind: .compactLeaf, subject: [("CN", "old")], notBefore: UnixTime.now - 7200,
                notAfter: UnixTime.now - 3600))
        let wire = try Wire(
            .link(role: .client, identity: ship, trust: .fingerprints([try self.fingerprint(hq)])),
            serverName: "hq.example",
            .link(
                role: .server, identity: hq,
                trust: .fingerprints([[UInt8](repeating: 1, count: 32), try self.fingerprint(ship)])
            ).with { $0.acceptsExpiredIdentity = true })
        wire.client.send("<message/>")
        try wire.run()
        #expect(wire.server.recorder.text == "<message/>")
        #expect(wire.client.recorder.peer?.isValid == true)
        #expect(wire.server.recorder.peer?.isValid == true)
    }

    @Test("a certificate that is not pinned is refused though its authority is known")
    func bad() throws {
        let ship = try self.authority.linkIdentity("ship.example")
        let hq = try self.authority.linkIdentity("hq.example")
        let imposter = try self.authority.linkIdentity("hq2.example")
        let refusedByClient = try Wire(
            .link(role: .client, identity: ship, trust: .fingerprints([try self.fingerprint(hq)])),
            serverName: "hq.example",
            .link(role: .server, identity: imposter, trust: .fingerprints([try self.fingerprint(ship)])))
        refusedByClient.client.send("<message/>")
        try refusedByClient.run()
        #expect(refusedByClient.client.recorder.error?.code == .peerCertificateRefused)
        #expect(refusedByClient.client.recorder.error?.message.contains("is not one of the pinned") == true)
        #expect(refusedByClient.server.recorder.text == "")

        let refusedByServer = try Wire(
            .link(role: .client, identity: imposter, trust: .fingerprints([try self.fingerprint(hq)])),
            serverName: "hq.example",
            .link(role: .server, identity: hq, trust: .fingerprints([try self.fingerprint(ship)])))
        refusedByServer.client.send("<message/>")
        try refusedByServer.run()
        #expect(refusedByServer.server.recorder.error?.code == .peerCertificateRefused)
        #expect(refusedByServer.server.recorder.text == "")
        // In TLS 1.3 the client is done first and learns of it afterwards.
        #expect(refusedByServer.client.recorder.error?.code == .ownCertificateRefused)
    }

    @Test("fingerprints are read as people write them")
    func reading() throws {
        let bytes = (0..<32).map { UInt8($0 * 8) }
        let plain = bytes.map { String(Int($0) + 256, radix: 16).dropFirst() }.joined()
        let colons = CertificateIdentities(isValid: true, fingerprint: bytes).fingerprintText
        #expect(TLSConfiguration.Trust.fingerprint(plain) == bytes)
        #expect(TLSConfiguration.Trust.fingerprint(colons) == bytes)
        #expect(TLSConfiguration.Trust.fingerprint(String(plain.dropLast())) == nil)
        #expect(TLSConfiguration.Trust.fingerprint(plain + "0") == nil)
        #expect(TLSConfiguration.Trust.fingerprint("g" + plain.dropFirst()) == nil)
        #expect(TLSConfiguration.Trust.fingerprint("") == nil)
    }
}
