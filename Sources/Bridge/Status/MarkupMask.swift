/// Which bytes of something that is no well-formed XML may be shown without showing what people wrote: whole tags, with
/// the values of such attributes only as are addresses, ids and names. Text cannot pass for a tag: in canonical bytes
/// every `<` of it is escaped.
enum MarkupMask {
    private static let shownAttributes: Set<String> = [
        "to", "from", "type", "id", "xmlns", "xml:lang", "by", "code", "stamp",
    ]

    /// For each byte whether it may be shown.
    static func shown(_ bytes: [UInt8]) -> [Bool] {
        var shown = Array(repeating: false, count: bytes.count)
        var place = 0
        while place < bytes.count {
            guard bytes[place] == UInt8(ascii: "<"), let tag = Tag(bytes, at: place) else {
                place += 1
                continue
            }
            for index in place..<tag.end { shown[index] = true }
            for value in tag.hidden { for index in value { shown[index] = false } }
            place = tag.end
        }
        return shown
    }

    /// A start or end tag, as canonical bytes have it.
    private struct Tag {
        /// Behind its `>`.
        private(set) var end: Int
        /// Values of attributes that are not shown.
        private(set) var hidden: [Range<Int>] = []

        init?(_ bytes: [UInt8], at start: Int) {
            var place = start + 1
            func byte() -> UInt8? { place < bytes.count ? bytes[place] : nil }
            func takeName() -> String? {
                let first = place
                while let next = byte(), MarkupMask.isName(next) { place += 1 }
                return place > first ? String(decoding: bytes[first..<place], as: UTF8.self) : nil
            }
            if byte() == UInt8(ascii: "/") { place += 1 }
            guard takeName() != nil else { return nil }
            end = place
            while true {
                while byte() == UInt8(ascii: " ") { place += 1 }
                if byte() == UInt8(ascii: "/") { place += 1 }
                if byte() == UInt8(ascii: ">") { break }
                guard let name = takeName(), byte() == UInt8(ascii: "=") else { return nil }
                place += 1
                guard let quote = byte(), quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else { return nil }
                place += 1
                let first = place
                while let next = byte(), next != quote, next != UInt8(ascii: "<") { place += 1 }
                guard byte() == quote else { return nil }
                if !MarkupMask.shownAttributes.contains(name) { hidden.append(first..<place) }
                place += 1
            }
            end = place + 1
        }
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: ":"):
            true
        default:
            false
        }
    }
}
