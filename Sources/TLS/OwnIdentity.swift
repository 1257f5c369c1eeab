import COpenSSL
import CShims

/// A certificate of ours with its key, loaded and checked.
@safe final class OwnIdentity: @unchecked Sendable {
    // Immutable after it was made; OpenSSL takes references of its own when it is used.
    let certificate: Certificate
    let names: SubjectNames
    private let key: PrivateKey
    /// What is sent after the leaf; `nil` when there is nothing.
    private let rest: OpaquePointer?

    /// Loads both files; errors name the file and what is wrong with it.
    init(_ identity: TLSConfiguration.Identity, acceptsExpired: Bool, now: Int64 = UnixTime.now) throws(TLSError) {
        let chain = try Certificate.chain(file: identity.certificateChainPath)
        let key = try PrivateKey.load(file: identity.keyPath)
        let leaf = chain[0]
        guard key.matches(leaf) else {
            throw TLSError(
                .keyMismatch,
                "\(identity.keyPath): this key does not belong to the certificate \(identity.certificateChainPath)")
        }
        if !acceptsExpired {
            guard now <= leaf.notAfter else {
                throw TLSError(
                    .certificateExpired,
                    "\(identity.certificateChainPath): the certificate expired on \(UnixTime.text(leaf.notAfter))")
            }
            guard now >= leaf.notBefore else {
                throw TLSError(
                    .certificateExpired,
                    "\(identity.certificateChainPath): the certificate is not valid before "
                        + "\(UnixTime.text(leaf.notBefore)); is the clock right?")
            }
        }
        self.certificate = leaf
        self.names = leaf.names
        self.key = key
        guard chain.count > 1 else {
            unsafe self.rest = nil
            return
        }
        guard let rest = unsafe skywave_chain_new() else { throw TLSError(.internal, "out of memory") }
        for certificate in chain.dropFirst() {
            guard unsafe skywave_chain_append(rest, certificate.pointer) == 1 else {
                unsafe skywave_chain_free(rest)
                throw TLSError(.internal, "out of memory")
            }
        }
        unsafe self.rest = rest
    }

    deinit {
        unsafe skywave_chain_free(self.rest)
    }

    /// Makes a connection show this certificate.
    func use(on connection: OpaquePointer) -> Bool {
        unsafe SSL_use_cert_and_key(connection, self.certificate.pointer, self.key.pointer, self.rest, 1) == 1
    }
}
