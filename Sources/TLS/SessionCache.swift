import COpenSSL
import Synchronization

/// One resumable session.
@safe final class TLSSession: @unchecked Sendable {
    // Handed to one connection at a time; OpenSSL's reference count is atomic.
    let pointer: OpaquePointer
    let isSingleUse: Bool

    /// Takes over one reference.
    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
        self.isSingleUse = unsafe SSL_SESSION_get_protocol_version(pointer) >= TLS1_3_VERSION
    }

    deinit {
        unsafe SSL_SESSION_free(self.pointer)
    }

    var isResumable: Bool { unsafe SSL_SESSION_is_resumable(self.pointer) == 1 }
}

/// Sessions that a client may take up again, by peer.
///
/// It lives and dies with its ``TLSContext``, so no session outlives the trust under which it was made.
final class SessionCache: Sendable {
    /// Most peers that are remembered; then one of them is forgotten for a new one.
    static let peersLimit = 256
    /// Most sessions per peer: as many as a server's tickets that can be used up before the next full handshake.
    static let sessionsPerPeer = 2

    private let sessions = Mutex<[String: [TLSSession]]>([:])

    func store(_ session: TLSSession, for peer: String) {
        self.sessions.withLock { sessions in
            if sessions[peer] == nil, sessions.count >= Self.peersLimit, let other = sessions.keys.first {
                sessions[other] = nil
            }
            let kept = session.isSingleUse ? (sessions[peer] ?? []).suffix(Self.sessionsPerPeer - 1) : []
            sessions[peer] = kept + [session]
        }
    }

    /// The newest usable session. One of TLS 1.3 is given out once (RFC 8446 §C.4).
    func take(for peer: String) -> TLSSession? {
        self.sessions.withLock { sessions in
            while let session = sessions[peer]?.last {
                if session.isSingleUse || !session.isResumable { sessions[peer]?.removeLast() }
                if session.isResumable { return session }
            }
            sessions[peer] = nil
            return nil
        }
    }

    var count: Int { self.sessions.withLock { $0.values.reduce(0) { $0 + $1.count } } }
}
