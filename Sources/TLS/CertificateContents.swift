import COpenSSL
import CShims

/// What a new certificate is to say; signing it makes the ``Certificate``.
struct CertificateContents {
    enum Kind {
        /// Signs leaves, and nothing below them does (path length 0).
        case authority
        /// Proves names, as server and as client of other servers.
        case leaf
        /// The same without what only tidies up: key identifiers, key usage.
        case compactLeaf
    }

    var kind: Kind
    /// Attributes of the subject in their order, by OpenSSL's short names (`CN`, `O`, `OU`).
    var subject: [(attribute: String, value: String)]
    var names = SubjectNames()
    /// Seconds since 1970.
    var notBefore: Int64
    /// Seconds since 1970.
    var notAfter: Int64
    /// Extended key usage by OpenSSL's short names; `nil`: none in it.
    var purposes: String? = "serverAuth,clientAuth"

    /// Signs by `signer`, or by itself where there is none (an authority's own certificate).
    func signed(for key: PrivateKey, by signer: (certificate: Certificate, key: PrivateKey)?) throws(TLSError)
        -> Certificate
    {
        OpenSSLErrors.clear()
        guard let pointer = unsafe X509_new() else { throw TLSError(.internal, "out of memory") }
        let certificate = unsafe Certificate(owning: pointer)
        // Version 3 is written as 2 (RFC 5280 §4.1.2.1).
        var isMade = unsafe X509_set_version(pointer, 2) == 1
        isMade = self.setSerialNumber(of: certificate) && isMade
        isMade = unsafe ASN1_TIME_set(X509_getm_notBefore(pointer), time_t(self.notBefore)) != nil && isMade
        isMade = unsafe ASN1_TIME_set(X509_getm_notAfter(pointer), time_t(self.notAfter)) != nil && isMade
        let name = unsafe X509_get_subject_name(pointer)
        for (attribute, value) in self.subject {
            let bytes = Array(value.utf8)
            isMade =
                unsafe X509_NAME_add_entry_by_txt(
                    name, attribute, skywave_utf8_string(), bytes, Int32(clamping: bytes.count), -1, 0) == 1 && isMade
        }
        let issuer = signer?.certificate ?? certificate
        isMade = unsafe X509_set_issuer_name(pointer, X509_get_subject_name(issuer.pointer)) == 1 && isMade
        isMade = unsafe X509_set_pubkey(pointer, key.pointer) == 1 && isMade
        // The authority's key identifier is copied from its subject key identifier, so that comes first.
        for (identifier, value) in self.extensions where isMade {
            isMade = unsafe skywave_certificate_add_extension(pointer, issuer.pointer, identifier, value) == 1
        }
        isMade = isMade && self.addNames(to: certificate)
        let signingKey = signer?.key ?? key
        isMade = unsafe isMade && X509_sign(pointer, signingKey.pointer, EVP_sha256()) > 0
        guard isMade else {
            throw TLSError(.internal, "a certificate could not be made: \(OpenSSLErrors.takeText())")
        }
        return certificate
    }

    private var extensions: [(identifier: Int32, value: String)] {
        switch self.kind {
        case .authority:
            [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"), (NID_authority_key_identifier, "keyid:always"),
            ]
        case .leaf:
            [
                (NID_basic_constraints, "CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
                (NID_authority_key_identifier, "keyid:always"),
            ] + self.purposeExtension
        case .compactLeaf:
            self.purposeExtension
        }
    }

    private var purposeExtension: [(identifier: Int32, value: String)] {
        self.purposes.map { [(NID_ext_key_usage, $0)] } ?? []
    }

    /// Random: nobody can foresee what an authority is going to sign. 127 bits, 63 in a compact one.
    private func setSerialNumber(of certificate: Certificate) -> Bool {
        var bytes = SecureRandom.bytes(self.kind == .compactLeaf ? 8 : 16)
        bytes[0] &= 0x7f
        guard let number = unsafe BN_bin2bn(bytes, Int32(bytes.count), nil) else { return false }
        defer { unsafe BN_free(number) }
        return unsafe BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.pointer)) != nil
    }

    private func addNames(to certificate: Certificate) -> Bool {
        guard self.names != SubjectNames() else { return true }
        guard let list = unsafe skywave_names_new() else { return false }
        defer { unsafe skywave_names_free(list) }
        let entries =
            self.names.dnsNames.map { (SKYWAVE_NAME_DNS, $0) }
            + self.names.serviceNames.map { (SKYWAVE_NAME_SERVICE, $0) }
            + self.names.xmppAddresses.map { (SKYWAVE_NAME_XMPP_ADDRESS, $0) }
        for (kind, name) in entries {
            let bytes = Array(name.utf8)
            guard unsafe skywave_names_append(list, Int32(kind), bytes, Int32(clamping: bytes.count)) == 1 else {
                return false
            }
        }
        // Critical where the subject says nothing (RFC 5280 §4.2.1.6).
        let isCritical: Int32 = self.subject.isEmpty ? 1 : 0
        return unsafe skywave_certificate_add_names(certificate.pointer, list, isCritical) == 1
    }
}
