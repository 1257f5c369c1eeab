import GRDB
import GRDBSQLite
import Glibc
import Outbox

/// The steps from a state directory to an open journal.
struct JournalOpening {
    static let markName = "journal.mark"

    private let directory: String
    private let path: String
    private let markPath: String
    private let environment: any JournalEnvironment
    private let policy: JournalPolicy
    private let schema: JournalSchema
    private var notes: [String] = []

    init(directory: String, environment: any JournalEnvironment, policy: JournalPolicy, schema: JournalSchema) {
        self.directory = directory
        path = "\(directory)/\(Journal.fileName)"
        markPath = "\(directory)/\(Self.markName)"
        self.environment = environment
        self.policy = policy
        self.schema = schema
    }

    mutating func open() throws(StoreError) -> (Journal, RecoveredSite) {
        let lock = try DirectoryLock(directory: directory)
        let mark = environment.readMark(markPath)
        let isNew = try makeFile()
        if isNew {
            try setLogAside("lies beside a journal that is gone")
            let isLost = mark != nil
            notes.append(
                isLost
                    ? "\(path) is gone, so what waited in it is too; all peers begin anew"
                    : "\(path) is new; all peers begin their first epoch")
        } else if let mark, !baseFits(mark) {
            try setLogAside("does not belong to the journal that lies there now, which is an older one")
        }
        do {
            return try connect(lock, mark, isNew: isNew)
        } catch let error as StoreError {
            throw error
        } catch let error as SQLiteFailure {
            throw error.storeError(path)
        } catch {
            throw SQLiteFailure(error).storeError(path)
        }
    }

    private mutating func connect(
        _ lock: DirectoryLock, _ mark: JournalMark?, isNew: Bool
    ) throws -> (Journal, RecoveredSite) {
        let writer = try DatabaseQueue(path: path, configuration: Self.configuration("skywave.journal"))
        let schema = schema
        let path = path
        let (site, reasons) = try writer.writeWithoutTransaction { database in
            try schema.apply(to: database, path: path)
            try Self.prepareForWriting(database, policy)
            let problems = try String.fetchAll(database, sql: "PRAGMA quick_check(1)")
            guard problems == ["ok"] else {
                throw StoreError.corrupted(path, problems.first ?? "no answer to the check")
            }
            let site = try SiteRow(database)
            // The first opening came to its end when the file is named in it.
            return (site, isNew || site.file.inode == 0 ? [] : reasonsForRestored(site, mark))
        }
        if !reasons.isEmpty {
            notes.append(
                "\(path) is not the journal as it was last written: \(reasons.joined(separator: "; ")). What is in it "
                    + "is kept, and all peers begin a new epoch, so that no number is used twice; the other sites may see "
                    + "again what had been sent after the copy was made")
        }
        let current = try claim(writer, site, mark, isRestored: !reasons.isEmpty)
        let contents = try writer.writeWithoutTransaction { database in
            let contents = try EntryReader.peers(database)
            Self.shrink(database, policy)
            try database.checkpoint(.truncate)
            return contents
        }
        let checkpointer = try DatabaseQueue(
            path: path, configuration: Self.configuration("skywave.journal.checkpoint"))
        try checkpointer.writeWithoutTransaction { try Self.prepareForWriting($0, policy) }
        environment.reserve("\(path)-wal", bytes: policy.reservedLogBytes)
        let newMark = JournalMark(journal: current.journal, commits: current.commits, checkpointed: current.commits)
        environment.updateMark(newMark, at: markPath)
        let session = try writer.writeWithoutTransaction { database in
            try JournalSession(
                database, path: path, markPath: markPath, mark: newMark, peers: contents.numbers,
                environment: environment, policy: policy)
        }
        let journal = Journal(
            path: path, writer: writer, checkpointer: checkpointer, session: session, lock: lock, policy: policy)
        let recovered = RecoveredSite(
            peers: contents.recovered, serviceTime: site.serviceTime,
            wallGap: site.wallTime == 0 ? 0 : environment.wallTime() - site.wallTime, notes: notes)
        return (journal, recovered)
    }

    // MARK: Files

