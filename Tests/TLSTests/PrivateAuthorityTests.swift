import Foundation
import TestSupport
import Testing
import XMPP

@testable import TLS

@Suite("Private authority (skywave pki)")
struct PrivateAuthorityTests {
    let directory: TemporaryDirectory
    let authority: PrivateAuthority

    init() throws {
        self.directory = try TemporaryDirectory()
        self.authority = try PrivateAuthority.create(name: "Skywave authority of ship7")
        try self.authority.save(in: self.directory.path)
    }

    private func mode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test("a leaf carries its names, and a strict verifier accepts it as server and as client")
    func leaf() throws {
        let leaf = try self.authority.issue(for: try #require(Domain("hq.example")), withSubdomains: true)
        let identity = try leaf.save(in: self.directory.path, name: "hq.example")
        #expect(identity.certificateChainPath == "\(self.directory.path)/hq.example.crt")
        for purpose in ["sslserver", "sslclient"] {
            let verified = try OpenSSLTool.run(
                "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "\(self.directory.path)/ca.crt",
                identity.certificateChainPath)
            #expect(verified.status == 0, "\(verified.output)")
        }
        let text = try OpenSSLTool.run("x509", "-in", identity.certificateChainPath, "-noout", "-text").output
        #expect(text.contains("DNS:hq.example, DNS:*.hq.example"))
        #expect(text.contains("_xmpp-server.hq.example"))
        #expect(text.contains("othername:"))
        #expect(text.contains("NIST CURVE: P-256"))
        #expect(text.contains("TLS Web Server Authentication, TLS Web Client Authentication"))
        let days = (leaf.notAfter - UnixTime.now) / 86_400
        #expect((823...825).contains(days))
    }

    @Test("the authority's own certificate is an authority for ten years and for leaves only")
    func authorityCertificate() throws {
        let text = try OpenSSLTool.run("x509", "-in", "\(self.directory.path)/ca.crt", "-noout", "-text").output
        #expect(text.contains("CA:TRUE, pathlen:0"))
        #expect(text.contains("Certificate Sign, CRL Sign"))
        #expect(self.authority.certificate.isAuthority)
        #expect((3650...3653).contains((self.authority.certificate.notAfter - UnixTime.now) / 86_400))
        #expect(self.authority.certificate.subject == "CN=Skywave authority of ship7")
        for name in ["", String(repeating: "x", count: 65)] {
            #expect(throws: TLSError.self) { try PrivateAuthority.create(name: name) }
        }
    }

    @Test("keys are for their owner only, certificates for everybody, and no half-written file is left")
    func files() throws {
        let leaf = try self.authority.issue(for: try #require(Domain("hq.example")))
        try leaf.save(in: self.directory.path, name: "hq.example")
        try leaf.save(in: self.directory.path, name: "hq.example")
        for name in ["ca", "hq.example"] {
            #expect(try self.mode("\(self.directory.path)/\(name).key") == 0o600)
            #expect(try self.mode("\(self.directory.path)/\(name).crt") == 0o644)
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: self.directory.path).sorted()
                == ["ca.crt", "ca.key", "hq.example.crt", "hq.example.key"])
        do throws(TLSError) {
            try leaf.save(in: "/nonexistent", name: "hq.example")
            Issue.record("there is no such directory")
        } catch {
            #expect(error.code == .fileUnwritable)
            #expect(error.message == "/nonexistent/hq.example.key: cannot be written: No such file or directory")
        }
    }

    @Test("an authority that was saved goes on issuing; a leaf is none")
    func loading() throws {
        let loaded = try PrivateAuthority.load(
            certificatePath: "\(self.directory.path)/ca.crt", keyPath: "\(self.directory.path)/ca.key")
        #expect(loaded.certificate.fingerprint == self.authority.certificate.fingerprint)
        let identity = try loaded.issue(for: try #require(Domain("hq.example"))).save(
            in: self.directory.path, name: "hq.example")
        let verified = try OpenSSLTool.run(
            "verify", "-CAfile", "\(self.directory.path)/ca.crt", identity.certificateChainPath)
        #expect(verified.status == 0)
        #expect(throws: TLSError.self) {
            try PrivateAuthority.load(certificatePath: identity.certificateChainPath, keyPath: identity.keyPath)
        }
        #expect(throws: TLSError.self) {
            try PrivateAuthority.load(
                certificatePath: "\(self.directory.path)/ca.crt", keyPath: identity.keyPath)
        }
    }

    @Test("renewing keeps names and key and moves the dates; issuing again makes a new key")
    func renewal() throws {
        let domain = try #require(Domain("hq.example"))
        let now = UnixTime.now
        let old = try self.authority.issue(for: domain, withSubdomains: true, days: 30, now: now)
        let renewed = try self.authority.renew(old, days: 60, now: now + 10 * 86_400)
        #expect(renewed.certificate.names == old.certificate.names)
        #expect(renewed.certificate.subject == old.certificate.subject)
        #expect(renewed.notAfter == old.notAfter + 40 * 86_400)
        #expect(renewed.keyPEM == old.keyPEM)
        #expect(renewed.certificate.fingerprint != old.certificate.fingerprint)
        #expect(renewed.certificatePEM != old.certificatePEM)
        let again = try self.authority.issue(for: domain)
        #expect(again.keyPEM != old.keyPEM)
        let link = try self.authority.issueForLink(name: domain)
        let renewedLink = try self.authority.renew(link)
        #expect(renewedLink.certificate.subject == "")
        #expect(renewedLink.certificate.der.count < 400)
        #expect(renewedLink.certificate.names == SubjectNames(dnsNames: ["hq.example"]))
    }

    @Test("a leaf never outlives its authority, and an expired authority issues nothing")
    func limits() throws {
        let domain = try #require(Domain("hq.example"))
        let authority = self.authority.certificate
        let late = try self.authority.issue(for: domain, days: 825, now: authority.notAfter - 86_400)
        #expect(late.notAfter == authority.notAfter)
        #expect(throws: TLSError.self) { try self.authority.issue(for: domain, now: authority.notAfter + 1) }
        for days in [0, -1, 3653] {
            #expect(throws: TLSError.self) { try self.authority.issue(for: domain, days: days) }
        }
    }

    @Test("a name too long for a common name, and one beyond ASCII, are issued all the same")
    func unusualNames() throws {
        let long = (0..<4).map { "\($0)" + String(repeating: "x", count: 40) }.joined(separator: ".") + ".example"
        let leaf = try self.authority.issue(for: try #require(Domain(long)))
        #expect(leaf.certificate.subject == "")
        #expect(leaf.certificate.identities(failure: nil).matches(try #require(Domain(long))))
        let saved = try leaf.save(in: self.directory.path, name: "long")
        let verified = try OpenSSLTool.run(
            "verify", "-x509_strict", "-CAfile", "\(self.directory.path)/ca.crt", saved.certificateChainPath)
        #expect(verified.status == 0, "\(verified.output)")
        let domain = try #require(Domain("bücher.example"))
        let international = try self.authority.issue(for: domain)
        #expect(international.certificate.names.dnsNames == ["xn--bcher-kva.example"])
        #expect(international.certificate.names.serviceNames == ["_xmpp-server.xn--bcher-kva.example"])
        #expect(international.certificate.identities(failure: nil).matches(domain))
    }

    @Test("no two certificates have the same serial number")
    func serialNumbers() throws {
        let domain = try #require(Domain("hq.example"))
        var seen: Set<String> = []
        for number in 0..<20 {
            let identity = try self.authority.issue(for: domain).save(in: self.directory.path, name: "leaf\(number)")
            let serial = try OpenSSLTool.run("x509", "-in", identity.certificateChainPath, "-noout", "-serial").output
            #expect(seen.insert(serial).inserted)
        }
    }
}
