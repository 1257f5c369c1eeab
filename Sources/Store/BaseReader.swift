import GRDBSQLite

/// Reads the database file as it is, without the log beside it and without changing anything.
enum BaseReader {
    /// The journal that the file is, and the number of the last commit that reached it; `nil` when it cannot be read.
    static func site(_ path: String) -> (journal: String, commits: UInt64)? {
        var connection: OpaquePointer?
        let name = "file:\(escaped(path))?immutable=1"
        defer { unsafe _ = sqlite3_close(connection) }
        guard unsafe sqlite3_open_v2(name, &connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nil) == SQLITE_OK else {
            return nil
        }
        var statement: OpaquePointer?
        defer { unsafe _ = sqlite3_finalize(statement) }
        let sql = "SELECT journal, commits FROM site"
        guard unsafe sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK,
            unsafe sqlite3_step(statement) == SQLITE_ROW, let text = unsafe sqlite3_column_text(statement, 0)
        else { return nil }
        return unsafe (String(cString: text), UInt64(clamping: sqlite3_column_int64(statement, 1)))
    }

    /// A path as it may stand in a URI of SQLite's.
    private static func escaped(_ path: String) -> String {
        var result = ""
        for byte in path.utf8 {
            switch byte {
            case 0x25, 0x23, 0x3f: result += "%" + String(byte, radix: 16)
            default: result.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
        return result
    }
}
