import NIOCore
import XMPP

/// When a stream that never proved its domain counts as a loss.
///
/// Anybody who reaches the listener can begin such streams, and each loss has the bridge look after everybody in the domain's
/// rooms. So one loss is told at once, and those that follow soon after it become one more, later.
struct UnprovedLosses {
    private struct Entry {
        var domain: Domain
        var toldAt: NIODeadline
        /// One more has to be told at the end of the pause.
        var isPending = false
    }

    /// Only domains of the site come here, so there are few.
    private var entries: [Entry] = []
    private static let pause = TimeAmount.seconds(30)

    /// A stream for this domain ended without proof. True when that is to be told at once.
    mutating func isDueNow(_ domain: Domain, now: NIODeadline) -> Bool {
        guard let place = entries.firstIndex(where: { $0.domain == domain }) else {
            entries.append(Entry(domain: domain, toldAt: now))
            return true
        }
        guard entries[place].toldAt + Self.pause <= now else {
            entries[place].isPending = true
            return false
        }
        entries[place].toldAt = now
        entries[place].isPending = false
        return true
    }

    var nextDue: NIODeadline? { entries.lazy.filter(\.isPending).map { $0.toldAt + Self.pause }.min() }

    /// The domains whose pause is over and that have something to tell.
    mutating func takeDue(now: NIODeadline) -> [Domain] {
        var due: [Domain] = []
        for place in entries.indices where entries[place].isPending && entries[place].toldAt + Self.pause <= now {
            entries[place].isPending = false
            entries[place].toldAt = now
            due.append(entries[place].domain)
        }
        return due
    }
}
