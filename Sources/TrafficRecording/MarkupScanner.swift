import NIOCore
import XMPP

/// Takes XML apart into tags and whole stanzas without understanding more, byte by byte as it comes.
///
/// What a stanza holds is checked by the reader that the project reads streams with; this one only finds where it
/// ends. Should the two disagree, that reader refuses the piece. No byte is looked at twice and no piece is held
/// beyond the limits.
struct MarkupScanner {
    /// Where a piece begins.
    struct Place: Equatable {
        var offset = 0
        var line = 1

        func error(_ reason: String) -> TrafficError { TrafficError(reason, offset: offset, line: line) }
    }

    enum Kind: Equatable {
        /// A `message`, `presence` or `iq` element without prefix, with all that it holds.
        case stanza
        /// A tag of any other element, as it stands between `<` and `>`.
        case startTag, emptyTag, endTag
        /// Characters other than white space outside stanzas.
        case text
        /// A document type or the like.
        case declaration
    }

    struct Piece {
        var kind: Kind
        var bytes: ArraySlice<UInt8>
        var place: Place
    }

    private enum State: Equatable {
        case text
        /// Behind a `<`, whose meaning the next bytes tell.
        case opening
        /// In a tag, and in a value between these quotes.
        case tag(quote: UInt8?)
        case comment, characters, instruction, declaration
    }

    private let limits: XMLLimits
    private var bytes: [UInt8] = []
    /// The next byte to look at.
    private var position = 0
    /// Where that byte stands in the file.
    private var place = Place()
    private var state = State.text
    /// Where the token that is being read begins, and the stanza or other piece around it.
    private var token = 0
    private var piece = 0
    private var piecePlace = Place()
    /// Open elements of the stanza that is being read; 0 outside.
    private var depth = 0

    init(limits: XMLLimits) {
        self.limits = limits
    }

    /// Where the next piece begins, or the one that is not complete.
    var unfinishedPlace: Place { isBetweenPieces ? place : piecePlace }

    /// Whether nothing has begun that is not complete.
    var isBetweenPieces: Bool { state == .text && depth == 0 }

    mutating func append(_ buffer: inout ByteBuffer) {
        let done = isBetweenPieces ? position : piece
        if done > 0 {
            bytes.removeFirst(done)
            position -= done
            token -= done
            piece -= done
        }
        bytes.append(contentsOf: buffer.readableBytesView)
        buffer.moveReaderIndex(to: buffer.writerIndex)
    }

    /// The next complete piece, nil when there is none yet.
    mutating func next() throws(TrafficError) -> Piece? {
        while position < bytes.count {
            switch state {
            case .text:
                let byte = bytes[position]
                if byte == UInt8(ascii: "<") {
                    token = position
                    if depth == 0 { beginPiece() }
                    state = .opening
                } else if depth == 0, !Self.isSpace(byte) {
                    beginPiece()
                    advance()
                    return Piece(kind: .text, bytes: bytes[piece..<position], place: piecePlace)
                }
                advance()
            case .opening:
                guard let found = meaning() else { return nil }
                state = found
            case .tag(let quote):
                let byte = bytes[position]
                advance()
                if let quote {
                    if byte == quote { state = .tag(quote: nil) }
                } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                    state = .tag(quote: byte)
                } else if byte == UInt8(ascii: ">") {
                    state = .text
                    if let found = tagEnded() { return found }
                }
            case .comment: skip(to: "-->", least: 7)
            case .characters: skip(to: "]]>", least: 12)
            case .instruction: skip(to: "?>", least: 4)
            case .declaration:
                skip(to: ">", least: 3)
                if state == .text, depth == 0 {
                    return Piece(kind: .declaration, bytes: bytes[piece..<position], place: piecePlace)
                }
            }
            try checkSize()
        }
        return nil
    }

    private mutating func beginPiece() {
        piece = position
        piecePlace = place
    }

    private mutating func advance() {
        if bytes[position] == 0x0A { place.line += 1 }
        place.offset += 1
        position += 1
    }

    /// What begins with the `<` at `token`, nil when more bytes are needed to tell.
    private func meaning() -> State? {
        switch bytes[position] {
        case UInt8(ascii: "?"): return .instruction
        case UInt8(ascii: "!"): break
        default: return .tag(quote: nil)
        }
        for (opening, state) in [("<!--", State.comment), ("<![CDATA[", .characters)] {
            let seen = bytes[token...].prefix(opening.utf8.count)
            guard opening.utf8.starts(with: seen) else { continue }
            return seen.count == opening.utf8.count ? state : nil
        }
        return .declaration
    }

    /// Takes a byte of a token that ends with `closing` and has at least so many bytes.
    private mutating func skip(to closing: StaticString, least: Int) {
        advance()
        let length = closing.utf8CodeUnitCount
        guard bytes[position - 1] == UInt8(ascii: ">"), position - token >= least else { return }
        let end = bytes[(position - length)..<position]
        let isEnd = closing.withUTF8Buffer { unsafe end.elementsEqual($0) }
        if isEnd { state = .text }
    }

    private mutating func tagEnded() -> Piece? {
        let tag = bytes[(token + 1)..<(position - 1)]
        let isClosing = tag.first == UInt8(ascii: "/")
        let isEmpty = !isClosing && tag.last == UInt8(ascii: "/")
        if depth > 0 {
            if isClosing { depth -= 1 } else if !isEmpty { depth += 1 }
            return depth > 0 ? nil : Piece(kind: .stanza, bytes: bytes[piece..<position], place: piecePlace)
        }
        if isClosing { return Piece(kind: .endTag, bytes: tag.dropFirst(), place: piecePlace) }
        if Self.isStanza(tag) {
            if isEmpty { return Piece(kind: .stanza, bytes: bytes[piece..<position], place: piecePlace) }
            depth = 1
            return nil
        }
        return isEmpty
            ? Piece(kind: .emptyTag, bytes: tag.dropLast(), place: piecePlace)
            : Piece(kind: .startTag, bytes: tag, place: piecePlace)
    }

    private func checkSize() throws(TrafficError) {
        if state != .text, state != .characters, position - token > limits.tokenBytes {
            throw piecePlace.error("a tag or comment of more than \(limits.tokenBytes) bytes")
        }
        if !isBetweenPieces, position - piece > limits.skippedBytes {
            throw piecePlace.error("a stanza of more than \(limits.skippedBytes) bytes")
        }
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    private static func isStanza(_ tag: ArraySlice<UInt8>) -> Bool {
        let name = tag.prefix { !isSpace($0) && $0 != UInt8(ascii: "/") }
        return ["message", "presence", "iq"].contains { name.elementsEqual($0.utf8) }
    }
}
