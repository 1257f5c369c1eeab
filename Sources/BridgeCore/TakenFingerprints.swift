import DequeModule
import XMPP

/// Fingerprints of the stanzas that were taken last from the local server, or refused. When a stream of that server dies it may
/// send them again, or bounce them although they were taken; by these they are recognised, across a restart as well.
package struct TakenFingerprints {
    /// As many as a server keeps for a stream that may be resumed, twice over (Prosody keeps 500).
    package static let kept = 1_000

    private var pending: [UInt64] = []
    private var rows: Deque<(id: UInt64, count: Int)> = []
    private var total = 0
    /// Rows up to this id hold more than enough, since the last call of ``takeRow(_:)``.
    private(set) var oldRows: UInt64?

    mutating func add(_ mark: StanzaMark) { pending.append(mark.word) }

    mutating func restore(id: UInt64, count: Int) {
        rows.append((id, count))
        total += count
    }

    /// The row for what came since the last call, under the next id; nil when nothing came.
    mutating func takeRow(_ id: inout UInt64) -> [UInt8]? {
        oldRows = nil
        guard !pending.isEmpty else { return nil }
        defer { pending.removeAll(keepingCapacity: true) }
        id += 1
        restore(id: id, count: pending.count)
        while let first = rows.first, total - first.count >= Self.kept {
            rows.removeFirst()
            total -= first.count
            oldRows = first.id
        }
        return JournalWords.encode(pending)
    }
}
