package import Logging
package import NIOCore
import NIOPosix
package import STANAG5066

/// One TCP connection and one bind to a STANAG 5066 node, for the links of all peers that are reached through it.
///
/// ``SubnetworkStateMachine`` decides; this object has the socket and the timer. The socket is read at all times: a client that
/// throttles its node may be cut off (STANAG 5066 Ed. 3 §A.2.1.14). Confined to its event loop.
package final class SubnetworkBinding {
    /// Where the node listens for clients.
    package struct Node: Hashable, Sendable, CustomStringConvertible {
        package var host: String
        package var port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }

        package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    package let node: Node
    let eventLoop: any EventLoop
    let logger: Logger
    private(set) var machine: SubnetworkStateMachine
    private var links: [SubnetworkLinkTransport?]
    private let dialTimeout: TimeAmount
    private var channel: (any Channel)?
    private var channelID: SISConnectionID?
    private var nextConnection: UInt64 = 1
    /// Counts dials: what an abandoned one brings is of no interest.
    private var dials: UInt64 = 0
    private var timer: Scheduled<Void>?
    private var isStarted = false
    private var isDriving = false
    private var stopped: EventLoopPromise<Void>?
    private var closedLinks = 0
    /// Bytes of all connections to the node, in both directions.
    private(set) var bytesReceived: UInt64 = 0
    private(set) var bytesSent: UInt64 = 0
    /// One sentence on what went wrong last.
    private(set) var lastError: String?
    private var strangersLogged = 0

    package init(
        _ node: Node, client: SISClientConfiguration, peers: [SubnetworkPeerConfiguration], eventLoop: any EventLoop, seed: UInt64,
        logger: Logger
    ) {
        self.node = node
        self.eventLoop = eventLoop
        self.logger = logger
        dialTimeout = client.dialTimeout
        machine = SubnetworkStateMachine(client, peers: peers, seed: seed)
        links = Array(repeating: nil, count: peers.count)
    }

    /// The link of a peer, by its place among those given to `init`.
    func add(_ link: SubnetworkLinkTransport, peer: Int) { links[peer] = link }

    func start() {
        guard !isStarted else { return }
        isStarted = true
        turn { $0.started(now: $1) }
    }

    /// One of the links is closed for good; with the last the node is left.
    func linkClosed() -> EventLoopFuture<Void> {
        closedLinks += 1
        guard closedLinks >= links.count, isStarted else { return eventLoop.makeSucceededVoidFuture() }
        let promise = stopped ?? eventLoop.makePromise(of: Void.self)
        stopped = promise
        turn { $0.stopRequested(now: $1) }
        return promise.futureResult
    }

    /// Feeds the machine and carries out what it wants.
    func turn(_ input: (inout SubnetworkStateMachine, NIODeadline) -> Void) {
        input(&machine, .now())
        guard !isDriving else { return }
        isDriving = true
        while let action = machine.nextAction() { perform(action) }
        isDriving = false
        channel?.flush()
        for link in links { link?.deliver() }
    }

    private func perform(_ action: SubnetworkAction) {
        switch action {
        case .dial: dial()
        case .abandonDial: dials += 1
        case .write(let id, let primitive):
            guard id == channelID, let channel else { return }
            var bytes = ByteBuffer()
            primitive.encode(into: &bytes)
            bytesSent += UInt64(bytes.readableBytes)
            channel.write(bytes, promise: nil)
        case .close(let id), .drop(let id):
            guard id == channelID else { return }
            channel?.flush()
            channel?.close(promise: nil)
        case .arm(let deadline):
            timer?.cancel()
            timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.turn { $0.deadlineReached(now: $1) } }
        case .disarm: timer?.cancel()
        case .stopped:
            timer?.cancel()
            stopped?.succeed()
        case .note(let trouble): note(trouble)
        case .stranger(let address, let sap):
            guard strangersLogged < 16 else { return }
            strangersLogged += 1
            logger.warning(
                "data from a node that no peer has", metadata: ["node": "\(node)", "source": "\(address)", "sap": "\(sap)"])
        case .up(let peer, let mtu): links[peer]?.cameUp(mtu: mtu)
        case .down(let peer, let trouble): links[peer]?.wentDown("\(trouble)")
        case .ready(let peer, let isIdle): links[peer]?.ready(isIdle: isIdle)
        case .idle(let peer): links[peer]?.idle()
        case .finished(let peer, let token): links[peer]?.finished(token)
        case .failed(let peer, let token, let reason): links[peer]?.failed(token, reason)
        case .unit(let peer, let bytes, _, let followsGap): links[peer]?.received(bytes, followsGap: followsGap)
        }
    }

    private func note(_ trouble: SISTrouble) {
        guard trouble != .stopped else { return }
        lastError = "\(node): \(trouble)"
        logger.notice("node trouble", metadata: ["node": "\(node)", "reason": "\(trouble)"])
    }

    // MARK: The socket

    private func dial() {
        dials += 1
        let dial = dials
        let id = SISConnectionID(nextConnection)
        nextConnection += 1
        let handler = NIOLoopBound(SubnetworkSocketHandler(id, self), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(dialTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 16)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
            }
            .connect(host: node.host, port: node.port)
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    guard self.dials == dial else {
                        channel.close(promise: nil)
                        return
                    }
                    self.channel = channel
                    self.channelID = id
                    self.turn { $0.dialSucceeded(id, now: $1) }
                case .failure:
                    guard self.dials == dial else { return }
                    self.turn { $0.dialFailed(now: $1) }
                }
            }
    }

    func bytesReceived(_ id: SISConnectionID, _ bytes: ByteBuffer) {
        guard id == channelID else { return }
        bytesReceived += UInt64(bytes.readableBytes)
        turn { $0.bytesReceived(id, bytes, now: $1) }
    }

    func socketClosed(_ id: SISConnectionID) {
        guard id == channelID else { return }
        channel = nil
        channelID = nil
        turn { $0.connectionClosed(id, now: $1) }
    }
}

/// The node's bytes, as they come.
private final class SubnetworkSocketHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let id: SISConnectionID
    private weak var binding: SubnetworkBinding?

    init(_ id: SISConnectionID, _ binding: SubnetworkBinding) {
        self.id = id
        self.binding = binding
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        binding?.bytesReceived(id, unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        binding?.socketClosed(id)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
