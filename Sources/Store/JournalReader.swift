import GRDB
package import Outbox

/// Reads the journal of a bridge that is not running, and changes nothing.
package enum JournalReader {
    package struct PeerRows: Equatable, Sendable {
        package var peer: String
        /// In order of id.
        package var rows: [RecoveredPeer.Row]
    }

    /// The rows of one table, by peer in order of name.
    ///
    /// - Parameters:
    ///   - peer: only this one.
    ///   - limit: so many rows of each peer.
    package static func rows(
        directory: String, table: JournalTable, peer: String? = nil, limit: Int = .max
    ) throws(StoreError) -> [PeerRows] {
        let path = "\(directory)/\(Journal.fileName)"
        guard FileIdentity(path: path) != nil else {
            throw StoreError(.unusable, "\(path): there is no journal here")
        }
        let lock = try DirectoryLock(directory: directory, isShared: true)
        defer { withExtendedLifetime(lock) {} }
        do {
            let queue = try queue(path)
            defer { try? queue.close() }
            return try queue.read { database in
                try JournalSchema.current.verify(database, path: path)
                var names: [Int64: String] = [:]
                try EntryReader.read(database, where: "kind = \(EntryKind.name)") { entry in
                    names[entry.peer] = String(decoding: entry.payload, as: UTF8.self)
                    return true
                }
                var result: [PeerRows] = []
                for (number, name) in names.sorted(by: { $0.value < $1.value }) where peer == nil || name == peer {
                    var rows: [RecoveredPeer.Row] = []
                    let key = "peer = \(number) AND kind = \(EntryKind.table(table))"
                    // Stored ids are signed: those from the middle on come first, and here last.
                    for half in ["id >= 0", "id < 0"] where rows.count < limit {
                        try EntryReader.read(database, where: "\(key) AND \(half)") { entry in
                            rows.append(.init(id: entry.id, payload: entry.payload, time: entry.time))
                            return rows.count < limit
                        }
                    }
                    result.append(PeerRows(peer: name, rows: rows))
                }
                return result
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw (error as? SQLiteFailure ?? SQLiteFailure(error)).storeError(path)
        }
    }

    static func queue(_ path: String) throws -> DatabaseQueue {
        try DatabaseQueue(path: path, configuration: JournalOpening.configuration("skywave.reader", isReadOnly: true))
    }
}
