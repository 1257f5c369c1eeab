import GRDB

/// The marks of peers that have to begin a new epoch, durable until they have.
enum EpochMarks {
    static func setAll(_ database: Database) throws {
        let writer = try EntryWriter(database)
        let peers = try Int64.fetchAll(
            database, sql: "SELECT peer FROM entry WHERE kind = ?", arguments: [EntryKind.name])
        for peer in peers { try writer.save(peer, EntryKind.needsNewEpoch, 0, 0, []) }
    }
}
