import ArgumentParser
import Foundation
import SampleTraffic

/// Measures the pieces of the data path on this machine. Exits 0 whatever the figures: they are to be read, not obeyed.
@main
struct SkywaveBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skywave-bench", abstract: "Measures the pieces of the data path on this machine.")

    @Argument(
        help: """
            Benches to run: idle, presence, parse, profiles, outbound, outbound-hf, link, durable. All when none is \
            named.
            """)
    var names: [Bench] = []

    @Flag(help: "Leave the recorded files out.")
    var onlyGenerated = false

    @Option(help: "Measured runs per figure; one figure is their median.")
    var runs = 9

    @Option(help: "Instead of measuring, print so many generated stanzas, one per line.")
    var sample: Int?

    enum Bench: String, ExpressibleByArgument, CaseIterable {
        case idle, presence, parse, profiles, outbound, link, durable
        case outboundHF = "outbound-hf"
    }

    func validate() throws {
        guard runs > 0, (sample ?? 1) > 0 else { throw ValidationError("runs and sample must be positive") }
    }

    func run() {
        if let sample {
            var generator = TrafficGenerator(seed: 2)
            for _ in 0..<sample { print(generator.next().xml) }
            return
        }
        print("machine: \(ProcessInfo.processInfo.activeProcessorCount) cores")
        let chosen = names.isEmpty ? Bench.allCases : names
        // First, while the heap is small: what it measures is the growth of the process.
        if chosen.contains(.idle) { IdleBench.run() }
        if chosen.contains(.presence) { PresenceBench.run(runs) }
        let corpora = [Corpus.generated()] + (onlyGenerated ? [] : Corpus.recorded())
        for corpus in corpora where chosen.contains(.parse) {
            ExpatBench.run(corpus, runs: runs)
            ParseBench.run(corpus, runs: runs, isMain: corpus.name.isEmpty)
        }
        if chosen.contains(.profiles) { ProfileBench.run(runs: runs) }
        for corpus in corpora where chosen.contains(.outbound) {
            DeflateBench.run(corpus, runs: runs)
            OutboundBench.run(corpus, runs: runs, isMain: corpus.name.isEmpty)
        }
        for corpus in corpora where chosen.contains(.outboundHF) { OutboundBench.runNarrow(corpus, runs: runs) }
        if chosen.contains(.link) { LinkBench.run() }
        if chosen.contains(.durable) { DurableBench.run(.generated(), runs: runs) }
    }
}
