import GRDB
import GRDBSQLite

/// A prepared statement of the commit path, bound and stepped without any copy of what is bound.
///
/// Only used on the queue of its connection.
struct RawStatement {
    private let statement: Statement
    private let database: Database

    init(_ database: Database, _ sql: String) throws(SQLiteFailure) {
        self.database = database
        do {
            statement = try database.makeStatement(sql: sql)
        } catch {
            throw SQLiteFailure(error)
        }
    }

    func run(_ values: Int64...) throws(SQLiteFailure) {
        for (index, value) in values.enumerated() { bind(Int32(index + 1), value) }
        try step()
    }

    func bind(_ index: Int32, _ value: Int64) {
        unsafe sqlite3_bind_int64(statement.sqliteStatement, index, value)
    }

    /// The bytes have to stay where they are until ``step()`` is done.
    func bind(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        if unsafe bytes.isEmpty {
            unsafe sqlite3_bind_zeroblob(statement.sqliteStatement, index, 0)
        } else {
            unsafe sqlite3_bind_blob64(
                statement.sqliteStatement, index, bytes.baseAddress, UInt64(bytes.count), nil)
        }
    }

    /// Executes a statement that gives no rows.
    func step() throws(SQLiteFailure) {
        let result = unsafe sqlite3_step(statement.sqliteStatement)
        // Reset reports the same failure again; what it says is in the connection either way.
        let isDone = result == SQLITE_DONE || result == SQLITE_ROW
        let failure = isDone ? nil : unsafe SQLiteFailure(connection: database.sqliteConnection)
        unsafe sqlite3_reset(statement.sqliteStatement)
        if let failure { throw failure }
    }
}
