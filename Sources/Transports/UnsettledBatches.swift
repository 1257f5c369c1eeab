import DequeModule
import XMPP

/// Batches that the kernel has taken and the peer perhaps has not, oldest first, all of one connection (dialect `xep`).
struct UnsettledBatches {
    private struct Batch {
        /// Where it ends, counted in bytes of its connection.
        let end: UInt64
        let stanzas: [Stanza]
        var bytes: Int { stanzas.reduce(0) { $0 + $1.byteCount } }
    }

    private var batches: Deque<Batch> = []
    private var bytes = 0
    private(set) var connection: LinkConnection?

    /// What is known of batches on another connection is forgotten.
    mutating func use(_ connection: LinkConnection) {
        guard self.connection !== connection else { return }
        self = UnsettledBatches()
        self.connection = connection
    }

    mutating func append(_ stanzas: [Stanza]) {
        guard let connection else { return }
        let batch = Batch(end: connection.counter.sent, stanzas: stanzas)
        batches.append(batch)
        bytes += batch.bytes
    }

    var stanzaCount: Int { batches.reduce(0) { $0 + $1.stanzas.count } }

    /// Forgets what has certainly reached the peer's machine.
    ///
    /// - Parameters:
    ///   - isUnproven: the peer may still refuse the whole connection.
    ///   - limit: bytes kept at most; beyond it the oldest batches are no longer kept.
    mutating func settle(isUnproven: Bool, limit: Int) {
        guard let connection, !batches.isEmpty else { return }
        connection.refreshAcknowledgement()
        while let oldest = batches.first {
            let isSettled = !isUnproven && oldest.end <= connection.acknowledgedBytes
            guard isSettled || bytes > limit else { return }
            bytes -= oldest.bytes
            batches.removeFirst()
        }
    }

    /// What may not have been read, now that the connection is gone. Forgets everything.
    ///
    /// - Parameters:
    ///   - isPolite: who closes in good order has read to the end.
    ///   - isRefused: a peer that refuses us has read nothing.
    mutating func takeInDoubt(isPolite: Bool, isRefused: Bool) -> [Stanza] {
        connection?.refreshAcknowledgement()
        let acknowledged = connection?.acknowledgedBytes ?? .max
        let inDoubt = batches.filter { isRefused || !isPolite && $0.end > acknowledged }.flatMap(\.stanzas)
        self = UnsettledBatches()
        return inDoubt
    }
}
