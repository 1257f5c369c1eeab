import Admin
import ArgumentParser
import Bridge
import Glibc
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import UnixSignals

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the bridge until SIGTERM or SIGINT.",
        discussion: """
            On either signal the bridge makes durable what it has taken on, closes its streams and links and exits with 0. \
            On SIGHUP it reads the configuration again and takes on what a running bridge can: queues, classes, lifetimes, \
            holds; the log names what needs a restart. Under systemd use Type=notify; docs/skywave.service is a unit file.
            """)

    @OptionGroup var configuration: ConfigurationOption

    func run() async throws {
        let site = try configuration.load()
        let log = site.log
        LoggingSystem.bootstrap { StderrLogHandler(label: $0, level: log.level, format: log.format) }
        let logger = Logger(label: "skywave")
        // Until somebody listens: a terminal that goes away must not take the link with it.
        signal(SIGHUP, SIG_IGN)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            // The control socket lies there too, unless the configuration says otherwise.
            try StateDirectory(site.state)
            let running = RunningSiteBox()
            let bridge = BridgeService(
                site, on: group.next(), logger: logger, notifier: .fromEnvironment(), onReady: { running.site = $0 })
            let routes = AdminRoutes.all(running, file: site.file, logger: logger)
            let admin = AdminService(
                socketPath: site.admin.socket, routes: routes, eventLoopGroup: group, logger: logger)
            let reload = ReloadService(site: running, file: site.file, logger: logger)
            var services: [any Service] = [admin, reload]
            if let listen = site.admin.listen {
                let token = try site.admin.tokenFile.map { try AdminConfiguration.readToken($0).get() }
                services.append(
                    try AdminNetworkService(
                        host: listen.host, port: listen.port, token: token.flatMap { AdminToken($0) }, routes: routes,
                        eventLoopGroup: group, logger: logger))
            }
            // What the group says below that level is about the code and not about the site.
            var quiet = logger
            quiet.logLevel = max(logger.logLevel, .info)
            // Services end in the reverse order: the bridge first, while its status can still be asked for.
            var configuration = ServiceGroupConfiguration(
                services: services + [bridge], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
            configuration.maximumGracefulShutdownDuration = .seconds(20)
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            logger.critical("\(error)")
            try? await group.shutdownGracefully()
            throw ExitCode.failure
        }
        try await group.shutdownGracefully()
    }
}
