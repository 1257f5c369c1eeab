import COpenSSL
import CShims
import NIOCore
import XMPP

/// One TLS connection over memory: ciphertext in, ciphertext out, no socket. The only place that holds an `SSL`.
///
/// Confined to its event loop. The handler feeds what arrived, asks for progress, and takes what is to be sent.
@safe final class TLSConnection {
    /// What the handshake came to.
    struct Established: Equatable {
        let peer: CertificateIdentities?
        let version: TLSVersion
        let isResumed: Bool
    }

    /// What reading came to.
    enum ReadResult: Equatable {
        /// Plain bytes were appended.
        case bytes
        /// Nothing more until more ciphertext arrives.
        case needsMore
        /// The peer said close_notify: it sends nothing more.
        case closed
    }

    /// Largest plain text of one record (RFC 8446 §5.1).
    static let recordBytes = 16_384

    let context: TLSContext
    /// The name that is sent as SNI and that a required certificate must carry; clients only.
    private let serverName: String?
    /// Whose certificate of ours is shown: the client's own choice, or the server's where there is no SNI.
    private let identityName: String?
    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private var peer: CertificateIdentities?
    private var refusal: PeerVerifier.Failure?
    private var hasFailed = false

    init(context: TLSContext, serverName: String?, identityName: String?) throws(TLSError) {
        OpenSSLErrors.clear()
        guard let ssl = unsafe SSL_new(context.pointer) else {
            throw TLSError(.internal, "OpenSSL gives no connection: \(OpenSSLErrors.takeText())")
        }
        guard let incoming = unsafe BIO_new(BIO_s_mem()) else {
            unsafe SSL_free(ssl)
            throw TLSError(.internal, "out of memory")
        }
        guard let outgoing = unsafe BIO_new(BIO_s_mem()) else {
            unsafe BIO_free(incoming)
            unsafe SSL_free(ssl)
            throw TLSError(.internal, "out of memory")
        }
        unsafe skywave_memory_bio_set_nonblocking(incoming)
        unsafe skywave_memory_bio_set_nonblocking(outgoing)
        // The SSL owns both from here on.
        unsafe SSL_set_bio(ssl, incoming, outgoing)
        self.context = context
        self.serverName = serverName
        self.identityName = identityName
        unsafe self.ssl = ssl
        unsafe self.incoming = incoming
        unsafe self.outgoing = outgoing
        // Slot 0 is the application's. Unretained: the SSL is freed by this object's deinit.
        unsafe SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        switch context.configuration.role {
        case .server:
            unsafe SSL_set_accept_state(ssl)
        case .client:
            unsafe SSL_set_connect_state(ssl)
            // An address in digits is not a name (RFC 6066 §3).
            if let serverName, !Self.isAddress(serverName) {
                guard unsafe skywave_set_server_name(ssl, ASCIIDomain(serverName).description) == 1 else {
                    throw TLSError(.configuration, "\(serverName) cannot be a TLS server name")
                }
            }
            if context.configuration.sessionTickets > 0, let key = self.sessionKey,
                let session = context.sessions.take(for: key)
            {
                unsafe SSL_set_session(ssl, session.pointer)
            }
        }
    }

    deinit {
        // A connection that simply ended may be resumed all the same; one that failed may not (RFC 8446 §6.2).
        if !self.hasFailed {
            unsafe SSL_set_shutdown(self.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        }
        unsafe SSL_free(self.ssl)
    }

    // MARK: Bytes

    /// Takes ciphertext from the peer, at most one record's worth, so that memory stays bounded by what a record needs.
    func feed(_ bytes: inout ByteBuffer) {
        let count = min(bytes.readableBytes, Self.recordBytes)
        let written = unsafe bytes.readableBytesView.prefix(count).withUnsafeBytes {
            unsafe BIO_write(self.incoming, $0.baseAddress, Int32($0.count))
        }
        bytes.moveReaderIndex(forwardBy: max(0, Int(written)))
    }

    /// Whether there is ciphertext that has to be sent.
    var hasCiphertext: Bool { unsafe BIO_ctrl_pending(self.outgoing) > 0 }

    /// Everything that has to be sent now, as one buffer.
    func takeCiphertext(_ allocator: ByteBufferAllocator) -> ByteBuffer? {
        let count = unsafe BIO_ctrl_pending(self.outgoing)
        guard count > 0 else { return nil }
        var buffer = allocator.buffer(capacity: count)
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
            let length = unsafe BIO_read(self.outgoing, space.baseAddress, Int32(clamping: count))
            return max(0, Int(length))
        }
        return buffer
    }

