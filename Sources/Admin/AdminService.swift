import Hummingbird
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
import ServiceLifecycle

/// One thing that can be asked of the control endpoint.
package struct AdminRoute: Sendable {
    /// Absolute path, for example `/status`.
    package var path: String
    package var contentType: String
    /// Makes the answer; an error thrown here is logged and answered with 500 without its details.
    package var body: @Sendable () async throws -> [UInt8]

    package init(
        path: String, contentType: String = "application/json", body: @escaping @Sendable () async throws -> [UInt8]
    ) {
        self.path = path
        self.contentType = contentType
        self.body = body
    }

    /// `GET /status`: the state of the site as JSON.
    package static func status(_ body: @escaping @Sendable () async throws -> [UInt8]) -> AdminRoute {
        AdminRoute(path: "/status", body: body)
    }
}

/// The control endpoint: HTTP on a Unix socket that only the daemon's own user can open (mode 0600).
///
/// It runs until its service group shuts down gracefully, and removes its socket when it ends.
package struct AdminService: Service {
    private let socket: ControlSocket
    private let routes: [AdminRoute]
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
        self.routes = routes
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
            router: router(),
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

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        for route in routes {
            router.get(RouterPath(route.path)) { _, _ in
                do {
                    let body = ByteBuffer(bytes: try await route.body())
                    return Response(
                        status: .ok, headers: [.contentType: route.contentType], body: .init(byteBuffer: body))
                } catch {
                    logger.error("control request failed", metadata: ["path": "\(route.path)", "error": "\(error)"])
                    return Response(status: .internalServerError)
                }
            }
        }
        return router
    }
}
