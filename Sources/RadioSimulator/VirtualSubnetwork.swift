package import HFNode
package import LinkCatalogue
package import NIOCore
package import STANAG5066

/// Two nodes on a modelled radio, each with what a bridge has above its node's socket, in virtual time.
package final class VirtualSubnetwork {
    private final class Client {
        var machine: SubnetworkStateMachine
        var socket: VirtualSocket
        var armed: NIODeadline?

        init(_ machine: consuming SubnetworkStateMachine, side: HFNodeSide) {
            self.machine = machine
            socket = VirtualSocket(side: side)
        }
    }

    package var nodes: RadioNodes
    private var clients: [Client]
    package private(set) var now: NIODeadline
    /// What a side's machine wants of its owner: everything but what the connection to the node is about. May call ``offer`` and
    /// ``peerFailed``.
    package var onAction: ((HFNodeSide, SubnetworkAction) -> Void)?

    /// - Parameters:
    ///   - client: the rules of both binds.
    ///   - peer: how each side speaks to the other, whose address is put in.
    package init(
        link: RadioLink, seed: UInt64, client: SISClientConfiguration, peer: SubnetworkPeerConfiguration,
        start: NIODeadline = VirtualRadio.standardStart
    ) {
        nodes = RadioNodes(link: link, seed: seed, start: start)
        nodes.isObserved = false
        now = start
        clients = []
        for side in HFNodeSide.allCases {
            var peer = peer
            peer.node = nodes.address(side.other)
            clients.append(
                Client(SubnetworkStateMachine(client, peers: [peer], seed: seed &+ UInt64(side.rawValue)), side: side))
        }
    }

    package func start() {
        for client in clients { client.machine.started(now: now) }
        settle()
    }

    // MARK: The owner

    package func offer(_ side: HFNodeSide, _ unit: ByteBuffer, token: UInt64, service: Int = 0) {
        clients[side.rawValue].machine.unitOffered(0, unit, token: token, service: service, now: now)
    }

    package func peerFailed(_ side: HFNodeSide) {
        clients[side.rawValue].machine.peerFailed(0, now: now)
    }

    package func debugState(_ side: HFNodeSide) -> String { clients[side.rawValue].machine.debugState }

    /// Whoever operates the nodes or the link acts at this time.
    package func act(_ body: (inout RadioNodes, NIODeadline) -> Void) {
        body(&nodes, now)
        settle()
    }

    // MARK: Time

    package var nextDeadline: NIODeadline? {
        var next = nodes.nextDeadline
        for client in clients {
            if let armed = client.armed { next = min(next ?? armed, armed) }
        }
        return next
    }

    /// Lets everything happen that is due at `time`, and what follows from it.
    package func advance(to time: NIODeadline) {
        now = max(now, time)
        nodes.deadlineReached(now: now)
        for client in clients {
            guard let armed = client.armed, armed <= now else { continue }
            client.armed = nil
            client.machine.deadlineReached(now: now)
        }
        settle()
    }

    /// Carries bytes to and fro until nobody says anything more at this time.
    package func settle() {
        var isBusy = true
        while isBusy {
            isBusy = false
            while let action = nodes.nextAction() {
                isBusy = true
                perform(action)
            }
            for side in HFNodeSide.allCases {
                while let action = clients[side.rawValue].machine.nextAction() {
                    isBusy = true
                    perform(action, side)
                }
            }
        }
    }

    private func perform(_ action: RadioNodesAction) {
        switch action {
        case .write(let id, let bytes):
            let client = clients[id.side.rawValue]
            guard client.socket.connection == id else { return }
            client.machine.bytesReceived(client.socket.id, bytes, now: now)
        case .close(let id):
            let client = clients[id.side.rawValue]
            guard client.socket.connection == id else { return }
            client.socket.closedByNode()
            client.machine.connectionClosed(client.socket.id, now: now)
        case .readingChanged(let id, let isOn):
            let client = clients[id.side.rawValue]
            guard client.socket.connection == id else { return }
            client.socket.readingChanged(isOn, &nodes, now: now)
        case .observed: break
        }
    }

    private func perform(_ action: SubnetworkAction, _ side: HFNodeSide) {
        let client = clients[side.rawValue]
        switch action {
        case .dial:
            guard let id = client.socket.dial(&nodes, now: now) else { return client.machine.dialFailed(now: now) }
            client.machine.dialSucceeded(id, now: now)
        case .write(let id, let primitive): client.socket.write(primitive, id, to: &nodes, now: now)
        case .close(let id), .drop(let id):
            if client.socket.close(id, &nodes, now: now) { client.machine.connectionClosed(id, now: now) }
        case .arm(let deadline): client.armed = deadline
        case .disarm: client.armed = nil
        case .abandonDial: break
        case .stopped, .note, .stranger, .up, .down, .ready, .idle, .finished, .failed, .unit: onAction?(side, action)
        }
    }
}
