package import BridgeCore
import NIOCore
import Outbox
import XMPP

/// What waits for the links of a site, for `skywave queue`; from a running bridge, or from the journal of a stopped one.
package struct QueueReport: Sendable {
    package struct Peer: Sendable {
        package var name: String
        /// First what leaves first.
        package var entries: [QueueEntry]
        /// There are more than are listed.
        package var isCut: Bool

        package init(name: String, entries: [QueueEntry], isCut: Bool) {
            self.name = name
            self.entries = entries
            self.isCut = isCut
        }
    }

    package var peers: [Peer]
    /// The bridge is not running: nothing moves.
    package var isStopped: Bool

    package init(peers: [Peer], isStopped: Bool) {
        self.peers = peers
        self.isStopped = isStopped
    }

    /// So many stanzas of each peer are listed, unless asked otherwise.
    package static let standardLimit = 100
    package static let maximumLimit = 10_000

    /// For programs.
    package var json: JSONText {
        .object([
            ("running", .boolean(!isStopped)),
            (
                "peers",
                .array(
                    peers.map { peer in
                        .object([
                            ("peer", .string(peer.name)), ("more", .boolean(peer.isCut)),
                            ("stanzas", .array(peer.entries.map(\.json))),
                        ])
                    })
            ),
        ])
    }

    /// For people. Addresses come from users: they are escaped.
    package var text: String {
        var lines: [String] = []
        if isStopped { lines.append("The bridge is not running; this is what its journal holds.") }
        for peer in peers {
            guard !peer.entries.isEmpty else {
                lines.append("peer \(peer.name): nothing waits")
                continue
            }
            lines.append("peer \(peer.name): \(SiteStatus.stanzas(peer.entries.count))\(peer.isCut ? " and more" : "")")
            let rows = [["id", "state", "class", "kind", "bytes", "age", "from", "to"]] + peer.entries.map(\.row)
            lines += TextTable.lines(rows, alignedRight: [0, 4]).map { "  " + $0 }
        }
        return SiteStatus.escaped(lines)
    }
}

extension QueueEntry {
    fileprivate var kindText: String { type == .absent ? kind.text : "\(kind.text)/\(type.text)" }

    fileprivate var row: [String] {
        [
            "\(id)", state.rawValue, stanzaClass.text, kindText, "\(bytes)",
            SiteStatus.span(.milliseconds(Int64(clamping: age))), TextTable.cell(from), TextTable.cell(to),
        ]
    }

    fileprivate var json: JSONText {
        .object([
            ("id", .count(id)), ("state", .string(state.rawValue)), ("class", .string(stanzaClass.text)),
            ("kind", .string(kind.text)), ("type", .text(type == .absent ? nil : type.text)),
            ("from", .string(from)), ("to", .string(to)), ("bytes", .count(bytes)),
            ("age-milliseconds", .count(age)),
        ])
    }
}

extension StanzaClass {
    /// As operators write and read it.
    package var text: String {
        switch self {
        case .urgent: "urgent"
        case .message: "message"
        case .request: "request"
        case .presence: "presence"
        }
    }
}

extension StanzaKind {
    fileprivate var text: String {
        switch self {
        case .message: "message"
        case .presence: "presence"
        case .iq: "iq"
        case .other: "other"
        }
    }
}

extension StanzaType {
    fileprivate var text: String { "\(self)" }
}
