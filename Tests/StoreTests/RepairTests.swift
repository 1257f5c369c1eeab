import Foundation
import Outbox
import TestSupport
import Testing

@testable import Store

/// Damaged files: what the check says of them, and what a repair saves.
@Suite
struct RepairTests {
    private let directory: TemporaryDirectory
    private var path: String { "\(directory.path)/\(Journal.fileName)" }

    init() throws { directory = try TemporaryDirectory(inMemory: true) }

    private func write(_ workload: Workload, closes: Bool = true) throws -> Journal {
        let (journal, _) = try Journal.open(directory: directory.path)
        for commit in workload.commits {
            _ = try journal.commitNow(commit.batches, serviceTime: commit.serviceTime).get()
        }
        if closes { journal.closeNow() }
        return journal
    }

    private func bytes(_ name: String = Journal.fileName) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/\(name)")))
    }

    private func change(_ body: (inout [UInt8]) -> Void) throws {
        var bytes = try bytes()
        body(&bytes)
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.write(contentsOf: Data(bytes))
        try file.close()
    }

    /// Repairs, opens, and expects every row that is there to be one of the model's.
    private func repair(_ model: JournalModel) throws -> (report: JournalRepair.Report, saved: Int, of: Int) {
        let report = try JournalRepair.repair(directory: directory.path)
        #expect(report.wasRepaired)
        let (journal, site) = try Journal.open(directory: directory.path)
        journal.closeNow()
        var saved = 0
        for (name, peer) in site.peers where !name.hasPrefix("lost-") {
            #expect(peer.needsNewEpoch)
            for (table, rows) in peer.rows {
                let expected = try #require(model.peers[name])[table]
                #expect(rows.allSatisfy { expected.contains($0) }, "\(name) \(table): a row that was not there")
                saved += rows.count
            }
        }
        let all = model.peers.values.reduce(0) { $0 + $1.rows.values.reduce(0) { $0 + $1.count } }
        return (report, saved, all)
    }

    @Test
    func `a check of an intact journal counts what it holds, and a repair leaves it alone`() throws {
        let workload = Workload(seed: 4, commits: 30)
        _ = try write(workload)
        let before = try bytes()
        let check = try JournalCheck.run(directory: directory.path)
        #expect(!check.isDamaged)
        #expect(check.lines.count == 3)
        #expect(check.lines.first?.contains("intact, version 1") == true)
        #expect(check.lines[1].hasPrefix("peer \"hq\": "))
        let report = try JournalRepair.repair(directory: directory.path)
        #expect(!report.wasRepaired)
        #expect(try bytes() == before)
    }

    @Test(arguments: UInt64(0)..<24)
    func `a repair saves all rows but those that were hit, and makes none up`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let workload = Workload(seed: seed, commits: 40)
        _ = try write(workload)
        let pages = try bytes().count / 4_096
        // One page becomes rubble: that costs the rows on it, and those that reach into it.
        let page = Int.random(in: 1..<pages, using: &generator)
        try change { bytes in
            for index in page * 4_096..<(page + 1) * 4_096 {
                bytes[index] = UInt8.random(in: 0...255, using: &generator)
            }
        }
        let check = try JournalCheck.run(directory: directory.path)
        // The page may have been a free one.
        guard check.isDamaged else { return }
        #expect(throws: StoreError.self) { try Journal.open(directory: directory.path) }
        let damaged = try bytes()
        let model = try #require(workload.models.last)
        let result = try repair(model)
        #expect(result.saved <= result.of)
        #expect(result.saved >= result.of - 40, "saved \(result.saved) of \(result.of)")
        let kept = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter {
            $0.hasPrefix("journal.damaged-") && $0.hasSuffix(".sqlite")
        }
        #expect(try kept.map { try bytes($0) } == [damaged])
        #expect(result.report.lines.last?.contains(kept.first ?? "?") == true)
    }

    @Test
    func `without its header a journal still gives all its rows`() throws {
        let workload = Workload(seed: 9, commits: 40)
        _ = try write(workload)
        try change { bytes in for index in 0..<4_096 { bytes[index] = 0 } }
        let result = try repair(try #require(workload.models.last))
        #expect(result.saved == result.of)
        #expect(result.report.lines.contains { $0.contains("the list of free pages is lost") })
    }

    @Test
    func `what is only in the log is saved as well`() throws {
        let workload = Workload(seed: 6, commits: 40)
        let journal = try write(workload, closes: false)
        // The state after a crash: file and log as they are, in another directory.
        let crashed = try TemporaryDirectory(inMemory: true)
        for name in [Journal.fileName, Journal.fileName + "-wal"] {
            try FileManager.default.copyItem(atPath: "\(directory.path)/\(name)", toPath: "\(crashed.path)/\(name)")
        }
        journal.closeNow()
        let log = Array(try Data(contentsOf: URL(fileURLWithPath: "\(crashed.path)/\(Journal.fileName)-wal")))
        let file = Array(try Data(contentsOf: URL(fileURLWithPath: "\(crashed.path)/\(Journal.fileName)")))
        let salvage = Salvage(SalvageImage(file: file, log: log))
        let model = try #require(workload.models.last)
        let rows = model.peers.values.reduce(0) { $0 + $1.rows.values.reduce(0) { $0 + $1.count } }
        #expect(salvage.entries.keys.count { EntryKind.table(of: $0.kind) != nil } == rows)
        #expect(salvage.damagedRows == 0)
        #expect(salvage.damagedPages == 0)
        #expect(!salvage.mayHoldRemovedRows)
        #expect(salvage.serviceTime == model.serviceTime)
    }

    @Test(arguments: UInt64(0)..<40)
    func `rubble never ends the repair`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var bytes: [UInt8]
        if seed % 2 == 0 {
            _ = try write(Workload(seed: seed, commits: 10))
            bytes = try self.bytes()
            for _ in 0..<Int.random(in: 1...400, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
        } else {
            bytes = (0..<Int.random(in: 0...20_000, using: &generator)).map { _ in
                let any = UInt8.random(in: 0...255, using: &generator)
                return [0, 1, 2, 5, 10, 13, 255, any].randomElement(using: &generator) ?? any
            }
        }
        let log = Array(bytes.prefix(3_000))
        #expect(Salvage(SalvageImage(file: bytes, log: log)).entries.count < 1_000)
        #expect(Salvage(SalvageImage(file: log, log: bytes)).entries.count < 1_000)
    }

    @Test
    func `what waits can be read beside a running bridge and after it, and reading changes nothing`() throws {
        let workload = Workload(seed: 8, commits: 30)
        let model = try #require(workload.models.last)
        let journal = try write(workload, closes: false)
        #expect(try Journal.readOnly(directory: directory.path).peers == model.peers)
        journal.closeNow()
        let before = try bytes()
        let site = try Journal.readOnly(directory: directory.path)
        #expect(JournalModel(peers: site.peers, serviceTime: site.serviceTime) == model)
        #expect(try bytes() == before)
        let (again, opened) = try Journal.open(directory: directory.path)
        again.closeNow()
        #expect(opened.notes == [])
    }
}
