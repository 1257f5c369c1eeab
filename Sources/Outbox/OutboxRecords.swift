/// Stanzas in the order in which they go into blocks, and which of them share a record, and so a number.
package struct OutboxRecords: Equatable, Sendable {
    /// All stanzas, those of a record one after the other.
    package let entries: [OutboxEntry]
    /// How many stanzas each record has; empty where each has one.
    private let sizes: [Int]

    /// One record for each stanza.
    package init(_ entries: [OutboxEntry]) {
        self.entries = entries
        sizes = []
    }

    /// - Parameter sizes: how many entries each record has, at least one.
    package init(_ entries: [OutboxEntry], sizes: [Int]) {
        precondition(sizes.allSatisfy { $0 > 0 } && sizes.reduce(0, +) == entries.count, "every stanza in a record")
        self.entries = entries
        self.sizes = sizes
    }

    /// What has the same number is a record.
    package init(_ numbered: [NumberedEntry]) {
        entries = numbered.map(\.entry)
        var sizes: [Int] = []
        var last: UInt64?
        for entry in numbered {
            if entry.number == last { sizes[sizes.count - 1] += 1 } else { sizes.append(1) }
            last = entry.number
        }
        self.sizes = sizes.count == entries.count ? [] : sizes
    }

    /// How many records there are.
    package var count: Int { sizes.isEmpty ? entries.count : sizes.count }

    /// Each record's stanzas, in order.
    package func forEach(_ body: (ArraySlice<OutboxEntry>) -> Void) {
        guard !sizes.isEmpty else {
            for index in entries.indices { body(entries[index...index]) }
            return
        }
        var start = 0
        for size in sizes {
            body(entries[start..<start + size])
            start += size
        }
    }
}
