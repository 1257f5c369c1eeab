import ArgumentParser
import Foundation
import LinkSimulator

/// Spreads seeds over processes and sums up what they say.
struct SoakPool {
    let soak: Soak
    /// Seeds that one process runs before the next takes over.
    private static let share = 250

    private final class Worker {
        let process = Process()
        let output = Pipe()
        var rest = ""
        var running: UInt64?
        var next: UInt64
        let end: UInt64

        init(_ range: Range<UInt64>) {
            next = range.lowerBound
            end = range.upperBound
        }
    }

    /// What all workers have said so far.
    private struct Sum {
        var statistics = SimulationStatistics()
        var failed: [UInt64] = []
        var trace: UInt64 = 0
    }

    func run() throws {
        let started = Date()
        let jobs = soak.jobs ?? ProcessInfo.processInfo.activeProcessorCount
        var next = soak.first
        let end = soak.first + UInt64(soak.seeds)
        var sum = Sum()
        var workers: [Worker] = []
        while next < end || !workers.isEmpty {
            while workers.count < max(1, jobs), next < end {
                let upper = min(end, next + UInt64(SoakPool.share))
                workers.append(try start(Worker(next..<upper)))
                next = upper
            }
            // The oldest is waited for; the others go on meanwhile, as far as their pipes hold what they say.
            let worker = workers.removeFirst()
            read(worker, &sum)
            if worker.next < worker.end { workers.append(try start(Worker(worker.next..<worker.end))) }
        }
        let seconds = max(0.001, Date().timeIntervalSince(started))
        let rate = Double(sum.statistics.runs) / seconds
        print(
            "soak: \(sum.statistics.summary); traces \(String(sum.trace, radix: 16)); "
                + "\(Int(seconds)) s, \(Int(rate)) seeds/s")
        if sum.statistics.failedRuns > 0 { throw ExitCode.failure }
    }

    private func start(_ worker: Worker) throws -> Worker {
        worker.process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        worker.process.arguments =
            ["soak", "--is-worker", "--first", "\(worker.next)", "--seeds", "\(worker.end - worker.next)"]
            + (soak.radio ? ["--radio"] : []) + (soak.sabotage.map { ["--sabotage", $0] } ?? [])
        worker.process.standardOutput = worker.output
        try worker.process.run()
        return worker
    }

    private func read(_ worker: Worker, _ sum: inout Sum) {
        let text = String(decoding: worker.output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        worker.process.waitUntilExit()
        if worker.process.terminationReason == .exit, worker.process.terminationStatus == 0 { worker.next = worker.end }
        var isReported = false
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3)
            guard words.count >= 2, let seed = UInt64(words[1]) else { continue }
            switch words[0] {
            case "begin":
                worker.running = seed
                if worker.next < worker.end { worker.next = seed + 1 }
                isReported = false
            case "failure":
                print("seed \(seed): \(line.split(separator: " ", maxSplits: 2).last ?? "")")
                if !isReported { report(seed) }
                isReported = true
            case "end":
                worker.running = nil
                if words.count == 4, let trace = UInt64(words[2], radix: 16),
                    let statistics = SimulationStatistics(encoded: words[3])
                {
                    // Independent of the order in which workers end.
                    sum.trace ^= trace &* (2 &* seed &+ 1)
                    sum.statistics.add(statistics)
                }
            default: continue
            }
        }
        if let seed = worker.running {
            print("seed \(seed): the process ended in the middle of it")
            report(seed)
            sum.statistics.runs += 1
            sum.statistics.failedRuns += 1
        }
    }

    private func report(_ seed: UInt64) {
        let sabotage = soak.sabotage.map { " --sabotage \($0)" } ?? ""
        print("  again: skywave-sim soak --seed \(seed)\(sabotage) --trace")
    }
}
