import Foundation
import Outbox
import TestSupport
import Testing

@testable import Store

/// Every way in which an older copy of the journal can come back, on a real file system.
@Suite
struct RestoredJournalTests {
    private let directory: TemporaryDirectory
    private let backup: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory(inMemory: true)
        backup = try TemporaryDirectory(inMemory: true)
    }

    @Test
    func `a journal that nobody touched goes on in its epoch`() throws {
        try run(commits: 3)
        try run(commits: 3)
        let site = try open()
        #expect(site.notes == [])
        #expect(!site["ship"].needsNewEpoch)
        #expect(site["ship"][.outbox].count == 6)
    }

    @Test
    func `a copy over the file is recognised`() throws {
        try run(commits: 2)
        try copy(Journal.fileName, to: backup)
        try run(commits: 2)
        try overwrite(Journal.fileName)
        try expectRestored(rows: 2, "it lacks the last")
    }

    @Test
    func `a copy made while the same run went on is recognised`() throws {
        let (journal, _) = try Journal.open(directory: directory.path)
        try commit(journal, id: 1)
        // What a copy holds that includes the log: as if the log had been copied into it.
        try copy(Journal.fileName, to: backup)
        try copy(Journal.fileName + "-wal", to: backup)
        try commit(journal, id: 2)
        journal.closeNow()
        try overwrite(Journal.fileName)
        try overwrite(Journal.fileName + "-wal")
        try expectRestored(rows: 1, "it lacks the last 1 commits")
    }

    @Test
    func `a copy in a new file is recognised`() throws {
        try run(commits: 2)
        try copy(Journal.fileName, to: backup)
        try FileManager.default.removeItem(atPath: path(Journal.fileName))
        try FileManager.default.copyItem(
            atPath: "\(backup.path)/\(Journal.fileName)", toPath: path(Journal.fileName))
        try expectRestored(rows: 2, "it is another file")
    }

    @Test
    func `a directory that was restored whole is recognised`() throws {
        try run(commits: 2)
        for name in [Journal.fileName, JournalOpening.markName] { try copy(name, to: backup) }
        try run(commits: 2)
        for name in [Journal.fileName, JournalOpening.markName] {
            try FileManager.default.removeItem(atPath: path(name))
            try FileManager.default.copyItem(atPath: "\(backup.path)/\(name)", toPath: path(name))
        }
        try expectRestored(rows: 2, "it is another file")
    }

    @Test
    func `both files copied over those that are there are recognised`() throws {
        try run(commits: 2)
        for name in [Journal.fileName, JournalOpening.markName] { try copy(name, to: backup) }
        try run(commits: 2)
        for name in [Journal.fileName, JournalOpening.markName] { try overwrite(name) }
        try expectRestored(rows: 2, "journal.mark beside it is another file")
    }

    @Test(arguments: [nil, "", "skywave-journal 00"])
    func `without its mark a journal is not trusted`(_ contents: String?) throws {
        try run(commits: 2)
        try FileManager.default.removeItem(atPath: path(JournalOpening.markName))
        if let contents { try Data(contents.utf8).write(to: URL(fileURLWithPath: path(JournalOpening.markName))) }
        try expectRestored(rows: 2, "journal.mark beside it is missing or damaged")
    }

    @Test
    func `a log that belongs to a later state of the journal is kept but not applied`() throws {
        try run(commits: 2)
        try copy(Journal.fileName, to: backup)
        let (journal, _) = try Journal.open(directory: directory.path)
        try commit(journal, id: 100)
        // As after a crash: the log is still there when the file has been replaced.
        try copy(Journal.fileName + "-wal", to: backup)
        journal.closeNow()
        try overwrite(Journal.fileName)
        try FileManager.default.copyItem(
            atPath: "\(backup.path)/\(Journal.fileName)-wal", toPath: path(Journal.fileName + "-wal"))
        let site = try expectRestored(rows: 2, "it lacks the last")
        #expect(site.notes.first?.contains("not applied but kept as \(directory.path)/journal.aside-") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).contains { $0.hasSuffix(".wal") })
    }

    @Test
    func `a journal that is gone is told, and so is its log kept`() throws {
        try run(commits: 2)
        try FileManager.default.removeItem(atPath: path(Journal.fileName))
        try Data("log".utf8).write(to: URL(fileURLWithPath: path(Journal.fileName + "-wal")))
        let site = try open()
        #expect(site.peers.isEmpty)
        #expect(site.notes.count == 2)
        #expect(site.notes.last?.contains("is gone") == true)
    }

    @Test
    func `the demand for a new epoch outlives a crash, until the peer has begun one`() throws {
        try run(commits: 2)
        try FileManager.default.removeItem(atPath: path(JournalOpening.markName))
        #expect(try open()["ship"].needsNewEpoch)
        #expect(try open()["ship"].needsNewEpoch)
        try run(commits: 1)
        #expect(try !open()["ship"].needsNewEpoch)
    }

    // MARK: Helpers

    private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    private func commit(_ journal: Journal, id: UInt64) throws {
        let records: [JournalRecord] = [.put(.outbox, id: id, .bytes([1]), time: id), .set(.sending, [1])]
        let batch = NamedBatch(peer: "ship", batch: JournalBatch(number: id, records: records))
        _ = try journal.commitNow([batch], serviceTime: id).get()
    }

    private func run(commits: Int) throws {
        let (journal, site) = try Journal.open(directory: directory.path)
        defer { journal.closeNow() }
        let first = (site["ship"][.outbox].last?.id ?? 0) + 1
        for id in first..<first + UInt64(commits) { try commit(journal, id: id) }
    }

    private func open() throws -> RecoveredSite {
        let (journal, site) = try Journal.open(directory: directory.path)
        journal.closeNow()
        return site
    }

    private func copy(_ name: String, to target: TemporaryDirectory) throws {
        try FileManager.default.copyItem(atPath: path(name), toPath: "\(target.path)/\(name)")
    }

    /// `cp` over the file: it stays the same file.
    private func overwrite(_ name: String) throws {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(backup.path)/\(name)"))
        if !FileManager.default.fileExists(atPath: path(name)) {
            _ = FileManager.default.createFile(atPath: path(name), contents: nil)
        }
        let file = try #require(FileHandle(forUpdatingAtPath: path(name)))
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: bytes)
        try file.close()
    }

    @discardableResult
    private func expectRestored(rows: Int, _ reason: String) throws -> RecoveredSite {
        let site = try open()
        #expect(site.notes.last?.contains(reason) == true, "\(site.notes)")
        #expect(site["ship"].needsNewEpoch)
        #expect(site["ship"][.outbox].count == rows)
        return site
    }
}
