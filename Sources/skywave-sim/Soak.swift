import ArgumentParser
import Foundation
import LinkSimulator

/// Runs seeds, and says for each that fails how to see it again.
struct Soak: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs whole sites through seeded faults in virtual time and checks that nothing was lost.",
        discussion: """
            Each seed is one run: two or three sites with their servers and users, links, crashes, cuts, full disks and \
            clocks that jump. The last line sums up. A failing seed is named with the command that shows it again.
            """)

    @Option(help: "How many seeds to run.")
    var seeds: Int = 2_000

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "Run this seed only.")
    var seed: UInt64?

    @Flag(help: "With --seed: print what happens.")
    var trace = false

    @Flag(help: "Of these seeds, run only those with HF nodes and a radio between sites.")
    var radio = false

    @Option(help: "Processes that work at the same time; all processors when not given.")
    var jobs: Int?

    @Option(help: "Break the bridge of one site on purpose, to see the checks fail.")
    var sabotage: String?

    @Flag(help: .hidden)
    var isWorker = false

    func validate() throws {
        if let sabotage, Sabotage(rawValue: sabotage) == nil {
            let known = Sabotage.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(sabotage)' is no sabotage; there are: \(known)")
        }
        guard seeds > 0 else { throw ValidationError("at least one seed has to run") }
    }

    func run() throws {
        if let seed { return try runOne(seed) }
        if isWorker { return work() }
        try SoakPool(soak: self).run()
    }

    private var damage: Sabotage? { sabotage.flatMap { Sabotage(rawValue: $0) } }

    private func runOne(_ seed: UInt64) throws {
        let printer: ((String) -> Void)? = trace ? { print($0) } : nil
        let result = Simulation(seed: seed, sabotage: damage, printer: printer).run()
        for failure in result.failures { print("seed \(seed): \(failure)") }
        print(result.statistics.summary)
        print("trace \(String(result.trace, radix: 16)) of \(result.traceEntries) entries")
        if !result.failures.isEmpty { throw ExitCode.failure }
    }

    /// Tells the parent of each seed before and after it, so that a seed that takes the process down is known.
    private func work() {
        for seed in first..<first + UInt64(seeds) {
            guard !radio || Simulation.hasRadio(seed: seed) else { continue }
            tell("begin \(seed)")
            let result = Simulation(seed: seed, sabotage: damage).run()
            for failure in result.failures { tell("failure \(seed) \(failure)") }
            tell("end \(seed) \(String(result.trace, radix: 16)) \(result.statistics.encoded)")
        }
    }

    /// At once, whatever becomes of this process.
    private func tell(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
