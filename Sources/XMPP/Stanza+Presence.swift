/// What the presence cache takes from a stanza and makes stanzas of again: addresses as places in the bytes, and what a
/// presence says as a *payload*, its bytes with a short index.
///
/// A payload is everything of the stanza but `to`, `from`, `type`, `id` and direct `delay` children (XEP-0203): two
/// presences that say the same have equal payloads. It begins with the size of what follows in the stanza's own tag and
/// the number of elements below it, then tells each element as distances in the bytes, name and depth, then the bytes.
/// So a stanza is made of it without a parser. Payloads are never taken from a network.
extension Stanza {
    /// Where an address stands in the canonical bytes, escaped.
    package struct AddressPlace: Equatable, Sendable {
        package var bare: Range<Int>
        /// Empty for a bare address.
        package var resource: Range<Int>
    }

    /// The place of `to`; nil where it is missing or malformed.
    package var toPlace: AddressPlace? { self.place(self.fields.to) }
    package var fromPlace: AddressPlace? { self.place(self.fields.from) }

    private func place(_ ranges: AddressRanges) -> AddressPlace? {
        guard ranges.domain.count > 0 else { return nil }
        let start = Int(ranges.value.start)
        let domainEnd = ranges.domain.end
        let end = ranges.value.end
        return AddressPlace(bare: start..<domainEnd, resource: min(domainEnd + 1, end)..<end)
    }

    /// Of a room, or with a node's federation payload (XEP-0045, XEP-0289).
    package var hasRoomPayload: Bool {
        let storage = self.storage.value
        let (muc, mucUser, fmuc) = (ElementName.muc.code, ElementName.mucUser.code, ElementName.fmuc.code)
        for index in 1..<max(self.fields.elementCount, 1) {
            let entry = storage.entry(index)
            if entry.depth == 1, entry.name == muc || entry.name == mucUser || entry.name == fmuc { return true }
        }
        return false
    }

    /// Appends the payload.
    package func appendPayload(to payload: inout [UInt8]) {
        let storage = self.storage.value
        storage.withBytes { bytes in
            let root = storage.entry(0)
            let isEmpty = root.openEnd == root.end
            let tail = ByteRange(self.tailStart(bytes), Int(root.openEnd) - (isEmpty ? 2 : 1) - self.tailStart(bytes))
            let closing = isEmpty ? 0 : self.fields.kind.elementName.utf8.count + 3
            let contentEnd = Int(root.end) - closing
            let hasDelay = self.hasChild(.delay)
            var kept = self.fields.elementCount - 1
            if hasDelay { self.withoutDelays { isDelay, _ in if isDelay { kept -= 1 } } }
            Self.append(UInt64(tail.count), to: &payload)
            Self.append(UInt64(max(kept, 0)), to: &payload)
            var previous = Int(root.openEnd)
            self.withoutDelays { isDelay, entry in
                guard !isDelay else {
                    // Distances are those of the bytes that stay.
                    if entry.depth == 1 { previous += Int(entry.end - entry.start) }
                    return
                }
                Self.append(UInt64(Int(entry.start) - previous), to: &payload)
                Self.append(UInt64(entry.openEnd - entry.start), to: &payload)
                Self.append(UInt64(entry.end - entry.openEnd), to: &payload)
                Self.append(UInt64(entry.name), to: &payload)
                payload.append(entry.depth)
                previous = Int(entry.start)
            }
            bytes.slice(tail).append(to: &payload)
            var position = Int(root.openEnd)
            if hasDelay {
                for index in 1..<self.fields.elementCount {
                    let entry = storage.entry(index)
                    guard entry.depth == 1, entry.name == ElementName.delay.code else { continue }
                    bytes.slice(ByteRange(position, Int(entry.start) - position)).append(to: &payload)
                    position = Int(entry.end)
                }
            }
            if contentEnd > position { bytes.slice(ByteRange(position, contentEnd - position)).append(to: &payload) }
        }
    }

