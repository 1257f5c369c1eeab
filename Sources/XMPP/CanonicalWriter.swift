/// Writes one stanza after another in canonical form and builds the index beside the bytes.
///
/// Shared by the reader, which feeds it what expat found, and by ``StanzaWriter``, which feeds it our own answers:
/// there is one canonical form because there is one writer.
struct CanonicalWriter: ~Copyable {
    private struct OpenElement {
        let entry: Int
        let nameLength: Int
        /// The default namespace inside the element, in `namespaces`.
        let namespace: ByteRange
    }

    private(set) var out = CanonicalBuffer()
    private var namespaces = CanonicalBuffer(capacity: 256)
    private var entries: [ElementEntry] = []
    private var open: [OpenElement] = []
    private var fields = StanzaFields()
    private var tagIsOpen = false
    private let localBytes = ByteSet(JIDRules.isLocal)
    private let domainBytes = ByteSet(JIDRules.isDomain)
    private let contentNamespace: String
    /// The content namespace stands first in `namespaces`, and stays.
    private let content: ByteRange

    /// - Parameter contentNamespace: the namespace that is not written, since the stream declares it.
    init(contentNamespace: String) {
        self.contentNamespace = contentNamespace
        self.content = ByteRange(0, contentNamespace.utf8.count)
        self.namespaces.append(contentNamespace)
        self.entries.reserveCapacity(64)
        self.open.reserveCapacity(64)
    }

    var depth: Int { self.open.count }
    var elementCount: Int { self.entries.count }
    var byteCount: Int { self.out.count }

    /// Forgets a stanza that is not finished.
    mutating func clear() {
        self.out.clear()
        self.namespaces.truncate(to: Int(self.content.count))
        self.entries.removeAll(keepingCapacity: self.entries.count <= 4_096)
        self.open.removeAll(keepingCapacity: true)
        self.fields = StanzaFields()
        self.tagIsOpen = false
    }

    /// Opens an element. Its attributes follow, then its content.
    ///
    /// - Parameters:
    ///   - prefix: a prefix to keep, inside elements whose prefixes must stay; the caller declares it.
    ///   - kind: what the stanza is; only looked at for the outermost element.
    ///   - code: the name's code where it is known already.
    mutating func start(
        local: Bytes, namespace: Bytes, prefix: Bytes? = nil, kind: StanzaKind = .other, code: UInt16? = nil
    ) {
        self.closeOpenTag()
        if self.open.isEmpty { self.fields.kind = kind }
        let start = self.out.count
        var nameLength = local.count
        self.out.append(UInt8(ascii: "<"))
        var keepsPrefix = false
        if let prefix, prefix.count > 0 {
            unsafe self.out.append(prefix.start, prefix.count)
            self.out.append(UInt8(ascii: ":"))
            nameLength += prefix.count + 1
            keepsPrefix = true
        }
        unsafe self.out.append(local.start, local.count)
        var inside = self.currentNamespace
        if !self.isCurrentNamespace(namespace), !keepsPrefix || self.open.isEmpty {
            // A kept prefix leaves the default namespace as it was.
            inside = ByteRange(self.namespaces.count, namespace.count)
            unsafe self.namespaces.append(namespace.start, namespace.count)
            self.out.append(" xmlns='")
            unsafe self.out.appendAttributeValue(namespace.start, namespace.count)
            self.out.append(UInt8(ascii: "'"))
        }
        self.entries.append(
            ElementEntry(
                start: UInt32(truncatingIfNeeded: start), openEnd: 0, end: 0,
                name: code
                    ?? Vocabulary.shared.code(
                        local: local, namespace: namespace, contentNamespace: self.contentNamespace),
                depth: UInt8(truncatingIfNeeded: self.open.count)))
        self.open.append(OpenElement(entry: self.entries.count - 1, nameLength: nameLength, namespace: inside))
        self.tagIsOpen = true
    }

    /// The default namespace in force, in `namespaces`.
    @inline(__always)
    private var currentNamespace: ByteRange { self.open.last?.namespace ?? self.content }

    /// Whether a name without prefix is in this namespace here without a declaration.
    @inline(__always)
    func isCurrentNamespace(_ namespace: Bytes) -> Bool {
        let current = self.currentNamespace
        return self.namespaces.bytes(from: Int(current.start), Int(current.count)).equals(namespace)
    }

    /// Writes an attribute whose name needs no declaration.
    mutating func attribute(_ name: Bytes, _ value: Bytes) {
        _ = self.writeAttribute(name, value)
    }

