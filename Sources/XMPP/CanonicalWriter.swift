/// Writes one stanza after another in canonical form and builds the index beside the bytes.
///
/// Shared by the reader, which feeds it what expat found, and by ``StanzaWriter``, which feeds it our own answers: there
/// is one canonical form because there is one writer.
struct CanonicalWriter: ~Copyable {
    private struct OpenElement {
        let entry: Int
        let nameLength: Int
        /// The default namespace inside the element, in `namespaces`.
        let namespace: ByteRange
        let namespaceHash: UInt64
    }

    private(set) var out = CanonicalBuffer()
    private var namespaces = CanonicalBuffer(capacity: 256)
    private var entries: [ElementEntry] = []
    private var open: [OpenElement] = []
    private var fields = StanzaFields()
    private var tagIsOpen = false
    private let vocabulary = Vocabulary.shared
    private let serverHash = StableHash.of(XMLNamespace.server)
    private let contentNamespace: String

    /// - Parameter contentNamespace: the namespace that is not written, since the stream declares it.
    init(contentNamespace: String) {
        self.contentNamespace = contentNamespace
        self.entries.reserveCapacity(64)
        self.open.reserveCapacity(64)
    }

    var depth: Int { self.open.count }
    var elementCount: Int { self.entries.count }
    var byteCount: Int { self.out.count }

