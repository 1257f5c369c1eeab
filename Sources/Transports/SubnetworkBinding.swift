package import Logging
package import NIOCore
package import STANAG5066

/// One bind to a STANAG 5066 node, for the links of all peers that are reached through it.
///
/// ``SubnetworkStateMachine`` decides; this object has the socket and the timer. Confined to its event loop.
package final class SubnetworkBinding {
    let eventLoop: any EventLoop
    let logger: Logger
    private(set) var machine: SubnetworkStateMachine
    private let socket: SISSocket
    private var links: [SubnetworkLinkTransport?]
    private var timer: Scheduled<Void>?
    private var isStarted = false
    private var isDriving = false
    private var stopped: EventLoopPromise<Void>?
    private var closedLinks = 0
    /// One sentence on what went wrong last.
    private(set) var lastError: String?
    private var strangersLogged = 0

    package init(
        _ node: SISSocket.Node, client: SISClientConfiguration, peers: [SubnetworkPeerConfiguration],
        eventLoop: any EventLoop, seed: UInt64, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.logger = logger
        socket = SISSocket(node, timeout: client.dialTimeout, eventLoop: eventLoop)
        machine = SubnetworkStateMachine(client, peers: peers, seed: seed)
        links = Array(repeating: nil, count: peers.count)
    }

    /// What was thrown away, of all peers and of this one.
    func status(peer: Int) -> NodeBindStatus {
        var status = NodeBindStatus(node: "\(socket.node)", sap: machine.sap)
        status.strangers = machine.strangers
        status.refused = machine.refused
        status.drops = machine.receiverCounters(peer).dropped.map { NodeBindStatus.Drop(reason: $0.reason, count: $0.count) }
        return status
    }

    /// The link of a peer, by its place among those given to `init`.
    func add(_ link: SubnetworkLinkTransport, peer: Int) { links[peer] = link }

    func start() {
        guard !isStarted else { return }
        isStarted = true
        socket.onEvent = { [unowned self] event in
            turn { machine, now in
                switch event {
                case .connected(let id): machine.dialSucceeded(id, now: now)
                case .failed: machine.dialFailed(now: now)
                case .bytes(let id, let bytes): machine.bytesReceived(id, bytes, now: now)
                case .closed(let id): machine.connectionClosed(id, now: now)
                }
            }
        }
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
        socket.flush()
        for link in links { link?.deliver() }
    }

    private func perform(_ action: SubnetworkAction) {
        switch action {
        case .dial: socket.dial()
        case .abandonDial: socket.abandonDial()
        case .write(let id, let primitive): socket.write(id, primitive)
        case .close(let id), .drop(let id): socket.close(id)
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
                "data from a node that no peer has",
                metadata: ["node": "\(socket.node)", "source": "\(address)", "sap": "\(sap)"])
        case .reservationChanged(let peer, let state): reservationChanged(state, of: peer)
        case .up(let peer, let mtu):
            lastError = nil
            links[peer]?.cameUp(mtu: mtu)
        case .down(let peer, let reason):
            if case .node(let trouble) = reason, trouble != .stopped { lastError = "\(socket.node): \(trouble)" }
            links[peer]?.wentDown("\(reason)")
        case .ready(let peer, let isIdle): links[peer]?.ready(isIdle: isIdle)
        case .readyForUrgent(let peer): links[peer]?.readyForUrgent()
        case .idle(let peer): links[peer]?.idle()
        case .finished(let peer, let token): links[peer]?.finished(token)
        case .failed(let peer, let token, let reason): links[peer]?.failed(token, reason)
        case .unit(let peer, let bytes, _, let followsGap): links[peer]?.received(bytes, followsGap: followsGap)
        }
    }

    private func reservationChanged(_ state: SISReservationState, of peer: Int) {
        let outcome =
            switch state {
            case .established: "the node keeps the link up"
            case .rejected(let reason): "the node does not keep the link up: \(reason)"
            case .terminated(let reason): "the node keeps the link up no longer: \(reason)"
            }
        logger.notice(
            "link reservation", metadata: ["node": "\(socket.node)", "peer": "\(links[peer]?.name ?? "")", "outcome": "\(outcome)"])
    }

    private func note(_ trouble: SISTrouble) {
        guard trouble != .stopped else { return }
        lastError = "\(socket.node): \(trouble)"
        logger.notice("node trouble", metadata: ["node": "\(socket.node)", "reason": "\(trouble)"])
    }
}