    /// Declares a prefix.
    mutating func declare(prefix: Bytes, _ namespace: Bytes) {
        self.out.append(" xmlns:")
        unsafe self.out.append(prefix.start, prefix.count)
        self.out.append("='")
        unsafe self.out.appendAttributeValue(namespace.start, namespace.count)
        self.out.append(UInt8(ascii: "'"))
    }

    /// Writes an attribute whose prefix was declared.
    mutating func attribute(prefix: Bytes, _ name: Bytes, _ value: Bytes) {
        self.out.append(UInt8(ascii: " "))
        unsafe self.out.append(prefix.start, prefix.count)
        self.out.append(UInt8(ascii: ":"))
        unsafe self.out.append(name.start, name.count)
        self.out.append("='")
        unsafe self.out.appendAttributeValue(value.start, value.count)
        self.out.append(UInt8(ascii: "'"))
    }

    @inline(__always)
    private mutating func writeAttribute(_ name: Bytes, _ value: Bytes) -> ByteRange {
        self.out.appendAttributeStart(name)
        let start = self.out.count
        unsafe self.out.appendAttributeValue(value.start, value.count)
        let range = ByteRange(start, self.out.count - start)
        self.out.append(UInt8(ascii: "'"))
        return range
    }

    // MARK: The stanza's own attributes

    mutating func stanzaTo(_ value: Bytes) {
        self.out.append(" to='")
        self.fields.to = self.writeAddress(value)
    }

    mutating func stanzaFrom(_ value: Bytes) {
        self.out.append(" from='")
        self.fields.from = self.writeAddress(value)
    }

    mutating func stanzaType(_ value: Bytes) {
        self.fields.type = Self.type(value)
        _ = "type".withBytes { self.writeAttribute($0, value) }
    }

    mutating func stanzaID(_ value: Bytes) {
        self.fields.id = "id".withBytes { self.writeAttribute($0, value) }
    }

    mutating func stanzaLanguage(_ value: Bytes) {
        self.fields.language = "xml:lang".withBytes { self.writeAttribute($0, value) }
    }

    private static func type(_ value: Bytes) -> StanzaType {
        if value.equals("chat") { return .chat }
        if value.equals("groupchat") { return .groupchat }
        if value.equals("unavailable") { return .unavailable }
        if value.equals("get") { return .get }
        if value.equals("set") { return .set }
        if value.equals("result") { return .result }
        if value.equals("error") { return .error }
        if value.equals("normal") { return .normal }
        if value.equals("headline") { return .headline }
        if value.equals("probe") { return .probe }
        if value.equals("subscribe") { return .subscribe }
        if value.equals("subscribed") { return .subscribed }
        if value.equals("unsubscribe") { return .unsubscribe }
        if value.equals("unsubscribed") { return .unsubscribed }
        return .unknown
    }

    /// Writes an address case-folded, and remembers where its parts lie. A malformed one is written as it stands and
    /// has no domain range.
    private mutating func writeAddress(_ value: Bytes) -> AddressRanges {
        let slash = value.firstIndex(of: UInt8(ascii: "/")) ?? value.count
        let at = value.prefix(slash).firstIndex(of: UInt8(ascii: "@")) ?? -1
        if slash < value.count {
            guard slash + 1 < value.count, value.count - slash - 1 <= JIDRules.partBytes else {
                return self.writeMalformed(value)
            }
            for index in (slash + 1)..<value.count {
                let byte = unsafe value.start[index]
                guard byte >= 0x20, byte != 0x7f else { return self.writeMalformed(value) }
            }
        }
        // Rules of RFC 7622 §3.2 and §3.3; `JIDRules` has them for letters beyond ASCII, which are rare on these links.
        var domainEnd = slash
        if domainEnd > at + 1, value[domainEnd - 1] == UInt8(ascii: ".") { domainEnd -= 1 }
        let domainCount = domainEnd - (at + 1)
        guard at != 0 else { return self.writeMalformed(value) }
        for index in 0..<max(at, 0) {
            let byte = unsafe value.start[index]
            guard self.localBytes.contains(byte) else {
                return byte < 0x80 ? self.writeMalformed(value) : self.writeFolded(value, slash)
            }
        }
        // A name with an empty label is no name.
        var previous = UInt8(ascii: ".")
        for index in (at + 1)..<max(domainEnd, at + 1) {
            let byte = unsafe value.start[index]
            guard self.domainBytes.contains(byte) else {
                return byte < 0x80 ? self.writeMalformed(value) : self.writeFolded(value, slash)
            }
            if byte == UInt8(ascii: "."), byte == previous { return self.writeMalformed(value) }
            previous = byte
        }
        guard previous != UInt8(ascii: "."), at <= JIDRules.partBytes, domainCount <= JIDRules.partBytes else {
            return self.writeMalformed(value)
        }
        var ranges = AddressRanges()
        let start = self.out.count
        self.out.appendLowercased(value.prefix(domainEnd))
        ranges.bareHash = self.out.bytes(from: start, domainEnd).hash
        ranges.domain = ByteRange(start + at + 1, domainCount)
        ranges.domainHash = self.out.bytes(from: start + at + 1, domainCount).hash
        self.writeResource(value, slash)
        ranges.value = ByteRange(start, self.out.count - start)
        self.out.append(UInt8(ascii: "'"))
        return ranges
    }

