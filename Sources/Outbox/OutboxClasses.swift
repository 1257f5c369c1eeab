package import XMPP

/// How the classes stand to each other, and what belongs to the most urgent one beyond its kind.
package struct OutboxClasses: Equatable, Sendable {
    /// Priorities, 0 to 15 as in STANAG 5066; greater leaves first.
    package var urgent: UInt8 = 12
    package var message: UInt8 = 8
    package var request: UInt8 = 6
    package var presence: UInt8 = 2
    /// Whether a newer availability of the same full addresses replaces one that has not left.
    package var supersedesPresence = true
    /// Bare addresses, of either side, whose messages are urgent.
    package var urgentAddresses: [JID] = []

    package init() {}

    package func priority(_ stanzaClass: StanzaClass) -> UInt8 {
        switch stanzaClass {
        case .urgent: urgent
        case .message: message
        case .request: request
        case .presence: presence
        }
    }

    /// The class of a stanza, marks of urgency and ``urgentAddresses`` heeded.
    package func stanzaClass(_ stanza: Stanza) -> StanzaClass {
        let byKind = StanzaClass(stanza)
        guard byKind == .message, isUrgent(stanza) else { return byKind }
        return .urgent
    }

    private func isUrgent(_ stanza: Stanza) -> Bool {
        if stanza.hasChild(.headers), stanza.isMarkedUrgent { return true }
        guard !urgentAddresses.isEmpty else { return false }
        return [stanza.to?.bare, stanza.from?.bare].contains { address in address.map(urgentAddresses.contains) ?? false }
    }
}

extension Stanza {
    /// The header `Urgency` with `high` or `emergency` (XEP-0131 §4).
    fileprivate var isMarkedUrgent: Bool {
        root.children.contains { headers in
            headers.interned == .headers
                && headers.children.contains { header in
                    header.name == "header" && header.attribute("name")?.lowercased() == "urgency"
                        && ["high", "emergency"].contains(header.text.lowercased())
                }
        }
    }
}
