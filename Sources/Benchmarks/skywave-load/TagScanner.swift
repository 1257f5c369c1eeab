import NIOCore

/// One start tag as a server wrote it, with the text that follows it up to the next tag.
struct Tag {
    /// The name as written, prefix included.
    var name: String
    /// The attributes' text between the name and the end of the tag.
    var attributes: String
    /// Character data right after the tag.
    var text: String = ""

    /// An attribute's value as written (entities stay: nothing that is looked at here contains any).
    func attribute(_ name: String) -> String? {
        var rest = Substring(attributes)
        while let equals = rest.firstIndex(of: "=") {
            let key = rest[..<equals].split(whereSeparator: \.isWhitespace).last ?? ""
            rest = rest[rest.index(after: equals)...]
            guard let quote = rest.first(where: { $0 == "'" || $0 == "\"" }),
                let start = rest.firstIndex(of: quote)
            else { return nil }
            rest = rest[rest.index(after: start)...]
            guard let end = rest.firstIndex(of: quote) else { return nil }
            if key == name { return String(rest[..<end]) }
            rest = rest[rest.index(after: end)...]
        }
        return nil
    }
}

/// Finds tags in a stream of bytes. Deliberately not the product's XML reader: what measures the bridge should not
/// share its faults, and the load's ends must cost far less than what they measure.
///
/// It understands what XMPP servers write to each other – elements, attributes in either quote, character data – and
/// nothing that XMPP forbids (comments, CDATA, processing instructions but the declaration).
struct TagScanner {
    private var bytes: [UInt8] = []
    private var position = 0

    /// Takes what was read.
    mutating func feed(_ buffer: ByteBuffer) {
        if position > 0 {
            bytes.removeFirst(position)
            position = 0
        }
        bytes.append(contentsOf: buffer.readableBytesView)
    }

    /// The next complete start tag, end tags skipped, once the text behind it is complete as well; nil when more is
    /// needed.
    mutating func nextTag() -> Tag? {
        while let (start, end) = nextMarkup(from: position) {
            let first = bytes[start + 1]
            if first == UInt8(ascii: "/") || first == UInt8(ascii: "?") {
                position = end + 1
                continue
            }
            var nameEnd = start + 1
            while nameEnd < end, !Self.isNameEnd(bytes[nameEnd]) { nameEnd += 1 }
            var tag = Tag(
                name: String(decoding: bytes[start + 1..<nameEnd], as: UTF8.self),
                attributes: String(decoding: bytes[nameEnd..<end], as: UTF8.self))
            if bytes[end - 1] != UInt8(ascii: "/"), tag.name == "db:result" || tag.name == "db:verify" {
                guard let next = bytes[end...].firstIndex(of: UInt8(ascii: "<")) else { return nil }
                tag.text = String(decoding: bytes[end + 1..<next], as: UTF8.self)
            }
            position = end + 1
            return tag
        }
        return nil
    }

    /// The number in the id of the next `message` start tag, or -1 for a message that is none of the load's or came
    /// back as an error; nil when there is no further complete message tag. Everything else is passed over.
    mutating func nextMessageNumber() -> Int? {
        while let (start, end) = nextMarkup(from: position) {
            position = end + 1
            guard end - start > 8, bytes[start + 1] == UInt8(ascii: "m"), bytes[start + 2] == UInt8(ascii: "e"),
                bytes[start + 7] == UInt8(ascii: "e"), Self.isNameEnd(bytes[start + 8])
            else { continue }
            return number(in: start..<end)
        }
        return nil
    }

    /// Finds ` id='LOAD-00000042'` in a tag whose type is not `error`.
    private func number(in tag: Range<Int>) -> Int {
        let marker = LoadMessages.idPrefix
        var index = tag.lowerBound
        let last = tag.upperBound - marker.count - LoadMessages.idDigits
        search: while index < last {
            defer { index += 1 }
            guard bytes[index] == UInt8(ascii: " "), bytes[index + 1] == UInt8(ascii: "i"),
                bytes[index + 2] == UInt8(ascii: "d"), bytes[index + 3] == UInt8(ascii: "=")
            else { continue }
            var cursor = index + 5
            for byte in marker {
                guard bytes[cursor] == byte else { return -1 }
                cursor += 1
            }
            var value = 0
            for _ in 0..<LoadMessages.idDigits {
                guard cursor < tag.upperBound, case let digit = bytes[cursor], (48...57).contains(digit) else {
                    return -1
                }
                value = value * 10 + Int(digit - 48)
                cursor += 1
            }
            return isError(tag) ? -1 : value
        }
        return -1
    }

    private func isError(_ tag: Range<Int>) -> Bool {
        let text = String(decoding: bytes[tag], as: UTF8.self)
        return text.contains(" type='error'") || text.contains(" type=\"error\"")
    }

    /// The next `<…>` at or after `from`, quotes respected.
    private func nextMarkup(from: Int) -> (start: Int, end: Int)? {
        var start = from
        let count = bytes.count
        while start < count, bytes[start] != UInt8(ascii: "<") { start += 1 }
        var index = start + 1
        var quote: UInt8 = 0
        while index < count {
            let byte = bytes[index]
            if quote != 0 {
                if byte == quote { quote = 0 }
            } else if byte == UInt8(ascii: ">") {
                return (start, index)
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = byte
            }
            index += 1
        }
        return nil
    }

    private static func isNameEnd(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ">") || byte == 10 || byte == 9
    }
}
