/// What a child of the stream root is (RFC 6120 §8.2).
package enum StanzaKind: UInt8, Sendable {
    case message, presence, iq
    /// Anything else: features, dialback, SASL, stream errors.
    case other
}

/// The `type` attribute of a stanza (RFC 6120 §8.2.3, RFC 6121 §4.7.1 and §5.2.2).
package enum StanzaType: UInt8, Sendable, CaseIterable {
    /// There is no `type` attribute.
    case absent
    case chat, error, groupchat, headline, normal
    case get, set, result
    case unavailable, subscribe, subscribed, unsubscribe, unsubscribed, probe
    /// Some other value.
    case unknown

    /// The attribute's value; `nil` for ``absent`` and ``unknown``.
    package var name: String? {
        switch self {
        case .absent, .unknown: nil
        case .chat: "chat"
        case .error: "error"
        case .groupchat: "groupchat"
        case .headline: "headline"
        case .normal: "normal"
        case .get: "get"
        case .set: "set"
        case .result: "result"
        case .unavailable: "unavailable"
        case .subscribe: "subscribe"
        case .subscribed: "subscribed"
        case .unsubscribe: "unsubscribe"
        case .unsubscribed: "unsubscribed"
        case .probe: "probe"
        }
    }
}
