/// Changes of one stanza that leave canonical form canonical.
///
/// Whole elements go, the text of an element is replaced, or an empty element is put first into another. Removing a
/// sibling never changes which namespace is in force elsewhere, since canonical form declares it on the element itself.
package struct StanzaEdits: Sendable {
    /// An element without content, in the namespace of the one that it is put into.
    package struct Leaf: Equatable, Sendable {
        package var name: String
        /// Written in the order of their names.
        package var attributes: [(String, String)]
        /// Its code in the vocabulary is looked up with this namespace.
        package var namespace: String

        package init(name: String, namespace: String, attributes: [(String, String)]) {
            self.name = name
            self.namespace = namespace
            self.attributes = attributes
        }

        package static func == (left: Leaf, right: Leaf) -> Bool {
            left.name == right.name && left.namespace == right.namespace
                && left.attributes.elementsEqual(right.attributes) { $0 == $1 }
        }
    }

    /// Elements that go, with all that they hold. The stanza itself cannot go.
    package var removed = ElementSet()
    /// Elements whose whole content becomes this text, by place.
    package var texts: [(index: Int, text: String)] = []
    /// Elements that get a first child, by place.
    package var leaves: [(index: Int, leaf: Leaf)] = []

    package init() {}

    package var isEmpty: Bool { self.removed.isEmpty && self.texts.isEmpty && self.leaves.isEmpty }
}

extension Stanza {
    /// The stanza with changes; itself where there are none.
    ///
    /// The result is canonical: ``StanzaReader`` reads its bytes to the same bytes. Copies what is left; where direct
    /// children go and others stay, it allocates the new stanza alone.
    package func applying(_ edits: StanzaEdits) -> Stanza {
        guard !edits.isEmpty else { return self }
        if edits.texts.isEmpty, edits.leaves.isEmpty, let rest = self.removingChildren(edits.removed) { return rest }
        var copy = StanzaCopy(self.fields)
        self.storage.value.withBytes { bytes in
            unsafe self.storage.value.withEntries { entries in
                unsafe copy.copy(entries, bytes, edits)
            }
        }
        return copy.finish()
    }
}

/// Copies a stanza with changes into a buffer, element by element.
private struct StanzaCopy: ~Copyable {
    /// An element that is copied and not yet closed.
    private struct Open {
        /// Its place among the entries of the copy.
        let entry: Int
        /// Where it ends in the source.
        let end: Int
    }

    private var fields: StanzaFields
    private var out: CanonicalBuffer
    private var entries: [ElementEntry] = []
    private var open: [Open] = []
    /// How far the source is copied or passed over.
    private var position = 0
    /// Something was left out just before `position`, so text on both sides may meet.
    private var isJoin = false

    init(_ fields: StanzaFields) {
        self.fields = fields
        self.out = CanonicalBuffer(capacity: fields.byteCount + 64)
        self.entries.reserveCapacity(fields.elementCount + 1)
        self.open.reserveCapacity(8)
    }

    mutating func copy(_ source: UnsafeBufferPointer<ElementEntry>, _ bytes: Bytes, _ edits: StanzaEdits) {
        for index in 0..<source.count {
            let entry = unsafe source[index]
            let start = Int(entry.start)
            if start < self.position { continue }
            self.closeElements(before: start, bytes)
            self.copyText(bytes, to: start)
            if index > 0, edits.removed.contains(index) {
                self.position = Int(entry.end)
                self.isJoin = true
                continue
            }
            let text = edits.texts.isEmpty ? nil : edits.texts.first { $0.index == index }?.text
            let leaf = edits.leaves.isEmpty ? nil : edits.leaves.first { $0.index == index }?.leaf
            self.copyElement(entry, bytes, text: text, leaf: leaf)
        }
        self.closeElements(before: bytes.count, bytes)
    }

