import ArgumentParser
import Foundation

/// Measures the pieces of the data path on this machine. Exits 0 whatever the figures: they are to be read, not obeyed.
@main
struct SkywaveBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skywave-bench", abstract: "Measures the pieces of the data path on this machine.")

    @Argument(help: "Benches to run: parse, outbound, idle. All when none is named.")
    var names: [Bench] = []

    enum Bench: String, ExpressibleByArgument, CaseIterable {
        case idle, parse
    }

    func run() {
        print("machine: \(ProcessInfo.processInfo.activeProcessorCount) cores")
        let chosen = names.isEmpty ? Bench.allCases : names
        if chosen.contains(.parse) {
            ParseBench.run(.generated(), isMain: true)
            for corpus in Corpus.recorded() { ParseBench.run(corpus, isMain: false) }
        }
    }
}
