import COpenSSL
import CShims
import XMPP

/// Decides whether a peer's certificate is good.
///
/// OpenSSL's own verification is run here in a context of ours, not by the handshake, for three reasons: a pinned
/// certificate needs no chain, a failure may be recorded without ending the handshake, and server certificates without
/// the client purpose (public authorities no longer give it) are still good for a server that dials.
struct PeerVerifier {
    /// Why a certificate was refused: an `X509_V_ERR_…` number for OpenSSL's alert, and a sentence for people.
    struct Failure: Equatable {
        let code: Int32
        let sentence: String
    }

    let configuration: TLSConfiguration
    /// What the peer must be called; `nil` where names are somebody else's business.
    let serverName: String?
    let now: Int64

    /// Checks names, dates and pin only: all that can be checked again when a session is resumed, whose chain was
    /// verified before.
    func failureWithoutChain(of leaf: Certificate) -> Failure? {
        if let damage = leaf.names.damage {
            return Failure(code: X509_V_ERR_CERT_REJECTED, sentence: damage)
        }
        switch self.configuration.trust {
        case .fingerprints(let fingerprints):
            guard !fingerprints.contains(leaf.fingerprint) else { return nil }
            let text = leaf.identities(failure: nil).fingerprintText
            return Failure(
                code: X509_V_ERR_CERT_REJECTED, sentence: "its fingerprint \(text) is not one of the pinned")
        case .certificateAuthorities, .systemRoots:
            guard leaf.notBefore <= self.now else { return self.notYetValid(leaf) }
            guard leaf.notAfter >= self.now else { return self.expired(leaf) }
            return self.nameFailure(of: leaf)
        }
    }

    /// Checks everything. `store` and `untrusted` belong to the handshake that asks.
    func failure(of leaf: Certificate, untrusted: OpaquePointer?, store: OpaquePointer?) -> Failure? {
        if case .fingerprints = self.configuration.trust { return self.failureWithoutChain(of: leaf) }
        // A client may only talk to a server; a server is dialled by other servers, and by the client purpose's letter.
        let purposes = self.configuration.role == .client ? ["ssl_server"] : ["ssl_server", "ssl_client"]
        var failure: Failure?
        for purpose in purposes {
            failure = unsafe self.chainFailure(of: leaf, untrusted: untrusted, store: store, purpose: purpose)
            guard let code = failure?.code, code == X509_V_ERR_INVALID_PURPOSE else { break }
        }
        return failure ?? self.failureWithoutChain(of: leaf)
    }

    private func chainFailure(
        of leaf: Certificate, untrusted: OpaquePointer?, store: OpaquePointer?, purpose: String
    ) -> Failure? {
        OpenSSLErrors.clear()
        defer { OpenSSLErrors.clear() }
        guard let context = unsafe X509_STORE_CTX_new() else {
            return Failure(code: X509_V_ERR_OUT_OF_MEM, sentence: "out of memory")
        }
        defer { unsafe X509_STORE_CTX_free(context) }
        guard unsafe X509_STORE_CTX_init(context, store, leaf.pointer, untrusted) == 1,
            unsafe X509_STORE_CTX_set_default(context, purpose) == 1
        else { return Failure(code: X509_V_ERR_UNSPECIFIED, sentence: "it cannot be checked") }
        let parameters = unsafe X509_STORE_CTX_get0_param(context)
        // What the operator put into the file is trusted, whether it signed itself or not.
        unsafe X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        unsafe X509_VERIFY_PARAM_set_depth(parameters, 8)
        // 112 bits: no SHA-1 in the chain, no RSA below 2048 bits.
        unsafe X509_VERIFY_PARAM_set_auth_level(parameters, 2)
        unsafe X509_VERIFY_PARAM_set_time(parameters, Int(self.now))
        guard unsafe X509_verify_cert(context) != 1 else { return nil }
        let code = unsafe X509_STORE_CTX_get_error(context)
        let current = unsafe X509_STORE_CTX_get_current_cert(context)
        let depth = unsafe X509_STORE_CTX_get_error_depth(context)
        var certificate = leaf
        if depth > 0, let current = unsafe current, unsafe X509_up_ref(current) == 1 {
            certificate = unsafe Certificate(owning: current)
        }
        return self.chainFailure(code, certificate: certificate, depth: Int(depth))
    }

    private func chainFailure(_ code: Int32, certificate: Certificate, depth: Int) -> Failure {
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED where depth == 0:
            return self.expired(certificate)
        case X509_V_ERR_CERT_NOT_YET_VALID where depth == 0:
            return self.notYetValid(certificate)
        case X509_V_ERR_CERT_HAS_EXPIRED:
            let date = UnixTime.text(certificate.notAfter)
            return Failure(code: code, sentence: "its authority \(certificate.subject) expired on \(date)")
        case X509_V_ERR_CERT_NOT_YET_VALID:
            let date = UnixTime.text(certificate.notBefore)
            return Failure(code: code, sentence: "its authority \(certificate.subject) is not valid before \(date)")
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return Failure(code: code, sentence: "it is self-signed and is not itself trusted")
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return Failure(code: code, sentence: "its authority \(certificate.subject) is not trusted")
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return Failure(code: code, sentence: "its authority \(certificate.issuer) is not trusted")
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return Failure(
                code: code, sentence: "its signature is not that of the trusted authority \(certificate.issuer)")
        case X509_V_ERR_INVALID_PURPOSE:
            return Failure(code: code, sentence: "it was issued for another use than this")
        default:
            let text = unsafe String(cString: X509_verify_cert_error_string(Int(code)))
            return Failure(code: code, sentence: text)
        }
    }

    private func expired(_ certificate: Certificate) -> Failure {
        Failure(
            code: X509_V_ERR_CERT_HAS_EXPIRED, sentence: "it expired on \(UnixTime.text(certificate.notAfter))")
    }

    private func notYetValid(_ certificate: Certificate) -> Failure {
        Failure(
            code: X509_V_ERR_CERT_NOT_YET_VALID,
            sentence: "it is not valid before \(UnixTime.text(certificate.notBefore))")
    }

    /// A client that demands a certificate demands that it names the server (RFC 6125 §6).
    private func nameFailure(of leaf: Certificate) -> Failure? {
        guard let serverName = self.serverName, self.configuration.peerVerification == .required else { return nil }
        let identities = leaf.identities(failure: nil)
        if let domain = Domain(serverName), identities.matches(domain) { return nil }
        let names = Set(identities.dnsNames + identities.serviceNames + identities.xmppAddresses).sorted()
        // A stranger wrote them: as many and as much of them as a line of a log can bear.
        let shown = names.prefix(5).map { $0.prefix(100) }.joined(separator: ", ")
        let list = names.isEmpty ? "it carries no name at all" : "it names \(shown)"
        return Failure(code: X509_V_ERR_HOSTNAME_MISMATCH, sentence: "it is not for \(serverName); \(list)")
    }
}
