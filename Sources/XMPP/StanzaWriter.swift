/// Builds a stanza, or another child of the stream root, from scratch.
package struct StanzaWriter: ~Copyable {
    private var writer: CanonicalWriter

    /// - Parameter contentNamespace: the namespace that the stream declares and the stanza does not repeat.
    package init(contentNamespace: String = XMLNamespace.server) {
        self.writer = CanonicalWriter(contentNamespace: contentNamespace)
    }

    /// Opens an element. For the outermost one `to`, `from`, `type`, `id` and `xml:lang` may stand in any order; all
    /// others are written as canonical form wants them.
    package mutating func start(
        _ name: String, _ namespace: String = XMLNamespace.server, _ attributes: [(String, String)] = []
    ) {
        let isRoot = self.writer.depth == 0
        let kind: StanzaKind =
            switch name {
            case "message": .message
            case "presence": .presence
            case "iq": .iq
            default: .other
            }
        name.withBytes { nameBytes in
            namespace.withBytes { namespaceBytes in
                let isStanza = isRoot && self.writer.isCurrentNamespace(namespaceBytes)
                self.writer.start(
                    local: nameBytes, namespace: namespaceBytes, kind: isStanza ? kind : .other)
            }
        }
        let own = ["to", "from", "type", "id", "xml:lang"]
        if isRoot {
            for name in own {
                guard let value = attributes.first(where: { $0.0 == name })?.1 else { continue }
                value.withBytes { value in
                    switch name {
                    case "to": self.writer.stanzaTo(value)
                    case "from": self.writer.stanzaFrom(value)
                    case "type": self.writer.stanzaType(value)
                    case "id": self.writer.stanzaID(value)
                    default: self.writer.stanzaLanguage(value)
                    }
                }
            }
        }
        for (name, value) in attributes.sorted(by: { $0.0 < $1.0 }) where !isRoot || !own.contains(name) {
            name.withBytes { name in
                value.withBytes { value in
                    self.writer.attribute(name, value)
                }
            }
        }
    }

    package mutating func text(_ text: String) {
        text.withBytes { self.writer.text($0) }
    }

    /// Closes the innermost element.
    package mutating func end() {
        self.writer.end()
    }

    /// Closes what is open and makes the stanza.
    package consuming func finish() -> Stanza {
        while self.writer.depth > 0 { self.writer.end() }
        return self.writer.finishStanza()
    }
}
