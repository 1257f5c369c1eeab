extension Stanza {
    /// A hash by which a stanza that the server sends a second time is known, the same in every process; `nil` for one
    /// without `id`, which cannot be told from another of the same words, and for what a room says to whoever joins again:
    /// the presence of the others, with the `id` that they once gave it, and the delayed messages of its history.
    ///
    /// Covers the canonical bytes but for direct `delay` children (XEP-0203): Prosody stamps what it sends again.
    package var fingerprint: UInt64? {
        let fields = self.fields
        guard fields.id.start != 0, fields.kind != .other, fields.kind != .presence,
            fields.type != .groupchat || !self.hasChild(.delay)
        else { return nil }
        let storage = self.storage.value
        return storage.withBytes { bytes in
            let root = storage.entry(0)
            let isEmpty = root.openEnd == root.end
            var hash = WordHash()
            // Without its delay a stanza may be empty, so the ends of its tags do not count.
            hash.combine(bytes.slice(ByteRange(0, Int(root.openEnd) - (isEmpty ? 2 : 1))))
            guard !isEmpty else { return hash.value }
            var position = Int(root.openEnd)
            for index in 1..<max(fields.elementCount, 1) {
                let entry = storage.entry(index)
                guard entry.depth == 1, entry.name == ElementName.delay.code else { continue }
                hash.combine(bytes.slice(ByteRange(position, Int(entry.start) - position)))
                position = Int(entry.end)
            }
            let closing = fields.kind.elementName.utf8.count + 3
            hash.combine(bytes.slice(ByteRange(position, Int(root.end) - closing - position)))
            return hash.value
        }
    }
}

/// Hashes bytes that come in parts, eight at a time; how they are cut makes no difference.
private struct WordHash {
    private var hash = StableHash()
    private var word: UInt64 = 0
    private var count = 0

    mutating func combine(_ bytes: Bytes) {
        var index = 0
        while index < bytes.count {
            if self.count & 7 == 0, index + 8 <= bytes.count {
                self.hash.combine(bytes.word(at: index))
                self.count += 8
                index += 8
                continue
            }
            self.word |= UInt64(bytes[index]) << UInt64((self.count & 7) * 8)
            self.count += 1
            index += 1
            if self.count & 7 == 0 {
                self.hash.combine(self.word)
                self.word = 0
            }
        }
    }

    var value: UInt64 {
        var last = self.hash
        last.combine(self.word)
        last.combine(UInt64(self.count))
        return last.value
    }
}
