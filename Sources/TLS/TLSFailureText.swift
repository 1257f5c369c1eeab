import COpenSSL

/// OpenSSL's reasons as sentences for an operator.
enum TLSFailureText {
    static func error(
        _ entries: [OpenSSLErrors.Entry], peer: String, isHandshake: Bool, role: TLSConfiguration.Role
    ) -> TLSError {
        guard let entry = entries.first(where: { $0.library == ERR_LIB_SSL }) ?? entries.first else {
            return TLSError(.protocolFailure, "TLS with \(peer) failed without a reason")
        }
        if entry.library == ERR_LIB_SSL {
            if entry.reason > self.alertBase { return self.alert(entry.reason - self.alertBase, peer: peer) }
            if let error = self.known(entry.reason, peer: peer, isHandshake: isHandshake) { return error }
        }
        let text = entries.map(\.text).joined(separator: ", ")
        let beginning = isHandshake ? "the TLS handshake with \(peer) failed" : "TLS with \(peer) failed"
        return TLSError(.protocolFailure, "\(beginning): \(text)")
    }

    /// Reasons above it are alerts that the peer sent (`SSL_AD_REASON_OFFSET`).
    private static let alertBase: Int32 = 1000

    private static func known(_ reason: Int32, peer: String, isHandshake: Bool) -> TLSError? {
        switch reason {
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_BAD_RECORD_TYPE,
            SSL_R_UNKNOWN_PROTOCOL, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_RECORD_TOO_SMALL,
            SSL_R_RECORD_LENGTH_MISMATCH:
            guard isHandshake else { return nil }
            return TLSError(.notTLS, "what \(peer) sent is not TLS; is it the right port, and is TLS on at both ends?")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return TLSError(.peerCertificateRefused, "\(peer) showed no certificate, and one is required")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_WRONG_SSL_VERSION:
            return TLSError(.nothingInCommon, "\(peer) speaks no version of TLS that is allowed here")
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
            SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, SSL_R_NO_SUITABLE_GROUPS:
            return TLSError(.nothingInCommon, "\(peer) and this side have no TLS algorithms in common")
        case SSL_R_NO_RENEGOTIATION:
            return TLSError(.protocolFailure, "\(peer) asked to renegotiate, which is refused")
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
            return TLSError(.protocolFailure, "a TLS record from \(peer) was damaged or forged on its way")
        case SSL_R_EXCESSIVE_MESSAGE_SIZE:
            return TLSError(.protocolFailure, "\(peer) sent a handshake message that is too large")
        default:
            return nil
        }
    }

    /// RFC 8446 §6.2.
    private static func alert(_ number: Int32, peer: String) -> TLSError {
        if let reason = self.certificateAlerts[number] {
            return TLSError(.ownCertificateRefused, "\(peer) refused the certificate of this side: \(reason)")
        }
        switch number {
        case 40:
            return TLSError(
                .nothingInCommon, "\(peer) refused the TLS handshake: nothing in common, or a certificate is missing")
        case 70, 86:
            return TLSError(.nothingInCommon, "\(peer) accepts no version of TLS that is allowed here")
        case 71:
            return TLSError(.nothingInCommon, "\(peer) demands stronger TLS algorithms")
        case 112:
            return TLSError(.nothingInCommon, "\(peer) does not know the server name that it was asked for")
        case 20, 21, 51:
            return TLSError(.protocolFailure, "\(peer) found a TLS record damaged or forged on its way")
        default:
            return TLSError(.protocolFailure, "\(peer) ended TLS with alert \(number)")
        }
    }

    private static let certificateAlerts: [Int32: String] = [
        41: "there is none",
        42: "it is damaged, or not the one that is expected there",
        43: "its type is not supported",
        44: "it was revoked",
        45: "it expired or is not valid yet",
        46: "it is not acceptable",
        48: "its authority is not trusted there",
        49: "access was denied",
        116: "one is required, and none was shown",
    ]
}
