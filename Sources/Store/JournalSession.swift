import GRDB
import GRDBSQLite
import Outbox
import XMPP

/// The commit path: prepared statements and what they need to know. Used on the writer's queue only.
final class JournalSession: @unchecked Sendable {
    let path: String
    private let markPath: String
    private let environment: any JournalEnvironment
    private let policy: JournalPolicy
    private let database: Database
    private let begin: RawStatement
    private let commit: RawStatement
    private let rollback: RawStatement
    private let entries: EntryWriter
    private let remove: RawStatement
    private let removeRange: RawStatement
    private let advance: RawStatement
    private var peers: [String: Int64]
    private(set) var mark: JournalMark
    /// Frames in the write-ahead log after the last commit; SQLite says so.
    private var frames: Int32 = 0
    private var isCheckpointFull = false
    private(set) var isCheckpointing = false

    init(
        _ database: Database, path: String, markPath: String, mark: JournalMark, peers: [String: Int64],
        environment: any JournalEnvironment, policy: JournalPolicy
    ) throws(SQLiteFailure) {
        self.path = path
        self.markPath = markPath
        self.mark = mark
        self.peers = peers
        self.environment = environment
        self.policy = policy
        self.database = database
        begin = try RawStatement(database, "BEGIN IMMEDIATE")
        commit = try RawStatement(database, "COMMIT")
        rollback = try RawStatement(database, "ROLLBACK")
        entries = try EntryWriter(database)
        remove = try RawStatement(database, "DELETE FROM entry WHERE peer = ? AND kind = ? AND id = ?")
        removeRange = try RawStatement(
            database, "DELETE FROM entry WHERE peer = ? AND kind = ? AND id BETWEEN ? AND ?")
        advance = try RawStatement(database, "UPDATE site SET commits = ?, service_time = ?, wall_time = ?")
        unsafe sqlite3_wal_hook(
            database.sqliteConnection,
            { context, _, _, frames in
                guard let context = unsafe context else { return SQLITE_OK }
                unsafe Unmanaged<JournalSession>.fromOpaque(context).takeUnretainedValue().frames = frames
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Before the connection is closed or this object goes.
    func end() {
        unsafe _ = sqlite3_wal_hook(database.sqliteConnection, nil, nil)
    }

    /// One transaction; all of it is durable when this returns, and nothing of it is kept when it throws.
    func write(_ batches: [NamedBatch], serviceTime: UInt64) throws(StoreError) -> CommitOutcome {
        let known = peers
        let framesBefore = frames
        do throws(SQLiteFailure) {
            try begin.run()
            for entry in batches { try write(entry) }
            try advance.run(
                Int64(clamping: mark.commits + 1), Int64(clamping: serviceTime), environment.wallTime())
            try commit.run()
        } catch {
            // Some failures have rolled back already.
            if unsafe sqlite3_get_autocommit(database.sqliteConnection) == 0 { try? rollback.run() }
            peers = known
            throw error.storeError(path)
        }
        mark.commits += 1
        if frames <= framesBefore {
            // The log began anew, which it only does when everything in it had safely reached the database.
            mark.checkpointed = mark.commits - 1
        }
        environment.updateMark(mark, at: markPath)
        return CommitOutcome(isSpaceLow: isCheckpointFull || isSpaceLow)
    }

    private var isSpaceLow: Bool {
        guard let free = environment.freeBytes(in: Directories.parent(of: path)) else { return false }
        return free < policy.lowSpaceBytes
    }

    private func write(_ entry: NamedBatch) throws(SQLiteFailure) {
        guard !entry.batch.records.isEmpty else { return }
        let peer = try number(of: entry.peer)
        for record in entry.batch.records {
            switch record {
            case .put(let table, let id, let payload, let time):
                let kind = EntryKind.table(table)
                let key = EntryKind.stored(id)
                let time = Int64(clamping: time)
                let failure =
                    switch payload {
                    case .stanza(let stanza): unsafe stanza.withBytes { unsafe entries.save(peer, kind, key, time, $0) }
                    case .bytes(let bytes): unsafe bytes.withUnsafeBytes { unsafe entries.save(peer, kind, key, time, $0) }
                    }
                if let failure { throw failure }
            case .remove(let table, let ids):
                for id in ids { try remove.run(peer, EntryKind.table(table), EntryKind.stored(id)) }
            case .removeThrough(let table, let id):
                try removeRange(peer, table, 0...id)
            case .removeAbove(let table, let id):
                if id < .max { try removeRange(peer, table, id + 1 ... .max) }
            case .set(let value, let bytes):
                try entries.save(peer, EntryKind.value(value), 0, 0, bytes)
                // Whoever writes its sending state has begun the epoch that it had to begin.
                if value == .sending { try remove.run(peer, EntryKind.needsNewEpoch, 0) }
            }
        }
    }

    private func removeRange(_ peer: Int64, _ table: JournalTable, _ ids: ClosedRange<UInt64>) throws(SQLiteFailure) {
        for range in EntryKind.stored(ids) {
            try removeRange.run(peer, EntryKind.table(table), range.lowerBound, range.upperBound)
        }
    }

    /// A peer that is new here begins a new epoch.
    private func number(of name: String) throws(SQLiteFailure) -> Int64 {
        if let number = peers[name] { return number }
        let number = (peers.values.max() ?? 0) + 1
        try entries.save(number, EntryKind.name, 0, 0, Array(name.utf8))
        try entries.save(number, EntryKind.needsNewEpoch, 0, 0, [])
        peers[name] = number
        return number
    }

    // MARK: Checkpoints

    /// What has to be done about the write-ahead log after a commit.
    enum LogCare: Equatable {
        case none
        /// Copy it into the database beside the commits.
        case checkpointBeside
        /// The same at once, before the next commit: commits have come faster than the copying beside them.
        case checkpointNow
    }

    func logCare() -> LogCare {
        if frames >= policy.mostFrames { return .checkpointNow }
        guard frames >= policy.checkpointFrames, !isCheckpointing else { return .none }
        isCheckpointing = true
        return .checkpointBeside
    }

    func checkpointEnded(_ failure: SQLiteFailure?, wasBeside: Bool) {
        if wasBeside { isCheckpointing = false }
        isCheckpointFull = failure.map { $0.storeError(path).code == .diskFull } ?? false
    }

    /// Copies the log into the database on this connection. With nobody else writing, that is all of it, and the next
    /// commit begins the log anew.
    func checkpointNow() {
        do {
            try database.checkpoint(.passive)
            checkpointEnded(nil, wasBeside: false)
        } catch {
            checkpointEnded(SQLiteFailure(error), wasBeside: false)
        }
    }
}

/// Sizes that the journal keeps to.
struct JournalPolicy: Sendable {
    /// Pages of 4 KiB in the write-ahead log from which on it is copied into the database beside the commits.
    var checkpointFrames: Int32 = 1_000
    /// Pages from which on a commit waits for that: the log does not grow much beyond.
    var mostFrames: Int32 = 4_000
    /// Bytes of disk that the log holds from the start, so that removing goes on for a while when the disk is full.
    var reservedLogBytes = 4 << 20
    /// With less free space than this nothing new should be taken.
    var lowSpaceBytes: UInt64 = 16 << 20
    /// Pages that are free in the database file, and more than half of it, from which on it is made smaller at
    /// the start.
    var vacuumPages = 4_096
    /// Checkpoints on the thread of the commits, so that a test sees every run alike.
    var checkpointsBeside = true
}
