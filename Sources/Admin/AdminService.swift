import Hummingbird
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
import ServiceLifecycle

/// The control endpoint: HTTP on a Unix socket that only the daemon's own user can open (mode 0600).
///
/// It runs until its service group shuts down gracefully, and removes its socket when it ends.
package struct AdminService: Service {
    private let socket: ControlSocket
    private let responder: AdminResponder
    private let group: any EventLoopGroup
    private let logger: Logger
    private let onReady: @Sendable () async -> Void

    /// - Parameters:
    ///   - socketPath: where the socket is put; a stale socket there is replaced.
    ///   - onReady: called once the socket is in place.
    package init(
        socketPath: String, routes: [AdminRoute], eventLoopGroup: any EventLoopGroup, logger: Logger,
        onReady: @escaping @Sendable () async -> Void = {}
    ) {
        socket = ControlSocket(path: socketPath)
        responder = AdminResponder(routes: routes, gate: .owner, logger: logger)
        group = eventLoopGroup
        self.logger = logger
        self.onReady = onReady
    }

    /// - Throws: ``AdminError`` when the socket cannot be offered.
    package func run() async throws {
        try await socket.prepare(on: group)
        let failure = NIOLockedValueBox<(any Error)?>(nil)
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)  // the framework announces each start and stop by itself
        let application = Application(
            router: responder.router(),
            server: .http1(configuration: .init(idleTimeout: .seconds(30))),
            configuration: .init(address: .unixDomainSocket(path: socket.temporaryPath), serverName: nil),
            onServerRunning: { channel in
                do {
                    try socket.publish()
                    logger.info("control endpoint ready", metadata: ["socket": "\(socket.path)"])
                    await onReady()
                } catch {
                    failure.withLockedValue { $0 = error }
                    try? await channel.close()
                }
            },
            eventLoopGroupProvider: .shared(group),
            logger: quiet)
        do {
            try await application.run()
        } catch {
            socket.discard()
            throw failure.withLockedValue { $0 } ?? error
        }
        if let error = failure.withLockedValue({ $0 }) { throw error }
        socket.remove()
    }
}
