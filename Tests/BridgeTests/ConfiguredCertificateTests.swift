import Bridge
import Glibc
import TestSupport
import Testing

/// Certificates that a configuration names.
@Suite("Certificates of a configuration")
struct ConfiguredCertificateTests {
    @Test("Certificates of remote domains are looked for by name")
    func certificates() throws {
        try TemporaryDirectory.with { directory in
            try Certificates.write(["hq.example"], to: directory)
            unsafe chmod("\(directory)/hq.example.key", 0o644)
            try TemporaryDirectory.write("\(directory)/_wildcard.hq.example.crt", "nothing")
            try TemporaryDirectory.write(
                "\(directory)/_wildcard.hq.example.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
            let text = TestConfiguration.site(directory).replacing(
                "tls = { mode = \"off\" }", with: "tls = { certificates = \"\(directory)\" }")
            let problems = TestConfiguration.problems(text)
            #expect(problems.count == 3, "\(problems)")
            #expect(problems.allSatisfy { $0.hasPrefix("site.toml:6: site.tls.certificates") })
            #expect(problems.contains { $0.contains("everybody on this machine may read the key (mode 644)") })
            #expect(problems.contains { $0.contains("for \"*.hq.example\"") && $0.contains("holds no certificate") })
            #expect(problems.contains { $0.contains("the key is encrypted") })
        }
    }

    @Test("Certificates must be for their domain, valid now, and belong to their keys")
    func unfitCertificates() throws {
        try TemporaryDirectory.with { directory in
            try Certificates.write(["hq.example", "elsewhere.example", "*.hq.example"], to: directory)
            unsafe rename("\(directory)/elsewhere.example.crt", "\(directory)/_wildcard.hq.example.crt")
            unsafe rename("\(directory)/elsewhere.example.key", "\(directory)/_wildcard.hq.example.key")
            let text = TestConfiguration.site(directory).replacing(
                "tls = { mode = \"off\" }", with: "tls = { certificates = \"\(directory)\" }")
            let foreign = TestConfiguration.problems(text)
            #expect(foreign.count == 1, "\(foreign)")
            #expect(
                foreign.first?.contains("the certificate is not for a.hq.example but for elsewhere.example") == true)

            unsafe rename("\(directory)/hq.example.key", "\(directory)/_wildcard.hq.example.key")
            try TemporaryDirectory.write("\(directory)/hq.example.key", try Files.readText("\(directory)/ca.key"))
            let mixed = TestConfiguration.problems(text)
            #expect(mixed.count == 2, "\(mixed)")
            #expect(mixed.allSatisfy { $0.contains("this key does not belong to the certificate") }, "\(mixed)")

            let problem = CertificatePair.problem(
                certificate: "\(directory)/ca.crt", key: "\(directory)/ca.key", for: nil, now: 5_000_000_000)
            #expect(problem?.contains("the certificate expired on 20") == true)
            #expect(CertificatePair.problem(authorities: "\(directory)/ca.crt", now: 5_000_000_000) != nil)
            #expect(CertificatePair.problem(authorities: "\(directory)/ca.crt") == nil)
        }
    }
}
