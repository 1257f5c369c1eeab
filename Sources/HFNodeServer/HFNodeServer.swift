package import HFNode
package import NIOCore
import NIOPosix
package import RadioSimulator

/// Two nodes behind TCP ports, in real time or a multiple of it: what ``RadioNodes`` want is carried out, nothing is
/// decided here. Lives on its event loop.
package final class HFNodeServer {
    private var nodes: RadioNodes
    package let clock: SimulatedClock
    let eventLoop: any EventLoop
    private var listeners: [any Channel] = []
    private var sockets: [NodeConnection: NodeSocket] = [:]
    private var timer: Scheduled<Void>?
    private var capture: LinkCapture?
    private let file: CaptureFile?
    /// How far the nodes have come.
    private var current: NIODeadline
    private var isDriving = false
    private var isStopped = false
    /// What happens, with the time since the start.
    private let onEvent: ((RadioNodesEvent, TimeAmount) -> Void)?

    /// Bytes that may wait for a client that does not read.
    private static let clientBuffer = 8 << 20

    /// - Parameters:
    ///   - nodes: that begin at the start of `clock`.
    ///   - file: for a capture; `origin` is the time of day of the start, in nanoseconds since 1970.
    package init(
        _ nodes: consuming RadioNodes, clock: SimulatedClock, eventLoop: any EventLoop, file: CaptureFile? = nil,
        origin: UInt64 = 0, onEvent: ((RadioNodesEvent, TimeAmount) -> Void)? = nil
    ) {
        self.nodes = nodes
        self.clock = clock
        current = clock.start
        self.eventLoop = eventLoop
        self.file = file
        self.onEvent = onEvent
        if let file {
            let capture = LinkCapture(start: clock.start, origin: origin)
            file.write(capture.header)
            self.capture = capture
        }
        self.nodes.isObserved = onEvent != nil || file != nil
    }

    package var statistics: RadioNodesStatistics { nodes.statistics }
    package var captureFailure: CaptureFile.Failure? { file?.failure }
    package var now: NIODeadline { clock.time(at: .now()) }

    /// Lets whoever operates nodes and link act.
    package func act(_ body: (inout RadioNodes, NIODeadline) -> Void) {
        drive()
        body(&nodes, current)
        drive()
    }

    // MARK: Ports

    /// Listens for clients of one node.
    package func listen(_ side: HFNodeSide, host: String, port: Int) -> EventLoopFuture<SocketAddress> {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        return ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 16)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: Self.clientBuffer / 2, high: Self.clientBuffer)
            )
            .childChannelInitializer { channel in bound.value.accept(channel, side) }
            .bind(host: host, port: port)
            .assumeIsolated().flatMapThrowing { channel in
                self.listeners.append(channel)
                guard let address = channel.localAddress else { throw ChannelError.unknownLocalAddress }
                return address
            }.nonisolated()
    }

    private func accept(_ channel: any Channel, _ side: HFNodeSide) -> EventLoopFuture<Void> {
        drive()
        guard !isStopped, let id = nodes.connected(to: side, now: current) else {
            return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        let socket = NodeSocket(id: id, server: self)
        sockets[id] = socket
        record { $0.opened(id, at: current) }
        do {
            try channel.pipeline.syncOperations.addHandler(socket)
        } catch {
            connectionClosed(id)
            return eventLoop.makeFailedFuture(error)
        }
        drive()
        return eventLoop.makeSucceededVoidFuture()
    }

    /// Ends everything.
    package func stop() -> EventLoopFuture<Void> {
        isStopped = true
        timer?.cancel()
        for socket in sockets.values { socket.close() }
        let ends = listeners.map { $0.close().recover { _ in } }
        if var capture {
            file?.write(capture.finished())
            self.capture = capture
        }
        return EventLoopFuture.andAllComplete(ends, on: eventLoop)
    }

    // MARK: Connections

    func bytesReceived(_ id: NodeConnection, _ bytes: ByteBuffer) {
        guard !isStopped else { return }
        drive()
        record { $0.passed(id, fromClient: true, bytes, at: current) }
        nodes.bytesReceived(id, bytes, now: current)
        drive()
    }

    func connectionClosed(_ id: NodeConnection) {
        guard sockets[id] != nil, !isStopped else { return }
        drive()
        guard sockets.removeValue(forKey: id) != nil else { return }
        record { $0.closed(id, byClient: true, at: current) }
        nodes.connectionClosed(id, now: current)
        drive()
    }

    // MARK: Time

    /// Carries out what is wanted, and comes back when the next thing is due.
    package func drive() {
        guard !isDriving, !isStopped else { return }
        isDriving = true
        let time = max(current, now)
        // Step by step, so that what clients are told is known to the time at which it happened.
        while let next = nodes.nextDeadline, next <= time { advance(to: max(current, next)) }
        advance(to: time)
        isDriving = false
        timer?.cancel()
        guard let next = nodes.nextDeadline else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: clock.wall(at: next)) { [weak self] in self?.drive() }
    }

    private func advance(to time: NIODeadline) {
        current = time
        nodes.deadlineReached(now: time)
        while let action = nodes.nextAction() { perform(action) }
    }

    private func perform(_ action: RadioNodesAction) {
        switch action {
        case .write(let id, let bytes):
            record { $0.passed(id, fromClient: false, bytes, at: current) }
            sockets[id]?.write(bytes)
        case .close(let id):
            guard let socket = sockets.removeValue(forKey: id) else { return }
            record { $0.closed(id, byClient: false, at: current) }
            socket.close()
        case .readingChanged(let id, let isOn): sockets[id]?.setReading(isOn)
        case .observed(let event, let at):
            if case .transmitted(let side, let burst) = event { record { $0.transmitted(side, burst, at: at) } }
            onEvent?(event, at - clock.start)
        }
    }

    private func record(_ write: (inout LinkCapture) -> ByteBuffer) {
        guard var capture else { return }
        let bytes = write(&capture)
        self.capture = capture
        if bytes.readableBytes > 0 { file?.write(bytes) }
    }
}
