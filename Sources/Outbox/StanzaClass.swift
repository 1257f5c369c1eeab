package import XMPP

/// How urgent a stanza is on a link that cannot take everything at once. Lower raw values leave first.
package enum StanzaClass: UInt8, CaseIterable, Sendable, Comparable {
    /// What somebody waits for or what changes a roster: IQ answers, errors, the four subscription stanzas.
    case urgent
    /// Messages of all types but errors.
    case message
    /// IQ requests.
    case request
    /// Availability and probes.
    case presence

    package init(_ stanza: Stanza) {
        self =
            switch (stanza.kind, stanza.type) {
            case (_, .error): .urgent
            case (.iq, .result): .urgent
            case (.iq, _): .request
            case (.presence, .subscribe), (.presence, .subscribed), (.presence, .unsubscribe),
                (.presence, .unsubscribed):
                .urgent
            case (.presence, _): .presence
            case (.message, _), (.other, _): .message
            }
    }

    package static func < (left: StanzaClass, right: StanzaClass) -> Bool { left.rawValue < right.rawValue }
}

/// Which clock a waiting stanza is under.
package enum StanzaLifetime: UInt8, CaseIterable, Sendable {
    /// Messages: when it is over the sender is told.
    case message
    /// IQ requests: when it is over the sender is told.
    case request
    /// Available presence and probes: when it is over they go silently.
    case presence
    /// `unavailable`, subscription stanzas, joins and what rooms say of occupants, IQ answers and errors: they always arrive
    /// in the end.
    case unlimited

    package init(_ stanza: Stanza) {
        self =
            switch (stanza.kind, stanza.type) {
            case (_, .error), (.iq, .result): .unlimited
            case (.iq, _): .request
            case (.presence, .absent): stanza.isPlainAvailability ? .presence : .unlimited
            case (.presence, .probe), (.presence, .unknown): .presence
            case (.presence, _): .unlimited
            case (.message, _), (.other, _): .message
            }
    }
}

extension Stanza {
    /// Presence that is worth something only while it is fresh: plain availability and probes. Whatever else is presence
    /// changes a roster, a room or ends an availability.
    package var isVolatile: Bool {
        kind == .presence && (isPlainAvailability || type == .probe)
    }

    /// Plain availability: a newer one of the same addresses makes it worthless.
    ///
    /// Joining a room, and what a room says of its occupants, are no plain availability; nor is presence with a node's
    /// federation payload (XEP-0045, XEP-0289).
    package var isPlainAvailability: Bool {
        kind == .presence && type == .absent && !hasChild(.muc) && !hasChild(.mucUser) && !hasChild(.fmuc)
    }
}
