/// What filtering looks at: names as small numbers and places in the bytes, nothing copied.
extension Stanza {
    /// One element of a stanza.
    package struct IndexedElement {
        /// Its place in the stanza's index; 0 is the stanza itself.
        package let index: Int
        package let name: ElementName
        /// 1 for a direct child of the stanza.
        package let depth: Int
        /// Size of its canonical bytes.
        package let byteCount: Int
        /// Size of what stands between its tags, as written.
        package let contentBytes: Int
    }

    /// Gives each direct child to `body`, in order. Allocates nothing.
    @inline(__always)
    package func forEachChild(_ body: (_ index: Int, _ name: ElementName) -> Void) {
        let storage = self.storage.value
        unsafe storage.withEntries { entries in
            for index in 1..<max(entries.count, 1) {
                let entry = unsafe entries[index]
                if entry.depth == 1 { body(index, ElementName(rawCode: entry.name)) }
            }
        }
    }

    /// Gives each element below the direct children to `body`, in order, with the child that it stands in.
    package func forEachDescendant(_ body: (_ index: Int, _ name: ElementName, _ child: ElementName) -> Void) {
        let storage = self.storage.value
        var child = ElementName.unknown
        unsafe storage.withEntries { entries in
            for index in 1..<max(entries.count, 1) {
                let entry = unsafe entries[index]
                if entry.depth == 1 {
                    child = ElementName(rawCode: entry.name)
                } else {
                    body(index, ElementName(rawCode: entry.name), child)
                }
            }
        }
    }

    /// The element at a place of the index.
    package func element(at index: Int) -> IndexedElement {
        let entry = self.storage.value.entry(index)
        let content = entry.openEnd == entry.end ? 0 : Int(entry.end - entry.openEnd) - self.closingTagBytes(entry)
        return IndexedElement(
            index: index, name: ElementName(rawCode: entry.name), depth: Int(entry.depth),
            byteCount: Int(entry.end - entry.start), contentBytes: content)
    }

    /// Whether more than so many bytes stand between an element's tags, as written.
    package func contentIsLonger(than limit: Int, at index: Int) -> Bool {
        let entry = self.storage.value.entry(index)
        return Int(entry.end - entry.start) > limit && self.element(at: index).contentBytes > limit
    }

    private func closingTagBytes(_ entry: ElementEntry) -> Int {
        self.storage.value.withBytes { $0.nameLength(of: entry) + 3 }
    }

    /// A cursor to the element at a place of the index.
    package func cursor(at index: Int) -> Element {
        precondition(index >= 0 && index < self.elementCount, "no such element")
        return Element(stanza: self, index: index)
    }

    /// Whether a direct child has this name, however seldom: the way for names outside the vocabulary.
    ///
    /// Compares with the bytes as they are written and allocates nothing.
    ///
    /// - Parameters:
    ///   - local: `nil` for any name in the namespace.
    ///   - namespace: escaped as ``XMLEscape/attribute(_:)`` does it.
    package func child(at index: Int, isNamed local: String?, inEscaped namespace: String) -> Bool {
        let entry = self.storage.value.entry(index)
        return self.storage.value.withBytes { bytes in
            let tag = bytes.slice(ByteRange(Int(entry.start) + 1, Int(entry.openEnd - entry.start) - 1))
            let length = bytes.nameLength(of: entry)
            if let local, !tag.prefix(length).equals(local) { return false }
            // Canonical form declares the namespace of a child directly behind its name, where it is not the stream's.
            let declaration = tag.dropFirst(length)
            guard declaration.count > 8, declaration.prefix(8).equals(" xmlns='") else { return false }
            let value = declaration.dropFirst(8)
            return value.firstIndex(of: UInt8(ascii: "'")).map { value.prefix($0).equals(namespace) } ?? false
        }
    }

    /// Whether the element keeps the prefix of its name: part of a security label or a signature.
    package func keepsPrefix(at index: Int) -> Bool {
        let entry = self.storage.value.entry(index)
        return self.storage.value.withBytes { bytes in
            let name = bytes.slice(ByteRange(Int(entry.start) + 1, bytes.nameLength(of: entry)))
            return name.firstIndex(of: UInt8(ascii: ":")) != nil
        }
    }

    /// Whether `to` names a resource.
    package var toHasResource: Bool { self.hasResource(self.fields.to) }
    package var fromHasResource: Bool { self.hasResource(self.fields.from) }

    private func hasResource(_ ranges: AddressRanges) -> Bool {
        ranges.domain.count > 0 && ranges.domain.end < ranges.value.end
    }

    /// Whether the domain of `to` is one of a pattern's. Allocates nothing.
    package func toDomainMatches(_ pattern: DomainPattern) -> Bool { self.matches(self.fields.to, pattern) }
    package func fromDomainMatches(_ pattern: DomainPattern) -> Bool { self.matches(self.fields.from, pattern) }

    private func matches(_ ranges: AddressRanges, _ pattern: DomainPattern) -> Bool {
        guard pattern.isWildcard else {
            return ranges.domainHash == pattern.domain.hash64
                && self.storage.value.withBytes { $0.slice(ranges.domain).equals(pattern.domain.string) }
        }
        let suffix = pattern.domain.string.utf8.count
        let domain = ranges.domain
        guard Int(domain.count) > suffix + 1 else { return false }
        return self.storage.value.withBytes { bytes in
            let whole = bytes.slice(domain)
            return whole.dropFirst(whole.count - suffix).equals(pattern.domain.string)
                && whole[whole.count - suffix - 1] == UInt8(ascii: ".")
        }
    }
}

extension Bytes {
    /// Length of an element's name as written, its prefix included.
    func nameLength(of entry: ElementEntry) -> Int {
        let tag = self.slice(ByteRange(Int(entry.start) + 1, Int(entry.openEnd - entry.start) - 1))
        var length = 0
        while length < tag.count {
            let byte = tag[length]
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: ">") || byte == UInt8(ascii: "/") { break }
            length += 1
        }
        return length
    }
}

extension Element {
    /// Direct children with their places in the stanza's index.
    package var childPlaces: [(index: Int, element: Element, isInParentNamespace: Bool)] {
        self.children.map { ($0.index, $0, $0.namespace == self.namespace) }
    }
}
