package import NIOCore
package import Outbox

/// The durable memory of a site: what waits in the queues of its peers, and what numbers were given, in one SQLite file.
package final class Journal: JournalWriter {
    /// The name of the file in the state directory.
    package static let fileName = "journal.sqlite"

    private init() {}

    /// Opens the journal in a state directory, or makes a new one, and reads what it holds.
    ///
    /// Blocks for as long as reading takes.
    package static func open(directory: String) throws(StoreError) -> (Journal, RecoveredSite) {
        throw StoreError(.unusable, "\(directory)/\(Self.fileName): not available in this build")
    }

    package func commit(
        _ batches: [NamedBatch], serviceTime: UInt64, on eventLoop: any EventLoop
    ) -> EventLoopFuture<CommitOutcome> {
        eventLoop.makeFailedFuture(StoreError(.closed, "the journal is closed"))
    }

    /// Ends the commits under way and closes the file. Commits offered later fail.
    package func close(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        eventLoop.makeSucceededVoidFuture()
    }
}
