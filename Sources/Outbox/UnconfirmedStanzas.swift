import DequeModule
package import XMPP

/// The stanzas that a link has taken which says of each what became of it, and has said nothing of yet: in the order in which it
/// took them (dialect `xep` over a STANAG 5066 node).
package struct UnconfirmedStanzas: Sendable {
    private struct Taken: Sendable {
        var entry: OutboxEntry
        let isUrgent: Bool
    }

    private var entries: Deque<Taken> = []
    /// Canonical bytes of all of them.
    package private(set) var byteCount = 0

    package init() {}

    package var count: Int { entries.count }

    package subscript(index: Int) -> OutboxEntry { entries[index].entry }

    /// Pairs of addresses (`Stanza.pairHash`) between which something is under way that overtakes nothing.
    package var ordinaryPairs: Set<UInt64> {
        var pairs: Set<UInt64> = []
        for taken in entries where !taken.isUrgent { pairs.insert(taken.entry.stanza.pairHash) }
        return pairs
    }

    /// - Parameter isUrgent: the link took them before what it had.
    package mutating func append(_ taken: [OutboxEntry], isUrgent: Bool = false) {
        for entry in taken { entries.append(Taken(entry: entry, isUrgent: isUrgent)) }
        for entry in taken { byteCount += entry.stanza.byteCount }
    }

    /// Takes the entries of these stanzas out, in the order of `stanzas`. What is not here is passed over: the link has said
    /// before what became of it.
    package mutating func take(_ stanzas: [Stanza]) -> [OutboxEntry] {
        var taken: [OutboxEntry] = []
        for stanza in stanzas {
            // Links say it about in order, so what is looked for stands in front.
            guard let place = entries.firstIndex(where: { $0.entry.stanza == stanza }) else { continue }
            taken.append(entries.remove(at: place).entry)
            byteCount -= stanza.byteCount
        }
        return taken
    }

    package mutating func removeAll() -> [OutboxEntry] {
        defer { self = UnconfirmedStanzas() }
        return entries.map(\.entry)
    }

    /// Says that all stanzas have rows of their own from now on; returns those that had none.
    package mutating func recordAll() -> [OutboxEntry] {
        var changed: [OutboxEntry] = []
        for index in entries.indices where !entries[index].entry.isRecorded {
            entries[index].entry.isRecorded = true
            changed.append(entries[index].entry)
        }
        return changed
    }
}
