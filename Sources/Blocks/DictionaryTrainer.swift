package import NIOCore
package import XMPP

/// Makes a preset dictionary from recorded stanzas (docs/link-protocol.md, "Dictionaries").
///
/// A dictionary lies on disks for years, so it holds what is the same for everybody: markup that at least two senders
/// use. Left out are character data, addresses, ids and hashes (every attribute that is not known to hold a word of a
/// protocol), and every stanza with a security label anywhere in it.
package struct DictionaryTrainer {
    private struct Piece {
        var count: Int
        var firstSender: UInt64
        var isShared = false
    }

    /// More different pieces than this are not looked at: recordings are someone else's input.
    private static let maximumPieces = 65_536
    private static let leastCount = 3
    /// Attributes whose values are words of protocols. What any other holds may be a name, an address or an id.
    private static let wordAttributes: Set<String> = [
        "action", "affiliation", "algo", "category", "code", "hash", "role", "type", "var", "xml:lang", "xmlns",
    ]

    private var pieces: [[UInt8]: Piece] = [:]
    private var writer = TextWriter(history: [])
    /// Stanzas that were taken, and those left out because of a label.
    package private(set) var stanzas = 0
    package private(set) var labelled = 0

    package init() {}

    package mutating func add(_ stanza: Stanza) {
        guard !Self.hasLabel(stanza) else {
            labelled += 1
            return
        }
        stanzas += 1
        let sender = stanza.bareFromHash
        let found = unsafe stanza.withBytes { bytes in
            unsafe TextWriter.hasMarks(bytes) ? [] : writer.pieces(bytes)
        }
        for bytes in found where bytes.count >= TextWriter.leastPhrase && bytes.count <= ContextLimits.phraseBytes {
            if var piece = pieces[bytes] {
                piece.count += 1
                piece.isShared = piece.isShared || piece.firstSender != sender
                pieces[bytes] = piece
            } else if pieces.count < Self.maximumPieces, Self.isHarmless(bytes) {
                pieces[bytes] = Piece(count: 1, firstSender: sender)
            }
        }
    }

    /// The dictionary: definitions of phrases, those that save most at the end, where references are shortest. The same
    /// stanzas in the same order give the same bytes.
    ///
    /// - Parameter maximumBytes: at most DEFLATE's window, 32 768.
    package func dictionary(maximumBytes: Int = 16_384) -> ByteBuffer {
        let ranked = pieces.filter { $0.value.isShared && $0.value.count >= Self.leastCount }
            .map { (bytes: $0.key, saving: $0.value.count * ($0.key.count - 2)) }
            .sorted { $0.saving != $1.saving ? $0.saving > $1.saving : $0.bytes.lexicographicallyPrecedes($1.bytes) }
        var chosen: [[UInt8]] = []
        var size = 0
        for piece in ranked where chosen.count < ContextLimits.slots && size + piece.bytes.count + 4 <= min(maximumBytes, 32_768) {
            chosen.append(piece.bytes)
            size += piece.bytes.count + 4
        }
        var dictionary = ByteBuffer()
        for (slot, phrase) in chosen.enumerated().reversed() {
            let (mark, byte) = PhraseScan.bytes(ofSlot: slot)
            dictionary.writeMultipleIntegers(TextMark.define, mark, byte)
            dictionary.writeBytes(phrase)
            dictionary.writeInteger(TextMark.stop)
        }
        return dictionary
    }

    /// Whether a label stands anywhere in the stanza, quoted and forwarded ones included.
    private static func hasLabel(_ stanza: Stanza) -> Bool {
        let text = stanza.text
        return ["urn:xmpp:sec-label:", "urn:nato:stanag:4774", "urn:nato:stanag:4778"].contains { text.contains($0) }
    }

    /// Whether markup holds nothing but words of protocols: names, namespaces, and attributes that are known to.
    static func isHarmless(_ piece: [UInt8]) -> Bool {
        var rest = piece[...]
        while let quote = rest.firstIndex(of: UInt8(ascii: "'")) {
            guard let end = rest[(quote + 1)...].firstIndex(of: UInt8(ascii: "'")), quote > rest.startIndex,
                rest[quote - 1] == UInt8(ascii: "=")
            else { return false }
            let name = String(decoding: rest[..<(quote - 1)].reversed().prefix { $0 != 0x20 && $0 != 0x3C }.reversed(), as: UTF8.self)
            let value = rest[(quote + 1)..<end]
            let isMark = value.first.map { !TextMark.isLiteral($0) && $0 != TextMark.recipient } ?? true
            let isWord = wordAttributes.contains(name) && !value.contains(UInt8(ascii: "@"))
            guard isMark && name == "id" || isWord else { return false }
            rest = rest[(end + 1)...]
        }
        return true
    }
}
