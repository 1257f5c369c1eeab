import TLS
package import XMPP

/// The directory with the private authority of a site and the certificates that it issued; behind `skywave pki`.
package struct CertificateStore {
    package let directory: String
    private let authority: PrivateAuthority
    /// Whether the authority is new.
    package let wasMade: Bool

    package var authorityFile: String { "\(directory)/ca.crt" }

    /// Opens the directory; makes it and the authority where they are missing.
    package init(directory: String, authorityName: String) throws {
        self.directory = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        try CertificateStore.makeDirectories(self.directory)
        let certificate = "\(self.directory)/ca.crt"
        let key = "\(self.directory)/ca.key"
        if Files.kind(certificate) == nil, Files.kind(key) == nil {
            authority = try PrivateAuthority.create(name: authorityName)
            try authority.save(in: self.directory)
            wasMade = true
        } else {
            guard Files.kind(key) != nil else {
                throw Files.Failure(
                    "ca.crt is there without ca.key, so nothing can be issued; bring the key back for it")
            }
            authority = try PrivateAuthority.load(certificatePath: certificate, keyPath: key)
            wasMade = false
        }
    }

    private static func makeDirectories(_ path: String) throws(Files.Failure) {
        if Files.kind(path) == .directory { return }
        let above = Files.directory(of: path)
        if above != path, above != "." { try makeDirectories(above) }
        // The server has to read the authority's certificate; keys have mode 0600 whatever the directory allows.
        try Files.makeDirectory(path, isPrivate: false)
    }

    /// Sees to it that there is a certificate for a remote domain. Returns a line that says what was done.
    package func ensureLeaf(for pattern: DomainPattern, days: Int, renews: Bool) throws -> String {
        let name = LocalTLSConfiguration.fileName(for: pattern)
        return try ensure(name, "\(pattern)", renews: renews, days: days) {
            // A certificate's wildcard is one label deep (RFC 6125 §6.4.3): deeper names need a leaf of their own.
            try authority.issue(for: pattern.domain, withSubdomains: pattern.isWildcard, days: days)
        }
    }

    /// Sees to it that there is a certificate for the link; the line names its fingerprint.
    package func ensureLink(named domain: Domain, days: Int, renews: Bool) throws -> String {
        let line = try ensure("link", "the link, named \(domain)", renews: renews, days: days) {
            try authority.issue(for: domain, days: days)
        }
        let leaf = try load("link")
        let fingerprint = leaf.certificate.fingerprint.map(CertificateStore.hex).joined(separator: ":")
        return """
            \(line)
              for the other site's [peer.transport.tls]: fingerprints = ["\(fingerprint)"]
            """
    }

    private func ensure(
        _ name: String, _ what: String, renews: Bool, days: Int, make: () throws -> LeafCertificate
    ) throws -> String {
        let exists = Files.kind("\(directory)/\(name).crt") != nil && Files.kind("\(directory)/\(name).key") != nil
        let verb: String
        let leaf: LeafCertificate
        if exists {
            let old = try load(name)
            guard renews else {
                return "kept \(directory)/\(name).crt for \(what), valid until \(CertificateStore.date(old.notAfter))"
            }
            verb = "renewed"
            leaf = try authority.renew(old, days: days)
        } else {
            verb = "made"
            leaf = try make()
        }
        try leaf.save(in: directory, name: name)
        return "\(verb) \(directory)/\(name).crt for \(what), valid until \(CertificateStore.date(leaf.notAfter))"
    }

    private func load(_ name: String) throws(TLSError) -> LeafCertificate {
        try LeafCertificate.load(certificatePath: "\(directory)/\(name).crt", keyPath: "\(directory)/\(name).key")
    }

    private static func date(_ seconds: Int64) -> String {
        String(LogTime.format(seconds: Int(seconds), milliseconds: 0).prefix(10))
    }

    private static func hex(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return digits.count == 1 ? "0" + digits : digits
    }
}
