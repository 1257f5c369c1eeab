import Bridge
import XMPP

/// Real certificates for tests of files.
enum Certificates {
    /// Writes `NAME.crt` and `NAME.key` for each domain, and `ca.crt`, `ca.key`.
    static func write(_ domains: [String], to directory: String) throws {
        let store = try CertificateStore(directory: directory, authorityName: "Test authority")
        for pattern in domains.compactMap({ DomainPattern($0) }) {
            _ = try store.ensureLeaf(for: pattern, days: 30, renews: false)
        }
    }

    /// Also `link.crt` and `link.key`.
    static func writeLink(_ name: String, to directory: String) throws {
        let store = try CertificateStore(directory: directory, authorityName: "Test authority")
        if let domain = Domain(name) { _ = try store.ensureLink(named: domain, days: 30, renews: false) }
    }
}
