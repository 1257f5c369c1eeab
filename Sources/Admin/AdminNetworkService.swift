import Hummingbird
import HummingbirdCore
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
import ServiceLifecycle

/// The control endpoint on a TCP address, for a metrics collector: HTTP without encryption.
///
/// On a loopback address it answers metrics and health to everybody on the machine. Everything else, and every other
/// address, demands the token.
package struct AdminNetworkService: Service {
    private let host: String
    private let port: Int
    private let responder: AdminResponder
    private let group: any EventLoopGroup
    private let logger: Logger
    private let onReady: @Sendable (SocketAddress?) async -> Void

    /// More connections wait in the kernel.
    private static let maximumConnections = 32

    /// - Parameter token: nil only for a loopback address.
    /// - Throws: ``AdminError`` `.tokenMissing` for any other address without one.
    package init(
        host: String, port: Int, token: AdminToken?, routes: [AdminRoute], eventLoopGroup: any EventLoopGroup,
        logger: Logger, onReady: @escaping @Sendable (SocketAddress?) async -> Void = { _ in }
    ) throws(AdminError) {
        guard token != nil || Self.isLoopback(host) else {
            throw AdminError(
                .tokenMissing, address: "\(host):\(port)",
                "not a loopback address and no token; set [admin] token-file, or listen at 127.0.0.1")
        }
        self.host = host
        self.port = port
        responder = AdminResponder(routes: routes, gate: token.map { .token($0) } ?? .everybodyHere, logger: logger)
        group = eventLoopGroup
        self.logger = logger
        self.onReady = onReady
    }

    /// Whether only this machine can reach the address.
    package static func isLoopback(_ host: String) -> Bool {
        guard let address = try? SocketAddress(ipAddress: host, port: 0) else { return false }
        return switch address {
        case .v4: address.ipAddress?.hasPrefix("127.") == true
        case .v6: address.ipAddress == "::1"
        case .unixDomainSocket: false
        }
    }

    /// - Throws: ``AdminError`` `.cannotListen` when the address cannot be had.
    package func run() async throws {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let isUp = NIOLockedValueBox(false)
        let application = Application(
            router: responder.router(),
            server: .http1(configuration: .init(idleTimeout: .seconds(30))),
            configuration: .init(
                address: .hostname(host, port: port), serverName: nil,
                availableConnectionsDelegate: MaximumAvailableConnections(Self.maximumConnections)),
            onServerRunning: { channel in
                isUp.withLockedValue { $0 = true }
                let address = channel.localAddress
                logger.info("admin address ready", metadata: ["listen": "\(address?.description ?? "\(host):\(port)")"])
                await onReady(address)
            },
            eventLoopGroupProvider: .shared(group),
            logger: quiet)
        do {
            try await application.run()
        } catch where !isUp.withLockedValue({ $0 }) {
            throw AdminError(
                .cannotListen, address: "\(host):\(port)",
                "\(error); choose a free port and an address of this machine for [admin] listen")
        }
    }
}
