package import XMPP

/// Which way a stanza goes.
package enum ProfileDirection: UInt8, CaseIterable, Sendable {
    /// From this site over the link.
    case out
    /// From the link to this site.
    case `in`
}

/// `when` of a rule: it holds for the stanzas to which all of it applies.
package struct RuleCondition: Equatable, Sendable {
    /// Kinds of messages, presence or IQs; empty for all.
    package var shapes: Set<StanzaShape> = []
    /// Empty for all; where a rule does not say, `out`.
    package var directions: Set<ProfileDirection> = [.out]
    /// Domains of the other site: of `to` for what goes out, of `from` for what comes in. Empty for all.
    package var domains: [DomainPattern] = []

    package init() {}

    func applies(to shape: StanzaShape, _ direction: ProfileDirection) -> Bool {
        (shapes.isEmpty || shapes.contains(shape)) && directions.contains(direction)
    }
}

/// The shapes of stanzas that rules tell apart. The raw value is what `when = { type = … }` says.
package enum StanzaShape: String, CaseIterable, Sendable {
    case chat, groupchat, normal, headline
    case available, unavailable
    case get, set, result

    /// The shape of a stanza that profiles say something about; `nil` for all that always crosses as it is: errors,
    /// subscription stanzas, and what is no stanza. Probes are ``available``'s affair.
    package init?(_ stanza: Stanza) {
        switch (stanza.kind, stanza.type) {
        case (.message, .error), (.presence, .error), (.iq, .error): return nil
        case (.message, .chat): self = .chat
        case (.message, .groupchat): self = .groupchat
        case (.message, .headline): self = .headline
        // An unknown type is to be treated as normal (RFC 6121 §5.2.2).
        case (.message, _): self = .normal
        case (.presence, .absent): self = .available
        case (.presence, .unavailable): self = .unavailable
        case (.iq, .get): self = .get
        case (.iq, .set): self = .set
        case (.iq, .result): self = .result
        case (.presence, _), (.iq, _), (.other, _): return nil
        }
    }

    static let messages: [StanzaShape] = [.chat, .groupchat, .normal, .headline]
    static let presence: [StanzaShape] = [.available, .unavailable]
    static let iq: [StanzaShape] = [.get, .set, .result]

    var index: Int {
        switch self {
        case .chat: 0
        case .groupchat: 1
        case .normal: 2
        case .headline: 3
        case .available: 4
        case .unavailable: 5
        case .get: 6
        case .set: 7
        case .result: 8
        }
    }
}
