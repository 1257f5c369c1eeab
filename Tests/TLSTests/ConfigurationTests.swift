import Foundation
import TestSupport
import Testing
import XMPP

@testable import TLS

@Suite("TLS configuration and certificate files")
struct ConfigurationTests {
    let authority: TestAuthority
    let good: TLSConfiguration.Identity

    init() throws {
        self.authority = try TestAuthority()
        self.good = try self.authority.identity("hq.example")
    }

    private var directory: TemporaryDirectory { self.authority.directory }

    private func problem(_ configuration: TLSConfiguration) -> (code: TLSError.Code?, message: String) {
        do throws(TLSError) {
            _ = try TLSContext(configuration)
            return (nil, "")
        } catch {
            return (error.code, error.message)
        }
    }

    private func problem(certificate: String? = nil, key: String? = nil) -> (code: TLSError.Code?, message: String) {
        self.problem(
            .testServer(
                TLSConfiguration.Identity(
                    certificateChainPath: certificate ?? self.good.certificateChainPath,
                    keyPath: key ?? self.good.keyPath)))
    }

    @Test("a file that is missing or a directory is named with the system's reason")
    func unreadable() throws {
        let missing = self.problem(certificate: "/nonexistent/hq.crt")
        #expect(missing.code == .fileUnreadable)
        #expect(missing.message == "/nonexistent/hq.crt: cannot be read: No such file or directory")
        #expect(self.problem(key: "/nonexistent/hq.key").message.hasPrefix("/nonexistent/hq.key: "))
        #expect(self.problem(key: self.directory.path).message.contains("Is a directory"))
        #expect(
            self.problem(.testClient(.certificateAuthorities("/nonexistent/ca.crt"))).message
                == "/nonexistent/ca.crt: cannot be read: No such file or directory")
    }

    @Test("a file that is no PEM, the wrong PEM, or damaged is named with what is expected")
    func malformed() throws {
        let empty = try self.directory.file("empty", "")
        #expect(self.problem(certificate: empty).message.contains("contains no PEM certificate"))
        #expect(self.problem(key: empty).message.contains("contains no PEM private key"))
        let exchanged = self.problem(certificate: self.good.keyPath, key: self.good.certificateChainPath)
        #expect(exchanged.code == .fileMalformed)
        #expect(exchanged.message.contains("contains no PEM certificate"))
        #expect(self.problem(key: self.good.certificateChainPath).message.contains("contains no PEM private key"))
        let pem = try String(contentsOfFile: self.good.certificateChainPath, encoding: .utf8)
        let damaged = try self.directory.file("damaged", pem + pem.replacingOccurrences(of: "MII", with: "MIX"))
        #expect(self.problem(certificate: damaged).message.contains("certificate 2 in it is damaged"))
        let cut = try self.directory.file("cut", String(pem.prefix(200)))
        #expect(self.problem(certificate: cut).code == .fileMalformed)
        #expect(self.problem(.testClient(.certificateAuthorities(empty))).code == .fileMalformed)
        let huge = try self.directory.file("huge", String(repeating: "x", count: PEMFile.largestBytes + 1))
        #expect(self.problem(certificate: huge).message.contains("is larger than"))
    }

    @Test("a key under a passphrase is refused without asking anybody")
    func passphrase() throws {
        let path = "\(self.directory.path)/protected.key"
        let made = try OpenSSLTool.run(
            "pkcs8", "-topk8", "-in", self.good.keyPath, "-out", path, "-passout", "pass:geheim")
        #expect(made.status == 0)
        #expect(self.problem(key: path).message == "\(path): the key is protected by a passphrase; remove it first")
    }

    @Test("a key of another certificate is refused, and both files are named")
    func mismatch() throws {
        let other = try self.authority.identity("other.example")
        let problem = self.problem(key: other.keyPath)
        #expect(problem.code == .keyMismatch)
        #expect(
            problem.message
                == "\(other.keyPath): this key does not belong to the certificate \(self.good.certificateChainPath)")
    }

    @Test("an own certificate out of its time is refused with the date, unless that is allowed")
    func expired() throws {
        let then: Int64 = 1_577_836_800  // 2020-01-01 00:00 UTC
        let past = try self.authority.identity(
            file: "past", CertificateContents(kind: .leaf, subject: [("CN", "x")], notBefore: then - 60, notAfter: then)
        )
        let problem = self.problem(.testServer(past))
        #expect(problem.code == .certificateExpired)
        #expect(problem.message == "\(past.certificateChainPath): the certificate expired on 2020-01-01 00:00 UTC")
        #expect(self.problem(.testServer(past).with { $0.acceptsExpiredIdentity = true }).code == nil)
        let future = try self.authority.identity(
            file: "future",
            CertificateContents(
                kind: .leaf, subject: [("CN", "x")], notBefore: UnixTime.now + 9000, notAfter: UnixTime.now + 99_000))
        #expect(self.problem(.testServer(future)).message.contains("is not valid before"))
    }

    @Test("settings that contradict each other are refused")
    func contradictions() throws {
        #expect(self.problem(TLSConfiguration(role: .server)).code == .configuration)
        #expect(
            self.problem(
                .testClient(.systemRoots).with { ($0.minimumVersion, $0.maximumVersion) = (.v1_3, .v1_2) }
            ).code == .configuration)
        #expect(self.problem(.testClient(.fingerprints([]))).message == "the list of trusted fingerprints is empty")
        #expect(self.problem(.testClient(.fingerprints([[1, 2, 3]]))).code == .configuration)
        #expect(self.problem(.testClient(.systemRoots).with { $0.sessionTickets = 3 }).code == .configuration)
        #expect(self.problem(.testClient(.systemRoots)).code == nil)
    }

    @Test("the context knows when the first of its certificates ends")
    func expiry() throws {
        let soon = try self.authority.authority.issue(for: try #require(Domain("soon.example")), days: 10)
        let identity = try soon.save(in: self.directory.path, name: "soon.example")
        let context = try TLSContext(
            TLSConfiguration(role: .server, identities: [self.good, identity], peerVerification: .none))
        #expect(context.earliestExpiry == soon.notAfter)
        #expect(try TLSContext(.testClient(self.authority.trust)).earliestExpiry == nil)
    }

    @Test(
        "dates are written as people read them",
        arguments: [
            (0, "1970-01-01 00:00 UTC"), (951_782_400, "2000-02-29 00:00 UTC"), (1_709_251_199, "2024-02-29 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"), (-1, "1969-12-31 23:59 UTC"),
            (253_402_300_799, "9999-12-31 23:59 UTC"),
        ] as [(Int64, String)])
    func dates(seconds: Int64, text: String) {
        #expect(UnixTime.text(seconds) == text)
    }
}
