import GRDB

/// Writes rows of the table `entry` with their checksums. Used on the queue of its connection.
struct EntryWriter {
    private let put: RawStatement

    init(_ database: Database) throws(SQLiteFailure) {
        put = try RawStatement(database, "REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?)")
    }

    func save(
        _ peer: Int64, _ kind: Int64, _ id: Int64, _ time: Int64, _ payload: [UInt8]
    ) throws(SQLiteFailure) {
        let failure = unsafe payload.withUnsafeBytes { unsafe save(peer, kind, id, time, $0) }
        if let failure { throw failure }
    }

    /// The same without a copy. The failure is given back, not thrown, because this is called from closures.
    func save(
        _ peer: Int64, _ kind: Int64, _ id: Int64, _ time: Int64, _ payload: UnsafeRawBufferPointer
    ) -> SQLiteFailure? {
        put.bind(1, peer)
        put.bind(2, kind)
        put.bind(3, id)
        put.bind(4, time)
        unsafe put.bind(5, RowChecksum.of(peer: peer, kind: kind, id: id, time: time, payload: payload))
        unsafe put.bind(6, payload)
        do throws(SQLiteFailure) {
            try put.step()
            return nil
        } catch {
            return error
        }
    }
}
