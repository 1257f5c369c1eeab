package import NIOCore

/// Finds where XML that comes in pieces has no element open, byte by byte.
///
/// It follows markup and nothing else: names, attributes, entities and characters are for the parser that reads the
/// unit afterwards. What XMPP forbids is refused here already, since its end would have to be looked for otherwise:
/// comments, processing instructions and document types (RFC 6120 §11.1). Works on bytes, so a character may be cut
/// anywhere.
package struct XMLDepthScanner: Equatable, Sendable {
    private enum Place: Equatable {
        case text
        /// After `<`.
        case opened
        /// In a start tag; the last byte was a slash or not.
        case startTag(afterSlash: Bool)
        /// In an attribute's value.
        case value(quote: UInt8)
        case endTag
        /// In an XML declaration; the last byte was a question mark or not.
        case declaration(afterMark: Bool)
        /// After `<!` and so many bytes of `[CDATA[`.
        case cdataOpening(Int)
        /// In a CDATA section, after so many of the brackets that end it.
        case cdata(brackets: Int)
        /// Nothing that follows can make a unit of it.
        case failed
    }

    private let maximumDepth: Int
    private var place = Place.text
    private var position = 0
    /// Elements that are open.
    package private(set) var depth = 0
    /// Elements that have ended and were in no other.
    package private(set) var elements = 0
    /// An end tag came where no element was open: that of the stream.
    package private(set) var hasClosingTag = false

    package init(maximumDepth: Int) {
        self.maximumDepth = maximumDepth
    }

    /// No element and no tag is open: a unit may end here.
    package var isAtRest: Bool { place == .text && depth == 0 }
    package var hasFailed: Bool { place == .failed }

    /// A longer XML declaration is none.
    private static let maximumDeclaration = 256
    private static let cdata = Array("[CDATA[".utf8)

    /// Takes the bytes that follow.
    package mutating func scan(_ bytes: ByteBufferView) {
        for byte in bytes {
            guard place != .failed else { return }
            place = next(byte)
            position += 1
        }
    }

    private mutating func next(_ byte: UInt8) -> Place {
        switch place {
        case .text: return text(byte)
        case .opened: return opened(byte)
        case .startTag(let afterSlash):
            switch byte {
            case UInt8(ascii: ">"): return startTagEnded(isEmpty: afterSlash)
            case UInt8(ascii: "/"): return .startTag(afterSlash: true)
            case UInt8(ascii: "'"), UInt8(ascii: "\""): return .value(quote: byte)
            case UInt8(ascii: "<"): return .failed
            default: return .startTag(afterSlash: false)
            }
        case .value(let quote):
            if byte == quote { return .startTag(afterSlash: false) }
            return byte == UInt8(ascii: "<") ? .failed : place
        case .endTag:
            switch byte {
            case UInt8(ascii: ">"): return endTagEnded()
            case UInt8(ascii: "<"), UInt8(ascii: "'"), UInt8(ascii: "\""): return .failed
            default: return .endTag
            }
        case .declaration(let afterMark):
            guard position < Self.maximumDeclaration else { return .failed }
            if afterMark, byte == UInt8(ascii: ">") { return .text }
            return .declaration(afterMark: byte == UInt8(ascii: "?"))
        case .cdataOpening(let count):
            guard byte == Self.cdata[count] else { return .failed }
            return count + 1 == Self.cdata.count ? .cdata(brackets: 0) : .cdataOpening(count + 1)
        case .cdata(let brackets):
            if byte == UInt8(ascii: "]") { return .cdata(brackets: min(brackets + 1, 2)) }
            return byte == UInt8(ascii: ">") && brackets == 2 ? .text : .cdata(brackets: 0)
        case .failed: return .failed
        }
    }

    private func text(_ byte: UInt8) -> Place {
        switch byte {
        case UInt8(ascii: "<"): return .opened
        case 0x20, 0x09, 0x0a, 0x0d: return .text
        default: return depth > 0 ? .text : .failed
        }
    }

    private func opened(_ byte: UInt8) -> Place {
        switch byte {
        case UInt8(ascii: "/"): return hasClosingTag ? .failed : .endTag
        case UInt8(ascii: "?"): return position == 1 ? .declaration(afterMark: false) : .failed
        case UInt8(ascii: "!"): return depth > 0 ? .cdataOpening(0) : .failed
        case UInt8(ascii: "<"), UInt8(ascii: ">"), 0x20, 0x09, 0x0a, 0x0d: return .failed
        default: return hasClosingTag ? .failed : .startTag(afterSlash: false)
        }
    }

    private mutating func startTagEnded(isEmpty: Bool) -> Place {
        if isEmpty {
            if depth == 0 { elements += 1 }
            return .text
        }
        depth += 1
        return depth > maximumDepth ? .failed : .text
    }

    private mutating func endTagEnded() -> Place {
        guard depth > 0 else {
            hasClosingTag = true
            return .text
        }
        depth -= 1
        if depth == 0 { elements += 1 }
        return .text
    }
}
