import COpenSSL
import CShims

/// One private key. Never printed; written only as the PEM text of a file that nobody else may read.
@safe package final class PrivateKey: @unchecked Sendable {
    // Immutable after it was made, and OpenSSL's reference count is atomic: safe to share.
    let pointer: OpaquePointer

    /// Takes over one reference.
    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
    }

    deinit {
        unsafe EVP_PKEY_free(self.pointer)
    }

    /// A new key on the curve P-256: 64-byte signatures, which a narrow link thanks for, and understood by every peer.
    package static func generate() throws(TLSError) -> PrivateKey {
        OpenSSLErrors.clear()
        guard let pointer = unsafe skywave_generate_p256_key() else {
            throw TLSError(.internal, "a P-256 key could not be made: \(OpenSSLErrors.takeText())")
        }
        return unsafe PrivateKey(owning: pointer)
    }

    /// The first key of a PEM file. A key under a passphrase is refused: nobody is there to be asked.
    package static func load(file path: String) throws(TLSError) -> PrivateKey {
        let pem = try PEMFile.read(path)
        // The decoder has no clear word for it.
        guard String(decoding: pem, as: UTF8.self).contains("PRIVATE KEY-----") else {
            throw TLSError(.fileMalformed, "\(path): contains no PEM private key (-----BEGIN PRIVATE KEY-----)")
        }
        OpenSSLErrors.clear()
        let bio = unsafe BIO_new_mem_buf(pem, Int32(clamping: pem.count))
        defer { unsafe BIO_free(bio) }
        var wasAsked = false
        let pointer = unsafe withUnsafeMutablePointer(to: &wasAsked) { flag in
            unsafe PEM_read_bio_PrivateKey(
                bio, nil,
                { _, _, _, flag in
                    unsafe flag?.assumingMemoryBound(to: Bool.self).pointee = true
                    return -1
                }, flag)
        }
        guard let pointer = unsafe pointer else {
            let reason = OpenSSLErrors.take()
            if wasAsked {
                throw TLSError(.fileMalformed, "\(path): the key is protected by a passphrase; remove it first")
            }
            throw TLSError(.fileMalformed, "\(path): the key is damaged: \(reason.first?.text ?? "unknown reason")")
        }
        return unsafe PrivateKey(owning: pointer)
    }

    /// The key in unprotected PKCS #8 PEM form.
    package var pem: String {
        unsafe PEMText.written { unsafe PEM_write_bio_PKCS8PrivateKey($0, self.pointer, nil, nil, 0, nil, nil) }
    }

    /// Whether this key signs for that certificate.
    package func matches(_ certificate: Certificate) -> Bool {
        let isPair = unsafe X509_check_private_key(certificate.pointer, self.pointer) == 1
        OpenSSLErrors.clear()
        return isPair
    }
}
