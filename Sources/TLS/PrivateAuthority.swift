package import XMPP

/// A small certificate authority of the site's own: its server must trust certificates for domains that the site does
/// not own, and no public authority gives those. Backs `skywave pki`.
package struct PrivateAuthority: Sendable {
    /// Validity of the authority's certificate: ten years.
    package static let days = 3652
    /// Default validity of a leaf.
    package static let leafDays = 825
    /// How long before it was made a certificate counts: clocks at sea are wrong.
    static let backdating: Int64 = 86_400

    package let certificate: Certificate
    let key: PrivateKey

    /// A new one with a new P-256 key.
    ///
    /// - Parameters:
    ///   - name: Its common name, up to 64 characters, by which people recognise it in a server's trust store.
    ///   - now: Seconds since 1970.
    package static func create(name: String, now: Int64 = UnixTime.now) throws(TLSError) -> PrivateAuthority {
        guard (1...64).contains(name.unicodeScalars.count) else {
            throw TLSError(.configuration, "the name of an authority has 1 to 64 characters")
        }
        let key = try PrivateKey.generate()
        let contents = CertificateContents(
            kind: .authority, subject: [("CN", name)], notBefore: now - self.backdating,
            notAfter: now + Int64(self.days) * 86_400)
        return PrivateAuthority(certificate: try contents.signed(for: key, by: nil), key: key)
    }

    /// Loads one that was written by ``save(in:name:)`` or made by other means.
    package static func load(certificatePath: String, keyPath: String) throws(TLSError) -> PrivateAuthority {
        let certificate = try Certificate.chain(file: certificatePath)[0]
        let key = try PrivateKey.load(file: keyPath)
        guard key.matches(certificate) else {
            throw TLSError(.keyMismatch, "\(keyPath): this key does not belong to the certificate \(certificatePath)")
        }
        guard certificate.isAuthority else {
            throw TLSError(.fileMalformed, "\(certificatePath): is not the certificate of an authority (CA:TRUE)")
        }
        return PrivateAuthority(certificate: certificate, key: key)
    }

    /// Writes `NAME.crt` and `NAME.key`. Who holds the key can be any server to this site: it belongs off the machine.
    package func save(in directory: String, name: String = "ca") throws(TLSError) {
        try PEMFile.write(self.key.pem, to: "\(directory)/\(name).key", isSecret: true)
        try PEMFile.write(self.certificate.pem, to: "\(directory)/\(name).crt", isSecret: false)
    }

    /// A leaf with a new key for one domain, good as server and as client of server-to-server streams.
    ///
    /// It carries the domain as `dNSName` and as `SRVName` for `_xmpp-server` (RFC 6120 §13.7.1.2).
    ///
    /// - Parameters:
    ///   - withSubdomains: Also `*.DOMAIN`, one label deep.
    ///   - days: Validity; never beyond the authority's own.
    ///   - now: Seconds since 1970.
    package func issue(
        for domain: Domain, withSubdomains: Bool = false, days: Int = leafDays, now: Int64 = UnixTime.now
    ) throws(TLSError) -> LeafCertificate {
        try self.issue(
            SubjectNames(domain: domain, withSubdomains: withSubdomains), commonName: domain.string, kind: .leaf,
            key: try PrivateKey.generate(), days: days, now: now)
    }

    /// A leaf for a bridge-to-bridge link, where every byte of it crosses the radio in each handshake: the name as
    /// `dNSName`, the purposes and nothing else.
    package func issueForLink(
        name: Domain, days: Int = leafDays, now: Int64 = UnixTime.now
    ) throws(TLSError) -> LeafCertificate {
        try self.issue(
            SubjectNames(dnsNames: [ASCIIDomain(name.string).description]), commonName: "", kind: .compactLeaf,
            key: try PrivateKey.generate(), days: days, now: now)
    }

    /// The same names and the same key for a new period: key and certificate fit together at every moment of the
    /// exchange of files. A peer that pinned the old certificate must be given the new fingerprint.
    package func renew(
        _ leaf: LeafCertificate, days: Int = leafDays, now: Int64 = UnixTime.now
    ) throws(TLSError) -> LeafCertificate {
        let names = leaf.certificate.names
        let isCompact = leaf.certificate.subject.isEmpty && names.serviceNames.isEmpty
        let commonName = isCompact ? "" : names.dnsNames.first ?? ""
        return try self.issue(
            names, commonName: commonName, kind: isCompact ? .compactLeaf : .leaf, key: leaf.key, days: days, now: now)
    }

    private func issue(
        _ names: SubjectNames, commonName: String, kind: CertificateContents.Kind, key: PrivateKey, days: Int,
        now: Int64
    ) throws(TLSError) -> LeafCertificate {
        guard (1...3652).contains(days) else {
            throw TLSError(.configuration, "a certificate is valid for 1 to 3652 days, not \(days)")
        }
        guard self.certificate.isCurrent(at: now) else {
            throw TLSError(
                .certificateExpired,
                "the authority \(self.certificate.subject) is valid from \(UnixTime.text(self.certificate.notBefore)) "
                    + "to \(UnixTime.text(self.certificate.notAfter)) only")
        }
        // A common name has at most 64 characters (RFC 5280, appendix A); it is decoration anyhow.
        let hasCommonName = (1...64).contains(commonName.unicodeScalars.count)
        let contents = CertificateContents(
            kind: kind, subject: hasCommonName ? [("CN", commonName)] : [], names: names,
            notBefore: max(now - Self.backdating, self.certificate.notBefore),
            notAfter: min(now + Int64(days) * 86_400, self.certificate.notAfter))
        return LeafCertificate(certificate: try contents.signed(for: key, by: (self.certificate, self.key)), key: key)
    }
}

/// A certificate for use with its key.
package struct LeafCertificate: Sendable {
    package let certificate: Certificate
    let key: PrivateKey

    /// Loads both files and checks that they belong together.
    package static func load(certificatePath: String, keyPath: String) throws(TLSError) -> LeafCertificate {
        let certificate = try Certificate.chain(file: certificatePath)[0]
        let key = try PrivateKey.load(file: keyPath)
        guard key.matches(certificate) else {
            throw TLSError(.keyMismatch, "\(keyPath): this key does not belong to the certificate \(certificatePath)")
        }
        return LeafCertificate(certificate: certificate, key: key)
    }

    /// Writes `NAME.crt` and `NAME.key` (mode 0600) and says where they are.
    @discardableResult
    package func save(in directory: String, name: String) throws(TLSError) -> TLSConfiguration.Identity {
        let identity = TLSConfiguration.Identity(
            certificateChainPath: "\(directory)/\(name).crt", keyPath: "\(directory)/\(name).key")
        try PEMFile.write(self.key.pem, to: identity.keyPath, isSecret: true)
        try PEMFile.write(self.certificate.pem, to: identity.certificateChainPath, isSecret: false)
        return identity
    }

    package var certificatePEM: String { self.certificate.pem }
    package var keyPEM: String { self.key.pem }
    /// Last second of validity, in seconds since 1970.
    package var notAfter: Int64 { self.certificate.notAfter }
}
