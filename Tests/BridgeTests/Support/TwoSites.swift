import Bridge
import Logging
import NIOCore
import NIOPosix
import TestSupport
import Transports

/// Two sites in one process, joined by a real link over loopback: alpha.example, whose bridge dials, and bravo.example.
struct TwoSites {
    var alpha: MiniServer
    var bravo: MiniServer
    var alphaBridge: RunningSite
    var bravoBridge: RunningSite
    var group: MultiThreadedEventLoopGroup
    /// Holds the files of both sites.
    var directory: String
    /// The text of alpha's configuration.
    var alphaText: String

    /// - Parameters:
    ///   - site: lines for both tables `[site]`.
    ///   - peer: lines for both tables `[[peer]]` after `[peer.transport]`.
    ///   - dialect: of the link.
    ///   - journal: mode of both journals.
    static func with(
        site: String = "", peer: String = "", dialect: String = "xep", journal: String = "off",
        logger: Logger = Logger(label: "test") { StderrLogHandler(label: $0, level: .warning, format: .text) },
        _ body: (TwoSites) async throws -> Void
    ) async throws {
        let site = "journal = { mode = \"\(journal)\" }\n" + site
        try await TemporaryDirectory.with { directory in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let alpha = try await MiniServer.start(on: group)
            let bravo = try await MiniServer.start(on: group)
            let bravoBridge = try await RunningSite.start(
                configuration(
                    "bravo", "alpha", bravo.port, directory, site, dialect, "listen = \"127.0.0.1:0\"\n" + peer),
                on: group.next(), logger: logger)
            let port = bravoBridge.linkAddresses.first?.port ?? 0
            let alphaText = text(
                "alpha", "bravo", alpha.port, directory, site, dialect, "connect = \"127.0.0.1:\(port)\"\n" + peer)
            let alphaBridge = try await RunningSite.start(
                SiteConfiguration.parse(alphaText, file: "\(directory)/alpha.toml"),
                on: group.next(), logger: logger)
            if let address = alphaBridge.localAddresses.first { alpha.connect(to: address) }
            if let address = bravoBridge.localAddresses.first { bravo.connect(to: address) }
            let sites = TwoSites(
                alpha: alpha, bravo: bravo, alphaBridge: alphaBridge, bravoBridge: bravoBridge, group: group,
                directory: directory, alphaText: alphaText)
            let result: Result<Void, any Error>
            do {
                try await body(sites)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await alphaBridge.stop(within: .seconds(3))
            await bravoBridge.stop(within: .seconds(3))
            await alpha.stop()
            await bravo.stop()
            try await group.shutdownGracefully()
            try result.get()
        }
    }

    static func configuration(
        _ name: String, _ other: String, _ server: Int, _ directory: String, _ site: String,
        _ dialect: String, _ transport: String, localPort: Int = 0
    ) throws -> SiteConfiguration {
        try SiteConfiguration.parse(
            text(name, other, server, directory, site, dialect, transport, localPort: localPort),
            file: "\(directory)/\(name).toml")
    }

    static func text(
        _ name: String, _ other: String, _ server: Int, _ directory: String, _ site: String,
        _ dialect: String, _ transport: String, localPort: Int = 0
    ) -> String {
        """
        [site]
        domains = ["\(name).example", "conference.\(name).example"]
        rooms = ["conference.\(name).example"]
        server = { host = "127.0.0.1", port = \(server) }
        listen = "127.0.0.1:\(localPort)"
        state = "\(directory)/\(name)"
        tls = { mode = "off" }
        \(site)
        [[peer]]
        name = "\(other)"
        domains = ["\(other).example", "*.\(other).example"]
        dialect = "\(dialect)"
        [peer.transport]
        kind = "tcp"
        insecure = true
        addresses = ["127.0.0.0/8"]
        reconnect = { min = "10ms", max = "100ms" }
        \(transport)
        """
    }

    /// Waits until the link is up at both ends.
    func linked() async throws {
        try await eventually("the link is up") {
            for bridge in [alphaBridge, bravoBridge] {
                guard try await bridge.status().peers.allSatisfy({ $0.link.state == .connected }) else { return false }
            }
            return true
        }
    }
}
