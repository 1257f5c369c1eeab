package import NIOCore
package import STANAG5066

/// A client of a node without anything above it: binds, sends single U_PDUs and tells what comes, for trying out a radio.
package final class SISTerminal {
    package enum Event: Sendable {
        case bound(mtu: Int)
        case unbound(String)
        case ended(SISUnitID, SISUnitEnd)
        case delivered(UnidataIndication)
        case subnet(SubnetStatus, SubnetReason)
        /// The node takes more than it did before.
        case creditAvailable
        /// An attempt came to nothing; it is tried again.
        case trouble(String)
        case stopped
    }

    private let eventLoop: any EventLoop
    private let socket: SISSocket
    private var machine: SISClientStateMachine
    private let onEvent: (Event) -> Void
    private var timer: Scheduled<Void>?
    private var isDriving = false

    package init(
        _ node: SISSocket.Node, _ configuration: SISClientConfiguration, seed: UInt64, eventLoop: any EventLoop,
        onEvent: @escaping (Event) -> Void
    ) {
        self.eventLoop = eventLoop
        self.onEvent = onEvent
        socket = SISSocket(node, timeout: configuration.dialTimeout, eventLoop: eventLoop)
        machine = SISClientStateMachine(configuration, seed: seed)
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
    }

    package var status: SISClientStatus { machine.status }
    package func start() { turn { $0.started(now: $1) } }
    package func stop() { turn { $0.stopRequested(now: $1) } }

    /// Whether ``send(_:id:)`` would give the node a U_PDU of so many bytes now.
    package func mayOffer(bytes: Int, to destination: NodeAddress) -> Bool { machine.mayOffer(bytes: bytes, to: destination) }

    package func send(_ request: UnidataRequest, id: SISUnitID) {
        turn { $0.unitOffered(request, id: id, now: $1) }
    }

    private func turn(_ input: (inout SISClientStateMachine, NIODeadline) -> Void) {
        input(&machine, .now())
        guard !isDriving else { return }
        isDriving = true
        while let action = machine.nextAction() { perform(action) }
        isDriving = false
        socket.flush()
    }

    private func perform(_ action: SISClientAction) {
        switch action {
        case .dial: socket.dial()
        case .abandonDial: socket.abandonDial()
        case .write(let id, let primitive): socket.write(id, primitive)
        case .close(let id), .drop(let id): socket.close(id)
        case .bound(let mtu): onEvent(.bound(mtu: mtu))
        // We have left, and know.
        case .unbound(.stopped): break
        case .unbound(let trouble): onEvent(.unbound("\(trouble)"))
        case .ended(let id, let end): onEvent(.ended(id, end))
        case .deliver(let indication): onEvent(.delivered(indication))
        case .subnetChanged(let status, let reason): onEvent(.subnet(status, reason))
        case .note(let trouble): onEvent(.trouble("\(trouble)"))
        case .creditAvailable: onEvent(.creditAvailable)
        case .reservationChanged, .managementMessage: break
        case .arm(let deadline):
            timer?.cancel()
            timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.turn { $0.deadlineReached(now: $1) } }
        case .disarm: timer?.cancel()
        case .stopped:
            timer?.cancel()
            onEvent(.stopped)
        }
    }
}
