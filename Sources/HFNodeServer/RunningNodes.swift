import Glibc
import HFNode
package import LinkCatalogue
package import NIOCore
import NIOPosix
package import RadioSimulator
package import STANAG5066

/// Two nodes that run behind their ports; usable from any thread.
package final class RunningNodes: Sendable {
    package struct Settings: Sendable {
        package var link: RadioLink
        /// Where clients of the first and of the second node connect; port 0 for any that is free.
        package var places: [(host: String, port: Int)] = [("127.0.0.1", 5066), ("127.0.0.1", 5067)]
        package var addresses = RadioNodes.standardAddresses
        package var speed = 1.0
        package var seed: UInt64?
        package var capturePath: String?
        /// Nanoseconds since 1970 at the start, for the capture.
        package var origin: UInt64 = 0

        package init(link: RadioLink) { self.link = link }
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let server: NIOLoopBound<HFNodeServer>
    private let eventLoop: any EventLoop
    /// Where the nodes listen.
    package let addresses: [SocketAddress]
    private let settings: Settings

    private init(
        _ server: NIOLoopBound<HFNodeServer>, eventLoop: any EventLoop, addresses: [SocketAddress], settings: Settings
    ) {
        self.server = server
        self.eventLoop = eventLoop
        self.addresses = addresses
        self.settings = settings
    }

    /// - Parameter onEvent: what happens, and when since the start; called on the event loop.
    package static func start(
        _ settings: Settings, onEvent: (@Sendable (RadioNodesEvent, TimeAmount) -> Void)? = nil
    ) async throws -> RunningNodes {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let server = try await eventLoop.submit {
            let file = try settings.capturePath.map { try CaptureFile(path: $0) }
            let start = VirtualRadio.standardStart
            let clock = SimulatedClock(start: start, wallStart: .now(), speed: settings.speed)
            let nodes = RadioNodes(
                link: settings.link, addresses: (settings.addresses[0], settings.addresses[1]), seed: settings.seed,
                start: start)
            let server = HFNodeServer(
                nodes, clock: clock, eventLoop: eventLoop, file: file, origin: settings.origin, onEvent: onEvent)
            server.drive()
            return NIOLoopBound(server, eventLoop: eventLoop)
        }.get()
        var addresses: [SocketAddress] = []
        for side in HFNodeSide.allCases {
            let place = settings.places[side.rawValue]
            do {
                let address = try await eventLoop.flatSubmit {
                    server.value.listen(side, host: place.host, port: place.port)
                }.get()
                addresses.append(address)
            } catch {
                try? await eventLoop.flatSubmit { server.value.stop() }.get()
                let reason = (error as? IOError).map { unsafe String(cString: strerror($0.errnoCode)) } ?? "\(error)"
                throw Failure(
                    description: "cannot listen at \(place.host):\(place.port): \(reason); choose a free port and an "
                        + "address of this machine")
            }
        }
        return RunningNodes(server, eventLoop: eventLoop, addresses: addresses, settings: settings)
    }

    /// What happened until now, and the time since the start.
    package func statistics() async throws -> (RadioNodesStatistics, TimeAmount) {
        try await eventLoop.submit { [server] in
            (server.value.statistics, server.value.now - server.value.clock.start)
        }.get()
    }

    /// Lets whoever operates nodes and link act.
    package func act(_ body: @escaping @Sendable (inout RadioNodes, NIODeadline) -> Void) async throws {
        try await eventLoop.submit { [server] in server.value.act(body) }.get()
    }

    /// - Returns: why the capture is not whole, if it is not.
    @discardableResult
    package func stop() async throws -> CaptureFile.Failure? {
        try await eventLoop.flatSubmit { [server] in server.value.stop() }.get()
        return try await eventLoop.submit { [server] in server.value.captureFailure }.get()
    }

    // MARK: Self test

    /// What came of a self test.
    package struct SelfTest: Sendable {
        package let isSuccess: Bool
        package let outcomes: [SampleExchange.Outcome]
        package let duration: TimeAmount
    }

    private final class Exchange {
        let exchange: SampleExchange
        var clients: [SocketClient] = []
        var done: EventLoopPromise<Void>?
        init(_ exchange: SampleExchange) { self.exchange = exchange }
    }

    /// Two clients over TCP exchange sample traffic.
    ///
    /// - Parameters:
    ///   - units: from each side.
    ///   - limit: what has not arrived then, in the time of the nodes, counts as lost.
    package func runSelfTest(units: Int, limit: TimeAmount) async throws -> SelfTest {
        let (server, settings, addresses, eventLoop) = (server, settings, addresses, eventLoop)
        let promise = eventLoop.makePromise(of: Void.self)
        let held = try await eventLoop.submit {
            let exchange = Exchange(
                SampleExchange(
                    units: units, longest: settings.link.clients.maximumUnit, addresses: settings.addresses,
                    seed: settings.seed ?? settings.link.seed))
            exchange.done = promise
            let clock = server.value.clock
            for side in HFNodeSide.allCases {
                let client = SocketClient(
                    SampleExchange.configuration, address: addresses[side.rawValue], clock: clock, eventLoop: eventLoop,
                    seed: UInt64(side.rawValue) + 1
                ) { [weak exchange] action, now in
                    guard let exchange else { return }
                    exchange.exchange.clientActed(side, action, now: now)
                    guard exchange.exchange.isOver else { return }
                    exchange.done?.succeed()
                    exchange.done = nil
                }
                exchange.clients.append(client)
                exchange.exchange.joined(side, client)
            }
            for client in exchange.clients { client.start() }
            let end = clock.wall(at: clock.time(at: .now()) + limit)
            eventLoop.assumeIsolated().scheduleTask(deadline: end) {
                exchange.done?.succeed()
                exchange.done = nil
            }
            return NIOLoopBound(exchange, eventLoop: eventLoop)
        }.get()
        try await promise.futureResult.get()
        return try await eventLoop.submit {
            let exchange = held.value
            for client in exchange.clients { client.stop() }
            server.value.drive()
            return SelfTest(
                isSuccess: exchange.exchange.isSuccess,
                outcomes: HFNodeSide.allCases.map { exchange.exchange.outcome(from: $0) },
                duration: server.value.now - server.value.clock.start)
        }.get()
    }
}
