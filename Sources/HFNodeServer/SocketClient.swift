import HFNode
package import NIOCore
import NIOPosix
import RadioSimulator
package import STANAG5066

/// A client of a node over TCP, in the time of a simulation. Lives on its event loop.
package final class SocketClient: SampleClient {
    private var machine: SISClientStateMachine
    private let address: SocketAddress
    private let clock: SimulatedClock
    private let eventLoop: any EventLoop
    private var channel: (any Channel)?
    private var dialNumber: UInt64 = 0
    private var nextUnit: UInt64 = 1
    private var timer: Scheduled<Void>?
    private var isDriving = false
    private let onAction: (SISClientAction, NIODeadline) -> Void

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        let id: SISConnectionID
        weak var client: SocketClient?

        init(id: SISConnectionID, client: SocketClient) {
            self.id = id
            self.client = client
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            client?.input { $0.bytesReceived(self.id, bytes, now: $1) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            client?.input { $0.connectionClosed(self.id, now: $1) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    package init(
        _ configuration: SISClientConfiguration, address: SocketAddress, clock: SimulatedClock, eventLoop: any EventLoop,
        seed: UInt64, onAction: @escaping (SISClientAction, NIODeadline) -> Void
    ) {
        machine = SISClientStateMachine(configuration, seed: seed)
        self.address = address
        self.clock = clock
        self.eventLoop = eventLoop
        self.onAction = onAction
    }

    package func start() { input { $0.started(now: $1) } }
    package func stop() { input { $0.stopRequested(now: $1) } }

    package func mayOffer(bytes: Int, to destination: NodeAddress) -> Bool {
        machine.mayOffer(bytes: bytes, to: destination)
    }

    package func offer(_ request: UnidataRequest, now: NIODeadline) -> SISUnitID {
        let id = SISUnitID(nextUnit)
        nextUnit += 1
        input { machine, _ in machine.unitOffered(request, id: id, now: now) }
        return id
    }

    private func input(_ body: (inout SISClientStateMachine, NIODeadline) -> Void) {
        body(&machine, clock.time(at: .now()))
        guard !isDriving else { return }
        isDriving = true
        while let action = machine.nextAction() { perform(action) }
        isDriving = false
    }

    private func perform(_ action: SISClientAction) {
        switch action {
        case .dial: dial()
        case .abandonDial: dialNumber += 1
        case .write(let id, let primitive):
            guard id.number == dialNumber, let channel else { return }
            var bytes = ByteBuffer()
            primitive.encode(into: &bytes)
            channel.writeAndFlush(bytes, promise: nil)
        case .close(let id), .drop(let id):
            guard id.number == dialNumber, let channel else { return }
            channel.close(promise: nil)
        case .arm(let deadline):
            timer?.cancel()
            timer = eventLoop.assumeIsolated().scheduleTask(deadline: clock.wall(at: deadline)) { [weak self] in
                self?.input { $0.deadlineReached(now: max($1, deadline)) }
            }
        case .disarm: timer?.cancel()
        case .bound, .unbound, .ended, .creditAvailable, .deliver, .subnetChanged, .reservationChanged, .managementMessage,
            .note, .stopped:
            onAction(action, clock.time(at: .now()))
        }
    }

    private func dial() {
        dialNumber += 1
        let id = SISConnectionID(dialNumber)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(id: id, client: bound.value))
                }
            }
            .connect(to: address)
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel) where self.dialNumber == id.number:
                    self.channel = channel
                    self.input { $0.dialSucceeded(id, now: $1) }
                case .success(let channel): channel.close(promise: nil)
                case .failure where self.dialNumber == id.number: self.input { $0.dialFailed(now: $1) }
                case .failure: break
                }
            }
    }
}
