import GRDB

/// The one row of the table `site`: which journal this is and how far it has come.
struct SiteRow: Equatable {
    var journal: String
    var commits: UInt64
    var serviceTime: UInt64
    var wallTime: Int64
    /// The database file when it was last opened.
    var file: FileIdentity
    /// The mark beside it, and while that is being replaced the one to come.
    var mark: FileIdentity
    var nextMark: FileIdentity

    init(_ database: Database) throws {
        guard let row = try Row.fetchOne(database, sql: "SELECT * FROM site") else {
            throw SQLiteFailure(DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the row of the site is missing"))
        }
        func number(_ name: String) throws -> Int64 {
            guard let value = Int64.fromDatabaseValue(row[name]) else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the row of the site is damaged")
            }
            return value
        }
        journal = String.fromDatabaseValue(row["journal"]) ?? ""
        commits = UInt64(clamping: try number("commits"))
        serviceTime = UInt64(clamping: try number("service_time"))
        wallTime = try number("wall_time")
        file = FileIdentity(inode: try number("file_inode"), born: try number("file_born"))
        mark = FileIdentity(inode: try number("mark_inode"), born: try number("mark_born"))
        nextMark = FileIdentity(inode: try number("next_inode"), born: try number("next_born"))
    }

    func save(_ database: Database) throws {
        try database.execute(
            sql: """
                UPDATE site SET journal = ?, commits = ?, service_time = ?, wall_time = ?, file_inode = ?, \
                file_born = ?, mark_inode = ?, mark_born = ?, next_inode = ?, next_born = ?
                """,
            arguments: [
                journal, Int64(clamping: commits), Int64(clamping: serviceTime), wallTime, file.inode, file.born,
                mark.inode, mark.born, nextMark.inode, nextMark.born,
            ])
    }
}
