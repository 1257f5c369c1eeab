import GRDB

/// The marks of peers that have to begin a new epoch, durable until they have.
enum EpochMarks {
    static func setAll(_ database: Database) throws {
        let peers = try Int64.fetchAll(
            database, sql: "SELECT peer FROM entry WHERE kind = ?", arguments: [EntryKind.name])
        for peer in peers {
            let sum = RowChecksum.of(peer: peer, kind: EntryKind.needsNewEpoch, id: 0, time: 0, payload: [])
            try database.execute(
                sql: "REPLACE INTO entry VALUES (?, ?, 0, 0, ?, zeroblob(0))",
                arguments: [peer, EntryKind.needsNewEpoch, sum])
        }
    }
}
