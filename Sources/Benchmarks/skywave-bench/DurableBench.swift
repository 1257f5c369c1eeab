import Foundation
import NIOCore
import NIOPosix
import Outbox
import Store
import XMPP

/// Messages through two journals on the real disk, as two bridges commit them: outbox, numbers, acknowledgement on the
/// near side, inbox and delivery on the far side. What goes on between the journals is left out; each has at most one
/// commit under way, as in service.
enum DurableBench {
    static func run(_ corpus: Corpus, runs: Int) {
        var stanzas: [Stanza] = []
        let reader = StreamReader(limits: .local, root: .received)
        corpus.feed { bytes in
            reader.read(&bytes)
            while let event = reader.nextEvent() {
                if case .stanza(let stanza) = event { stanzas.append(stanza) }
            }
        }
        // Below the working directory: the place for temporary files may be memory.
        let directory = "\(FileManager.default.currentDirectoryPath)/durable-bench.\(getpid())"
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer {
            try? FileManager.default.removeItem(atPath: directory)
            try? group.syncShutdownGracefully()
        }
        do {
            try flushes(directory)
            var rates: [Double] = []
            for run in 0..<min(runs, 5) {
                let ends = try (0..<2).map { try open("\(directory)/\(run)-\($0)") }
                defer { for end in ends { end.closeNow() } }
                let path = DurablePath(near: ends[0], far: ends[1], stanzas: stanzas, on: group.next())
                rates.append(try path.run())
            }
            rates.sort()
            let median = rates[rates.count / 2]
            report("durable", median, "messages/s", .atLeast(20_000))
            report("durable-spread", (rates[rates.count - 1] - rates[0]) / median * 100, "percent")
            try lone(open("\(directory)/lone"), stanzas[0], group.next())
        } catch {
            print("not measured: durable: \(error)")
        }
    }

    private static func open(_ directory: String) throws -> Journal {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return try Journal.open(directory: directory).0
    }

    /// What the disk itself takes to make 4 KiB durable, for comparison.
    private static func flushes(_ directory: String) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let file = unsafe Glibc.open("\(directory)/flush", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        let page = [UInt8](repeating: 1, count: 4_096)
        var times: [Double] = []
        for index in 0..<200 {
            unsafe _ = pwrite(file, page, page.count, off_t(index * page.count))
            let start = ContinuousClock.now
            fdatasync(file)
            times.append((ContinuousClock.now - start) / .microseconds(1))
        }
        report("durable-disk-flush", times.sorted()[times.count / 2], "microseconds")
    }

    /// A message that comes alone: from the call to the answer on the event loop.
    private static func lone(_ journal: Journal, _ stanza: Stanza, _ loop: any EventLoop) throws {
        var times: [Double] = []
        for id in UInt64(1)...500 {
            let records: [JournalRecord] = [
                .put(.outbox, id: id, .stanza(stanza), time: id), .remove(.outbox, ids: [id - 1]),
            ]
            let batch = NamedBatch(peer: "peer", batch: JournalBatch(number: id, records: records))
            let start = ContinuousClock.now
            _ = try journal.commit([batch], serviceTime: id, on: loop).wait()
            times.append((ContinuousClock.now - start) / .microseconds(1))
        }
        journal.closeNow()
        times.sort()
        report("durable-lone", times[times.count / 2], "microseconds")
        report("durable-lone-99", times[times.count * 99 / 100], "microseconds")
    }
}

/// The journals of two bridges and the blocks between them. Everything happens on one event loop.
private final class DurablePath: @unchecked Sendable {
    private static let blockStanzas = 64
    /// Blocks that are sent and not acknowledged, at most.
    private static let window = 8
    private static let blocks = 2_000

    private let near: Journal
    private let far: Journal
    private let stanzas: [Stanza]
    private let loop: any EventLoop
    private let done: EventLoopPromise<Void>
    private var taken = 0
    private var numbered = 0
    private var acknowledged: [Int] = []
    private var arrived: [Int] = []
    private var delivered: [Int] = []
    private var finished = 0
    private var nearIsBusy = false
    private var farIsBusy = false
    private var commits: UInt64 = 0

    init(near: Journal, far: Journal, stanzas: [Stanza], on loop: any EventLoop) {
        self.near = near
        self.far = far
        self.stanzas = stanzas
        self.loop = loop
        done = loop.makePromise()
    }

    /// Messages per second.
    func run() throws -> Double {
        let start = ContinuousClock.now
        loop.execute { self.commitNear() }
        try done.futureResult.wait()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return Double(Self.blocks * Self.blockStanzas) / seconds
    }

    private func ids(_ block: Int) -> [UInt64] {
        let first = UInt64(block * Self.blockStanzas)
        return Array(first + 1...first + UInt64(Self.blockStanzas))
    }

    private func puts(_ table: JournalTable, _ block: Int) -> [JournalRecord] {
        ids(block).map { .put(table, id: $0, .stanza(stanzas[Int($0) % stanzas.count]), time: $0) }
    }

    private func commit(_ journal: Journal, _ records: [JournalRecord], _ body: @escaping @Sendable () -> Void) {
        commits += 1
        let batch = NamedBatch(peer: "peer", batch: JournalBatch(number: commits, records: records))
        journal.commit([batch], serviceTime: commits, on: loop).whenComplete { result in
            if case .failure(let error) = result { return self.done.fail(error) }
            body()
        }
    }

    /// A block of new stanzas into the outbox, numbers for the one before, and out with what was acknowledged.
    private func commitNear() {
        guard !nearIsBusy else { return }
        var records: [JournalRecord] = []
        if taken < Self.blocks, taken - finished < Self.window {
            records += puts(.outbox, taken)
            taken += 1
        }
        let sends = numbered < taken - 1 || (taken == Self.blocks && numbered < taken) ? numbered : nil
        if let sends {
            let words = ids(sends).flatMap { id in unsafe withUnsafeBytes(of: id.bigEndian) { unsafe Array($0) } }
            records.append(.put(.normalNumbers, id: UInt64(sends * Self.blockStanzas), .bytes(words), time: 1))
            records.append(.set(.sending, [UInt8](repeating: 7, count: 48)))
            numbered += 1
        }
        for block in acknowledged {
            records.append(.remove(.outbox, ids: ids(block)))
            records.append(.removeThrough(.normalNumbers, id: UInt64(block * Self.blockStanzas)))
        }
        let removed = acknowledged.count
        acknowledged = []
        guard !records.isEmpty else { return }
        nearIsBusy = true
        commit(near, records) {
            self.nearIsBusy = false
            self.finished += removed
            if let sends { self.arrived.append(sends) }
            if self.finished == Self.blocks { return self.done.succeed() }
            self.commitFar()
            self.commitNear()
        }
    }

    /// What arrived into the inbox, and out with what the server has taken.
    private func commitFar() {
        guard !farIsBusy, !arrived.isEmpty || !delivered.isEmpty else { return }
        var records: [JournalRecord] = []
        let received = arrived
        for block in received { records += puts(.inbox, block) }
        if !received.isEmpty { records.append(.set(.receiving, [UInt8](repeating: 7, count: 48))) }
        for block in delivered { records.append(.remove(.inbox, ids: ids(block))) }
        arrived = []
        delivered = []
        farIsBusy = true
        commit(far, records) {
            self.farIsBusy = false
            self.acknowledged += received
            self.delivered += received
            self.commitNear()
            self.commitFar()
        }
    }
}
