package import NIOCore
package import Outbox

/// Makes batches durable. The daemon's is ``Journal``; tests of the runtime may have another.
package protocol JournalWriter: Sendable {
    /// Makes all batches durable, or none. The result comes on `eventLoop`: when it is a success, not even a power cut
    /// undoes it. When it fails, nothing of it was kept and the same batches may be offered again, at any time and as
    /// often as it takes; the error is a ``StoreError``.
    ///
    /// Commits are done in the order of the calls. An empty list is a commit as well: it makes the service time
    /// durable, and shows whether the disk takes anything.
    ///
    /// - Parameters:
    ///   - batches: what each peer wants written; several batches of one peer in their order.
    ///   - serviceTime: now, in milliseconds of the ``ServiceClock``; what the clock continues from after a restart.
    func commit(
        _ batches: [NamedBatch], serviceTime: UInt64, on eventLoop: any EventLoop
    ) -> EventLoopFuture<CommitOutcome>
}

/// A batch and the name of the peer that it belongs to.
package struct NamedBatch: Equatable, Sendable {
    package var peer: String
    package var batch: JournalBatch

    package init(peer: String, batch: JournalBatch) {
        self.peer = peer
        self.batch = batch
    }
}

/// A commit that is durable.
package struct CommitOutcome: Equatable, Sendable {
    /// Space runs out: what is committed is safe and what is removed can be removed for a while yet, but nothing new
    /// should be taken. False again in the first commit that finds enough space.
    package var isSpaceLow: Bool

    package init(isSpaceLow: Bool = false) {
        self.isSpaceLow = isSpaceLow
    }
}
