package import NIOCore
package import XMPP

/// How the bridge and its own server talk. Fixed for the life of a ``LocalSide``.
package struct LocalSideConfiguration: Sendable {
    /// The way in which the bridge takes the remote domains' place.
    package enum Attachment: Sendable, Equatable {
        /// By server-to-server streams, both ways.
        case server
        /// As one external component per domain, with the secret that the server's configuration names (XEP-0114).
        case components([Domain: String])
    }

    /// Whether STARTTLS is offered and used.
    package enum Encryption: Sendable, Equatable, CaseIterable {
        /// Never; a server that insists on it cannot be reached.
        case off
        /// Where the other side can.
        case optional
        /// Nothing is said or heard in the clear beyond the negotiation of TLS.
        case required
    }

    /// What proves a domain.
    package enum Authentication: Sendable, Equatable, CaseIterable {
        /// Dialback only (XEP-0220).
        case dialback
        /// SASL EXTERNAL where the certificate is good for it, dialback where not (XEP-0178 §3).
        case certificateOrDialback
        /// SASL EXTERNAL only; the server's certificate must be valid for its domain.
        case certificate
    }

    /// The site's own domains: only they may speak to the bridge.
    package var localDomains: [Domain]
    /// The domains that the bridge stands in for.
    package var remoteDomains: [DomainPattern]
    package var attachment: Attachment = .server
    package var encryption: Encryption = .optional
    package var authentication: Authentication = .certificateOrDialback

    /// Stanzas without a ticket that may wait for one pair of domains.
    package var queuedStanzasPerPair = 4_096
    /// Bytes of stanzas that may wait for one pair of domains before one without a ticket is refused.
    package var queuedBytesPerPair = 16 << 20
    /// The same altogether.
    package var queuedBytes = 64 << 20
    /// How long a stanza without a ticket waits for the local server before it is given back.
    package var holdTime: TimeAmount = .minutes(5)

    /// How long a stream may take from its connection to its first proved pair, whatever is said on it meanwhile.
    package var negotiationTimeout: TimeAmount = .seconds(60)
    /// How long an authoritative server may take to answer one verification.
    package var verificationTimeout: TimeAmount = .seconds(30)
    /// How long the other side may take to answer a closing tag.
    package var closeTimeout: TimeAmount = .seconds(5)
    /// Pause after the first failed dial; it doubles with each further one.
    package var dialBackoffMinimum: TimeAmount = .seconds(1)
    package var dialBackoffMaximum: TimeAmount = .seconds(60)
    /// Seed of the pauses' jitter; a random number in service, a fixed one in tests.
    package var jitterSeed: UInt64 = 0
    /// Silence of our own after which a single space is sent on a stream that is in use; `nil` for never.
    package var keepAlive: TimeAmount? = .minutes(5)
    /// A stream of ours that carried nothing for so long is closed.
    package var idleTimeout: TimeAmount = .minutes(30)

    /// Whether stanzas are acknowledged where the server can (XEP-0198).
    package var managesStreams = true
    /// Stanzas that may be on their way to a server that acknowledges, per stream; then the next ones wait.
    package var unacknowledgedStanzas = 1_024
    /// Bytes that may be on their way to a server that acknowledges, per stream.
    package var unacknowledgedBytes = 1 << 20
    /// How long a server may go without acknowledging anything of what it was asked about.
    package var acknowledgementTimeout: TimeAmount = .minutes(2)

    /// Connections that the server (or anybody) may hold to the bridge at once.
    package var maximumInboundConnections = 1_024
    /// Pairs of domains that may have a stream or a queue towards the server at once.
    package var maximumRoutes = 512
    /// How long a pair must have been silent before another may take its place when there are too many.
    package var silenceBeforeReplacement: TimeAmount = .seconds(5)
    /// Pairs that one stream may carry (XEP-0220 §2.5: more is answered with `resource-constraint`).
    package var maximumPairsPerStream = 256
    /// Verifications that one stream may have waiting at once.
    package var maximumPendingVerifications = 16
    /// Verifications that all streams together may have waiting at once.
    package var maximumVerifications = 256
    /// Refused attempts to prove something after which a stream is ended.
    package var maximumRefusals = 5
    /// Top-level elements before anything is proved on a stream, restarts included.
    package var maximumElementsBeforeAuthorization = 64

    /// Whether several remote domains share one stream to a local domain (XEP-0220 §2.5.1).
    ///
    /// Off by default: one stream per pair is what servers do among themselves.
    package var multiplexesSenderDomains = false

    package init(localDomains: [Domain], remoteDomains: [DomainPattern]) {
        self.localDomains = localDomains
        self.remoteDomains = remoteDomains
    }

    /// Whether the bridge stands in for this domain.
    package func standsInFor(_ domain: Domain) -> Bool {
        switch self.attachment {
        case .server: !self.localDomains.contains(domain) && self.remoteDomains.contains { $0.matches(domain) }
        case .components(let secrets): secrets[domain] != nil
        }
    }

    /// Whether the domain is one of the site's own.
    package func isLocal(_ domain: Domain) -> Bool {
        self.localDomains.contains(domain)
    }

    /// Whether nothing may be proved before TLS: asked for as such, or because certificates need it.
    var demandsTLS: Bool { self.encryption == .required || self.authentication == .certificate }
    var allowsDialback: Bool { self.authentication != .certificate }
    var allowsExternal: Bool { self.authentication != .dialback }
}
