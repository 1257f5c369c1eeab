/// What a payload is to the stanza that carries it: which hard rules stand over it, whatever a profile says.
package enum PayloadRole: UInt8, Sendable, CaseIterable {
    /// Never removed. A profile that names it under `strip` is refused.
    case kept
    /// Carries what the sender meant: an encrypted payload, a file, a reply, a retraction. Where it may not cross, the
    /// whole stanza is refused, since what is left of it would say something else.
    case meaning
    /// May go; a message that held nothing else is refused, so that its sender knows.
    case extra
    /// May go; nobody waits for a message that holds nothing else, so it goes without a word (XEP-0085 §5.8).
    case metadata
    /// May go, and never makes a message worth sending by itself: ids, hints, stamps.
    case companion
}

/// Where a payload may stand.
package struct PayloadPlaces: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let message = PayloadPlaces(rawValue: 1)
    package static let presence = PayloadPlaces(rawValue: 2)
    package static let iq = PayloadPlaces(rawValue: 4)
    /// Deep inside another payload, not a child of the stanza.
    package static let nested = PayloadPlaces(rawValue: 8)
}
