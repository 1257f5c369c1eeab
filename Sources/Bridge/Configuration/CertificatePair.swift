import TLS
package import XMPP

/// A certificate and its key as a configuration names them: whether they fit each other, the present time and the name
/// that they are for.
package enum CertificatePair {
    /// What is wrong, or `nil`. The files are known to be readable PEM.
    ///
    /// - Parameter domain: what the certificate has to name; `nil` for any name.
    package static func problem(
        certificate: String, key: String, for domain: Domain?, now: Int64 = UnixTime.now
    ) -> String? {
        let leaf: LeafCertificate
        do {
            leaf = try LeafCertificate.load(certificatePath: certificate, keyPath: key)
        } catch {
            return error.message
        }
        if leaf.notAfter < now { return "\(certificate): the certificate expired on \(UnixTime.text(leaf.notAfter))" }
        if leaf.certificate.notBefore > now {
            return """
                \(certificate): the certificate is not valid before \(UnixTime.text(leaf.certificate.notBefore)); is the \
                clock right?
                """
        }
        guard let domain else { return nil }
        let names = leaf.certificate.names
        let identities = CertificateIdentities(
            isValid: true, failure: nil, dnsNames: names.dnsNames, serviceNames: names.serviceNames,
            xmppAddresses: names.xmppAddresses, fingerprint: leaf.certificate.fingerprint, subject: "",
            notAfter: leaf.notAfter)
        guard identities.matches(domain) else {
            let named = (names.dnsNames + names.serviceNames).joined(separator: ", ")
            return "\(certificate): the certificate is not for \(domain) but for \(named.isEmpty ? "no domain" : named)"
        }
        return nil
    }

    /// What is wrong with a file of trusted certificates, or `nil`.
    package static func problem(authorities file: String, now: Int64 = UnixTime.now) -> String? {
        do {
            let certificates = try Certificate.chain(file: file)
            guard certificates.contains(where: { $0.isCurrent(at: now) }) else {
                return "\(file): no certificate in it is valid now"
            }
            return nil
        } catch {
            return error.message
        }
    }
}