    /// Writes an address with letters beyond ASCII in its bare part.
    @inline(never)
    private mutating func writeFolded(_ value: Bytes, _ slash: Int) -> AddressRanges {
        guard let address = JID(value.string) else { return self.writeMalformed(value) }
        var ranges = AddressRanges()
        let start = self.out.count
        let bare = address.bare.description
        let localCount = address.local.map { $0.utf8.count + 1 } ?? 0
        self.out.append(bare)
        ranges.bareHash = StableHash.of(bare)
        ranges.domain = ByteRange(start + localCount, address.domain.string.utf8.count)
        ranges.domainHash = address.domain.hash64
        self.writeResource(value, slash)
        ranges.value = ByteRange(start, self.out.count - start)
        self.out.append(UInt8(ascii: "'"))
        return ranges
    }

    @inline(__always)
    private mutating func writeResource(_ value: Bytes, _ slash: Int) {
        guard slash < value.count else { return }
        let resource = value.dropFirst(slash)
        unsafe self.out.appendAttributeValue(resource.start, resource.count)
    }

    @inline(never)
    private mutating func writeMalformed(_ value: Bytes) -> AddressRanges {
        var ranges = AddressRanges()
        let start = self.out.count
        unsafe self.out.appendAttributeValue(value.start, value.count)
        ranges.value = ByteRange(start, self.out.count - start)
        self.out.append(UInt8(ascii: "'"))
        return ranges
    }

    // MARK: Content and end

    mutating func text(_ text: Bytes) {
        guard text.count > 0 else { return }
        self.closeOpenTag()
        unsafe self.out.appendText(text.start, text.count)
    }

    private mutating func closeOpenTag() {
        guard self.tagIsOpen, let current = self.open.last else { return }
        self.out.append(UInt8(ascii: ">"))
        self.entries[current.entry].openEnd = UInt32(truncatingIfNeeded: self.out.count)
        self.tagIsOpen = false
    }

    /// Closes the innermost element.
    mutating func end() {
        guard let current = self.open.popLast() else {
            preconditionFailure("no element is open")
        }
        if self.tagIsOpen {
            self.out.append(UInt8(ascii: "/"))
            self.out.append(UInt8(ascii: ">"))
            self.entries[current.entry].openEnd = UInt32(truncatingIfNeeded: self.out.count)
            self.tagIsOpen = false
        } else {
            let name = Int(self.entries[current.entry].start) + 1
            self.out.append(UInt8(ascii: "<"))
            self.out.append(UInt8(ascii: "/"))
            self.out.appendCopy(at: name, count: current.nameLength)
            self.out.append(UInt8(ascii: ">"))
        }
        self.entries[current.entry].end = UInt32(truncatingIfNeeded: self.out.count)
    }

    /// Makes a stanza of the outermost start tag alone, whatever else was written, and starts anew.
    ///
    /// - Parameter tagLength: where the tag ended, its `>` not counted.
    mutating func finishStub(tagLength: Int) -> Stanza {
        self.out.truncate(to: tagLength)
        self.entries.removeLast(self.entries.count - 1)
        self.open.removeAll(keepingCapacity: true)
        self.out.append("/>")
        self.entries[0].openEnd = UInt32(truncatingIfNeeded: self.out.count)
        self.entries[0].end = self.entries[0].openEnd
        self.tagIsOpen = false
        return self.finishStanza()
    }

    /// Makes the stanza of what was written since the last, and starts anew.
    mutating func finishStanza() -> Stanza {
        precondition(self.open.isEmpty && !self.entries.isEmpty, "a stanza is finished when its element is closed")
        self.fields.byteCount = self.out.count
        self.fields.elementCount = self.entries.count
        let fields = self.fields
        let storage = unsafe self.entries.withUnsafeBufferPointer { entries in
            guard let start = entries.baseAddress else { preconditionFailure("a stanza has an element") }
            return unsafe StanzaStorage.make(fields: fields, entries: start, bytes: self.out.base)
        }
        self.clear()
        return Stanza(storage: StanzaStorageBox(value: storage))
    }
}
