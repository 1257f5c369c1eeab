import Foundation
import Outbox
import TestSupport
import Testing

@testable import Store

/// Real processes, killed in the middle of commits.
@Suite
struct KillTests {
    /// How the child says, durably enough for a death of its own, how many commits were acknowledged.
    private static let counter = "acknowledged"

    @Test(arguments: [150, 900, 2_300, 4_100])
    func `after kill -9 all acknowledged commits are there, and none in part`(microseconds: Int) async throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path
        let delay = UInt32(microseconds)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, delay = delay as UInt32] in
            try Self.commitUntilKilled(path, after: delay)
        }
        let text = try String(contentsOfFile: "\(path)/\(Self.counter)", encoding: .utf8)
        let acknowledged = text.utf8.count
        #expect(acknowledged >= 20)
        let (journal, site) = try Journal.open(directory: path)
        journal.closeNow()
        #expect(site.notes == [])
        let committed = Int(site.serviceTime)
        #expect(committed == acknowledged || committed == acknowledged + 1)
        // Each commit adds ten rows and removes the ten of the one before.
        let first = UInt64(committed) * 10
        #expect(site["ship"][.outbox].map(\.id) == Array(first..<first + 10))
        #expect(site["ship"].values[.counters] == Array("\(committed)".utf8))
    }

    private static func commitUntilKilled(_ path: String, after microseconds: UInt32) throws {
        let (journal, _) = try Journal.open(directory: path)
        let file = unsafe open("\(path)/\(counter)", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        for number in UInt64(1)... {
            let records: [JournalRecord] =
                (0..<10).map {
                    .put(.outbox, id: number * 10 + $0, .bytes([UInt8](repeating: 1, count: 900)), time: number)
                } + [.removeThrough(.outbox, id: number * 10 - 1), .set(.counters, Array("\(number)".utf8))]
            let batch = NamedBatch(peer: "ship", batch: JournalBatch(number: number, records: records))
            _ = try journal.commitNow([batch], serviceTime: number).get()
            unsafe _ = write(file, ".", 1)
            guard number == 20 else { continue }
            Thread.detachNewThread {
                usleep(microseconds)
                kill(getpid(), SIGKILL)
            }
        }
    }
}
