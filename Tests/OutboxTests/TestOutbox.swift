import NIOCore
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
    var nextExpiry: NIODeadline? { outbox.nextExpiry }
    var oldestArrival: NIODeadline? { outbox.oldestArrival }

    func append(_ stanza: Stanza, now: NIODeadline) -> Outbox.Admission { outbox.append(stanza, now: now) }
    func putBack(_ stanzas: [Stanza], now: NIODeadline) { outbox.putBack(stanzas, now: now) }
    func putBackInDoubt(_ stanzas: [Stanza], now: NIODeadline) -> [Stanza] { outbox.putBackInDoubt(stanzas, now: now) }
    func removeAll() -> [Stanza] { outbox.removeAll() }

    func nextBatch(maximumBytes: Int, maximumStanzas: Int, now: NIODeadline) -> [Stanza] {
        outbox.nextBatch(maximumBytes: maximumBytes, maximumStanzas: maximumStanzas, now: now)
    }

    /// Takes everything as one batch.
    func takeAll(now: NIODeadline) -> [Stanza] {
        nextBatch(maximumBytes: .max, maximumStanzas: .max, now: now)
    }

    /// Takes everything, stanza by stanza.
    func takeEach(now: NIODeadline) -> [Stanza] {
        var order: [Stanza] = []
        while !isEmpty { order += nextBatch(maximumBytes: 1, maximumStanzas: 1, now: now) }
        return order
    }

    func expire(now: NIODeadline, into returned: inout [Stanza]) { outbox.expire(now: now, into: &returned) }
}