    private mutating func copyElement(_ entry: ElementEntry, _ bytes: Bytes, text: String?, leaf: StanzaEdits.Leaf?) {
        let start = self.out.count
        let isEmpty = entry.openEnd == entry.end
        var moved = entry
        moved.start = UInt32(truncatingIfNeeded: start)
        self.isJoin = false
        let hasContent = leaf != nil || text.map { !$0.isEmpty } ?? !isEmpty
        // A tag that opens and closes at once cannot hold what it is given, and one that loses all closes at once.
        let tag = bytes.slice(ByteRange(Int(entry.start), Int(entry.openEnd - entry.start)))
        let name = tag.prefix(tag.count - (isEmpty ? 2 : 1))
        unsafe self.out.append(name.start, name.count)
        if hasContent { self.out.append(">") } else { self.out.append("/>") }
        moved.openEnd = UInt32(truncatingIfNeeded: self.out.count)
        moved.end = moved.openEnd
        self.position = Int(entry.openEnd)
        self.entries.append(moved)
        if let leaf { self.append(leaf, depth: entry.depth + 1) }
        if let text {
            self.out.appendText(text)
            self.position = Int(entry.end)
        }
        guard hasContent else { return }
        if isEmpty || text != nil {
            self.close(self.entries.count - (leaf == nil ? 1 : 2), bytes, entry)
        } else {
            self.open.append(Open(entry: self.entries.count - (leaf == nil ? 1 : 2), end: Int(entry.end)))
        }
    }

    private mutating func append(_ leaf: StanzaEdits.Leaf, depth: UInt8) {
        let start = self.out.count
        self.out.append(UInt8(ascii: "<"))
        self.out.append(leaf.name)
        for (name, value) in leaf.attributes.sorted(by: { $0.0 < $1.0 }) {
            name.withBytes { self.out.appendAttributeStart($0) }
            self.out.appendAttributeValue(value)
            self.out.append(UInt8(ascii: "'"))
        }
        self.out.append("/>")
        let end = UInt32(truncatingIfNeeded: self.out.count)
        self.entries.append(
            ElementEntry(
                start: UInt32(truncatingIfNeeded: start), openEnd: end, end: end,
                name: ElementName.named(leaf.name, leaf.namespace).code, depth: depth))
    }

    /// Closes what ends at or before a place of the source.
    private mutating func closeElements(before place: Int, _ bytes: Bytes) {
        while let last = self.open.last, last.end <= place {
            let entry = self.entries[last.entry]
            let closing = bytes.closingTagStart(self.position, last.end)
            self.copyText(bytes, to: closing)
            self.open.removeLast()
            self.position = last.end
            if self.out.count == Int(entry.openEnd) {
                // Nothing is left in it.
                self.out.truncate(to: Int(entry.openEnd) - 1)
                self.out.append("/>")
                self.entries[last.entry].openEnd = UInt32(truncatingIfNeeded: self.out.count)
            } else {
                unsafe self.out.append(bytes.start + closing, last.end - closing)
            }
            self.entries[last.entry].end = UInt32(truncatingIfNeeded: self.out.count)
            self.isJoin = false
        }
    }

    /// Closes an element whose content was made here.
    private mutating func close(_ index: Int, _ bytes: Bytes, _ source: ElementEntry) {
        let length = bytes.nameLength(of: source)
        self.out.append("</")
        unsafe self.out.append(bytes.start + Int(source.start) + 1, length)
        self.out.append(UInt8(ascii: ">"))
        self.entries[index].end = UInt32(truncatingIfNeeded: self.out.count)
    }

    /// Copies character data up to a place. Where text meets text across a gap, a greater-than that the gap kept from
    /// following two brackets has to be escaped now.
    private mutating func copyText(_ bytes: Bytes, to place: Int) {
        guard self.position < place else { return }
        let text = bytes.slice(ByteRange(self.position, place - self.position))
        self.position = place
        guard self.isJoin else {
            unsafe self.out.append(text.start, text.count)
            return
        }
        self.isJoin = false
        var brackets = 0
        while brackets < text.count, text[brackets] == UInt8(ascii: "]") { brackets += 1 }
        let head = brackets < text.count && text[brackets] == UInt8(ascii: ">") ? brackets + 1 : brackets
        // Not escaped yet: text that is escaped begins with an ampersand.
        unsafe self.out.appendText(text.start, head)
        unsafe self.out.append(text.start + head, text.count - head)
    }

    consuming func finish() -> Stanza {
        self.fields.byteCount = self.out.count
        self.fields.elementCount = self.entries.count
        let fields = self.fields
        let storage = unsafe self.entries.withUnsafeBufferPointer { entries in
            guard let start = entries.baseAddress else { preconditionFailure("a stanza has an element") }
            return unsafe StanzaStorage.make(fields: fields, entries: start, bytes: self.out.base)
        }
        return Stanza(storage: StanzaStorageBox(value: storage))
    }
}

extension Bytes {
    /// Where the closing tag starts that ends at `end`: names hold no `<`.
    fileprivate func closingTagStart(_ from: Int, _ end: Int) -> Int {
        var place = end - 1
        while place > from, self[place] != UInt8(ascii: "<") { place -= 1 }
        return place
    }
}
