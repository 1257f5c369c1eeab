import CShims
import COpenSSL
import XMPP

/// One X.509 certificate.
@safe package final class Certificate: @unchecked Sendable {
    // Immutable after it was made, and OpenSSL's reference count is atomic: safe to share.
    let pointer: OpaquePointer

    /// Takes over one reference.
    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
    }

    deinit {
        unsafe X509_free(self.pointer)
    }

    /// Every certificate of a PEM file in its order: the leaf first, then what leads to the authority.
    package static func chain(file path: String) throws(TLSError) -> [Certificate] {
        try self.chain(pem: PEMFile.read(path), source: path)
    }

    /// Every certificate of a PEM text. `source` is what errors call it.
    static func chain(pem: [UInt8], source: String) throws(TLSError) -> [Certificate] {
        OpenSSLErrors.clear()
        let bio = unsafe BIO_new_mem_buf(pem, Int32(clamping: pem.count))
        defer { unsafe BIO_free(bio) }
        var certificates: [Certificate] = []
        while let pointer = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
            unsafe certificates.append(Certificate(owning: pointer))
        }
        let errors = OpenSSLErrors.take()
        // The reader always ends in an error; "no start line" is the one that means the end of the file.
        if let error = errors.first(where: { $0.library != ERR_LIB_PEM || $0.reason != PEM_R_NO_START_LINE }) {
            throw TLSError(
                .fileMalformed, "\(source): certificate \(certificates.count + 1) in it is damaged: \(error.text)")
        }
        guard !certificates.isEmpty else {
            throw TLSError(.fileMalformed, "\(source): contains no PEM certificate (-----BEGIN CERTIFICATE-----)")
        }
        return certificates
    }

    /// The certificate in PEM form.
    package var pem: String {
        unsafe PEMText.written { unsafe PEM_write_bio_X509($0, self.pointer) }
    }

    /// The DER form.
    var der: [UInt8] {
        let length = unsafe i2d_X509(self.pointer, nil)
        guard length > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(length))
        unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            var cursor = buffer.baseAddress
            unsafe i2d_X509(self.pointer, &cursor)
        }
        return bytes
    }

    /// SHA-256 over the DER form, 32 bytes: what a pinned fingerprint is compared with.
    package var fingerprint: [UInt8] { Digest.sha256(self.der) }

    /// The subject as RFC 4514 text, control characters escaped, cut after 256 characters: a stranger wrote it.
    package var subject: String {
        guard let name = unsafe X509_get_subject_name(self.pointer) else { return "" }
        return unsafe String(PEMText.written { unsafe skywave_name_print($0, name) }.prefix(256))
    }

    /// The name of the authority that signed it, as ``subject``.
    package var issuer: String {
        guard let name = unsafe X509_get_issuer_name(self.pointer) else { return "" }
        return unsafe String(PEMText.written { unsafe skywave_name_print($0, name) }.prefix(256))
    }

    /// First second of validity, in seconds since 1970.
    package var notBefore: Int64 { unsafe Self.seconds(X509_get0_notBefore(self.pointer)) ?? .max }

    /// Last second of validity, in seconds since 1970.
    package var notAfter: Int64 { unsafe Self.seconds(X509_get0_notAfter(self.pointer)) ?? .min }

    /// Whether `instant`, in seconds since 1970, lies in the period of validity.
    package func isCurrent(at instant: Int64 = UnixTime.now) -> Bool {
        self.notBefore <= instant && instant <= self.notAfter
    }

    /// Whether it may sign others.
    package var isAuthority: Bool { unsafe X509_check_ca(self.pointer) == 1 }

    /// The names that it proves, as they are written in it.
    package var names: SubjectNames { SubjectNames(of: self) }

    /// Everything that the stream machines want to know.
    ///
    /// - Parameter failure: Why it was refused; a certificate without a failure counts as valid, unless its names are
    ///   damaged.
    func identities(failure: String?) -> CertificateIdentities {
        let names = self.names
        let failure = failure ?? names.damage
        return CertificateIdentities(
            isValid: failure == nil, failure: failure, dnsNames: names.dnsNames, serviceNames: names.serviceNames,
            xmppAddresses: names.xmppAddresses, fingerprint: self.fingerprint, subject: self.subject,
            notAfter: self.notAfter)
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        guard let epoch = unsafe ASN1_TIME_set(nil, 0) else { return nil }
        defer { unsafe ASN1_TIME_free(epoch) }
        var (days, seconds): (Int32, Int32) = (0, 0)
        guard unsafe ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return nil }
        return Int64(days) * 86_400 + Int64(seconds)
    }
}

/// Text that OpenSSL writes into memory.
enum PEMText {
    /// What `write` wrote; empty when it did not return 1.
    static func written(_ write: (OpaquePointer) -> Int32) -> String {
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { return "" }
        defer { unsafe BIO_free(bio) }
        guard unsafe write(bio) == 1 else { return "" }
        var bytes: UnsafePointer<CChar>?
        let length = unsafe skywave_memory_bio_contents(bio, &bytes)
        return unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: max(0, length)), as: UTF8.self)
    }
}
