package import XMPP

/// What ``TLSHandler`` tells the handlers behind it, as a user inbound event.
package enum TLSEvent: Sendable, Equatable {
    /// The handshake is done; everything that is read from now on was encrypted.
    ///
    /// `peer` is `nil` when the peer showed no certificate. Under ``TLSConfiguration/PeerVerification/recorded`` it may
    /// be one that is not valid: it matches no domain, and its `failure` says why.
    case established(peer: CertificateIdentities?, version: TLSVersion, isResumed: Bool)
}
