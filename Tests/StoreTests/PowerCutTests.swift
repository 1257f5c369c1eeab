import Foundation
import Outbox
import TestSupport
import Testing

@testable import Store

/// A power cut at every operation on the disk, and what is found afterwards.
@Suite
struct PowerCutTests {
    @Test(arguments: [UInt64(1), 2], DiskModel.Remains.allCases)
    func `a power cut at any moment leaves exactly the commits up to one, and all that were acknowledged`(
        seed: UInt64, remains: DiskModel.Remains
    ) throws {
        let workload = Workload(seed: seed, commits: 24)
        let run = try TracedRun(workload)
        // Small enough that the log was copied into the file and begun anew several times.
        #expect(run.logRestarts >= 3)
        var generator = SeededGenerator(seed: seed &* 31)
        var disk = DiskModel()
        var previous: (files: [String: [UInt8]], state: TestEnvironment.State)?
        var recoveries = 0
        for operation in 0...run.operations.count {
            if operation > 0 { disk.apply(run.operations[operation - 1]) }
            let files = disk.remains(remains, &generator)
            let state = run.environment.state(before: operation).afterPowerCut(
                keepsLatest: Bool.random(using: &generator))
            if let previous, previous.files == files, previous.state == state { continue }
            previous = (files, state)
            recoveries += 1
            let acknowledged = run.ends.count { $0 <= operation }
            try recover(files, state, workload, acknowledged, "seed \(seed), \(remains), cut at \(operation)")
        }
        #expect(recoveries > 50)
    }

    private func recover(
        _ files: [String: [UInt8]], _ state: TestEnvironment.State, _ workload: Workload, _ acknowledged: Int,
        _ comment: String
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        for (name, bytes) in files {
            try Data(bytes).write(to: URL(fileURLWithPath: "\(directory.path)/\(name)"))
        }
        let environment = TestEnvironment(state)
        let opened = Result { try Journal.open(directory: directory.path, environment: environment) }
        guard case .success((let journal, let site)) = opened else {
            Issue.record("\(comment): \(opened)")
            return
        }
        defer { journal.closeNow() }
        let found = JournalModel(peers: site.peers, serviceTime: site.serviceTime)
        let at = workload.models.lastIndex(of: found)
        let isRight = at.map { $0 >= acknowledged && $0 <= acknowledged + 1 } ?? false
        #expect(isRight, "\(comment): found \(at ?? -1), acknowledged \(acknowledged)")
        #expect(site.notes.allSatisfy { $0.hasSuffix("first epoch") }, "\(comment): \(site.notes)")
        // And it goes on from there.
        guard let at, at < workload.commits.count else { return }
        let next = workload.commits[at]
        #expect(throws: Never.self) { try journal.commitNow(next.batches, serviceTime: next.serviceTime).get() }
    }
}

/// A workload that was run to its end, with every operation on the disk written down.
struct TracedRun {
    let environment: TestEnvironment
    var operations: [FaultyFiles.Operation] = []
    /// The operations that had been done when each commit was acknowledged.
    var ends: [Int] = []
    var logRestarts = 0

    init(_ workload: Workload) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let files = FaultyFiles(directory.path, keepsTrace: true)
        let handle = files.handle
        environment = TestEnvironment(clock: { FaultyFiles.count(handle) })
        let (journal, _) = try Journal.open(directory: directory.path, environment: environment, policy: .small)
        for commit in workload.commits {
            _ = try journal.commitNow(commit.batches, serviceTime: commit.serviceTime).get()
            ends.append(files.count)
        }
        journal.closeNow()
        operations = (0..<files.count).map { files[$0] }
        logRestarts = operations.count { operation in
            if case .write("journal.sqlite-wal", 0, _) = operation { true } else { false }
        }
    }
}

extension JournalPolicy {
    /// Checkpoints after every few commits, on the thread of the commits.
    static let small = JournalPolicy(
        checkpointFrames: 20, mostFrames: 40, reservedLogBytes: 0, checkpointsBeside: false)
}