    // MARK: Handshake

    /// Goes on with the handshake as far as the bytes reach; `nil` while it needs more of them.
    func handshake() throws(TLSError) -> Established? {
        OpenSSLErrors.clear()
        let result = unsafe SSL_do_handshake(self.ssl)
        guard result == 1 else {
            try self.check(result, during: .handshake)
            return nil
        }
        return try self.established()
    }

    private func established() throws(TLSError) -> Established {
        let isResumed = unsafe SSL_session_reused(self.ssl) == 1
        if isResumed || self.context.configuration.peerVerification == .none {
            try self.recallPeer(isResumed: isResumed)
        }
        let version: TLSVersion = unsafe SSL_version(self.ssl) >= TLS1_3_VERSION ? .v1_3 : .v1_2
        return Established(peer: self.peer, version: version, isResumed: isResumed)
    }

    /// The verification callback was not asked: the certificate is the one in the session, or does not matter.
    private func recallPeer(isResumed: Bool) throws(TLSError) {
        let isRequired = self.context.configuration.peerVerification == .required
        guard let pointer = unsafe SSL_get1_peer_certificate(self.ssl) else {
            guard !isRequired else {
                self.hasFailed = true
                throw TLSError(.peerCertificateRefused, "\(self.peerText) showed no certificate")
            }
            return
        }
        let leaf = unsafe Certificate(owning: pointer)
        guard self.context.configuration.peerVerification != .none else {
            self.peer = leaf.identities(failure: "it was not checked")
            return
        }
        let code = unsafe Int(SSL_get_verify_result(self.ssl))
        var failure = self.verifier.failureWithoutChain(of: leaf)
        if failure == nil && code != Int(X509_V_OK) {
            let text = unsafe String(cString: X509_verify_cert_error_string(code))
            failure = PeerVerifier.Failure(code: Int32(code), sentence: text)
        }
        self.peer = leaf.identities(failure: failure?.sentence)
        if isRequired, let failure {
            self.hasFailed = true
            throw self.refused(failure)
        }
    }

    // MARK: Records

