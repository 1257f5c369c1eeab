/// Where single values stand in a stanza, and how they are exchanged for others.
extension Stanza {
    /// One value that takes the place of another.
    package struct Replacement: Equatable, Sendable {
        /// A whole value, as ``Stanza/idRange``, ``Stanza/attributeRange(_:ofElement:)`` or
        /// ``Stanza/textRange(ofElement:)`` found it; never an address or the type.
        package var range: Range<Int>
        /// Only characters for which ``Stanza/isPlain(_:)`` is true, so that it means the same in text and in
        /// attributes.
        package var value: String

        package init(range: Range<Int>, value: String) {
            self.range = range
            self.value = value
        }
    }

    /// Whether a value is printable ASCII that canonical form never escapes.
    package static func isPlain(_ value: String) -> Bool {
        value.utf8.allSatisfy { byte in
            byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: "&") && byte != UInt8(ascii: "<")
                && byte != UInt8(ascii: ">") && byte != UInt8(ascii: "'")
        }
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
            precondition(Self.isPlain(replacement.value) && !replacement.value.isEmpty, "only plain values are put in")
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
            moved += replacement.value.utf8.count - replacement.range.count
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
            replacement.value.withBytes { add($0) }
            read = replacement.range.upperBound
        }
        add(bytes.slice(ByteRange(read, bytes.count - read)))
    }
}
