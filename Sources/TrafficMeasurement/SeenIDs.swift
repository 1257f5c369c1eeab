import NIOCore
import XMPP

/// What became of ids in a replay: where a bridge put a token in the place of an id, the recorded answers of those who saw it
/// still name the original, while their clients would have named what they saw. So do rooms, which repeat the ids of what they get.
struct SeenIDs {
    /// By whom it was seen (bare address) and the recorded id.
    private var seen: [String: [Substring: Substring]] = [:]
    /// Ids that somebody (bare address) made.
    private var own: [String: Set<String>] = [:]
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

    /// It waits for the link.
    ///
    /// - Parameters:
    ///   - recorded: as it stands in the recording.
    ///   - queued: as it crosses. A block may bring it later than the recorded answer to it comes, so it is not asked what was
    ///     delivered.
    mutating func crossed(_ recorded: Stanza, as queued: Stanza) {
        guard recorded.kind != .presence else { return }
        let sender = Self.bare(recorded.fromText)
        let recipient = Self.bare(recorded.toText)
        for (old, new) in zip(Self.ids(recorded), Self.ids(queued)) {
            guard let old, let new else { continue }
            if seen[sender]?[old[...]] == nil { own[sender, default: []].insert(old) }
            // Whoever sent an id sees it as he wrote it.
            guard old != new, own[recipient]?.contains(old) != true else { continue }
            seen[recipient, default: [:]][old[...]] = new[...]
        }
    }

    private static func bare(_ address: String) -> String { String(address.prefix { $0 != "/" }) }

    /// The stanza's own id and the one that a room gave it.
    private static func ids(_ stanza: Stanza) -> [String?] {
        let given = stanza.hasChild(.stanzaID) ? stanza.root.children.first { $0.interned == .stanzaID } : nil
        return [stanza.id, given?.attribute("id")]
    }
}