    /// Forgets a stanza that is not finished.
    mutating func clear() {
        self.out.clear()
        self.namespaces.clear()
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
    mutating func start(local: Bytes, namespace: Bytes, prefix: Bytes? = nil, kind: StanzaKind = .other) {
        self.closeOpenTag()
        if self.open.isEmpty { self.fields.kind = kind }
        let entry = ElementEntry(
            start: UInt32(truncatingIfNeeded: self.out.count), openEnd: 0, end: 0, name: 0,
            depth: UInt8(truncatingIfNeeded: self.open.count))
        let index = self.entries.count
        self.out.append(UInt8(ascii: "<"))
        var nameLength = local.count
        if let prefix, prefix.count > 0 {
            unsafe self.out.append(prefix.start, prefix.count)
            self.out.append(UInt8(ascii: ":"))
            nameLength += prefix.count + 1
        }
        unsafe self.out.append(local.start, local.count)
        self.entries.append(entry)
        let inherited = self.open.last
        let isInherited = self.isCurrentNamespace(namespace)
        if isInherited, let inherited {
            self.open.append(
                OpenElement(
                    entry: index, nameLength: nameLength, namespace: inherited.namespace,
                    namespaceHash: inherited.namespaceHash))
        } else if let prefix, prefix.count > 0, let inherited {
            // A kept prefix leaves the default namespace as it was.
            self.open.append(
                OpenElement(
                    entry: index, nameLength: nameLength, namespace: inherited.namespace,
                    namespaceHash: inherited.namespaceHash))
        } else {
            let range = ByteRange(self.namespaces.count, namespace.count)
            unsafe self.namespaces.append(namespace.start, namespace.count)
            let isContent = namespace.equals(self.contentNamespace)
            self.open.append(
                OpenElement(
                    entry: index, nameLength: nameLength, namespace: range,
                    namespaceHash: isContent ? self.serverHash : namespace.hash))
            if !isInherited {
                self.out.append(" xmlns='")
                unsafe self.out.appendAttributeValue(namespace.start, namespace.count)
                self.out.append(UInt8(ascii: "'"))
            }
        }
        self.entries[index].name = self.code(local: local, namespace: namespace)
        self.tagIsOpen = true
    }

    private func code(local: Bytes, namespace: Bytes) -> UInt16 {
        guard let current = self.open.last else { return 0 }
        if namespace.equals(self.contentNamespace) {
            return XMLNamespace.server.withBytes { server in
                self.vocabulary.code(local: local, namespace: server, namespaceHash: self.serverHash)
            }
        }
        let isDefault = self.isCurrentNamespace(namespace)
        return self.vocabulary.code(
            local: local, namespace: namespace, namespaceHash: isDefault ? current.namespaceHash : namespace.hash)
    }

    /// Whether a name without prefix is in this namespace here without a declaration.
    func isCurrentNamespace(_ namespace: Bytes) -> Bool {
        guard let current = self.open.last else { return namespace.equals(self.contentNamespace) }
        return unsafe namespace.equals(
            Bytes(self.namespaces.base + Int(current.namespace.start), Int(current.namespace.count)))
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

    mutating func attribute(prefix: Bytes, _ name: Bytes, _ value: Bytes) {
        self.out.append(UInt8(ascii: " "))
        unsafe self.out.append(prefix.start, prefix.count)
        self.out.append(UInt8(ascii: ":"))
        unsafe self.out.append(name.start, name.count)
        self.out.append("='")
        unsafe self.out.appendAttributeValue(value.start, value.count)
        self.out.append(UInt8(ascii: "'"))
    }

    private mutating func writeAttribute(_ name: Bytes, _ value: Bytes) -> ByteRange {
        self.out.append(UInt8(ascii: " "))
        unsafe self.out.append(name.start, name.count)
        self.out.append("='")
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
        var ranges = AddressRanges()
        let start = self.out.count
        let slash = value.firstIndex(of: UInt8(ascii: "/")) ?? value.count
        var at = -1
        var isPlain = slash > 0
        var isValid = slash > 0 && (slash == value.count || (slash + 1 < value.count && value.count - slash <= 1_024))
        for index in 0..<slash {
            let byte = value[index]
            if byte >= 0x80 { isPlain = false }
            if byte == UInt8(ascii: "@"), at < 0 {
                at = index
            } else if at >= 0, !JIDRules.isDomain(byte) {
                isValid = false
            }
        }
        if isPlain {
            for index in 0..<max(at, 0) where !JIDRules.isLocal(value[index]) { isValid = false }
            if at < 0 {
                for index in 0..<slash where !JIDRules.isDomain(value[index]) { isValid = false }
            }
        }
        var domainEnd = slash
        if isPlain, domainEnd > at + 1, value[domainEnd - 1] == UInt8(ascii: ".") { domainEnd -= 1 }
        let domainCount = domainEnd - (at + 1)
        if at == 0 || at > JIDRules.partBytes || domainCount < 1 || domainCount > JIDRules.partBytes { isValid = false }
        if isPlain, isValid {
            // Names with empty labels are no names; the rule is `JIDRules.domainpart`'s.
            var previous = UInt8(ascii: ".")
            for index in (at + 1)..<domainEnd {
                let byte = value[index]
                if byte == UInt8(ascii: "."), byte == previous { isValid = false }
                previous = byte
            }
            if previous == UInt8(ascii: ".") { isValid = false }
        }
        if slash < value.count, isValid {
            for index in (slash + 1)..<value.count where value[index] < 0x20 || value[index] == 0x7f { isValid = false }
        }
        if isValid, !isPlain {
            // Letters outside ASCII are rare on these links: the slow way folds them.
            guard let address = JID(value.string) else { return self.writeMalformed(value) }
            let bare = address.bare.description
            let localCount = address.local.map { $0.utf8.count + 1 } ?? 0
            self.out.append(bare)
            ranges.bareHash = StableHash.of(bare)
            ranges.domain = ByteRange(start + localCount, address.domain.string.utf8.count)
            ranges.domainHash = address.domain.hash64
        } else if isValid {
            var bare = StableHash()
            var domain = StableHash()
            self.out.reserve(domainEnd)
            for index in 0..<domainEnd {
                let byte = JIDRules.lowercased(value[index])
                self.out.append(byte)
                bare.combine(byte)
                if index > at { domain.combine(byte) }
            }
            ranges.bareHash = bare.value
            ranges.domain = ByteRange(start + at + 1, domainCount)
            ranges.domainHash = domain.value
        } else {
            return self.writeMalformed(value)
        }
        if slash < value.count {
            let resource = value.dropFirst(slash)
            unsafe self.out.appendAttributeValue(resource.start, resource.count)
        }
        ranges.value = ByteRange(start, self.out.count - start)
        self.out.append(UInt8(ascii: "'"))
        return ranges
    }

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
            self.out.append("/>")
            self.entries[current.entry].openEnd = UInt32(truncatingIfNeeded: self.out.count)
            self.tagIsOpen = false
        } else {
            let name = Int(self.entries[current.entry].start) + 1
            self.out.append("</")
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
