/// Finds the interned code of an element's name by its bytes.
final class Vocabulary: Sendable {
    private struct Entry {
        let hash: UInt64
        let namespace: String
        let local: String
        let code: UInt16
    }

    private let slots: [Entry?]
    /// A power of two, several times the number of names: a search mostly ends where it begins.
    private static let slotCount = 1_024

    static let shared = Vocabulary()

    private init() {
        var slots = [Entry?](repeating: nil, count: Self.slotCount)
        for (index, name) in ElementName.vocabulary.enumerated() {
            let namespaceHash = StableHash.of(name.namespace)
            let hash = Self.hash(StableHash.of(name.local), namespaceHash)
            var slot = Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)
            while slots[slot] != nil { slot = (slot + 1) & (Self.slotCount - 1) }
            slots[slot] = Entry(
                hash: hash, namespace: name.namespace, local: name.local,
                code: UInt16(index + 1))
        }
        self.slots = slots
    }

    private static func hash(_ local: UInt64, _ namespace: UInt64) -> UInt64 {
        (local ^ (namespace &* 0x9e37_79b9_7f4a_7c15)) >> 7
    }

    /// The code of a name; 0 where the vocabulary does not hold it. Names in the stream's content namespace have the
    /// codes of `jabber:server`, whichever it is.
    func code(local: Bytes, namespace: Bytes, contentNamespace: String) -> UInt16 {
        if namespace.equals(contentNamespace) {
            return XMLNamespace.server.withBytes { self.code(local: local, namespace: $0) }
        }
        return self.code(local: local, namespace: namespace)
    }

    private func code(local: Bytes, namespace: Bytes) -> UInt16 {
        let hash = Self.hash(local.hash, namespace.hash)
        var slot = Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)
        while let entry = self.slots[slot] {
            if entry.hash == hash, local.equals(entry.local), namespace.equals(entry.namespace) { return entry.code }
            slot = (slot + 1) & (Self.slotCount - 1)
        }
        return 0
    }
}