    /// A hash of kind, type and payload, the same in every process: by it a queue finds presence that says the same.
    /// Decides nothing.
    package var presenceFingerprint: UInt64 {
        var payload: [UInt8] = []
        self.appendPayload(to: &payload)
        var hash = StableHash()
        hash.combine(self.kind.rawValue)
        hash.combine(self.type.rawValue)
        hash.combine(
            unsafe payload.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe Bytes(start, buffer.count).hash
            })
        return hash.value
    }

    /// Whether a direct `delay` child names the sender or his domain: how Prosody (domain) and ejabberd (full address)
    /// mark the presence with which they answer a probe.
    package var isStampedBySender: Bool {
        guard self.hasChild(.delay), self.fields.from.domain.count > 0 else { return false }
        let from = self.fromText
        let stamps = self.root.children.lazy.filter { $0.interned == .delay }.compactMap { $0.attribute("from") }
        return stamps.contains { stamp in
            guard let address = JID(stamp), self.fromDomainEquals(address.domain) else { return false }
            return address.local == nil || from == stamp || self.fromBareEquals(address.bare.description)
        }
    }

    /// The canonical text with `mark` behind each direct `status`, or with a `status` where there is none.
    ///
    /// - Parameter mark: as people read it.
    package func textWithStatusMark(_ mark: String) -> String {
        let storage = self.storage.value
        let mark = XMLEscape.text(mark)
        let root = storage.entry(0)
        var text = ""
        var position = 0
        var isMarked = false
        for index in 1..<max(self.fields.elementCount, 1) {
            let entry = storage.entry(index)
            guard entry.depth == 1, entry.name == ElementName.status.code else { continue }
            isMarked = true
            if entry.openEnd == entry.end {
                text += self.text(ByteRange(position, Int(entry.end) - 2 - position)) + ">\(mark)</status>"
            } else {
                let end = Int(entry.end) - "</status>".utf8.count
                let space = end > Int(entry.openEnd) ? " " : ""
                text += self.text(ByteRange(position, end - position)) + space + mark + "</status>"
            }
            position = Int(entry.end)
        }
        guard !isMarked else { return text + self.text(ByteRange(position, self.byteCount - position)) }
        let name = self.kind.elementName
        let status = "<status>\(mark)</status></\(name)>"
        let isEmpty = root.openEnd == root.end
        let end = isEmpty ? self.byteCount - 2 : self.byteCount - name.utf8.count - 3
        return self.text(ByteRange(0, end)) + (isEmpty ? ">" : "") + status
    }

    /// The canonical text with each direct child of one of these names replaced by what `body` gives for its XML.
    package func text(
        replacing names: [ElementName], _ body: (_ name: ElementName, _ xml: String) -> String
    ) -> String {
        let storage = self.storage.value
        var text = ""
        var position = 0
        for index in 1..<max(self.fields.elementCount, 1) {
            let entry = storage.entry(index)
            let name = ElementName(rawCode: entry.name)
            guard entry.depth == 1, names.contains(name) else { continue }
            text += self.text(ByteRange(position, Int(entry.start) - position))
            text += body(name, self.text(ByteRange(Int(entry.start), Int(entry.end - entry.start))))
            position = Int(entry.end)
        }
        return text + self.text(ByteRange(position, self.byteCount - position))
    }

    /// Calls `body` for every element below the stanza, telling whether it is a direct `delay` or inside one.
    private func withoutDelays(_ body: (Bool, ElementEntry) -> Void) {
        let storage = self.storage.value
        var isDelay = false
        for index in 1..<max(self.fields.elementCount, 1) {
            let entry = storage.entry(index)
            if entry.depth == 1 { isDelay = entry.name == ElementName.delay.code }
            body(isDelay, entry)
        }
    }

    /// Where the stanza's own tag goes on behind `to`, `from`, `type` and `id`.
    private func tailStart(_ bytes: Bytes) -> Int {
        let named = 1 + self.fields.kind.elementName.utf8.count
        var position = max(named, self.fields.to.value.start > 0 ? self.fields.to.value.end + 1 : 0)
        if self.fields.from.value.start > 0 { position = max(position, self.fields.from.value.end + 1) }
        if self.fields.type != .absent {
            // ` type='` and the value; canonical form has no quote in a value.
            let value = bytes.dropFirst(position + 7)
            position += 7 + (value.firstIndex(of: UInt8(ascii: "'")) ?? 0) + 1
        }
        return self.fields.id.start > 0 ? max(position, self.fields.id.end + 1) : position
    }

    static func append(_ value: UInt64, to payload: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            payload.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        payload.append(UInt8(truncatingIfNeeded: rest))
    }
}

extension Bytes {
    fileprivate func append(to array: inout [UInt8]) {
        unsafe array.append(contentsOf: UnsafeBufferPointer(start: self.start, count: self.count))
    }
}
