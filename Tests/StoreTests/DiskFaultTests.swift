import Outbox
import TestSupport
import Testing

@testable import Store

/// A disk that is full or fails, at every operation.
@Suite
struct DiskFaultTests {
    @Test(arguments: [FaultyFiles.Fault.diskFull, .diskFailed], [1, 7])
    func `a fault at any operation costs a try and nothing else`(fault: FaultyFiles.Fault, length: Int) throws {
        let workload = Workload(seed: 11, commits: 10)
        var operations = 1
        var first = 0
        var failures = 0
        while first < operations {
            let directory = try TemporaryDirectory(inMemory: true)
            let files = FaultyFiles(directory.path, keepsTrace: false)
            files.fail(from: first, count: length, fault)
            failures += try run(workload, directory, fault, "fault at \(first)")
            operations = files.count
            first += length == 1 ? 1 : 5
        }
        #expect(failures > 20)
    }

    /// - Returns: how many tries failed.
    private func run(
        _ workload: Workload, _ directory: TemporaryDirectory, _ fault: FaultyFiles.Fault, _ comment: String
    ) throws -> Int {
        let environment = TestEnvironment()
        let code: StoreError.Code = fault == .diskFull ? .diskFull : .inputOutput
        var failures = 0
        func open() throws -> (Journal, RecoveredSite) {
            for _ in 0..<20 {
                do throws(StoreError) {
                    return try Journal.open(directory: directory.path, environment: environment, policy: .small)
                } catch {
                    #expect(error.code == code, "\(comment): \(error)")
                    failures += 1
                }
            }
            throw StoreError(.internal, "\(comment): not to be opened at all")
        }
        let (journal, _) = try open()
        for commit in workload.commits {
            var tries = 0
            while case .failure(let error) = journal.commitNow(commit.batches, serviceTime: commit.serviceTime) {
                #expect(error.code == code, "\(comment): \(error)")
                failures += 1
                tries += 1
                try #require(tries < 20, "\(comment): does not recover")
            }
        }
        journal.closeNow()
        let (again, site) = try open()
        again.closeNow()
        #expect(
            JournalModel(peers: site.peers, serviceTime: site.serviceTime) == workload.models.last, "\(comment)")
        #expect(site.notes.allSatisfy { $0.hasSuffix("first epoch") }, "\(comment): \(site.notes)")
        return failures
    }

    @Test
    func `a full disk stops commits whole, and they go on when there is space`() throws {
        let workload = Workload(seed: 5, commits: 30)
        let directory = try TemporaryDirectory(inMemory: true)
        let files = FaultyFiles(directory.path, keepsTrace: false)
        let environment = TestEnvironment()
        let (journal, _) = try Journal.open(directory: directory.path, environment: environment, policy: .small)
        for commit in workload.commits[..<10] {
            #expect(
                journal.commitNow(commit.batches, serviceTime: commit.serviceTime)
                    == .success(CommitOutcome(isSpaceLow: false)))
        }
        files.fail(from: files.count, count: .max, .diskFull)
        for _ in 0..<3 {
            let result = journal.commitNow(workload.commits[10].batches, serviceTime: 1_000_000)
            #expect(throws: StoreError.diskFull(journal.path)) { try result.get() }
            #expect(journal.commitNow([], serviceTime: 1_000_000).isFailure)
        }
        files.fail(from: 0, count: 0, .diskFull)
        for commit in workload.commits[10...] {
            #expect(throws: Never.self) { try journal.commitNow(commit.batches, serviceTime: commit.serviceTime).get() }
        }
        journal.closeNow()
        let (_, site) = try Journal.open(directory: directory.path, environment: environment)
        #expect(JournalModel(peers: site.peers, serviceTime: site.serviceTime) == workload.models.last)
    }

    @Test
    func `little space is told before there is none`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let environment = TestEnvironment()
        let (journal, _) = try Journal.open(directory: directory.path, environment: environment)
        environment.freeBytes = 15 << 20
        #expect(try journal.commitNow([], serviceTime: 1).get().isSpaceLow)
        environment.freeBytes = 17 << 20
        #expect(try !journal.commitNow([], serviceTime: 2).get().isSpaceLow)
    }
}

extension Result {
    var isFailure: Bool { if case .failure = self { true } else { false } }
}
