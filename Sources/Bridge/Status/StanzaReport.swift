package import XMPP

/// One stanza that waits for a link, for `skywave queue show`. What people wrote is shown only when it is asked for.
package struct StanzaReport: Sendable {
    package var peer: String
    package var id: UInt64
    package var stanza: Stanza

    package init(peer: String, id: UInt64, stanza: Stanza) {
        self.peer = peer
        self.id = id
        self.stanza = stanza
    }

    /// The header, and of the rest only what it is and how large.
    package func text(withBody: Bool) -> String {
        var lines = ["stanza \(id) for peer \(peer)"]
        var rows = header.map { ["  \($0):", TextTable.cell($1)] }
        for child in children { rows.append(["  payload:", TextTable.cell("\(child.name) (\(child.namespace))")]) }
        lines += TextTable.lines(rows)
        if withBody {
            var body = ""
            LogEscape.appendText(stanza.text, to: &body)
            return SiteStatus.escaped(lines) + body + "\n"
        }
        return SiteStatus.escaped(lines)
    }

    package func json(withBody: Bool) -> JSONText {
        .object(
            [("peer", .string(peer)), ("id", .count(id))] + header.map { ($0, .string($1)) }
                + [
                    (
                        "payloads",
                        .array(
                            children.map {
                                .object([("name", .string($0.name)), ("namespace", .string($0.namespace))])
                            })
                    )
                ] + (withBody ? [("stanza", .string(stanza.text))] : []))
    }

    private var header: [(String, String)] {
        let root = stanza.root
        var header = [("element", root.name)]
        for name in ["from", "to", "type", "id"] {
            if let value = root.attribute(name) { header.append((name == "id" ? "stanza-id" : name, value)) }
        }
        header.append(("bytes", "\(stanza.byteCount)"))
        return header
    }

    /// At most so many are named.
    private var children: ArraySlice<Element> { stanza.root.children.prefix(32) }
}
