import DequeModule
import NIOCore
import XMPP

/// Stanzas that wait for one route to the local server, in order, bounded by whoever owns it.
struct DeliveryQueue: ~Copyable {
    private struct Entry {
        var stanza: Stanza
        /// When it is given back.
        var expires: NIODeadline
    }

    private var entries: Deque<Entry> = []
    /// Sum of the stanzas' sizes.
    private(set) var bytes = 0

    var count: Int { self.entries.count }
    var isEmpty: Bool { self.entries.isEmpty }
    /// When the oldest one is given back. Later ones never expire earlier.
    var nextExpiry: NIODeadline? { self.entries.first?.expires }

    mutating func append(_ stanza: Stanza, expires: NIODeadline) {
        self.entries.append(Entry(stanza: stanza, expires: expires))
        self.bytes += stanza.byteCount
    }

    /// Puts stanzas back that had been taken, before all others and in their own order.
    mutating func putBack(_ stanzas: [Stanza], expires: NIODeadline) {
        let expires = self.entries.first.map { min($0.expires, expires) } ?? expires
        for stanza in stanzas.reversed() {
            self.entries.prepend(Entry(stanza: stanza, expires: expires))
            self.bytes += stanza.byteCount
        }
    }

    mutating func takeFirst() -> Stanza? {
        guard let entry = self.entries.popFirst() else { return nil }
        self.bytes -= entry.stanza.byteCount
        return entry.stanza
    }

    /// The oldest stanza if its time is over.
    mutating func takeExpired(now: NIODeadline) -> Stanza? {
        guard let first = self.entries.first, first.expires <= now else { return nil }
        return self.takeFirst()
    }
}
