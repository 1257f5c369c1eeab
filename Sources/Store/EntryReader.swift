import GRDB
import GRDBSQLite
import Outbox

/// One row of the table `entry`.
struct Entry: Equatable {
    var peer: Int64
    var kind: Int64
    var id: UInt64
    var time: UInt64
    var payload: [UInt8]
}

/// Reads the rows of the journal in order of peer, kind and stored id, and proves their checksums.
enum EntryReader {
    /// - Parameter body: false ends the reading.
    static func read(
        _ database: Database, where condition: String = "1", _ body: (Entry) -> Bool
    ) throws {
        let sql = "SELECT peer, kind, id, time, checksum, payload FROM entry WHERE \(condition) ORDER BY peer, kind, id"
        let statement = try database.makeStatement(sql: sql)
        let handle = unsafe statement.sqliteStatement
        defer { unsafe sqlite3_reset(handle) }
        while true {
            let result = unsafe sqlite3_step(handle)
            if result == SQLITE_DONE { return }
            guard result == SQLITE_ROW else { throw unsafe SQLiteFailure(connection: database.sqliteConnection) }
            let values = (0..<5).map { unsafe sqlite3_column_int64(handle, Int32($0)) }
            let count = Int(unsafe sqlite3_column_bytes(handle, 5))
            let bytes = unsafe UnsafeRawBufferPointer(start: sqlite3_column_blob(handle, 5), count: count)
            let sum = unsafe RowChecksum.of(
                peer: values[0], kind: values[1], id: values[2], time: values[3], payload: bytes)
            guard sum == values[4] else {
                throw DatabaseError(
                    resultCode: .SQLITE_CORRUPT,
                    message: "the checksum of row \(values[0])/\(values[1])/\(UInt64(bitPattern: values[2])) is wrong")
            }
            let entry = unsafe Entry(
                peer: values[0], kind: values[1], id: UInt64(bitPattern: values[2]), time: UInt64(clamping: values[3]),
                payload: Array(bytes))
            guard body(entry) else { return }
        }
    }

    /// All peers by name, and their numbers.
    static func peers(_ database: Database) throws -> (recovered: [String: RecoveredPeer], numbers: [String: Int64]) {
        var names: [Int64: String] = [:]
        var peers: [Int64: RecoveredPeer] = [:]
        try read(database) { entry in
            if entry.kind == EntryKind.name {
                names[entry.peer] = String(decoding: entry.payload, as: UTF8.self)
            } else if entry.kind == EntryKind.needsNewEpoch {
                peers[entry.peer, default: RecoveredPeer(needsNewEpoch: false)].needsNewEpoch = true
            } else if let table = EntryKind.table(of: entry.kind) {
                peers[entry.peer, default: RecoveredPeer(needsNewEpoch: false)].rows[table, default: []].append(
                    RecoveredPeer.Row(id: entry.id, payload: entry.payload, time: entry.time))
            } else if let value = EntryKind.value(of: entry.kind) {
                peers[entry.peer, default: RecoveredPeer(needsNewEpoch: false)].values[value] = entry.payload
            }
            return true
        }
        var recovered: [String: RecoveredPeer] = [:]
        var numbers: [String: Int64] = [:]
        for (number, name) in names {
            var peer = peers[number] ?? RecoveredPeer(needsNewEpoch: false)
            // Stored ids are signed, so the greatest came first.
            for (table, rows) in peer.rows where rows.first.map({ $0.id > UInt64(Int64.max) }) == true {
                peer.rows[table] = rows.sorted { $0.id < $1.id }
            }
            recovered[name] = peer
            numbers[name] = number
        }
        guard peers.keys.allSatisfy({ names[$0] != nil }) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the name of a peer is missing")
        }
        return (recovered, numbers)
    }
}
