import NIOCore
import XMPP

/// What became of ids in a replay: where a bridge put a token in the place of an id, the recorded answers of those who saw it
/// still name the original, while their clients would have named what they saw. So do rooms, which repeat the ids of what they get.
struct SeenIDs {
    /// By whom it was seen (bare address) and the recorded id.
    private var seen: [String: [Substring: Substring]] = [:]
    /// Recorded ids of what is under way, by sender and recipient; per pair the order is kept.
    private var underWay: [String: [[String?]]] = [:]
    private let reader = StanzaReader()

    /// The stanza as it would have been sent by somebody who saw tokens.
    func asSeen(_ stanza: Stanza) -> Stanza {
        guard stanza.kind != .presence, let known = seen[Self.bare(stanza.fromText)] else { return stanza }
        let text = stanza.text
        var rewritten = ""
        var rest = text[...]
        var isChanged = false
        while let quote = rest.firstIndex(of: "'"), let end = rest[rest.index(after: quote)...].firstIndex(of: "'") {
            let value = rest[rest.index(after: quote)..<end]
            rewritten += rest[...quote]
            if let token = known[value] {
                rewritten += token
                isChanged = true
            } else {
                rewritten += value
            }
            rewritten += "'"
            rest = rest[rest.index(after: end)...]
        }
        guard isChanged else { return stanza }
        do throws(StreamError) {
            return try reader.read(ByteBuffer(string: rewritten + rest))
        } catch { return stanza }
    }

    /// It went to the link.
    ///
    /// - Parameter recorded: as it stands in the recording.
    mutating func crossed(_ recorded: Stanza) {
        guard recorded.kind != .presence else { return }
        underWay[Self.pair(recorded), default: []].append(Self.ids(recorded))
    }

    mutating func delivered(_ stanza: Stanza) {
        let pair = Self.pair(stanza)
        guard stanza.kind != .presence, let waiting = underWay[pair]?.first else { return }
        underWay[pair]?.removeFirst()
        let ids = Self.ids(stanza)
        let recipient = Self.bare(stanza.toText)
        for (old, new) in zip(waiting, ids) {
            guard let old, let new else { continue }
            seen[recipient, default: [:]][old[...]] = old == new ? nil : new[...]
        }
    }

    private static func pair(_ stanza: Stanza) -> String { "\(stanza.kind) \(stanza.fromText) \(stanza.toText)" }

    private static func bare(_ address: String) -> String { String(address.prefix { $0 != "/" }) }

    /// The stanza's own id and the one that a room gave it.
    private static func ids(_ stanza: Stanza) -> [String?] {
        let given = stanza.hasChild(.stanzaID) ? stanza.root.children.first { $0.interned == .stanzaID } : nil
        return [stanza.id, given?.attribute("id")]
    }
}
