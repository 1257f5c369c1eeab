package import XMPP

/// Finds the peer that a domain belongs to.
///
/// Domains of traffic repeat, so each is looked up once and then found by its hash in a small direct-mapped table: an
/// ordinary stanza is routed without an allocation and without a look at the patterns. The table never grows; a domain
/// that meets another in its place takes the place.
package struct StanzaRouter {
    private struct Entry {
        var hash: UInt64
        var domain: Domain
        var peer: Int
    }

    private static let size = 512
    private let patterns: [(pattern: DomainPattern, peer: Int)]
    private var recipients = [Entry?](repeating: nil, count: StanzaRouter.size)
    private var senders = [Entry?](repeating: nil, count: StanzaRouter.size)

    /// - Parameter peers: the domains of each peer, in the order of their numbers.
    package init(peers: [[DomainPattern]]) {
        patterns = peers.enumerated().flatMap { peer, patterns in patterns.map { ($0, peer) } }
    }

    /// The number of the peer that the stanza goes to, or `nil` when no peer has its domain.
    package mutating func recipient(of stanza: Stanza) -> Int? {
        let hash = stanza.toDomainHash
        let slot = Int(truncatingIfNeeded: hash) & (StanzaRouter.size - 1)
        if let entry = recipients[slot], entry.hash == hash, stanza.toDomainEquals(entry.domain) { return entry.peer }
        guard let domain = stanza.toDomain, let peer = peer(of: domain) else { return nil }
        recipients[slot] = Entry(hash: hash, domain: domain, peer: peer)
        return peer
    }

    /// The number of the peer that the stanza came from.
    package mutating func sender(of stanza: Stanza) -> Int? {
        let hash = stanza.fromDomainHash
        let slot = Int(truncatingIfNeeded: hash) & (StanzaRouter.size - 1)
        if let entry = senders[slot], entry.hash == hash, stanza.fromDomainEquals(entry.domain) { return entry.peer }
        guard let domain = stanza.fromDomain, let peer = peer(of: domain) else { return nil }
        senders[slot] = Entry(hash: hash, domain: domain, peer: peer)
        return peer
    }

    package func peer(of domain: Domain) -> Int? {
        patterns.first { $0.pattern.matches(domain) }?.peer
    }
}
