/// Where single values stand in a stanza, and how they are exchanged for others.
extension Stanza {
    /// One value that takes the place of another.
    package struct Replacement: Equatable, Sendable {
        /// A whole value, as ``Stanza/idRange``, ``Stanza/attributeRange(_:ofElement:)`` or
        /// ``Stanza/textRange(ofElement:)`` found it; never an address or the type.
        package var range: Range<Int>
        fileprivate let content: Content

        fileprivate enum Content: Equatable, Sendable {
            case text(String)
            case word(UInt64)
        }

        /// - Parameter value: only characters for which ``Stanza/isPlain(_:)`` is true, so that it means the same in text
        ///   and in attributes.
        package init(range: Range<Int>, value: String) {
            self.range = range
            self.content = .text(value)
        }

        /// - Parameter word: eight characters, plain as those of a text are, as one number, the first the lowest.
        package init(range: Range<Int>, word: UInt64) {
            self.range = range
            self.content = .word(word)
        }

        /// What is put in.
        package var value: String {
            switch self.content {
            case .text(let text): text
            case .word(let word):
                String(decoding: (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }, as: UTF8.self)
            }
        }

        /// Bytes of what is put in.
        fileprivate var count: Int {
            switch self.content {
            case .text(let text): text.utf8.count
            case .word: 8
            }
        }

        fileprivate var isPlain: Bool {
            switch self.content {
            case .text(let text): Stanza.isPlain(text)
            case .word(let word): Stanza.isPlain(word)
            }
        }
    }

    /// Whether a value is printable ASCII that canonical form never escapes.
    package static func isPlain(_ value: String) -> Bool {
        value.withBytes { bytes in
            guard bytes.count >= 8 else {
                // What is missing in a word is a plain letter.
                var word: UInt64 = 0x6161_6161_6161_6161
                for index in 0..<bytes.count { word = word << 8 | UInt64(bytes[index]) }
                return self.isPlain(word)
            }
            var offset = 0
            while offset + 8 <= bytes.count {
                guard self.isPlain(bytes.word(at: offset)) else { return false }
                offset += 8
            }
            return self.isPlain(bytes.word(at: bytes.count - 8))
        }
    }

    /// The same for eight characters as one number.
    private static func isPlain(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones &* 0x80
        guard word & tops == 0 else { return false }
        // From here on each byte is below 0x80, and no sum reaches the byte beside it. `&` and `'`, and `<` and `>`, differ
        // in one bit each.
        let isPrintable = (word &+ ones &* 0x5f) & ~(word &+ ones)
        let isNoQuote = ((word | ones) ^ ones &* 0x27) &+ ones &* 0x7f
        let isNoBracket = ((word | ones &* 2) ^ ones &* 0x3e) &+ ones &* 0x7f
        return isPrintable & isNoQuote & isNoBracket & tops == tops
    }

    /// `to` without its resource, escaped as it stands in the bytes; empty where there is no valid one.
    package var toBareText: String { self.bareText(self.fields.to) }
    /// `from` without its resource, escaped as it stands in the bytes; empty where there is no valid one.
    package var fromBareText: String { self.bareText(self.fields.from) }

    private func bareText(_ address: AddressRanges) -> String {
        guard address.domain.count > 0 else { return "" }
        let start = Int(address.value.start)
        return self.text(ByteRange(start, address.domain.end - start))
    }

    // MARK: Elements by their place in document order, 0 being the stanza itself

    /// - Parameter index: 0 to ``elementCount`` - 1.
    package func elementName(at index: Int) -> ElementName {
        ElementName(rawCode: self.storage.value.entry(index).name)
    }

    /// How deep an element stands: 0 for the stanza, 1 for its children.
    package func elementDepth(at index: Int) -> Int { Int(self.storage.value.entry(index).depth) }

    /// Whether an element is written with this name and this namespace directly behind it, or with no namespace of its own
    /// where `namespace` is `nil`. For names outside the vocabulary.
    package func element(at index: Int, isWritten name: StaticString, declaring namespace: StaticString?) -> Bool {
        let entry = self.storage.value.entry(index)
        return self.storage.value.withBytes { bytes in
            let tag = bytes.slice(ByteRange(Int(entry.start) + 1, Int(entry.openEnd - entry.start) - 1))
            let length = bytes.nameLength(of: entry)
            guard tag.prefix(length).equals(name) else { return false }
            let rest = tag.dropFirst(length)
            let declares = rest.count > 8 && rest.prefix(8).equals(" xmlns='")
            guard let namespace else { return !declares }
            guard declares, let end = rest.dropFirst(8).firstIndex(of: UInt8(ascii: "'")) else { return false }
            return rest.dropFirst(8).prefix(end).equals(namespace)
        }
    }

    /// Where the value of the stanza's `id` stands; `nil` where there is none or an empty one.
    package var idRange: Range<Int>? {
        let id = self.fields.id
        return id.count == 0 ? nil : Int(id.start)..<id.end
    }

    /// Where the value of the stanza's `to` stands, escaped, be it an address or not; `nil` where there is none.
    package var toRange: Range<Int>? {
        let to = self.fields.to.value
        return to.start == 0 ? nil : Int(to.start)..<to.end
    }

