import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport

/// A TCP connection that sends what the test wants and remembers what came.
final class RawPeer: Sendable {
    struct Memory {
        var bytes: [UInt8] = []
        var isClosed = false
    }

    let channel: any Channel
    private let memory: NIOLockedValueBox<Memory>

    private init(channel: any Channel, memory: NIOLockedValueBox<Memory>) {
        self.channel = channel
        self.memory = memory
    }

    static func dial(_ host: String, _ port: Int, from source: String, reads: Bool = true) async throws -> RawPeer {
        let memory = NIOLockedValueBox(Memory())
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: try SocketAddress(ipAddress: source, port: 0))
            .channelOption(.autoRead, value: reads)
            .channelInitializer { $0.pipeline.addHandler(Collector(memory)) }
            .connect(host: host, port: port).get()
        return RawPeer(channel: channel, memory: memory)
    }

    /// Listens, and gives every accepted connection to `body`.
    static func listen(
        _ host: String, port: Int = 0, reads: Bool = true, _ body: @escaping @Sendable (RawPeer) -> Void
    ) async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: reads)
            .childChannelInitializer { channel in
                let memory = NIOLockedValueBox(Memory())
                return channel.pipeline.addHandler(Collector(memory)).map {
                    body(RawPeer(channel: channel, memory: memory))
                }
            }
            .bind(host: host, port: port).get()
    }

    var text: String { String(decoding: memory.withLockedValue { $0.bytes }, as: UTF8.self) }
    var bytes: [UInt8] { memory.withLockedValue { $0.bytes } }
    var byteCount: Int { memory.withLockedValue { $0.bytes.count } }
    var isClosed: Bool { memory.withLockedValue { $0.isClosed } }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    func send(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    func waitFor(_ part: String) async throws {
        try await eventually("“\(part)” in what came") { self.text.contains(part) }
    }

    func waitUntilClosed() async throws {
        try await eventually("the end of the connection") { self.isClosed }
    }

    func close() async throws {
        try? await channel.close()
    }

    private final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let memory: NIOLockedValueBox<Memory>

        init(_ memory: NIOLockedValueBox<Memory>) {
            self.memory = memory
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            memory.withLockedValue { $0.bytes.append(contentsOf: bytes.readableBytesView) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            memory.withLockedValue { $0.isClosed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}

/// A relay that remembers which side spoke when: each change of direction is a flight.
final class FlightRelay: Sendable {
    struct Flight: Equatable {
        /// True for bytes from the side that dialled.
        var fromDialler: Bool
        var bytes: Int
    }

    let server: any Channel
    private let log: NIOLockedValueBox<[Flight]>

    private init(server: any Channel, log: NIOLockedValueBox<[Flight]>) {
        self.server = server
        self.log = log
    }

    static func start(at host: String, towards remote: (host: String, port: Int)) async throws -> FlightRelay {
        let log = NIOLockedValueBox<[Flight]>([])
        let source = try SocketAddress(ipAddress: host, port: 0)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { inbound in
                ClientBootstrap(group: inbound.eventLoop)
                    .channelOption(.autoRead, value: false)
                    .bind(to: source)
                    .connect(host: remote.host, port: remote.port)
                    .flatMap { outbound in
                        inbound.pipeline.addHandler(Forwarder(to: outbound, fromDialler: true, log: log))
                            .and(outbound.pipeline.addHandler(Forwarder(to: inbound, fromDialler: false, log: log)))
                            .map { _ in
                                outbound.setOption(.autoRead, value: true).whenFailure { _ in
                                    inbound.close(promise: nil)
                                }
                            }
                    }
            }
            .bind(host: host, port: 0).get()
        return FlightRelay(server: server, log: log)
    }

    var port: Int { server.localAddress?.port ?? 0 }
    /// Consecutive chunks of one side are one flight.
    var flights: [Flight] { log.withLockedValue { $0 } }
    var bytes: Int { flights.reduce(0) { $0 + $1.bytes } }

    private final class Forwarder: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let other: any Channel
        private let fromDialler: Bool
        private let log: NIOLockedValueBox<[Flight]>

        init(to other: any Channel, fromDialler: Bool, log: NIOLockedValueBox<[Flight]>) {
            self.other = other
            self.fromDialler = fromDialler
            self.log = log
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            log.withLockedValue { log in
                if log.last?.fromDialler == fromDialler {
                    log[log.count - 1].bytes += bytes.readableBytes
                } else {
                    log.append(Flight(fromDialler: fromDialler, bytes: bytes.readableBytes))
                }
            }
            other.writeAndFlush(bytes, promise: nil)
        }

        func channelActive(context: ChannelHandlerContext) {
            // The accepted side is read when the other is there, which it is by the time that this one becomes active.
            context.channel.setOption(.autoRead, value: true).whenFailure { _ in self.other.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            other.close(promise: nil)
        }
    }
}
