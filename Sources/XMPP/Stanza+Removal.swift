extension Stanza {
    /// The common change done the short way: some direct children go, and something stays.
    ///
    /// - Returns: `nil` where more is to be done than to leave bytes out: elements deeper down go, nothing stays, or a
    ///   bracket stands before what goes and may meet others.
    func removingChildren(_ removed: ElementSet) -> Stanza? {
        let storage = self.storage.value
        return storage.withBytes { bytes in
            unsafe storage.withEntries { entries in
                guard let fields = unsafe self.fieldsWithout(removed, entries, bytes) else { return nil }
                let rest = unsafe StanzaStorage.make(fields: fields) { newEntries, newBytes in
                    unsafe Self.copy(entries, bytes, without: removed, newEntries, newBytes)
                }
                return Stanza(storage: StanzaStorageBox(value: rest))
            }
        }
    }

    private func fieldsWithout(
        _ removed: ElementSet, _ entries: UnsafeBufferPointer<ElementEntry>, _ bytes: Bytes
    ) -> StanzaFields? {
        var fields = self.fields
        var skipped: UInt32 = 0
        for index in 1..<max(entries.count, 1) {
            let entry = unsafe entries[index]
            if entry.start < skipped {
                fields.elementCount -= 1
            } else if removed.contains(index) {
                guard entry.depth == 1, bytes[Int(entry.start) - 1] != UInt8(ascii: "]") else { return nil }
                fields.elementCount -= 1
                fields.byteCount -= Int(entry.end - entry.start)
                skipped = entry.end
            }
        }
        let root = unsafe entries[0]
        let tags = Int(root.openEnd) + bytes.nameLength(of: root) + 3
        return fields.byteCount > tags ? fields : nil
    }

    private static func copy(
        _ entries: UnsafeBufferPointer<ElementEntry>, _ bytes: Bytes, without removed: ElementSet,
        _ newEntries: UnsafeMutablePointer<ElementEntry>, _ newBytes: UnsafeMutablePointer<UInt8>
    ) {
        var position: UInt32 = 0
        var shift: UInt32 = 0
        var count = 0
        for index in 0..<entries.count {
            var entry = unsafe entries[index]
            if entry.start < position { continue }
            if index > 0, removed.contains(index) {
                unsafe (newBytes + Int(position - shift)).update(
                    from: bytes.start + Int(position), count: Int(entry.start - position))
                shift += entry.end - entry.start
                position = entry.end
                continue
            }
            // Children go as a whole, so what stays of them moves as a whole. The stanza itself is put right below.
            entry.start -= shift
            entry.openEnd -= shift
            entry.end -= shift
            unsafe newEntries[count] = entry
            count += 1
        }
        unsafe (newBytes + Int(position - shift)).update(
            from: bytes.start + Int(position), count: bytes.count - Int(position))
        unsafe newEntries[0].end -= shift
    }
}
