package import XMPP

/// What a profile does with one stanza.
package enum ProfileVerdict: Equatable, Sendable {
    /// It crosses as it is.
    case pass
    /// This crosses in its place: the stanza with less in it, or an error in place of an answer that is too large.
    case fold(Stanza)
    /// As ``fold(_:)``, and text that a person wrote was cut.
    case truncate(Stanza)
    /// It goes without a word.
    case drop(DropReason)
    /// It comes back to its sender with this error.
    case refuse(Refusal)
    /// The caller may answer this IQ get in the name of its recipient if it knows the answer for certain. Otherwise it is
    /// refused, or crosses as it is where `otherwise` is `nil`.
    case answerLocally(otherwise: Refusal?)
}

/// Why a stanza goes without a word.
package enum DropReason: Equatable, Sendable {
    /// It holds nothing but what `drop-when-only` names.
    case onlyMetadata
    /// Nothing worth sending is left of it.
    case nothingLeft
    /// Presence does not cross.
    case noPresence
    /// All that it held was the near server's to say, not a remote user's.
    case serverOwned
    /// It would be refused, but a room throws occupants out for errors (XEP-0045 §18.1.2).
    case fromRoom(Refusal)
}

/// The error with which a stanza comes back.
package struct Refusal: Equatable, Sendable {
    package var condition: StanzaErrorCondition
    package var type: StanzaErrorType
    /// One plain sentence for a person. Holds nothing of the stanza.
    package var text: String

    package init(_ condition: StanzaErrorCondition, _ type: StanzaErrorType, _ text: String) {
        self.condition = condition
        self.type = type
        self.text = text
    }

    /// A payload that the link does not carry: in a message the sender may leave it out, an IQ or a call is what nobody
    /// here supports (RFC 6120 §8.3.3).
    static func payload(_ payload: Payload?, in kind: StanzaKind) -> Refusal {
        let text = payload.map { "this link carries no \($0.title)" } ?? "this link carries nothing of this kind"
        let isUnsupported = kind == .iq || payload?.name == "jingle-message"
        return isUnsupported
            ? Refusal(.serviceUnavailable, .cancel, text) : Refusal(.notAcceptable, .modify, text)
    }

    static func oversize(_ what: String, _ limit: Int) -> Refusal {
        Refusal(.policyViolation, .modify, "\(what) larger than \(limit) bytes is not carried by this link")
    }
}

/// What is known of who sent a stanza.
package enum StanzaSender: Equatable, Sendable {
    /// A room or one of its occupants: `from` is in the domain of a room service.
    case room
    /// An account or its server: `from` is in a domain that is no room service.
    case user
    case unknown
}
