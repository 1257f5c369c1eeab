package import NIOCore
import NIOPosix
package import STANAG5066

/// TCP connections to a STANAG 5066 node, one at a time, for whoever has a machine that decides.
///
/// A connection is read at all times: a client that throttles its node may be cut off (STANAG 5066 Ed. 3 §A.2.1.14). A node
/// that lost its power says nothing of it, and a client that only listens would never find out, so TCP asks every minute
/// whether the other end still knows the connection. Confined to its event loop.
package final class SISSocket {
    /// Where a node listens for clients; mostly on port 5066.
    package struct Node: Hashable, Sendable, CustomStringConvertible {
        package var host: String
        package var port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }

        package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    package enum Event {
        case connected(SISConnectionID)
        case failed
        case bytes(SISConnectionID, ByteBuffer)
        case closed(SISConnectionID)
    }

    package let node: Node
    package var onEvent: ((Event) -> Void)?
    /// Bytes of all connections.
    package private(set) var bytesReceived: UInt64 = 0
    package private(set) var bytesSent: UInt64 = 0

    private let eventLoop: any EventLoop
    private let timeout: TimeAmount
    private(set) var channel: (any Channel)?
    private var current: SISConnectionID?
    private var nextNumber: UInt64 = 1
    /// Counts dials: what an abandoned one brings is of no interest.
    private var dials: UInt64 = 0

    /// - Parameter timeout: for opening a connection.
    package init(_ node: Node, timeout: TimeAmount, eventLoop: any EventLoop) {
        self.node = node
        self.timeout = timeout
        self.eventLoop = eventLoop
    }

    package func dial() {
        dials += 1
        let dial = dials
        let id = SISConnectionID(nextNumber)
        nextNumber += 1
        let handler = NIOLoopBound(Handler(id, self), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.init(rawValue: KeepAlive.tcpIdle)), value: KeepAlive.idleSeconds)
            .channelOption(.tcpOption(.init(rawValue: KeepAlive.tcpInterval)), value: KeepAlive.intervalSeconds)
            .channelOption(.tcpOption(.init(rawValue: KeepAlive.tcpCount)), value: KeepAlive.count)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
            }
            .connect(host: node.host, port: node.port)
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    guard self.dials == dial else { return channel.close(promise: nil) }
                    self.channel = channel
                    self.current = id
                    self.onEvent?(.connected(id))
                    // What came before anybody listened for it.
                    handler.value.open()
                case .failure:
                    guard self.dials == dial else { return }
                    self.onEvent?(.failed)
                }
            }
    }

    package func abandonDial() { dials += 1 }

    /// Takes effect with ``flush()``.
    package func write(_ id: SISConnectionID, _ primitive: SISPrimitive) {
        guard id == current, let channel else { return }
        var bytes = ByteBuffer()
        primitive.encode(into: &bytes)
        bytesSent += UInt64(bytes.readableBytes)
        channel.write(bytes, promise: nil)
    }

    package func flush() { channel?.flush() }

    package func close(_ id: SISConnectionID) {
        guard id == current else { return }
        channel?.flush()
        channel?.close(promise: nil)
    }

    private func received(_ id: SISConnectionID, _ bytes: ByteBuffer) {
        guard id == current else { return }
        bytesReceived += UInt64(bytes.readableBytes)
        onEvent?(.bytes(id, bytes))
    }

    private func closed(_ id: SISConnectionID) {
        guard id == current else { return }
        channel = nil
        current = nil
        onEvent?(.closed(id))
    }

    /// Bytes of one connection, as they come.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let id: SISConnectionID
        private weak var socket: SISSocket?
        private var isOpen = false
        private var early = ByteBuffer()
        private var isClosed = false

        init(_ id: SISConnectionID, _ socket: SISSocket) {
            self.id = id
            self.socket = socket
        }

        func open() {
            isOpen = true
            if early.readableBytes > 0 { socket?.received(id, early) }
            early = ByteBuffer()
            if isClosed { socket?.closed(id) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            if isOpen { socket?.received(id, bytes) } else { early.writeBuffer(&bytes) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            isClosed = true
            if isOpen { socket?.closed(id) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// Two minutes after the last word a node that is gone is known to be. All of it stays on the local network.
private enum KeepAlive {
    /// TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT of Linux.
    static let tcpIdle: CInt = 4
    static let tcpInterval: CInt = 5
    static let tcpCount: CInt = 6

    static let idleSeconds = 60
    static let intervalSeconds = 15
    static let count = 4
}
