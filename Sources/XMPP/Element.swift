/// A read-only cursor over one element of a stanza.
///
/// For code that looks at few elements: each answer is read from the canonical bytes and allocates.
package struct Element: Sendable {
    let stanza: Stanza
    let index: Int

    private var entry: ElementEntry { self.stanza.storage.value.entry(self.index) }

    /// The element's interned name.
    package var interned: ElementName { ElementName(rawCode: self.entry.name) }

    private var openTag: Substring {
        let entry = self.entry
        let range = ByteRange(Int(entry.start) + 1, Int(entry.openEnd) - Int(entry.start) - 1)
        return Substring(self.stanza.text(range))
    }

    private var qualifiedName: Substring {
        self.openTag.prefix { $0 != " " && $0 != ">" && $0 != "/" }
    }

    /// The local name.
    package var name: String {
        let name = self.qualifiedName
        return name.firstIndex(of: ":").map { String(name[name.index(after: $0)...]) } ?? String(name)
    }

    /// The namespace name; that of the stream's content for a stanza.
    package var namespace: String {
        let name = self.qualifiedName
        let prefix = name.firstIndex(of: ":").map { name[..<$0] }
        let declaration = prefix.map { "xmlns:" + $0 } ?? "xmlns"
        var element: Element? = self
        while let current = element {
            if let found = current.rawAttribute(declaration) { return found }
            element = current.parent
        }
        return prefix == "stream" ? XMLNamespace.stream : prefix == "db" ? XMLNamespace.dialback : XMLNamespace.server
    }

    private var parent: Element? {
        let depth = self.entry.depth
        guard depth > 0 else { return nil }
        var index = self.index - 1
        while index > 0, self.stanza.storage.value.entry(index).depth >= depth { index -= 1 }
        return Element(stanza: self.stanza, index: max(index, 0))
    }

    /// The value of an attribute, unescaped; prefixed ones (`xml:lang`) by their whole name.
    package func attribute(_ name: String) -> String? {
        name == "xmlns" || name.hasPrefix("xmlns:") ? nil : self.rawAttribute(name)
    }

    private func rawAttribute(_ name: String) -> String? {
        var rest = self.openTag
        rest = rest.dropFirst(self.qualifiedName.count)
        // Canonical form: a space, the name, an equals sign and the value between single quotes, which it cannot hold.
        while rest.first == " " {
            rest.removeFirst()
            guard let equals = rest.firstIndex(of: "=") else { return nil }
            let found = rest[..<equals] == name
            rest = rest[equals...].dropFirst(2)
            guard let quote = rest.firstIndex(of: "'") else { return nil }
            if found { return XMLUnescape.text(String(rest[..<quote])) }
            rest = rest[quote...].dropFirst()
        }
        return nil
    }

    /// The direct children, in order.
    package var children: [Element] {
        let own = self.entry
        var children: [Element] = []
        for index in (self.index + 1)..<max(self.stanza.elementCount, self.index + 1) {
            let entry = self.stanza.storage.value.entry(index)
            if entry.depth <= own.depth { break }
            if entry.depth == own.depth + 1 { children.append(Element(stanza: self.stanza, index: index)) }
        }
        return children
    }

    package func firstChild(_ name: String, _ namespace: String) -> Element? {
        self.children.first { $0.name == name && $0.namespace == namespace }
    }

    /// The character data of the element itself, that of its children left out.
    package var text: String {
        let entry = self.entry
        guard entry.openEnd < entry.end else { return "" }
        var text = ""
        var position = entry.openEnd
        for child in self.children {
            text += self.stanza.text(ByteRange(Int(position), Int(child.entry.start - position)))
            position = child.entry.end
        }
        let closing = UInt32(self.qualifiedName.utf8.count + 3)
        text += self.stanza.text(ByteRange(Int(position), Int(entry.end - closing) - Int(position)))
        return XMLUnescape.text(text)
    }

    /// The element as canonical XML.
    package var xml: String {
        let entry = self.entry
        return self.stanza.text(ByteRange(Int(entry.start), Int(entry.end - entry.start)))
    }
}
