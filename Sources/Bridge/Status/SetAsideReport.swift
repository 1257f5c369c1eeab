package import BridgeCore
import NIOCore
import XMPP

/// What was set aside because it could not be read, for `skywave queue aside`; from a running bridge, or from the journal
/// of a stopped one.
package struct SetAsideList: Sendable {
    package struct Peer: Sendable {
        package var name: String
        /// Oldest first.
        package var entries: [SetAside]

        package init(name: String, entries: [SetAside]) {
            self.name = name
            self.entries = entries
        }
    }

    package var peers: [Peer]
    /// The bridge is not running.
    package var isStopped: Bool

    package init(peers: [Peer], isStopped: Bool) {
        self.peers = peers
        self.isStopped = isStopped
    }

    /// Of the only peer that is listed.
    func report(_ id: UInt64) -> SetAsideReport? {
        guard let peer = peers.first, let entry = peer.entries.first(where: { $0.status.id == id }) else { return nil }
        return SetAsideReport(peer: peer.name, entry: entry)
    }

    /// For programs.
    package var json: JSONText {
        .object([
            ("running", .boolean(!isStopped)),
            (
                "peers",
                .array(
                    peers.map { peer in
                        .object([
                            ("peer", .string(peer.name)),
                            ("set-aside", .array(peer.entries.map { .object($0.members) })),
                        ])
                    })
            ),
        ])
    }

    /// For people.
    package var text: String {
        var lines: [String] = []
        if isStopped { lines.append("The bridge is not running; this is what its journal holds.") }
        for peer in peers {
            guard !peer.entries.isEmpty else {
                lines.append("peer \(peer.name): nothing was set aside")
                continue
            }
            lines.append("peer \(peer.name): \(SiteStatus.stanzas(peer.entries.count)) set aside")
            let rows = [["id", "since", "bytes", "reason"]] + peer.entries.map(\.row)
            lines += TextTable.lines(rows, alignedRight: [0, 2]).map { "  " + $0 }
        }
        return SiteStatus.escaped(lines)
    }
}

/// One thing that was set aside. What people wrote is shown only when it is asked for; also where it is no XML.
package struct SetAsideReport: Sendable {
    package var peer: String
    package var entry: SetAside
    /// What can be made of it after all, such as a stanza that was refused for what it says.
    private let stanza: StanzaReport?

    package init(peer: String, entry: SetAside) {
        self.peer = peer
        self.entry = entry
        stanza = (try? StanzaReader().read(ByteBuffer(bytes: entry.content)))
            .map { StanzaReport(peer: peer, id: entry.status.id, stanza: $0) }
    }

    /// Its header where it can be read; otherwise its bytes, those of text as dots.
    package func text(withBody: Bool) -> String {
        var rows = [["  since:", entry.sinceText], ["  reason:", TextTable.cell(entry.status.reason)]]
        let kept = isCut ? ", of which \(entry.content.count) were kept" : ""
        rows += stanza?.rows ?? [["  bytes:", "\(entry.status.bytes)\(kept)"]]
        let head = SiteStatus.escaped(
            ["set aside \(entry.status.id) from peer \(peer)"] + TextTable.lines(rows))
        guard let stanza else { return head + dump(withBody: withBody) }
        return withBody ? head + stanza.body : head
    }

    package func json(withBody: Bool) -> JSONText {
        var members: [(String, JSONText)] = [("peer", .string(peer))] + entry.members
        members.append(("kept-bytes", .count(entry.content.count)))
        if let stanza {
            members.append(("header", .object(stanza.members)))
            if withBody { members.append(("stanza", .string(stanza.stanza.text))) }
        } else {
            members.append(("hex", .string(hex(withBody: withBody).joined())))
        }
        return .object(members)
    }

    private var isCut: Bool { entry.content.count < entry.status.bytes }

    /// Two characters a byte.
    private func hex(withBody: Bool) -> [String] {
        let shown = withBody ? [] : MarkupMask.shown(entry.content)
        return entry.content.indices.map { place in
            guard withBody || shown[place] else { return ".." }
            let digits = String(entry.content[place], radix: 16)
            return digits.utf8.count < 2 ? "0" + digits : digits
        }
    }

    /// Sixteen bytes a line: the offset, their values, and what is printable of them.
    private func dump(withBody: Bool) -> String {
        let values = hex(withBody: withBody)
        var text = ""
        for start in stride(from: 0, to: values.count, by: 16) {
            let places = start..<min(start + 16, values.count)
            let offset = String(start, radix: 16)
            var line = "  " + String(repeating: "0", count: max(0, 6 - offset.utf8.count)) + offset + " "
            for place in places { line += (place == start + 8 ? "  " : " ") + values[place] }
            line += String(repeating: " ", count: max(0, 59 - line.utf8.count))
            for place in places {
                let byte = entry.content[place]
                let isPlain = (0x20...0x7e).contains(byte) && values[place] != ".."
                line.unicodeScalars.append(isPlain ? Unicode.Scalar(byte) : ".")
            }
            text += line + "\n"
        }
        return text
    }
}

extension SetAside {
    fileprivate var sinceText: String { SiteStatus.span(.milliseconds(Int64(clamping: age))) + " ago" }

    fileprivate var row: [String] { ["\(status.id)", sinceText, "\(status.bytes)", TextTable.cell(status.reason)] }

    fileprivate var members: [(String, JSONText)] {
        [
            ("id", .count(status.id)), ("age-milliseconds", .count(age)), ("bytes", .count(status.bytes)),
            ("reason", .string(status.reason)),
        ]
    }
}