    /// Makes the database's file, readable for its owner only; SQLite gives the same mode to the log beside it.
    ///
    /// - Returns: whether there was none, or an empty one.
    private func makeFile() throws(StoreError) -> Bool {
        let file = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw StoreError(.unusable, "\(path): \(SystemFailure.text(errno)); check owner and mode of the file")
        }
        defer { close(file) }
        var information = stat()
        guard unsafe fstat(file, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            throw StoreError(.unusable, "\(path) is not a file; move it away")
        }
        if information.st_mode & 0o077 != 0 { fchmod(file, 0o600) }
        return information.st_size == 0
    }

    /// Whether the log beside the database may be applied to it: not when the database is known to have been farther
    /// than this file is. A file that cannot be read says nothing; then the log is what repairs it.
    private func baseFits(_ mark: JournalMark) -> Bool {
        guard FileIdentity(path: "\(path)-wal") != nil, let base = BaseReader.site(path) else { return true }
        return base.journal == mark.journal && base.commits >= mark.checkpointed
    }

    /// Keeps a log that must not be applied, under a name of its own.
    private mutating func setLogAside(_ reason: String) throws(StoreError) {
        let log = "\(path)-wal"
        guard let identity = FileIdentity(path: log) else { return }
        unsafe unlink("\(path)-shm")
        let aside = "\(directory)/journal.aside-\(identity.born == 0 ? identity.inode : identity.born).wal"
        guard unsafe rename(log, aside) == 0 else {
            throw StoreError(.unusable, "\(log): \(SystemFailure.text(errno)); move it away")
        }
        Directories.synchronize(directory)
        notes.append("\(log) \(reason), so it was not applied but kept as \(aside)")
    }

    // MARK: Recognising a copy

    private func reasonsForRestored(_ site: SiteRow, _ mark: JournalMark?) -> [String] {
        var reasons: [String] = []
        if environment.identity(of: path) != site.file { reasons.append("it is another file") }
        var identity = environment.identity(of: markPath)
        var mark = mark
        if mark == nil, environment.identity(of: "\(markPath).new") == site.nextMark {
            // The last opening ended just before it could give the mark its name.
            identity = site.nextMark
            mark = environment.readMark("\(markPath).new")
        }
        guard let mark else { return reasons + ["\(Self.markName) beside it is missing or damaged"] }
        if mark.journal != site.journal {
            reasons.append("\(Self.markName) beside it belongs to another journal")
        } else if mark.commits > site.commits {
            reasons.append("it lacks the last \(mark.commits - site.commits) commits")
        }
        if ![site.mark, site.nextMark].contains(identity) {
            reasons.append("\(Self.markName) beside it is another file")
        }
        return reasons
    }

    /// Writes down which files these are, with a new mark: a copy that is restored later names an older one. Whatever
    /// moment this stops at, the journal names the mark that is there.
    private func claim(
        _ writer: DatabaseQueue, _ found: SiteRow, _ mark: JournalMark?, isRestored: Bool
    ) throws -> SiteRow {
        let staged = "\(markPath).new"
        var site = found
        // What was written after a copy was made has had numbers, too.
        if let mark, mark.journal == site.journal { site.commits = max(site.commits, mark.commits) }
        site.commits += 1
        try environment.stageMark(
            JournalMark(journal: site.journal, commits: site.commits - 1, checkpointed: 0), at: staged)
        guard let file = environment.identity(of: path), let next = environment.identity(of: staged) else {
            throw StoreError(.unusable, "\(directory): its files cannot be looked at")
        }
        site.file = file
        site.mark = environment.identity(of: markPath) ?? next
        site.nextMark = next
        try save(writer, site, isRestored: isRestored)
        try environment.installMark(from: staged, to: markPath)
        site.mark = next
        site.commits += 1
        try save(writer, site, isRestored: false)
        return site
    }

    private func save(_ writer: DatabaseQueue, _ site: SiteRow, isRestored: Bool) throws {
        try writer.writeWithoutTransaction { database in
            try database.inTransaction(.immediate) {
                try site.save(database)
                if isRestored { try EpochMarks.setAll(database) }
                return .commit
            }
        }
    }

    // MARK: Connections

    static func configuration(_ label: String, isReadOnly: Bool = false) -> Configuration {
        var configuration = Configuration()
        configuration.label = label
        configuration.readonly = isReadOnly
        configuration.busyMode = .timeout(5)
        // A failed commit is rolled back by hand; GRDB must not end the process over it.
        configuration.allowsUnsafeTransactions = true
        return configuration
    }

    /// Only after it is certain that the file is ours.
    private static func prepareForWriting(_ database: Database, _ policy: JournalPolicy) throws {
        let mode = try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL")
        guard mode == "wal" else {
            throw StoreError(.unusable, "the file system of the state directory does not allow a write-ahead log")
        }
        for pragma in [
            "synchronous = FULL", "wal_autocheckpoint = 0", "cache_size = -8000", "temp_store = MEMORY",
            "secure_delete = FAST", "cell_size_check = ON",
            "journal_size_limit = \(Int(policy.mostFrames) * 4_096 + 65_536)",
        ] {
            try database.execute(sql: "PRAGMA \(pragma)")
        }
        // The file grows in steps, so that a nearly full disk is noticed while there is still room in it.
        var step: Int32 = 1 << 20
        unsafe sqlite3_file_control(database.sqliteConnection, "main", SQLITE_FCNTL_CHUNK_SIZE, &step)
    }

    /// Gives disk space back that a long outage needed. Not worth failing for.
    private static func shrink(_ database: Database, _ policy: JournalPolicy) {
        guard let free = try? Int.fetchOne(database, sql: "PRAGMA freelist_count"),
            let pages = try? Int.fetchOne(database, sql: "PRAGMA page_count"),
            free >= policy.vacuumPages, free > pages / 2
        else { return }
        try? database.execute(sql: "VACUUM")
    }
}
