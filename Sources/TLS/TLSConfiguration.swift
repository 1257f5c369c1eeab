package import NIOCore

/// A version of TLS. Older ones than these are never spoken.
package enum TLSVersion: Sendable, Comparable, CustomStringConvertible {
    case v1_2
    case v1_3

    package var description: String {
        switch self {
        case .v1_2: "TLS 1.2"
        case .v1_3: "TLS 1.3"
        }
    }
}

/// Everything that a ``TLSContext`` is made from.
package struct TLSConfiguration: Sendable {
    /// Which end of the handshake.
    package enum Role: Sendable {
        /// Dials, speaks first.
        case client
        /// Listens.
        case server
    }

    /// A certificate of our own, in two PEM files.
    package struct Identity: Hashable, Sendable {
        /// The leaf, then whatever leads to the authority; the authority itself is better left out.
        package var certificateChainPath: String
        package var keyPath: String

        package init(certificateChainPath: String, keyPath: String) {
            self.certificateChainPath = certificateChainPath
            self.keyPath = keyPath
        }
    }

    /// What makes a peer's certificate good.
    package enum Trust: Sendable, Equatable {
        /// PEM file; each certificate in it is an anchor, be it an authority or the peer's own certificate.
        case certificateAuthorities(String)
        /// What the system trusts.
        case systemRoots
        /// SHA-256 over the DER form, 32 bytes each. The pin is the whole proof: neither authority nor names nor dates
        /// count (as for DANE-EE, RFC 7671 §5.1), so that a pinned link does not die at midnight.
        case fingerprints([[UInt8]])
    }

    /// What happens to a peer without a good certificate.
    package enum PeerVerification: Sendable {
        /// The handshake fails. A client also checks that the certificate names the server that it asked for.
        case required
        /// The handshake goes on and the failure stands in ``CertificateIdentities``, which then match nothing:
        /// encryption for a peer that proves itself by dialback.
        case recorded
        /// It is not asked for (server) or not looked at (client).
        case none
    }

    package var role: Role
    /// A server shows the one that the client asks for by SNI; a client the one that its connection is opened for.
    package var identities: [Identity]
    package var trust: Trust
    package var peerVerification: PeerVerification
    package var minimumVersion: TLSVersion = .v1_2
    package var maximumVersion: TLSVersion = .v1_3
    /// Leaves out what a narrow link need not carry: middlebox disguise, all but one key exchange offer, algorithms
    /// that no modern peer chooses. Costs the disguise only.
    package var savesBytes = false
    /// Server: session tickets per full handshake, 0 to 2. Client: 0 offers no resumption, else it is used where given.
    package var sessionTickets = 1
    /// An own certificate that is expired or not yet valid is refused when the context is made, unless this is set: a
    /// peer that pins it does not care.
    package var acceptsExpiredIdentity = false
    /// Greatest number of plain bytes that wait for the end of the handshake, per connection.
    package var pendingBytesLimit = 1 << 20
    /// Longest wait for the socket to take what is left when a channel is closed.
    package var closeTimeout = TimeAmount.seconds(5)

    package init(
        role: Role, identities: [Identity] = [], trust: Trust = .systemRoots,
        peerVerification: PeerVerification = .required
    ) {
        self.role = role
        self.identities = identities
        self.trust = trust
        self.peerVerification = peerVerification
    }

    /// For TLS directly over the TCP of a bridge-to-bridge link (XEP-0361 §4.6): TLS 1.3 only, certificates demanded
    /// both ways, as few bytes as possible, nothing remembered.
    package static func link(role: Role, identity: Identity, trust: Trust) -> TLSConfiguration {
        var configuration = TLSConfiguration(
            role: role, identities: [identity], trust: trust, peerVerification: .required)
        configuration.minimumVersion = .v1_3
        configuration.savesBytes = true
        configuration.sessionTickets = 0
        return configuration
    }

    /// Settings that contradict each other.
    func validate() throws(TLSError) {
        guard self.minimumVersion <= self.maximumVersion else {
            throw TLSError(.configuration, "the minimum version of TLS is above the maximum version")
        }
        if self.role == .server && self.identities.isEmpty {
            throw TLSError(.configuration, "a TLS server needs a certificate")
        }
        guard (0...2).contains(self.sessionTickets) else {
            throw TLSError(.configuration, "0 to 2 session tickets are possible, not \(self.sessionTickets)")
        }
        if case .fingerprints(let fingerprints) = self.trust, self.peerVerification != .none {
            guard !fingerprints.isEmpty else {
                throw TLSError(.configuration, "the list of trusted fingerprints is empty")
            }
            guard fingerprints.allSatisfy({ $0.count == 32 }) else {
                throw TLSError(.configuration, "a SHA-256 fingerprint has 32 bytes (64 hexadecimal digits)")
            }
        }
    }
}

extension TLSConfiguration.Trust {
    /// Reads a SHA-256 fingerprint as people write it: 64 hexadecimal digits, with or without colons or spaces.
    package static func fingerprint(_ text: String) -> [UInt8]? {
        let digits = text.filter { $0 != ":" && $0 != " " }.map(\.hexDigitValue)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