    /// Decrypts into `buffer`, at most one record.
    func read(into buffer: inout ByteBuffer) throws(TLSError) -> ReadResult {
        OpenSSLErrors.clear()
        var result: Int32 = 0
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.recordBytes) { space in
            unsafe result = SSL_read(self.ssl, space.baseAddress, Int32(clamping: space.count))
            return max(0, Int(result))
        }
        if result > 0 { return .bytes }
        if unsafe SSL_get_error(self.ssl, result) == SSL_ERROR_ZERO_RETURN { return .closed }
        try self.check(result, during: .records)
        return .needsMore
    }

    /// Encrypts `bytes` into as few records as they need.
    func write(_ bytes: ByteBuffer) throws(TLSError) {
        guard bytes.readableBytes > 0 else { return }
        OpenSSLErrors.clear()
        var written = 0
        let result = unsafe bytes.withUnsafeReadableBytes {
            unsafe SSL_write_ex(self.ssl, $0.baseAddress, $0.count, &written)
        }
        guard result == 1 && written == bytes.readableBytes else {
            try self.check(result, during: .records)
            throw TLSError(.internal, "OpenSSL took a part of a write only")
        }
    }

    /// Says close_notify. Nothing can be written after it.
    func closeOutput() {
        OpenSSLErrors.clear()
        unsafe SSL_shutdown(self.ssl)
        OpenSSLErrors.clear()
    }

    // MARK: Errors

    private enum Phase {
        case handshake
        case records
    }

    /// Returns where OpenSSL merely waits for bytes.
    private func check(_ result: Int32, during phase: Phase) throws(TLSError) {
        let kind = unsafe SSL_get_error(self.ssl, result)
        if kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE { return }
        self.hasFailed = true
        if let refusal { throw self.refused(refusal) }
        if kind == SSL_ERROR_ZERO_RETURN {
            throw TLSError(.truncated, "\(self.peerText) closed the connection during the TLS handshake")
        }
        throw TLSFailureText.error(
            OpenSSLErrors.take(), peer: self.peerText, isHandshake: phase == .handshake,
            role: self.context.configuration.role)
    }

    private func refused(_ failure: PeerVerifier.Failure) -> TLSError {
        let subject = self.peer.map { $0.subject.isEmpty ? "" : " (\($0.subject))" } ?? ""
        return TLSError(
            .peerCertificateRefused, "the certificate of \(self.peerText)\(subject) was refused: \(failure.sentence)")
    }

    private var peerText: String { self.serverName ?? "the peer" }

    // MARK: Questions that OpenSSL asks

    private var verifier: PeerVerifier {
        PeerVerifier(configuration: self.context.configuration, serverName: self.serverName, now: UnixTime.now)
    }

    /// Name of the server and own certificate: a session proves the one to the other. Without a name there is no
    /// telling whose session it would be.
    private var sessionKey: String? {
        self.serverName.map { "\($0) \(self.identityName ?? "")" }
    }

    private static func of(_ ssl: OpaquePointer?) -> TLSConnection? {
        guard let ssl = unsafe ssl, let data = unsafe SSL_get_ex_data(ssl, 0) else { return nil }
        return unsafe Unmanaged<TLSConnection>.fromOpaque(data).takeUnretainedValue()
    }

    /// `SSL_CTX_set_cert_verify_callback`: 1 to go on, 0 to end the handshake with an alert.
    static func verifyPeer(_ store: OpaquePointer?) -> Int32 {
        let index = SSL_get_ex_data_X509_STORE_CTX_idx()
        guard let data = unsafe X509_STORE_CTX_get_ex_data(store, index),
            let connection = unsafe TLSConnection.of(OpaquePointer(data)),
            let pointer = unsafe X509_STORE_CTX_get0_cert(store), unsafe X509_up_ref(pointer) == 1
        else { return 0 }
        let leaf = unsafe Certificate(owning: pointer)
        let configuration = connection.context.configuration
        guard configuration.peerVerification != .none else { return 1 }
        let failure = unsafe connection.verifier.failure(
            of: leaf, untrusted: X509_STORE_CTX_get0_untrusted(store),
            store: SSL_CTX_get_cert_store(connection.context.pointer))
        connection.peer = leaf.identities(failure: failure?.sentence)
        unsafe X509_STORE_CTX_set_error(store, failure?.code ?? X509_V_OK)
        guard let failure, configuration.peerVerification == .required else { return 1 }
        connection.refusal = failure
        return 0
    }

    /// `SSL_CTX_set_cert_cb`: 1 to go on with whatever certificate is set, or with none.
    static func chooseIdentity(_ ssl: OpaquePointer?) -> Int32 {
        guard let connection = unsafe TLSConnection.of(ssl) else { return 0 }
        guard let identity = connection.chosenIdentity else { return 1 }
        return unsafe identity.use(on: connection.ssl) ? 1 : 0
    }

    private var chosenIdentity: OwnIdentity? {
        let context = self.context
        switch context.configuration.role {
        case .client:
            // Asked to speak for a name, it must not show the certificate of another one.
            guard let identityName else { return context.identities.first }
            return context.identity(named: identityName)
        case .server:
            let name = unsafe SSL_get_servername(self.ssl, TLSEXT_NAMETYPE_host_name)
            let asked = unsafe name.map { unsafe String(cString: $0) }
            return asked.flatMap(context.identity(named:)) ?? self.identityName.flatMap(context.identity(named:))
                ?? context.identities.first
        }
    }

    /// `SSL_CTX_sess_set_new_cb`: 1 when the session was kept and its reference taken over.
    static func keep(_ session: OpaquePointer?, of ssl: OpaquePointer?) -> Int32 {
        // A certificate that was refused does not get better by being remembered.
        guard let session = unsafe session, let connection = unsafe TLSConnection.of(ssl),
            let key = connection.sessionKey, unsafe SSL_get_verify_result(connection.ssl) == Int(X509_V_OK)
        else { return 0 }
        unsafe connection.context.sessions.store(TLSSession(owning: session), for: key)
        return 1
    }

    private static func isAddress(_ name: String) -> Bool {
        name.contains(":") || name.allSatisfy { $0.isNumber || $0 == "." }
    }
}
