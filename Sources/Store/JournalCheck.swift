import GRDB
import Outbox

/// Looks at the journal of a bridge that is not running, and changes nothing.
package enum JournalCheck {
    package struct Report: Equatable, Sendable {
        /// What the operator is told, line by line.
        package var lines: [String]
        /// What is damaged, in a few words.
        package var problem: String?
        package var isDamaged: Bool { problem != nil }
    }

    package static func run(directory: String) throws(StoreError) -> Report {
        let path = "\(directory)/\(Journal.fileName)"
        guard FileIdentity(path: path) != nil else {
            throw StoreError(.unusable, "\(path): there is no journal here")
        }
        let lock = try DirectoryLock(directory: directory)
        defer { withExtendedLifetime(lock) {} }
        do {
            return Report(lines: try look(path), problem: nil)
        } catch let error as StoreError {
            throw error
        } catch {
            let failure = error as? SQLiteFailure ?? SQLiteFailure(error)
            let mapped = failure.storeError(path)
            guard mapped.code == .corrupted else { throw mapped }
            let words = [
                "\(path) is damaged: \(failure.text)",
                "run `skywave journal repair`: it saves what is readable into a new file and keeps the old one",
            ]
            return Report(lines: words, problem: failure.text)
        }
    }

    private static func look(_ path: String) throws -> [String] {
        let configuration = JournalOpening.configuration("skywave.journal.check", isReadOnly: true)
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? queue.close() }
        return try queue.read { database in
            try JournalSchema.current.verify(database, path: path)
            let problems = try String.fetchAll(database, sql: "PRAGMA integrity_check(3)")
            guard problems == ["ok"] else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: problems.joined(separator: "; "))
            }
            let site = try SiteRow(database)
            let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            var lines = ["\(path): intact, version \(version), \(pages * 4) KiB, \(site.commits) commits"]
            let peers = try EntryReader.peers(database).recovered
            for (name, peer) in peers.sorted(by: { $0.key < $1.key }) {
                let rows = JournalTable.allCases.compactMap { table in
                    peer[table].isEmpty ? nil : "\(peer[table].count) \(table)"
                }
                lines.append(
                    "peer \"\(name)\": \(rows.isEmpty ? "no rows" : rows.joined(separator: ", "))"
                        + (peer.needsNewEpoch ? "; begins a new epoch" : ""))
            }
            return lines
        }
    }
}
