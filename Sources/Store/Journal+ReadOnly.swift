import GRDB
import Outbox

extension Journal {
    /// Reads what a journal holds without changing anything, beside a running daemon as well as after it: one
    /// consistent state, that of the last commit.
    ///
    /// Nothing is locked and no copy is recognised, so what it gives is for showing only.
    package static func readOnly(directory: String) throws(StoreError) -> RecoveredSite {
        let path = "\(directory)/\(fileName)"
        guard FileIdentity(path: path) != nil else {
            throw StoreError(.unusable, "\(path) is not there; the bridge has never run with a journal here")
        }
        do {
            let configuration = JournalOpening.configuration("skywave.journal.reader", isReadOnly: true)
            let reader = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? reader.close() }
            return try reader.read { database in
                try JournalSchema.current.check(database, path: path)
                let site = try SiteRow(database)
                let contents = try EntryReader.peers(database)
                let gap = site.wallTime == 0 ? 0 : SystemEnvironment().wallTime() - site.wallTime
                return RecoveredSite(peers: contents.recovered, serviceTime: site.serviceTime, wallGap: gap)
            }
        } catch let error as StoreError {
            throw error
        } catch let error as SQLiteFailure {
            throw error.storeError(path)
        } catch {
            throw SQLiteFailure(error).storeError(path)
        }
    }
}

extension JournalSchema {
    /// Whether a file can be read as it is.
    fileprivate func check(_ database: Database, path: String) throws {
        let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard try Int.fetchOne(database, sql: "PRAGMA application_id") == Self.applicationID, found > 0 else {
            throw StoreError(.unusable, "\(path) is no journal of Skywave, or an empty one")
        }
        guard found == version else {
            throw StoreError(
                .newerVersion,
                "\(path) has version \(found) and this program reads version \(version); start the bridge, which brings "
                    + "an older journal up to date, and ask it")
        }
    }
}
