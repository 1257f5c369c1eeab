import XMPP

/// What a user's client writes into a stanza so that the checks know it, whatever bridges make of its `id`.
enum SimulatedOrigin {
    private static let start = "<of xmlns='urn:skywave:simulation' id='"

    static func xml(_ id: String) -> String { "\(start)\(id)'/>" }

    /// Nil in answers, whose `id` names what they answer: it must be the one that was asked with.
    static func id(of stanza: Stanza) -> String? {
        guard stanza.type != .error, stanza.type != .result else { return nil }
        let text = stanza.text
        guard let found = text.firstRange(of: start) else { return nil }
        return String(text[found.upperBound...].prefix { $0 != "'" })
    }
}
