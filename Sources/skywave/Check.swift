import ArgumentParser
import Bridge

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks the configuration and the files that it names.",
        discussion: "Every problem is printed with file, line, key, value and what is allowed.")

    @OptionGroup var configuration: ConfigurationOption

    func run() async throws {
        let site = try configuration.load()
        Terminal.output("\(site.file): no problems")
        for peer in site.peers where peer.transport.security == .insecure {
            Terminal.output(
                "warning: the link to peer \"\(peer.name)\" has neither encryption nor authentication (insecure = true)")
        }
    }
}
