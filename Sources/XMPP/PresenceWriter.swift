/// Makes presence stanzas of payloads (``Stanza/appendPayload(to:)``) and new addresses, without a parser.
package struct PresenceWriter: ~Copyable {
    private var bytes: [UInt8] = []
    private var entries: [ElementEntry] = []

    package init() {}

    /// An address, escaped as canonical bytes hold it: a bare one, and a resource that may be empty.
    @safe package struct Address {
        let bare: UnsafeRawBufferPointer
        let resource: UnsafeRawBufferPointer

        package init(bare: UnsafeRawBufferPointer, resource: UnsafeRawBufferPointer) {
            unsafe self.bare = bare
            unsafe self.resource = resource
        }
    }

    /// Makes one presence.
    ///
    /// - Parameters:
    ///   - type: ``StanzaType/absent``, or a type that has a name.
    ///   - payload: nil: nothing.
    /// - Returns: nil where the payload is none.
    package mutating func make(
        to: Address, from: Address, type: StanzaType, payload: UnsafeRawBufferPointer?
    ) -> Stanza? {
        self.bytes.removeAll(keepingCapacity: true)
        self.entries.removeAll(keepingCapacity: true)
        var fields = StanzaFields()
        fields.kind = .presence
        fields.type = type
        self.append("<presence to='")
        fields.to = self.append(to)
        self.append(" from='")
        fields.from = self.append(from)
        if let name = type.name {
            self.append(" type='")
            self.append(name)
            self.bytes.append(UInt8(ascii: "'"))
        }
        var parts = PayloadParts()
        if let payload = unsafe payload {
            guard let read = unsafe PayloadParts(payload) else { return nil }
            parts = read
        }
        let languageStart = self.bytes.count + Self.language.utf8.count
        if let payload = unsafe payload {
            unsafe self.bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: payload[parts.tail]))
            if unsafe payload[parts.tail].starts(with: Self.language.utf8) {
                let end = self.bytes[languageStart...].firstIndex(of: UInt8(ascii: "'")) ?? languageStart
                fields.language = ByteRange(languageStart, end - languageStart)
            }
        }
        self.entries.append(ElementEntry(start: 0, openEnd: 0, end: 0, name: 0, depth: 0))
        guard let payload = unsafe payload, !parts.content.isEmpty else {
            self.append("/>")
            self.entries[0].openEnd = UInt32(truncatingIfNeeded: self.bytes.count)
            return self.finish(&fields)
        }
        self.bytes.append(UInt8(ascii: ">"))
        let content = self.bytes.count
        self.entries[0].openEnd = UInt32(truncatingIfNeeded: content)
        unsafe self.bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: payload[parts.content]))
        self.append("</presence>")
        var start = content
        var position = parts.index.lowerBound
        for _ in 0..<parts.elementCount {
            guard let distance = unsafe PayloadParts.number(payload, &position),
                let open = unsafe PayloadParts.number(payload, &position),
                let inside = unsafe PayloadParts.number(payload, &position),
                let name = unsafe PayloadParts.number(payload, &position), position < parts.index.upperBound
            else { return nil }
            start += distance
            guard start + open + inside <= self.bytes.count, open > 0, name <= Int(UInt16.max) else { return nil }
            self.entries.append(
                ElementEntry(
                    start: UInt32(start), openEnd: UInt32(start + open), end: UInt32(start + open + inside),
                    name: UInt16(name), depth: unsafe payload[position]))
            position += 1
        }
        return self.finish(&fields)
    }

    private static let language = " xml:lang='"

    private mutating func append(_ text: String) { self.bytes.append(contentsOf: text.utf8) }

    private mutating func append(_ address: Address) -> AddressRanges {
        var ranges = AddressRanges()
        let start = self.bytes.count
        unsafe self.bytes.append(contentsOf: address.bare)
        let local = unsafe address.bare.firstIndex(of: UInt8(ascii: "@")).map { $0 + 1 } ?? 0
        ranges.domain = unsafe ByteRange(start + local, address.bare.count - local)
        ranges.bareHash = unsafe Self.hash(address.bare)
        ranges.domainHash = unsafe Self.hash(UnsafeRawBufferPointer(rebasing: address.bare[local...]))
        if unsafe !address.resource.isEmpty {
            self.bytes.append(UInt8(ascii: "/"))
            unsafe self.bytes.append(contentsOf: address.resource)
        }
        ranges.value = ByteRange(start, self.bytes.count - start)
        self.bytes.append(UInt8(ascii: "'"))
        return ranges
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let start = bytes.baseAddress else { return StableHash.of("") }
        return unsafe Bytes(start.assumingMemoryBound(to: UInt8.self), bytes.count).hash
    }

    private mutating func finish(_ fields: inout StanzaFields) -> Stanza? {
        self.entries[0].end = UInt32(truncatingIfNeeded: self.bytes.count)
        fields.byteCount = self.bytes.count
        fields.elementCount = self.entries.count
        let made = fields
        let storage = unsafe self.entries.withUnsafeBufferPointer { entries in
            unsafe self.bytes.withUnsafeBufferPointer { bytes -> StanzaStorage? in
                guard let first = entries.baseAddress, let start = bytes.baseAddress else { return nil }
                return unsafe StanzaStorage.make(fields: made, entries: first, bytes: start)
            }
        }
        return storage.map { Stanza(storage: StanzaStorageBox(value: $0)) }
    }
}

/// Where the parts of a payload lie.
struct PayloadParts {
    var elementCount = 0
    var index = 0..<0
    /// What follows in the stanza's own tag.
    var tail = 0..<0
    /// The elements and the text between them.
    var content = 0..<0

    init() {}

    init?(_ payload: UnsafeRawBufferPointer) {
        var position = 0
        guard let tailCount = unsafe Self.number(payload, &position),
            let elementCount = unsafe Self.number(payload, &position)
        else { return nil }
        let start = position
        for _ in 0..<elementCount {
            for _ in 0..<4 {
                guard unsafe Self.number(payload, &position) != nil else { return nil }
            }
            position += 1
        }
        guard position <= payload.count, tailCount <= payload.count - position else { return nil }
        self.elementCount = elementCount
        self.index = start..<position
        self.tail = position..<(position + tailCount)
        self.content = (position + tailCount)..<payload.count
    }

    /// A number of at most 28 bits.
    static func number(_ payload: UnsafeRawBufferPointer, _ position: inout Int) -> Int? {
        var value = 0
        for shift in stride(from: 0, through: 21, by: 7) {
            guard position >= 0, position < payload.count else { return nil }
            let byte = unsafe payload[position]
            position += 1
            value |= Int(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }
}
