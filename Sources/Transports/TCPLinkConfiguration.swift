package import Blocks
package import NIOCore
package import XMPP

/// Addresses that a peer's connections come from.
package struct LinkSources: Sendable {
    /// As the operator wrote them.
    package let description: String
    private let isMember: @Sendable (SocketAddress) -> Bool

    package init(description: String, contains isMember: @escaping @Sendable (SocketAddress) -> Bool) {
        self.description = description
        self.isMember = isMember
    }

    package func contains(_ address: SocketAddress) -> Bool {
        isMember(address)
    }
}

/// How the two ends of a TLS link know each other. Both show a certificate; there is no TLS link without.
package struct LinkTLS: Equatable, Sendable {
    package enum Trust: Equatable, Sendable {
        /// PEM file with the authorities that may have signed the peer's certificate, and the name in it.
        case authorities(path: String, name: Domain)
        /// SHA-256 of the peer's certificate, 32 bytes each.
        case fingerprints([[UInt8]])
    }

    /// Own certificate with its chain, PEM.
    package var certificatePath: String
    package var keyPath: String
    package var trust: Trust
    /// What the dialler asks for (SNI): the first domain of the peer. XEP-0361 says nothing about it.
    package var serverName: Domain?

    package init(certificatePath: String, keyPath: String, trust: Trust, serverName: Domain?) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.trust = trust
        self.serverName = serverName
    }
}

/// One link over TCP, in either dialect.
package struct TCPLinkConfiguration: Sendable {
    /// There is no link without protection unless somebody has written down from where the peer comes.
    package enum Security: Sendable {
        /// Neither encryption nor authentication: who comes from these addresses is the peer (XEP-0361 §4.2, §5).
        case insecure(LinkSources)
        /// `sources` restricts further; nil means from anywhere.
        case tls(LinkTLS, sources: LinkSources?)
    }

    /// Where to dial.
    package struct Remote: Equatable, Sendable, CustomStringConvertible {
        package var host: String
        package var port: Int
        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
        package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    /// Name of the peer in status and logs.
    package var peer: String
    package let dialect: LinkDialect
    package var remote: Remote?
    /// Source address of our own connections; nil lets the system choose.
    package var localAddress: String?
    package var security: Security
    package var policy: TCPLinkPolicy
    /// Continuous DEFLATE in both directions, to be agreed with the peer; nil for XEP-0361 as written.
    package var compression: LinkCompression?
    package var limits = XMLLimits.link
    package var inflateLimits = InflateLimits.standard
    /// A longer block ends the connection (`skywave`).
    package var maximumBlockBytes = BlockLimits().blockBytes
    /// How long bytes may stay unacknowledged by the other end's TCP before the connection counts as dead.
    package var deadAfter: TimeAmount = .seconds(120)
    /// From accepting a connection to knowing that it is this peer's; a shared listener takes the longest of its peers.
    package var handshakeTimeout: TimeAmount
    /// How much may wait in the kernel that TCP has not sent yet. Small, because what is in there can no longer be
    /// overtaken, replaced or expired; a slow link needs minutes for a full default buffer.
    /// Blocks decide yet later than batches: the next is cut when the one before has all but left.
    package var unsentBytes: Int
    /// How much of what the kernel has taken is kept until the peer's TCP has acknowledged it, in bytes. Beyond it the
    /// oldest batches are no longer kept: should the connection die, nobody would be told that they are in doubt.
    package var unsettledBytes = 4 << 20
    /// What a connection that has been told to go may still bring while nobody reads, in bytes.
    package var farewellBytes = 8 << 20

    /// - Parameter remote: nil where only the peer dials. Without a listener the link is kept up at all times; with
    ///   both, whoever has something to say dials. In dialect `skywave` only one of the two is allowed.
    package init(
        peer: String, dialect: LinkDialect = .xep, remote: Remote?, listens: Bool, security: Security
    ) {
        self.peer = peer
        self.dialect = dialect
        self.remote = remote
        self.security = security
        let dial: DialPolicy = remote == nil ? .never : listens ? .whenNeeded(atStart: true) : .always
        policy = TCPLinkPolicy(dial: dial)
        policy.dialect = dialect
        unsentBytes = dialect == .xep ? 16_384 : 2_048
        var usesTLS = false
        if case .tls = security { usesTLS = true }
        handshakeTimeout = Self.identificationTime(deadAfter: deadAfter, usesTLS: usesTLS)
        policy.dialTimeout = handshakeTimeout
    }

    /// How long it may take until each end knows the other, by what `dead-after` says of the link.
    ///
    /// `dead-after` is how long a flight of bytes may stay unanswered. TCP's own handshake is one flight, and TLS 1.3 with
    /// certificates at both ends, about 3 kB, takes two more: five minutes at 75 bit/s.
    package static func identificationTime(deadAfter: TimeAmount, usesTLS: Bool) -> TimeAmount {
        max(.seconds(60), usesTLS ? deadAfter * 3 : deadAfter)
    }

    /// How long TCP alone may take; a peer that is switched off is dialled afresh, not waited for by TCP's ever rarer
    /// repeats.
    var connectTimeout: TimeAmount { min(policy.dialTimeout, max(.seconds(60), deadAfter)) }

    var sources: LinkSources? {
        switch security {
        case .insecure(let sources): sources
        case .tls(_, let sources): sources
        }
    }

    var tls: LinkTLS? {
        switch security {
        case .insecure: nil
        case .tls(let tls, _): tls
        }
    }

    /// What an operator must know about a link without protection.
    package var warning: String? {
        switch security {
        case .tls: nil
        case .insecure(let sources):
            "PLAIN, insecure: anybody who can reach this port from \(sources.description), or who is on the way, can read "
                + "everything and speak for the peer. Use [peer.transport.tls] wherever the bearer does not protect itself."
        }
    }
}
