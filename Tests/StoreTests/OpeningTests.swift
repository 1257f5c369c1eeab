import Foundation
import GRDB
import Outbox
import TestSupport
import Testing

@testable import Store

/// What the journal says of files that it cannot or must not use, and how old ones become new ones.
@Suite
struct OpeningTests {
    private let directory: TemporaryDirectory
    private var path: String { "\(directory.path)/\(Journal.fileName)" }

    init() throws { directory = try TemporaryDirectory(inMemory: true) }

    @Test
    func `two journals on one directory are refused with the other's process`() throws {
        let (journal, _) = try Journal.open(directory: directory.path)
        let error = #expect(throws: StoreError.self) { try Journal.open(directory: directory.path) }
        #expect(error?.code == .inUse)
        #expect(error?.description.contains("in use by process \(getpid())") == true)
        journal.closeNow()
        #expect(throws: Never.self) { try Journal.open(directory: directory.path) }
    }

    @Test
    func `nobody else may read the files`() throws {
        let (journal, _) = try Journal.open(directory: directory.path)
        _ = try journal.commitNow([], serviceTime: 1).get()
        for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory.path)/\(name)")
            #expect((attributes[.posixPermissions] as? Int) == 0o600, "\(name)")
        }
        journal.closeNow()
    }

    @Test
    func `a journal of a newer version is refused and left as it is`() throws {
        let (journal, _) = try Journal.open(directory: directory.path)
        journal.closeNow()
        try DatabaseQueue(path: path).write { try $0.execute(sql: "PRAGMA user_version = 9") }
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let error = #expect(throws: StoreError.self) { try Journal.open(directory: directory.path) }
        #expect(error?.code == .newerVersion)
        #expect(error?.description.contains("journal version 9, this one knows 1") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    }

    @Test
    func `a database of another program is refused`() throws {
        try DatabaseQueue(path: path).write { try $0.execute(sql: "CREATE TABLE other (x)") }
        let error = #expect(throws: StoreError.self) { try Journal.open(directory: directory.path) }
        #expect(error?.code == .unusable)
        #expect(error?.description.contains("another program") == true)
    }

    /// The file exactly as version 1 wrote it; this text must never change.
    private func makeFirstVersion() throws {
        let database = try DatabaseQueue(path: path)
        try database.writeWithoutTransaction { database in
            try database.execute(
                sql: """
                    PRAGMA journal_mode = WAL;
                    CREATE TABLE entry (
                        peer INTEGER NOT NULL, kind INTEGER NOT NULL, id INTEGER NOT NULL, time INTEGER NOT NULL,
                        checksum INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (peer, kind, id)
                    ) WITHOUT ROWID;
                    CREATE TABLE site (
                        one INTEGER PRIMARY KEY CHECK (one = 1),
                        journal TEXT NOT NULL, commits INTEGER NOT NULL,
                        service_time INTEGER NOT NULL, wall_time INTEGER NOT NULL,
                        file_inode INTEGER NOT NULL, file_born INTEGER NOT NULL,
                        mark_inode INTEGER NOT NULL, mark_born INTEGER NOT NULL,
                        next_inode INTEGER NOT NULL, next_born INTEGER NOT NULL
                    );
                    INSERT INTO site VALUES (1, '0123456789abcdef0123456789abcdef', 5, 70, 80, 1, 1, 2, 1, 2, 1);
                    INSERT INTO entry VALUES (1, 200, 0, 0, 3893221854, CAST('ship' AS BLOB));
                    INSERT INTO entry VALUES (1, 1, 7, 60, 3861392346, CAST('<message/>' AS BLOB));
                    PRAGMA application_id = 0x536b7957;
                    PRAGMA user_version = 1;
                    """)
        }
        try database.close()
    }

    @Test
    func `a file of version 1 is read`() throws {
        try makeFirstVersion()
        let (journal, site) = try Journal.open(directory: directory.path)
        journal.closeNow()
        #expect(site.serviceTime == 70)
        #expect(
            site["ship"]
                == RecoveredPeer(
                    rows: [.outbox: [.init(id: 7, payload: Array("<message/>".utf8), time: 60)]], needsNewEpoch: true))
    }

    @Test
    func `a later version makes its file out of one of version 1, once, and the earlier one then refuses it`() throws {
        try makeFirstVersion()
        let later = JournalSchema(
            steps: JournalSchema.current.steps + [
                { try $0.execute(sql: "CREATE TABLE later (x); INSERT INTO later VALUES (1)") },
            ])
        for _ in 0..<2 {
            let (journal, site) = try Journal.open(
                directory: directory.path, environment: SystemEnvironment(), schema: later)
            journal.closeNow()
            #expect(site["ship"][.outbox].count == 1)
        }
        #expect(try DatabaseQueue(path: path).read { try Int.fetchOne($0, sql: "SELECT SUM(x) FROM later") } == 1)
        let error = #expect(throws: StoreError.self) { try Journal.open(directory: directory.path) }
        #expect(error?.code == .newerVersion)
    }

    @Test
    func `a migration that fails leaves the file as it was`() throws {
        try makeFirstVersion()
        let failing = JournalSchema(
            steps: JournalSchema.current.steps + [{ try $0.execute(sql: "DELETE FROM entry; SELECT nonsense") }])
        #expect(throws: StoreError.self) {
            try Journal.open(directory: directory.path, environment: SystemEnvironment(), schema: failing)
        }
        let (_, site) = try Journal.open(directory: directory.path)
        #expect(site["ship"][.outbox].count == 1)
    }

    @Test
    func `a changed byte in a row is found and the repair is named`() throws {
        let (journal, _) = try Journal.open(directory: directory.path)
        let text = Array("<message>a secret that is easy to find</message>".utf8)
        let batch = JournalBatch(number: 1, records: [.put(.outbox, id: 1, .bytes(text), time: 1)])
        _ = try journal.commitNow([NamedBatch(peer: "ship", batch: batch)], serviceTime: 1).get()
        journal.closeNow()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let place = try #require(bytes.range(of: Data("easy".utf8)))
        bytes[place.lowerBound] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: StoreError.self) { try Journal.open(directory: directory.path) }
        #expect(error?.code == .corrupted)
        #expect(error?.description.contains("checksum of row 1/1/1") == true)
        #expect(error?.description.contains("skywave journal repair") == true)
        #expect(error?.description.contains("secret") == false)
    }

    @Test(arguments: [0, 100, 4_096, 8_192])
    func `a file with rubble in it is refused`(_ offset: Int) throws {
        let workload = Workload(seed: 3, commits: 20)
        let (journal, _) = try Journal.open(directory: directory.path)
        for commit in workload.commits { _ = try journal.commitNow(commit.batches, serviceTime: 1).get() }
        journal.closeNow()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for index in offset..<offset + 64 { bytes[index] = 0xa5 }
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: StoreError.self) { try Journal.open(directory: directory.path) }
        #expect(error?.code == .corrupted, "\(String(describing: error))")
    }
}
