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
        let lines = ["stanza \(id) for peer \(peer)"] + TextTable.lines(rows)
        return SiteStatus.escaped(lines) + (withBody ? body : "")
    }

    package func json(withBody: Bool) -> JSONText {
        .object(
            [("peer", .string(peer)), ("id", .count(id))] + members
                + (withBody ? [("stanza", .string(stanza.text))] : []))
    }

    /// The header as rows of a table.
    var rows: [[String]] {
        header.map { ["  \($0):", TextTable.cell($1)] }
            + children.map { ["  payload:", TextTable.cell("\($0.name) (\($0.namespace))")] }
    }

    /// The whole stanza on one line, with what people wrote.
    var body: String {
        var body = ""
        LogEscape.appendText(stanza.text, to: &body)
        return body + "\n"
    }

    /// The header for programs.
    var members: [(String, JSONText)] {
        let payloads = children.map { child in
            JSONText.object([("name", .string(child.name)), ("namespace", .string(child.namespace))])
        }
        return header.map { ($0, .string($1)) } + [("payloads", .array(payloads))]
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
