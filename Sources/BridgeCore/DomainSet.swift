import XMPP

/// The domains of one side of an agreement, with the names met lately at hand.
///
/// Answers for an ordinary stanza without allocating: the name is compared with the one that was met last among those of
/// the same hash.
struct DomainSet {
    private let patterns: [DomainPattern]
    private var met: [Domain?]

    private static let places = 64

    init(_ patterns: [DomainPattern]) {
        self.patterns = patterns
        met = Array(repeating: nil, count: Self.places)
    }

    init(_ domains: [Domain]) {
        self.init(domains.compactMap { DomainPattern($0.string) })
    }

    mutating func containsRecipient(of stanza: Stanza) -> Bool {
        let place = Int(truncatingIfNeeded: stanza.toDomainHash) & (Self.places - 1)
        if let domain = met[place], stanza.toDomainEquals(domain) { return true }
        return check(stanza.toDomain, place)
    }

    mutating func containsSender(of stanza: Stanza) -> Bool {
        let place = Int(truncatingIfNeeded: stanza.fromDomainHash) & (Self.places - 1)
        if let domain = met[place], stanza.fromDomainEquals(domain) { return true }
        return check(stanza.fromDomain, place)
    }

    private mutating func check(_ domain: Domain?, _ place: Int) -> Bool {
        guard let domain, patterns.contains(where: { $0.matches(domain) }) else { return false }
        met[place] = domain
        return true
    }
}
