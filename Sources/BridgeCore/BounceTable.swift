package import Profiles
package import XMPP

/// Why a stanza goes back to its sender.
package enum BounceReason: Equatable, Sendable {
    /// The outbox is full.
    case queueFull
    /// A message waited too long.
    case expired
    /// An IQ request was not answered in time.
    case requestTimedOut
    /// A client asks whether it is in a room while the link is down, and it is not known.
    case linkDown
    /// Too many IQ requests are unanswered.
    case requestTableFull
    /// The link broke while the stanza was being sent.
    case deliveryUnknown
    /// The link broke each time the stanza was sent.
    case sentTooOften
    /// The bridge stops.
    case shuttingDown
    /// Nothing can be made durable at the moment.
    case journalStalled
    /// An operator took it out of the queue.
    case cancelled
    /// Larger than the peer's side takes, with the limit in bytes.
    case oversize(limit: Int)
    /// The answer to this request was larger than our side takes.
    case answerOversize(limit: Int)
    /// The recipient's domain is not in the agreement.
    case notServed
    /// An IQ without `id` or with a `type` that does not exist.
    case malformed
    /// The link does not carry it.
    case profile(Refusal)
    /// The server on our side could not be given the stanza.
    case localDelivery(StanzaErrorCondition, StanzaErrorType)
}

/// The one table of what the bridge answers in somebody else's name (RFC 6120 §8.2.3 and §8.3, RFC 6121 §8; XEP-0045
/// for rooms).
package enum BounceTable {
    package struct Reply: Equatable, Sendable {
        package var condition: StanzaErrorCondition
        package var type: StanzaErrorType
        package var text: String?
    }

    package enum Verdict: Equatable, Sendable {
        case answer
        case silence(Silence)
    }

    /// Why no error is sent.
    package enum Silence: Equatable, Sendable, CaseIterable {
        /// An error is never answered (RFC 6120 §8.3.1), nor is an IQ result.
        case isAnswer
        /// Presence is never answered with an error, but for a request to subscribe (RFC 6121 §3.1.2).
        case isPresence
        /// A room throws the occupant out when one of its stanzas comes back (XEP-0045 §18.1.2).
        case isFromRoom
        /// Chat states, receipts and markers by themselves: nobody waits for them.
        case isOnlyMetadata
        /// Not a stanza.
        case isNoStanza
    }

    /// The error for a reason.
    package static func reply(to reason: BounceReason) -> Reply {
        switch reason {
        case .queueFull:
            Reply(condition: .resourceConstraint, type: .wait, text: "too much is waiting for this link")
        case .expired:
            Reply(condition: .remoteServerTimeout, type: .wait, text: "the link was not available in time")
        case .requestTimedOut:
            Reply(condition: .remoteServerTimeout, type: .wait, text: "no answer came over the link in time")
        case .linkDown:
            Reply(condition: .remoteServerTimeout, type: .wait, text: "the link is down")
        case .requestTableFull:
            Reply(condition: .resourceConstraint, type: .wait, text: "too many requests are unanswered")
        case .deliveryUnknown:
            Reply(
                condition: .remoteServerTimeout, type: .wait,
                text: "delivery unknown: the link broke while this was being sent")
        case .sentTooOften:
            Reply(
                condition: .remoteServerTimeout, type: .wait, text: "given up: the link broke each time this was sent")
        case .shuttingDown:
            Reply(condition: .remoteServerTimeout, type: .wait, text: "the bridge to this domain is shutting down")
        case .journalStalled:
            Reply(condition: .resourceConstraint, type: .wait, text: "the bridge cannot store anything at the moment")
        case .cancelled:
            Reply(condition: .undefinedCondition, type: .cancel, text: "taken out of the queue by an operator")
        case .oversize(let limit):
            Reply(condition: .policyViolation, type: .modify, text: "larger than \(limit) bytes")
        case .answerOversize(let limit):
            Reply(condition: .policyViolation, type: .cancel, text: "the answer is larger than \(limit) bytes")
        case .notServed:
            Reply(condition: .remoteServerNotFound, type: .cancel, text: nil)
        case .malformed:
            Reply(condition: .badRequest, type: .modify, text: nil)
        case .profile(let refusal):
            Reply(condition: refusal.condition, type: refusal.type, text: refusal.text)
        case .localDelivery(let condition, let type):
            Reply(condition: condition, type: type, text: nil)
        }
    }

    /// Whether a stanza of this kind may be answered with an error at all, whatever the reason.
    ///
    /// An IQ request of a room is answered: it is an occupant's, whom the room passed on. Prosody 0.12.3 hands the error
    /// to that occupant by the `id` that it made, and removes nobody (`handle_iq_to_occupant` in `muc.lib.lua`; only
    /// message and presence errors reach `handle_kickable`).
    package static func verdict(
        kind: StanzaKind, type: StanzaType, isFromRoom: Bool, isOnlyMetadata: Bool
    ) -> Verdict {
        switch (kind, type) {
        case (.other, _): .silence(.isNoStanza)
        case (_, .error), (.iq, .result): .silence(.isAnswer)
        case (.iq, _): .answer
        case (.presence, .subscribe): isFromRoom ? .silence(.isFromRoom) : .answer
        case (.presence, _): isFromRoom ? .silence(.isFromRoom) : .silence(.isPresence)
        case (.message, _):
            isFromRoom ? .silence(.isFromRoom) : isOnlyMetadata ? .silence(.isOnlyMetadata) : .answer
        }
    }
}

extension Stanza {
    /// True for a message that carries nothing a person wrote: chat states, receipts, markers and the like (XEP-0085 §5.8).
    var isOnlyMetadata: Bool {
        guard kind == .message else { return false }
        return root.children.allSatisfy { child in
            let namespace = child.namespace
            return Self.metadataNamespaces.contains(namespace)
                || namespace == XMLNamespace.server && child.name == "thread"
        }
    }

    private static let metadataNamespaces: [String] = [
        "http://jabber.org/protocol/chatstates", "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:hints",
        "urn:xmpp:sid:0", XMLNamespace.delay,
    ]
}
