import ArgumentParser
import Bridge
import ConfigurationText
import NIOCore
import NIOPosix
import TrafficRecording
import TrafficTap
import UnixSignals
import XMPP

struct Record: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Records the stanzas that pass between a server and its peer into a traffic file.",
        discussion: """
            Stands between a server and its peer or bridge: takes connections at --listen, opens one to --upstream \
            for each, and passes bytes on unchanged, both ways. Have the names of one side lead here for the time of \
            the recording. Servers dial each other, and so do a server and its bridge: for both directions give \
            --listen and --upstream twice, the first with the first and the second with the second.

            Only streams in the clear can be read. One that turns to TLS is passed on and a line says what to do \
            about it. Stanzas alone are recorded, in the canonical form that the bridge sends; negotiation is not. \
            Nothing that goes wrong with reading or with the file disturbs what passes.

            Every stanza belongs to a site by the domain of its own sender, whoever opened the connection: to `a` \
            when that is a domain of --site-a or lies below one, else to `b`.

            The recording ends with SIGINT or SIGTERM, and everything with it. At --max-bytes and after --duration \
            only the recording ends: streams pass on until a signal. After a crash the file can be read up to its \
            last whole stanza.

            The file holds what people wrote; it has mode 0600. With --redact all texts, names, addresses and ids \
            are replaced, word by word, by made-up ones of the same length and kind, always the same one for the \
            same word; the key is forgotten with the end. Markup, namespaces, times, languages and stanza sizes \
            stay. Who writes to whom, when and how much can still be seen, and so can lengths and repetitions of \
            words, by which known texts can be found again: treat such a file as confidential, too. Made-up words \
            compress less well, so what is measured with them is worse than the truth by some per cent (1 to 4 in \
            our own recordings). Rules that look for words, addresses or labels find others or none.

            docs/recording.md tells more.
            """)

    @Option(help: ArgumentHelp("Where to take connections; may be given several times.", valueName: "address:port"))
    var listen: [String]
    @Option(help: ArgumentHelp("Where to pass them on, once for each --listen.", valueName: "host:port"))
    var upstream: [String]
    @Option(
        help: ArgumentHelp("A domain of site a, with all below it; may be given several times.", valueName: "domain"))
    var siteA: [String]
    @Option(
        help: ArgumentHelp(
            "A domain of site b; only needed for one that lies below a domain of site a.", valueName: "domain"))
    var siteB: [String] = []
    @Option(name: .shortAndLong, help: ArgumentHelp("The traffic file to make.", valueName: "file"))
    var out: String
    @Flag(help: "Replace texts, names, addresses and ids.")
    var redact = false
    @Option(help: ArgumentHelp("End the recording before the file is larger, as in 64MiB.", valueName: "size"))
    var maxBytes: String?
    @Option(help: ArgumentHelp("End the recording after this time, as in 90s, 5m or 24h.", valueName: "time"))
    var duration: String?
    @Flag(help: "Replace the file if it exists.")
    var force = false

    func validate() throws {
        _ = try tapConfiguration()
    }

    func run() async throws {
        let configuration = try tapConfiguration()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        // Before anything is there to be left unfinished.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        do {
            let tap = try await RunningTap.start(configuration, on: group.next()) {
                Terminal.error("skywave record: \($0)")
            }
            for (address, way) in zip(tap.addresses, configuration.ways) {
                let here = Endpoint(host: address.ipAddress ?? way.listenHost, port: address.port ?? way.listenPort)
                let there = Endpoint(host: way.upstreamHost, port: way.upstreamPort)
                Terminal.error("skywave record: from \(here) to \(there), into \(out)")
            }
            for await _ in signals { break }
            let summary = try await tap.stop()
            try await group.shutdownGracefully()
            try report(summary)
        } catch let failure as TrafficFile.Failure {
            Terminal.error("\(out): \(failure)")
            throw ExitCode.failure
        } catch let failure as IOError {
            Terminal.error("cannot listen at \(listen.joined(separator: " and ")): \(NetworkFailure.describe(failure))")
            throw ExitCode.failure
        }
    }

    private func report(_ summary: TapSummary) throws {
        let counts = summary.counts
        Terminal.output(
            "\(out): \(counts.recorded) stanzas (a \(counts.a), b \(counts.b)), \(summary.bytes) bytes, \(summary.ending)"
        )
        Terminal.output("connections: \(summary.connections), of them not read to the end: \(summary.unreadable)")
        for (count, what) in [
            (counts.tooLarge, "too large"), (counts.senderless, "without a sender"),
            (counts.unredactable, "impossible to redact"),
        ] where count > 0 { Terminal.output("not recorded: \(count) \(what)") }
        if counts.recorded > 0, counts.a == 0 || counts.b == 0 {
            Terminal.output(
                "all stanzas are from one site. Either only one direction passes through here, or --site-a is not right"
            )
        }
        if case .file = summary.ending { throw ExitCode.failure }
    }

    private func tapConfiguration() throws -> TapConfiguration {
        guard listen.count == upstream.count else {
            throw ValidationError("as many --upstream are needed as there are --listen")
        }
        let ways = try zip(listen, upstream).map { listen, upstream in
            guard let near = Endpoint(listen), near.isAddress else {
                throw ValidationError("--listen wants an address and a port, as in 10.7.0.3:5269, not \(listen)")
            }
            guard let far = Endpoint(upstream), far.port > 0 else {
                throw ValidationError("--upstream wants a host and a port, as in 10.7.0.1:5269, not \(upstream)")
            }
            return TapConfiguration.Way(
                listenHost: near.host, listenPort: near.port, upstreamHost: far.host, upstreamPort: far.port)
        }
        let sites = SiteAssignment(a: try domains(siteA, "--site-a"), b: try domains(siteB, "--site-b"))
        var configuration = TapConfiguration(ways: ways, sites: sites, path: out)
        configuration.replaces = force
        if redact {
            var random = SystemRandomNumberGenerator()
            configuration.redactionKey = (random.next(), random.next())
        }
        if let maxBytes {
            guard let size = ConfigurationUnits.size(maxBytes), size >= 1_024 else {
                throw ValidationError("--max-bytes wants 1KiB or more: \(ConfigurationUnits.sizeForm)")
            }
            configuration.maximumBytes = size
        }
        if let duration {
            guard let time = ConfigurationUnits.duration(duration), time > .zero else {
                throw ValidationError("--duration wants \(ConfigurationUnits.durationForm)")
            }
            configuration.duration = time
        }
        return configuration
    }

    private func domains(_ names: [String], _ option: String) throws -> [Domain] {
        try names.map { name in
            guard let domain = Domain(name) else { throw ValidationError("\(option): \(name) is no domain") }
            return domain
        }
    }
}
