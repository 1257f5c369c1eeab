package import Logging
package import NIOCore
import ServiceLifecycle

/// The daemon as a lifecycle service: starts the site, says when it is ready, and ends it in good order when asked.
package struct BridgeService: Service {
    private let configuration: SiteConfiguration
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let notifier: SystemdNotifier
    private let onReady: @Sendable (RunningSite) -> Void

    /// How long closing in good order may take before what is left is cut.
    package static let shutdownPatience = TimeAmount.seconds(10)

    /// - Parameter onReady: called once the site is up, before systemd is told.
    package init(
        _ configuration: SiteConfiguration, on eventLoop: any EventLoop, logger: Logger, notifier: SystemdNotifier,
        onReady: @escaping @Sendable (RunningSite) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.notifier = notifier
        self.onReady = onReady
    }

    package func run() async throws {
        let site = try await RunningSite.start(configuration, on: eventLoop, logger: logger)
        onReady(site)
        logger.notice(
            "ready",
            metadata: [
                "version": "\(BridgeVersion.current)", "peers": "\(configuration.peers.count)",
                "listen": "\(configuration.listen.map(\.description).joined(separator: " "))",
                "server": "\(configuration.server)",
            ])
        notifier.ready(status: "\(configuration.peers.count) peers")
        // Cancelled as well as shut down gracefully, the site is ended in the same way.
        try? await gracefulShutdown()
        notifier.stopping()
        logger.notice("shutting down")
        await site.stop(within: BridgeService.shutdownPatience)
        logger.notice("stopped")
    }
}
