import GRDB
import Glibc
import Outbox

/// Makes a new journal out of what is readable of a damaged one.
///
/// The damaged file is only read, and kept with its log under a name of its own. All peers begin a new epoch
/// afterwards: what is missing may have had numbers.
package enum JournalRepair {
    package struct Report: Equatable, Sendable {
        /// What the operator is told, line by line.
        package var lines: [String]
        /// Whether a new file was made; not when nothing was wrong.
        package var wasRepaired: Bool
    }

    package static func repair(directory: String) throws(StoreError) -> Report {
        let path = "\(directory)/\(Journal.fileName)"
        let check = try JournalCheck.run(directory: directory)
        guard check.isDamaged else {
            return Report(lines: check.lines + ["nothing to repair; nothing was changed"], wasRepaired: false)
        }
        let lock = try DirectoryLock(directory: directory)
        defer { withExtendedLifetime(lock) {} }
        let file = try WholeFile.read(path) ?? []
        let log = try WholeFile.read("\(path)-wal") ?? []
        let image = SalvageImage(file: file, log: log)
        guard image.version <= JournalSchema.current.version else {
            throw StoreError(
                .newerVersion, "\(path) was written by a newer version of Skywave; run that version's repair")
        }
        let salvage = Salvage(image)
        let mark = SystemEnvironment().readMark("\(directory)/\(JournalOpening.markName)")
        let commits = max(salvage.commits, mark?.commits ?? 0)
        let fresh = "\(directory)/journal.repaired"
        let peers = try build(fresh, salvage, commits: commits)
        let aside = try exchange(directory, fresh)
        var lines = ["\(path): \(check.problem ?? "damaged")"]
        lines += peers
        lines.append(
            "lost: \(salvage.damagedRows) rows that were changed or incomplete, "
                + "\(salvage.damagedPages) unreadable pages")
        if salvage.mayHoldRemovedRows {
            lines.append(
                "the list of free pages is lost: rows that were done with may have come back, and be sent again")
        }
        lines.append("all peers begin a new epoch: what the other sites had and did not confirm may reach them twice")
        lines.append("the damaged file is kept as \(aside)")
        return Report(lines: lines, wasRepaired: true)
    }

    /// Writes the rows into a new file, durably.
    ///
    /// - Returns: what was saved, a line for each peer.
    private static func build(_ path: String, _ salvage: Salvage, commits: UInt64) throws(StoreError) -> [String] {
        unsafe unlink(path)
        do {
            let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw StoreError(.unusable, "\(path): \(SystemFailure.text(errno))") }
            close(file)
            let queue = try DatabaseQueue(path: path, configuration: JournalOpening.configuration("skywave.repair"))
            defer { try? queue.close() }
            return try queue.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA synchronous = FULL")
                try JournalSchema.current.apply(to: database, path: path)
                var lines: [String] = []
                try database.inTransaction(.immediate) {
                    lines = try save(database, salvage)
                    var site = try SiteRow(database)
                    site.commits = commits + 1
                    site.serviceTime = salvage.entries.values.reduce(salvage.serviceTime) { max($0, $1.time) }
                    try site.save(database)
                    try EpochMarks.setAll(database)
                    return .commit
                }
                return lines
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw SQLiteFailure(error).storeError(path)
        }
    }

    private static func save(_ database: Database, _ salvage: Salvage) throws -> [String] {
        let writer = try EntryWriter(database)
        func add(_ entry: Entry) throws {
            try writer.save(
                entry.peer, entry.kind, EntryKind.stored(entry.id), Int64(clamping: entry.time), entry.payload)
        }
        var counts: [Int64: [Int64: Int]] = [:]
        var names: [Int64: String] = [:]
        for (_, entry) in salvage.entries.sorted(by: { $0.key < $1.key }) {
            try add(entry)
            counts[entry.peer, default: [:]][entry.kind, default: 0] += 1
            if entry.kind == EntryKind.name { names[entry.peer] = String(decoding: entry.payload, as: UTF8.self) }
        }
        var lines: [String] = []
        for (peer, kinds) in counts.sorted(by: { $0.key < $1.key }) {
            var name = names[peer]
            if name == nil {
                let made = "lost-\(peer)"
                name = made
                try add(Entry(peer: peer, kind: EntryKind.name, id: 0, time: 0, payload: Array(made.utf8)))
            }
            let rows = kinds.sorted { $0.key < $1.key }.compactMap { kind, count in
                EntryKind.table(of: kind).map { "\(count) \($0)" }
            }
            let text = rows.isEmpty ? "no rows" : rows.joined(separator: ", ")
            lines.append("saved of peer \"\(name ?? "")\": \(text)")
        }
        return lines.isEmpty ? ["saved: nothing"] : lines
    }

    /// Puts the new file in the place of the damaged one, which is kept with its log.
    private static func exchange(_ directory: String, _ fresh: String) throws(StoreError) -> String {
        let path = "\(directory)/\(Journal.fileName)"
        let aside = "\(directory)/journal.damaged-\(UTCStamp.now()).sqlite"
        func check(_ result: Int32) throws(StoreError) {
            guard result == 0 else {
                throw StoreError(.unusable, "\(directory): the files cannot be exchanged: \(SystemFailure.text(errno))")
            }
        }
        // The log goes first: it must never lie beside a file that it does not belong to.
        if unsafe link(path, aside) != 0 { try check(unsafe rename(path, aside)) }
        if FileIdentity(path: "\(path)-wal") != nil { try check(unsafe rename("\(path)-wal", "\(aside)-wal")) }
        unsafe unlink("\(path)-shm")
        Directories.synchronize(directory)
        try check(unsafe rename(fresh, path))
        Directories.synchronize(directory)
        return aside
    }
}
