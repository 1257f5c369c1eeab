import XMPP

/// What the bridge beside a user's server makes of an error that the server returned to a far room.
///
/// No error ever crosses to a room. But one that says that his full address is gone must not leave a ghost there: it
/// becomes the leave that his client did not get to send.
enum RoomDeparture {
    /// Conditions by which a server says that an address does not exist (any more). `service-unavailable` is what RFC
    /// 6121 §8.5.3.2 has it say of a full address that is offline, and of an account that does not exist;
    /// `recipient-unavailable` is Prosody's word for what a client's dead stream did not take; `gone` and
    /// `item-not-found` say so literally. Not among them: `remote-server-not-found`, `remote-server-timeout`,
    /// `internal-server-error`, `resource-constraint` and the like, which speak of a path or a server in trouble and
    /// may be untrue a second later; `redirect`, `not-allowed`, `forbidden`, `policy-violation` and `not-acceptable`,
    /// which speak of the stanza.
    static func meansGone(_ condition: StanzaErrorCondition) -> Bool {
        switch condition {
        case .serviceUnavailable, .recipientUnavailable, .gone, .itemNotFound: true
        case .badRequest, .conflict, .featureNotImplemented, .forbidden, .internalServerError, .jidMalformed,
            .notAcceptable,
            .notAllowed, .notAuthorized, .policyViolation, .redirect, .registrationRequired, .remoteServerNotFound,
            .remoteServerTimeout, .resourceConstraint, .subscriptionRequired, .undefinedCondition, .unexpectedRequest:
            false
        }
    }

    /// The leave for an error to a room; nil when the error does not mean one. It goes to the room's bare address:
    /// his nick is not in the error, and rooms find an occupant by his own address. A Skywave beside the room adds
    /// the nick.
    static func leave(for error: Stanza) -> Stanza? {
        guard error.kind == .message || error.kind == .presence, let condition = error.errorCondition,
            meansGone(condition), let from = error.from, !from.isBare, let to = error.to
        else { return nil }
        var writer = StanzaWriter()
        writer.start(
            "presence", XMLNamespace.server,
            [("to", to.bare.description), ("from", from.description), ("type", "unavailable")])
        return writer.finish()
    }
}
