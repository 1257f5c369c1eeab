package import XMPP

/// The two ends of a conversation as the bridge sees them, whichever way the stanzas go.
///
/// Authorisation on a stream is for pairs, never for single domains (XEP-0220 §2.5).
package struct DomainPair: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// A domain of a peer, which the bridge stands in for towards its own server.
    package let remote: Domain
    /// A domain of the site's own server.
    package let local: Domain

    package init(remote: Domain, local: Domain) {
        self.remote = remote
        self.local = local
    }

    package static func < (left: DomainPair, right: DomainPair) -> Bool {
        left.remote == right.remote ? left.local < right.local : left.remote < right.remote
    }

    package var description: String { "\(self.remote) and \(self.local)" }
}
