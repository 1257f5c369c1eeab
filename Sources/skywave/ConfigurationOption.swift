import ArgumentParser
import Bridge
import ConfigurationText

/// `--config FILE`, shared by the commands that need a site.
struct ConfigurationOption: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("The configuration file of the site.", valueName: "file"))
    var config = "/etc/skywave/skywave.toml"

    /// Reads the file or ends the program with every problem on standard error.
    func load() throws -> SiteConfiguration {
        do throws(ConfigurationProblems) {
            return try SiteConfiguration.load(file: config)
        } catch {
            Terminal.error(error.description)
            let count = error.problems.count
            Terminal.error("\(count) problem\(count == 1 ? "" : "s") in \(config)")
            throw ExitCode.configurationProblems
        }
    }
}
