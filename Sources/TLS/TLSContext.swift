import COpenSSL
import CShims
import XMPP

/// One configuration, loaded and checked: what all connections of the same kind share. One `SSL_CTX`.
@safe package final class TLSContext: @unchecked Sendable {
    // Not changed after `init`; `SSL_CTX` is meant to be shared, and the session cache has its own lock.
    let pointer: OpaquePointer
    package let configuration: TLSConfiguration
    let identities: [OwnIdentity]
    let sessions = SessionCache()

    /// Loads every file and checks every setting.
    ///
    /// - Throws: The first problem, naming the file and what is wrong with it.
    package init(_ configuration: TLSConfiguration) throws(TLSError) {
        try configuration.validate()
        var identities: [OwnIdentity] = []
        for identity in configuration.identities {
            identities.append(try OwnIdentity(identity, acceptsExpired: configuration.acceptsExpiredIdentity))
        }
        OpenSSLErrors.clear()
        let method = unsafe configuration.role == .client ? TLS_client_method() : TLS_server_method()
        guard let pointer = unsafe SSL_CTX_new(method) else {
            throw TLSError(.internal, "OpenSSL gives no TLS context: \(OpenSSLErrors.takeText())")
        }
        do throws(TLSError) {
            try unsafe Self.apply(configuration, to: pointer)
            try unsafe Self.trust(configuration, in: pointer)
        } catch {
            unsafe SSL_CTX_free(pointer)
            throw error
        }
        unsafe self.pointer = pointer
        self.configuration = configuration
        self.identities = identities
        unsafe SSL_CTX_set_cert_verify_callback(pointer, { store, _ in unsafe TLSConnection.verifyPeer(store) }, nil)
        unsafe SSL_CTX_set_cert_cb(pointer, { ssl, _ in unsafe TLSConnection.chooseIdentity(ssl) }, nil)
        if configuration.role == .client && configuration.sessionTickets > 0 {
            unsafe skywave_context_set_session_cache_mode(
                pointer, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
            unsafe SSL_CTX_sess_set_new_cb(pointer) { ssl, session in unsafe TLSConnection.keep(session, of: ssl) }
        } else {
            unsafe skywave_context_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        }
    }

    deinit {
        unsafe SSL_CTX_free(self.pointer)
    }

    /// The earliest end of validity of the own certificates, in seconds since 1970; for warnings ahead of time.
    package var earliestExpiry: Int64? { self.identities.map(\.certificate.notAfter).min() }

    /// The certificate for a name: one that has exactly this name, else one with a fitting wildcard.
    func identity(named name: String) -> OwnIdentity? {
        let host = ASCIIDomain(name)
        return self.identities.first { $0.names.areMeantFor(host, throughWildcard: false) }
            ?? self.identities.first { $0.names.areMeantFor(host, throughWildcard: true) }
    }

    private static func apply(_ configuration: TLSConfiguration, to pointer: OpaquePointer) throws(TLSError) {
        unsafe SSL_CTX_set_options(pointer, skywave_options_base())
        // What the file holds is sent, and nothing that could be added from the store of anchors.
        unsafe skywave_context_set_mode(pointer, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN))
        unsafe skywave_context_set_maximum_certificate_list(pointer, 65_536)
        unsafe SSL_CTX_set_verify_depth(pointer, 8)
        // The verification callback decides; this only says whether a server asks, and whether a client may refuse.
        let mode =
            switch configuration.peerVerification {
            case .required: SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
            case .recorded: SSL_VERIFY_PEER
            case .none: SSL_VERIFY_NONE
            }
        unsafe SSL_CTX_set_verify(pointer, mode, nil)
        var isAccepted =
            unsafe skywave_context_set_versions(
                pointer, configuration.minimumVersion.number, configuration.maximumVersion.number) == 1
        let ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
        isAccepted = unsafe SSL_CTX_set_cipher_list(pointer, ciphers) == 1 && isAccepted
        isAccepted = unsafe SSL_CTX_set_ciphersuites(pointer, configuration.cipherSuites) == 1 && isAccepted
        // One ticket context for all connections of this process; OpenSSL demands a name for it.
        isAccepted = unsafe SSL_CTX_set_session_id_context(pointer, "skywave", 7) == 1 && isAccepted
        if configuration.role == .server {
            isAccepted = unsafe SSL_CTX_set_num_tickets(pointer, configuration.sessionTickets) == 1 && isAccepted
        }
        if configuration.sessionTickets == 0 {
            unsafe SSL_CTX_set_options(pointer, skywave_option_no_ticket())
        }
        if configuration.savesBytes {
            unsafe SSL_CTX_clear_options(pointer, skywave_option_middlebox_compatibility())
            if configuration.minimumVersion == .v1_3 {
                unsafe SSL_CTX_set_options(pointer, skywave_options_without_old_extensions())
            }
            let algorithms = "ECDSA+SHA256:ed25519:RSA-PSS+SHA256:RSA+SHA256"
            isAccepted = unsafe skywave_context_set_groups(pointer, "X25519:P-256") == 1 && isAccepted
            isAccepted = unsafe skywave_context_set_signature_algorithms(pointer, algorithms) == 1 && isAccepted
        }
        guard isAccepted else {
            throw TLSError(.configuration, "OpenSSL does not accept the TLS settings: \(OpenSSLErrors.takeText())")
        }
    }

    /// Fills the store of anchors. No list of their names is ever sent: with the system's roots it would have 16 kB.
    private static func trust(_ configuration: TLSConfiguration, in pointer: OpaquePointer) throws(TLSError) {
        guard configuration.peerVerification != .none else { return }
        switch configuration.trust {
        case .fingerprints:
            return
        case .systemRoots:
            guard unsafe SSL_CTX_set_default_verify_paths(pointer) == 1 else {
                throw TLSError(
                    .fileUnreadable, "the system's root certificates cannot be read: \(OpenSSLErrors.takeText())")
            }
        case .certificateAuthorities(let path):
            let store = unsafe SSL_CTX_get_cert_store(pointer)
            for certificate in try Certificate.chain(file: path) {
                guard unsafe X509_STORE_add_cert(store, certificate.pointer) == 1 else {
                    throw TLSError(.fileMalformed, "\(path): cannot be used as trust: \(OpenSSLErrors.takeText())")
                }
            }
        }
    }
}

extension TLSVersion {
    fileprivate var number: Int32 {
        switch self {
        case .v1_2: TLS1_2_VERSION
        case .v1_3: TLS1_3_VERSION
        }
    }
}

extension TLSConfiguration {
    /// AES-128-GCM with SHA-256 first: as strong as the curves, and its Finished message is 16 bytes shorter.
    fileprivate var cipherSuites: String {
        self.savesBytes
            ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
            : "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
    }
}
