import Dispatch
import GRDB
import NIOConcurrencyHelpers
package import NIOCore

/// The durable memory of a site: what waits in the queues of its peers, and what numbers were given, in one SQLite file
/// with a write-ahead log, which is flushed to the disk at each commit (`synchronous = FULL`).
///
/// Commits are done one after the other on a thread of their own. The log is copied into the file on another one, so
/// that no commit waits for it. Beside the file lie its lock, and its mark, by which an older copy is recognised
/// (``JournalMark``).
package final class Journal: JournalWriter {
    /// The name of the file in the state directory.
    package static let fileName = "journal.sqlite"

    /// The file with its directory.
    package let path: String
    private let writer: DatabaseQueue
    private let checkpointer: DatabaseQueue
    private let policy: JournalPolicy
    /// On the writer's queue only; `nil` when the journal is closed.
    private let session: NIOLockedValueBox<JournalSession?>
    private let lock: NIOLockedValueBox<DirectoryLock?>

    init(
        path: String, writer: DatabaseQueue, checkpointer: DatabaseQueue, session: JournalSession, lock: DirectoryLock,
        policy: JournalPolicy
    ) {
        self.path = path
        self.writer = writer
        self.checkpointer = checkpointer
        self.session = NIOLockedValueBox(session)
        self.lock = NIOLockedValueBox(lock)
        self.policy = policy
    }

    deinit {
        session.withLockedValue { $0?.end() }
    }

    /// Opens the journal in a state directory, or makes a new one, and reads what it holds.
    ///
    /// Blocks for as long as reading takes.
    package static func open(directory: String) throws(StoreError) -> (Journal, RecoveredSite) {
        try open(directory: directory, environment: SystemEnvironment())
    }

    static func open(
        directory: String, environment: any JournalEnvironment, policy: JournalPolicy = JournalPolicy(),
        schema: JournalSchema = .current
    ) throws(StoreError) -> (Journal, RecoveredSite) {
        var opening = JournalOpening(directory: directory, environment: environment, policy: policy, schema: schema)
        return try opening.open()
    }

    package func commit(
        _ batches: [NamedBatch], serviceTime: UInt64, on eventLoop: any EventLoop
    ) -> EventLoopFuture<CommitOutcome> {
        let promise = eventLoop.makePromise(of: CommitOutcome.self)
        writer.asyncWriteWithoutTransaction { _ in
            promise.completeWith(self.write(batches, serviceTime: serviceTime).mapError { $0 })
            self.careForLog()
        }
        return promise.futureResult
    }

    /// The same on the caller's thread, for tools and tests.
    func commitNow(_ batches: [NamedBatch], serviceTime: UInt64) -> Result<CommitOutcome, StoreError> {
        writer.unsafeReentrantWrite { _ in
            let result = write(batches, serviceTime: serviceTime)
            careForLog()
            return result
        }
    }

    private func write(_ batches: [NamedBatch], serviceTime: UInt64) -> Result<CommitOutcome, StoreError> {
        guard let session = session.withLockedValue({ $0 }) else {
            return .failure(StoreError(.closed, "\(path): the journal is closed"))
        }
        do throws(StoreError) {
            return .success(try session.write(batches, serviceTime: serviceTime))
        } catch {
            return .failure(error)
        }
    }

    private func careForLog() {
        guard let session = session.withLockedValue({ $0 }) else { return }
        switch session.logCare() {
        case .none:
            break
        case .checkpointNow:
            session.checkpointNow()
        case .checkpointBeside where !policy.checkpointsBeside:
            session.checkpointNow()
            session.checkpointEnded(nil, wasBeside: true)
        case .checkpointBeside:
            checkpointer.asyncWriteWithoutTransaction { database in
                var failure: SQLiteFailure?
                do { try database.checkpoint(.passive) } catch { failure = SQLiteFailure(error) }
                let outcome = failure
                self.writer.asyncWriteWithoutTransaction { _ in
                    self.session.withLockedValue { $0?.checkpointEnded(outcome, wasBeside: true) }
                }
            }
        }
    }

    /// Ends the commits under way and closes the file, with an empty log beside it. Commits offered later fail.
    package func close(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        DispatchQueue.global().async {
            self.closeNow()
            promise.succeed()
        }
        return promise.futureResult
    }

    /// The same on the caller's thread.
    package func closeNow() {
        let isOpen = writer.writeWithoutTransaction { _ in
            // Its statements have to go before the connection can.
            session.withLockedValue { session in
                session?.end()
                return session.take() != nil
            }
        }
        guard isOpen else { return }
        try? checkpointer.close()
        try? writer.close()
        lock.withLockedValue { $0 = nil }
    }
}
