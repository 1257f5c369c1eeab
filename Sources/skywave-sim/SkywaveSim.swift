import ArgumentParser

/// `skywave-sim`: links, sites and their faults on a desk.
@main
struct SkywaveSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skywave-sim", abstract: "Simulates sites, links and what goes wrong between them.",
        subcommands: [Soak.self, NodeCommand.self, ValidateCommand.self])
}
