import Admin
import ArgumentParser
import Bridge
import NIOCore
import NIOPosix

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks the configuration, and with --dial the ways between bridge and server.",
        discussion: """
            Every problem of the configuration is printed with file, line, key, value and what is allowed. With --dial \
            the bridge's own listener and streams are used to talk to the server under each remote domain; the bridge must \
            not be running meanwhile.
            """)

    @OptionGroup var configuration: ConfigurationOption
    @Flag(help: "Dial the local server, prove the way there and back, and name what is missing.")
    var dial = false
    @Option(
        help: ArgumentHelp(
            "The DNS server that the local server asks; default: that of this machine.", valueName: "address[:port]"))
    var dns: String?
    @Option(help: ArgumentHelp("How long --dial waits for the answers.", valueName: "seconds"))
    var timeout = 20

    func validate() throws {
        if let dns, ResolverConfiguration.server(dns) == nil {
            throw ValidationError("--dns takes an address, with a port if it is not 53")
        }
        guard (1...600).contains(timeout) else { throw ValidationError("--timeout takes 1 to 600 seconds") }
    }

    func run() async throws {
        let site = try configuration.load()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let exitCode = await check(site, group)
        try await group.shutdownGracefully()
        guard exitCode == .success else { throw exitCode }
    }

    private func check(_ site: SiteConfiguration, _ group: MultiThreadedEventLoopGroup) async -> ExitCode {
        do throws(BridgeError) {
            try SiteFiles.check(site, on: group.next())
        } catch {
            Terminal.error("\(site.file): \(error.description)")
            return .configurationProblems
        }
        Terminal.output("\(site.file): no problems")
        for peer in site.peers where peer.transport.tcp?.security == .insecure {
            Terminal.output(
                "warning: the link to peer \"\(peer.name)\" has neither encryption nor authentication (insecure = true)"
            )
        }
        guard dial else { return .success }
        if await isRunning(site, group) {
            Terminal.output(
                "missing: the bridge of this configuration is running; stop it for this check, or ask it: skywave status"
            )
            return .dialProblems
        }
        let server = dns.flatMap { ResolverConfiguration.server($0) } ?? ResolverConfiguration.systemServer()
        let client = DNSClient(server: server, group: group)
        let findings = await DialCheck(site, on: group.next(), patience: .seconds(Int64(timeout))) { question in
            do throws(DNSClient.Failure) {
                return .success(try await client.ask(question))
            } catch {
                return .failure(error)
            }
        }.run()
        for finding in findings { Terminal.output(finding.description) }
        let missing = findings.count { $0.verdict == .missing }
        Terminal.output(missing == 0 ? "everything is in place" : "\(missing) missing")
        return missing == 0 ? .success : .dialProblems
    }

    /// Whether the daemon answers; its listener and its components would be in the way, and the check in the daemon's.
    private func isRunning(_ site: SiteConfiguration, _ group: MultiThreadedEventLoopGroup) async -> Bool {
        let client = AdminClient(socketPath: site.admin.socket, eventLoopGroup: group, timeout: .seconds(2))
        return (try? await client.get("/status")) != nil
    }
}
