import GRDB
import GRDBSQLite
import Glibc

/// What SQLite answered instead of doing what it was told.
struct SQLiteFailure: Error {
    /// Extended result code.
    var code: Int32
    /// `errno` of the call below, where there was one.
    var systemCode: Int32
    var text: String

    init(connection: OpaquePointer?) {
        code = unsafe sqlite3_extended_errcode(connection)
        systemCode = unsafe sqlite3_system_errno(connection)
        text = unsafe String(cString: sqlite3_errmsg(connection))
    }

    init(_ error: any Error) {
        let error = error as? DatabaseError
        code = error?.extendedResultCode.rawValue ?? SQLITE_ERROR
        systemCode = 0
        text = error?.message ?? "unknown"
    }

    /// The error that the caller of the journal gets.
    func storeError(_ path: String) -> StoreError {
        switch code & 0xff {
        case SQLITE_FULL:
            return .diskFull(path)
        case SQLITE_IOERR where [ENOSPC, EDQUOT].contains(systemCode):
            return .diskFull(path)
        case SQLITE_IOERR where code == Self.sharedMemorySize:
            return .diskFull(path)
        case SQLITE_IOERR:
            let cause = systemCode == 0 ? text : SystemFailure.text(systemCode)
            return StoreError(
                .inputOutput, "\(path): the disk failed (\(cause)); nothing was lost, and it is tried again")
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return .corrupted(path, text)
        case SQLITE_BUSY, SQLITE_LOCKED:
            return StoreError(.inUse, "\(path) is locked by another program; end it, then start again")
        case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH:
            return StoreError(.unusable, "\(path): \(text); check owner and mode of the file and of its directory")
        default:
            return StoreError(.internal, "\(path): SQLite says: \(text) (\(code))")
        }
    }

    /// SQLITE_IOERR_SHMSIZE, a macro that is not imported: the shared memory file cannot grow.
    private static let sharedMemorySize: Int32 = SQLITE_IOERR | 19 << 8
}

extension StoreError {
    @inline(never)
    static func diskFull(_ path: String) -> StoreError {
        StoreError(.diskFull, "\(path): no space is left on the disk; free some, and service goes on by itself")
    }

    @inline(never)
    static func corrupted(_ path: String, _ found: String) -> StoreError {
        StoreError(
            .corrupted,
            "\(path) is damaged (\(found)); stop the bridge and run `skywave journal repair`, which saves what is "
                + "readable into a new file and keeps the old one")
    }
}
