import GRDB

/// The tables of the journal's file, and how files of earlier versions become files of this one.
struct JournalSchema: Sendable {
    /// "SkyW", in the header of every journal (SQLite file format, offset 68).
    static let applicationID = 0x536b_7957

    /// `steps[n]` makes version n + 1 out of version n; each is one transaction, together with the new version.
    var steps: [@Sendable (Database) throws -> Void]

    static let current = JournalSchema(steps: [makeFirstVersion])

    var version: Int { steps.count }

    /// All that a peer has are rows of one table, each complete in itself: key, service time, checksum
    /// (``RowChecksum``), payload. ``EntryKind`` says what they are.
    @Sendable
    private static func makeFirstVersion(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE entry (
                    peer INTEGER NOT NULL, kind INTEGER NOT NULL, id INTEGER NOT NULL, time INTEGER NOT NULL,
                    checksum INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (peer, kind, id)
                ) WITHOUT ROWID;
                CREATE TABLE site (
                    one INTEGER PRIMARY KEY CHECK (one = 1),
                    journal TEXT NOT NULL, commits INTEGER NOT NULL,
                    service_time INTEGER NOT NULL, wall_time INTEGER NOT NULL,
                    file_inode INTEGER NOT NULL, file_born INTEGER NOT NULL,
                    mark_inode INTEGER NOT NULL, mark_born INTEGER NOT NULL,
                    next_inode INTEGER NOT NULL, next_born INTEGER NOT NULL
                );
                """)
        let journal = (0..<2).map { _ in hexadecimal(UInt64.random(in: .min ... .max)) }.joined()
        try database.execute(
            sql: "INSERT INTO site VALUES (1, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0)", arguments: [journal])
    }

    /// Refuses a file of another program, or of a later version of this one.
    ///
    /// - Returns: the version of the file; 0 for an empty one.
    @discardableResult
    func verify(_ database: Database, path: String) throws -> Int {
        let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM sqlite_master") ?? 0
        if found != 0 || tables != 0 {
            guard try Int.fetchOne(database, sql: "PRAGMA application_id") == Self.applicationID else {
                throw StoreError(
                    .unusable,
                    "\(path) is a database of another program; move it away, or name another state directory")
            }
        }
        guard found <= version else {
            throw StoreError(
                .newerVersion,
                "\(path) was written by a newer version of Skywave (journal version \(found), this one knows \(version));"
                    + " run that version, or name another state directory")
        }
        return found
    }

    /// Brings a file to this version.
    func apply(to database: Database, path: String) throws {
        for next in try verify(database, path: path)..<version {
            try database.inTransaction(.immediate) {
                try steps[next](database)
                try database.execute(sql: "PRAGMA application_id = \(Self.applicationID)")
                try database.execute(sql: "PRAGMA user_version = \(next + 1)")
                return .commit
            }
        }
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
