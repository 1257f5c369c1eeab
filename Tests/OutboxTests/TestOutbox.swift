import Outbox
import XMPP

/// An outbox behind a reference: `#expect` cannot look at a value that cannot be copied.
final class TestOutbox {
    private var outbox: Outbox

    init(limits: OutboxLimits = OutboxLimits()) { outbox = Outbox(limits: limits) }

    var stanzaCount: Int { outbox.stanzaCount }
    var byteCount: Int { outbox.byteCount }
    var isEmpty: Bool { outbox.isEmpty }
    var supersededCount: UInt64 { outbox.supersededCount }
    var silentlyExpiredCount: UInt64 { outbox.silentlyExpiredCount }
    var nextExpiry: UInt64? { outbox.nextExpiry }
    var oldestArrival: UInt64? { outbox.oldestArrival }

    func append(_ stanza: Stanza, now: UInt64) -> Outbox.Admission { outbox.append(stanza, now: now) }
    func putBack(_ stanzas: [Stanza], now: UInt64) { outbox.putBack(outbox.reclaim(stanzas, now: now)) }

    func takeSent() -> [OutboxEntry] { outbox.takeSent() }
    func putBack(byAge entries: [OutboxEntry]) { outbox.putBack(entries, isByAge: true) }

    func putBackInDoubt(_ stanzas: [Stanza], now: UInt64) -> [Stanza] {
        outbox.putBackInDoubt(outbox.reclaim(stanzas, now: now)).map(\.stanza)
    }

    func removeAll() -> [Stanza] { outbox.removeAll().map(\.stanza) }

    func nextBatch(maximumBytes: Int, maximumStanzas: Int, now: UInt64) -> [Stanza] {
        outbox.nextBatch(maximumBytes: maximumBytes, maximumStanzas: maximumStanzas, now: now)
    }

    /// Takes everything as one batch.
    func takeAll(now: UInt64) -> [Stanza] {
        nextBatch(maximumBytes: .max, maximumStanzas: .max, now: now)
    }

    /// Takes everything, stanza by stanza.
    func takeEach(now: UInt64) -> [Stanza] {
        var order: [Stanza] = []
        while !isEmpty { order += nextBatch(maximumBytes: 1, maximumStanzas: 1, now: now) }
        return order
    }

    func expire(now: UInt64, into returned: inout [Stanza]) {
        var entries: [OutboxEntry] = []
        outbox.expire(now: now, into: &entries)
        returned += entries.map(\.stanza)
    }
}
