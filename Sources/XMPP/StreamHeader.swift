/// The opening tag of a stream, as received or to send (RFC 6120 §4.7).
package struct StreamHeader: Equatable, Sendable {
    package var from: String?
    package var to: String?
    package var id: String?
    /// `1.0` on every stream that has features; absent on old dialback and component streams.
    package var version: String?
    package var language: String?
    /// The default namespace: `jabber:server`, or `jabber:component:accept`.
    package var contentNamespace: String
    /// Whether `jabber:server:dialback` is declared, which says that the peer speaks dialback (XEP-0220 §2.1.1).
    package var declaresDialback: Bool

    package init(
        from: String? = nil, to: String? = nil, id: String? = nil, version: String? = "1.0", language: String? = nil,
        contentNamespace: String = XMLNamespace.server, declaresDialback: Bool = true
    ) {
        self.from = from
        self.to = to
        self.id = id
        self.version = version
        self.language = language
        self.contentNamespace = contentNamespace
        self.declaresDialback = declaresDialback
    }

    /// The XML declaration and the opening tag.
    package func openingTag() -> String {
        var tag = "<?xml version='1.0'?><stream:stream xmlns='\(XMLEscape.attribute(self.contentNamespace))'"
        tag += " xmlns:stream='\(XMLNamespace.stream)'"
        if self.declaresDialback { tag += " xmlns:db='\(XMLNamespace.dialback)'" }
        let attributes = [
            ("from", self.from), ("to", self.to), ("id", self.id), ("version", self.version),
            ("xml:lang", self.language),
        ]
        for case (let name, let value?) in attributes {
            tag += " \(name)='\(XMLEscape.attribute(value))'"
        }
        return tag + ">"
    }

    /// The closing tag of every stream.
    package static let closingTag = "</stream:stream>"
}
