import Bridge
import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing
import XMPP

@Suite("systemd")
struct SystemdNotifierTests {
    @Test("Readiness and stopping arrive as datagrams at NOTIFY_SOCKET")
    func notify() async throws {
        try TemporaryDirectory.with { directory in
            let path = "\(directory)/notify"
            let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
            let length = socklen_t(MemoryLayout<sockaddr_un>.size)
            let bound = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
            }
            try #require(bound == 0)
            let notifier = SystemdNotifier(path: path)
            notifier.ready(status: "2 peers")
            #expect(Self.receive(descriptor) == "READY=1\nSTATUS=2 peers")
            notifier.stopping()
            #expect(Self.receive(descriptor).hasPrefix("STOPPING=1\n"))
        }
    }

    @Test("Nothing happens without a socket, with a relative path or with one that is too long")
    func absent() {
        for path in [nil, "relative", "/nonexistent/notify", "/" + String(repeating: "a", count: 200), ""] {
            SystemdNotifier(path: path).ready(status: "x")
        }
    }

    private static func receive(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = unsafe recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : ""
    }
}

@Suite("Certificates for the remote domains")
struct CertificateStoreTests {
    @Test("Authority and leaves are made once, kept, and renewed when asked")
    func store() throws {
        try TemporaryDirectory.with { directory in
            let path = "\(directory)/pki"
            let hq = try #require(DomainPattern("hq.example"))
            let below = try #require(DomainPattern("*.hq.example"))
            let first = try CertificateStore(directory: path, authorityName: "Test authority")
            #expect(first.wasMade)
            #expect(try first.ensureLeaf(for: hq, days: 30, renews: false).hasPrefix("made "))
            #expect(try first.ensureLeaf(for: below, days: 30, renews: false).contains("_wildcard.hq.example.crt"))
            let leaf = try Files.readText("\(path)/hq.example.crt")
            #expect(Files.permissions("\(path)/hq.example.key") == 0o600)
            #expect(Files.permissions("\(path)/ca.key") == 0o600)
            #expect(Files.permissions("\(path)/ca.crt") == 0o644)

            let second = try CertificateStore(directory: path + "/", authorityName: "Another name")
            #expect(!second.wasMade)
            #expect(try second.ensureLeaf(for: hq, days: 30, renews: false).hasPrefix("kept "))
            #expect(try Files.readText("\(path)/hq.example.crt") == leaf)
            #expect(try second.ensureLeaf(for: hq, days: 60, renews: true).hasPrefix("renewed "))
            #expect(try Files.readText("\(path)/hq.example.crt") != leaf)
            let name = try #require(Domain("bridge.ship.example"))
            let link = try second.ensureLink(named: name, days: 30, renews: false)
            #expect(link.contains("fingerprints = [\""))
            #expect(link.filter { $0 == ":" }.count >= 31)

            unsafe unlink("\(path)/ca.key")
            #expect(throws: Files.Failure.self) { try CertificateStore(directory: path, authorityName: "x") }
        }
    }

    @Test("What pki makes is what the configuration wants, for every attachment of names")
    func fitsTheConfiguration() throws {
        try TemporaryDirectory.with { directory in
            let store = try CertificateStore(directory: directory, authorityName: "Test")
            for name in ["hq.example", "*.hq.example"] {
                _ = try store.ensureLeaf(for: try #require(DomainPattern(name)), days: 30, renews: false)
            }
            let text = TestConfiguration.site(directory).replacing(
                "tls = { mode = \"off\" }",
                with: "tls = { certificates = \"\(directory)\", ca = \"\(directory)/ca.crt\" }")
            let configuration = try SiteConfiguration.parse(text, file: "\(directory)/site.toml")
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            defer { group.shutdownGracefully { _ in } }
            try SiteFiles.check(configuration, on: group.next())
        }
    }

    @Test("The lines for the servers name each domain, the authority and the bridge")
    func lines() {
        let lines = TrustLines(
            authorityFile: "/etc/skywave/pki/ca.crt",
            domains: ["hq.example", "*.hq.example", "conference.hq.example"].compactMap { DomainPattern($0) },
            listen: Endpoint(host: "10.7.0.2", port: 5269))
        #expect(lines.prosody.contains("cafile = \"/etc/skywave/pki/ca.crt\""))
        #expect(lines.prosody.contains("s2s_secure_auth"))
        #expect(lines.ejabberd.contains("ca_file: /etc/skywave/pki/ca.crt"))
        #expect(lines.openfire.contains("-importcert"))
        #expect(lines.names.contains("srv-host=_xmpp-server._tcp.conference.hq.example,10.7.0.2,5269"))
        // One address line covers what is below.
        #expect(lines.names.components(of: "address=/").count == 1, "\(lines.names)")
    }
}

extension String {
    fileprivate func components(of part: String) -> [Range<String.Index>] {
        ranges(of: part)
    }
}