    /// Where the value of an attribute without prefix stands; `nil` where there is none or an empty one.
    package func attributeRange(_ name: StaticString, ofElement index: Int) -> Range<Int>? {
        let entry = self.storage.value.entry(index)
        return self.storage.value.withBytes { bytes in
            var position = Int(entry.start)
            let end = Int(entry.openEnd)
            while position < end, bytes[position] != UInt8(ascii: " ") { position += 1 }
            // Canonical form: a space, the name, an equals sign and the value between single quotes, which it cannot
            // hold.
            while position < end, bytes[position] == UInt8(ascii: " ") {
                let rest = bytes.slice(ByteRange(position + 1, end - position - 1))
                guard let equals = rest.firstIndex(of: UInt8(ascii: "=")) else { return nil }
                let start = position + equals + 3
                guard start < end,
                    let count = bytes.slice(ByteRange(start, end - start)).firstIndex(of: UInt8(ascii: "'"))
                else { return nil }
                if rest.prefix(equals).equals(name) { return count == 0 ? nil : start..<(start + count) }
                position = start + count + 1
            }
            return nil
        }
    }

    /// Where the text of an element without children stands; `nil` where it has children or no text.
    package func textRange(ofElement index: Int) -> Range<Int>? {
        let entry = self.storage.value.entry(index)
        guard entry.openEnd < entry.end else { return nil }
        if index + 1 < self.elementCount, self.storage.value.entry(index + 1).depth > entry.depth { return nil }
        return self.storage.value.withBytes { bytes in
            // The closing tag is the last `<`, since there are no children.
            var close = Int(entry.end) - 1
            while close > Int(entry.openEnd), bytes[close] != UInt8(ascii: "<") { close -= 1 }
            return close > Int(entry.openEnd) ? Int(entry.openEnd)..<close : nil
        }
    }

    /// A part of the canonical bytes as text, escaped as it stands there.
    package func text(in range: Range<Int>) -> String { self.text(ByteRange(range.lowerBound, range.count)) }

    /// Eight bytes as one number, the first the lowest; `nil` where the range is not eight bytes long.
    package func word(in range: Range<Int>) -> UInt64? {
        guard range.count == 8 else { return nil }
        return self.storage.value.withBytes { $0.word(at: range.lowerBound) }
    }

    // MARK: Exchanging values

    /// The stanza with other values in these places, in canonical form again.
    ///
    /// - Parameter replacements: in order of place, none overlapping.
    package func replacing(_ replacements: [Replacement]) -> Stanza {
        guard !replacements.isEmpty else { return self }
        var position = 0
        for replacement in replacements {
            precondition(
                replacement.range.lowerBound >= position && !replacement.range.isEmpty
                    && replacement.range.upperBound < self.byteCount, "values are exchanged in order of their places")
            precondition(replacement.isPlain && replacement.count > 0, "only plain values are put in")
            position = replacement.range.upperBound
        }
        let moves = Moves(replacements)
        var fields = self.fields
        moves.move(&fields)
        let storage = self.storage.value
        let changed = storage.withBytes { bytes in
            unsafe storage.withEntries { entries in
                unsafe StanzaStorage.make(fields: fields) { newEntries, newBytes in
                    for index in 0..<entries.count { unsafe newEntries[index] = unsafe moves.moved(entries[index]) }
                    unsafe moves.copy(bytes, newBytes)
                }
            }
        }
        return Stanza(storage: StanzaStorageBox(value: changed))
    }
}

/// Where everything comes to stand when values of other lengths are put in.
private struct Moves {
    private let replacements: [Stanza.Replacement]

    init(_ replacements: [Stanza.Replacement]) { self.replacements = replacements }

    private func moved(_ place: UInt32) -> UInt32 {
        var moved = Int(place)
        for replacement in self.replacements {
            guard replacement.range.upperBound <= Int(place) else { break }
            moved += replacement.count - replacement.range.count
        }
        return UInt32(truncatingIfNeeded: moved)
    }

    private func moved(_ range: ByteRange) -> ByteRange {
        let start = Int(self.moved(range.start))
        return ByteRange(start, Int(self.moved(UInt32(truncatingIfNeeded: range.end))) - start)
    }

    private func moved(_ address: AddressRanges) -> AddressRanges {
        var address = address
        address.value = self.moved(address.value)
        address.domain = self.moved(address.domain)
        return address
    }

    func moved(_ entry: ElementEntry) -> ElementEntry {
        var entry = entry
        entry.start = self.moved(entry.start)
        entry.openEnd = self.moved(entry.openEnd)
        entry.end = self.moved(entry.end)
        return entry
    }

    func move(_ fields: inout StanzaFields) {
        fields.to = self.moved(fields.to)
        fields.from = self.moved(fields.from)
        fields.id = self.moved(fields.id)
        fields.language = self.moved(fields.language)
        fields.byteCount = Int(self.moved(UInt32(truncatingIfNeeded: fields.byteCount)))
    }

    func copy(_ bytes: Bytes, _ target: UnsafeMutablePointer<UInt8>) {
        var (read, written) = (0, 0)
        func add(_ part: Bytes) {
            unsafe (target + written).update(from: part.start, count: part.count)
            written += part.count
        }
        for replacement in self.replacements {
            add(bytes.slice(ByteRange(read, replacement.range.lowerBound - read)))
            switch replacement.content {
            case .text(let text): text.withBytes { add($0) }
            case .word(let word):
                for place in 0..<8 {
                    unsafe target[written + place] = UInt8(truncatingIfNeeded: word >> UInt64(place * 8))
                }
                written += 8
            }
            read = replacement.range.upperBound
        }
        add(bytes.slice(ByteRange(read, bytes.count - read)))
    }
}
