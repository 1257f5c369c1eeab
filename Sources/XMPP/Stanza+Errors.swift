extension Stanza {
    /// The error that answers this stanza: addresses swapped, `id` kept, payload not echoed (RFC 6120 §8.3.1).
    ///
    /// - Parameters:
    ///   - condition: what went wrong.
    ///   - type: what the sender may do; the condition's own where left out.
    ///   - text: one plain sentence for a person.
    /// - Returns: `nil` where no error may be sent: to an error or a result, or without both addresses.
    package func errorReply(
        _ condition: StanzaErrorCondition, type: StanzaErrorType? = nil, text: String? = nil
    ) -> Stanza? {
        guard self.kind != .other, self.type != .error, self.type != .result, let to, let from else { return nil }
        var attributes = [("to", from.description), ("from", to.description), ("type", "error")]
        if let id { attributes.append(("id", id)) }
        var writer = StanzaWriter()
        writer.start(self.kind.elementName, XMLNamespace.server, attributes)
        Self.writeError(&writer, condition, type ?? condition.defaultType, text)
        return writer.finish()
    }

    /// The error that crosses in place of this IQ result: the same addresses and `id`, so whoever asked gets his one answer.
    package func errorInPlace(_ condition: StanzaErrorCondition, type: StanzaErrorType, text: String) -> Stanza {
        var attributes = [("type", "error")]
        if let to { attributes.append(("to", to.description)) }
        if let from { attributes.append(("from", from.description)) }
        if let id { attributes.append(("id", id)) }
        var writer = StanzaWriter()
        writer.start(self.kind.elementName, XMLNamespace.server, attributes)
        Self.writeError(&writer, condition, type, text)
        return writer.finish()
    }

    private static func writeError(
        _ writer: inout StanzaWriter, _ condition: StanzaErrorCondition, _ type: StanzaErrorType, _ text: String?
    ) {
        writer.start("error", XMLNamespace.server, [("type", type.rawValue)])
        writer.start(condition.rawValue, XMLNamespace.stanzaErrors)
        writer.end()
        if let text {
            writer.start("text", XMLNamespace.stanzaErrors, [("xml:lang", "en")])
            writer.text(text)
            writer.end()
        }
        writer.end()
    }

    /// The condition of an error stanza; `nil` where this is none or names no known condition.
    package var errorCondition: StanzaErrorCondition? {
        guard self.isError else { return nil }
        let error = self.root.children.first { $0.name == "error" }
        return error?.children.lazy
            .filter { $0.namespace == XMLNamespace.stanzaErrors }
            .compactMap { StanzaErrorCondition(rawValue: $0.name) }.first
    }
}

extension StanzaKind {
    /// The element's name; empty for ``other``, which has many.
    package var elementName: String {
        switch self {
        case .message: "message"
        case .presence: "presence"
        case .iq: "iq"
        case .other: ""
        }
    }
}
