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
    private let configuration: SISClientConfiguration
    private let peer: SubnetworkPeerConfiguration
    private let seed: UInt64
    /// By side; nil while no bridge runs there.
    private var clients: [Client?] = [nil, nil]
    /// Connections on which nothing arrives any more, though one end or both do not know.
    private var deadConnections: Set<NodeConnection> = []
    /// What a node says of units waits, by side; nil where it does not.
    private var lateAnswers: [[(NodeConnection, ByteBuffer)]?] = [nil, nil]
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
        configuration = client
        self.peer = peer
        self.seed = seed
    }

    /// Both bridges start.
    package func start() {
        for side in HFNodeSide.allCases { clientStarted(side, seed: seed &+ UInt64(side.rawValue)) }
    }

    // MARK: The owner

    package func offer(_ side: HFNodeSide, _ unit: ByteBuffer, token: UInt64, service: Int = 0) {
        clients[side.rawValue]?.machine.unitOffered(0, unit, token: token, service: service, now: now)
    }

    package func peerFailed(_ side: HFNodeSide) {
        clients[side.rawValue]?.machine.peerFailed(0, now: now)
    }

    package func debugState(_ side: HFNodeSide) -> String { clients[side.rawValue]?.machine.debugState ?? "not running" }

    /// Units that a side's machine was given and that have not ended.
    package func unfinishedUnits(_ side: HFNodeSide) -> Int { clients[side.rawValue]?.machine.unfinishedUnits(0) ?? 0 }

    /// How many bytes of a side may be inside its node now.
    package func window(_ side: HFNodeSide) -> Int { clients[side.rawValue]?.machine.window(0) ?? 0 }

    /// Whoever operates the nodes or the link acts at this time.
    package func act(_ body: (inout RadioNodes, NIODeadline) -> Void) {
        body(&nodes, now)
        settle()
    }

    // MARK: Bridges

    /// A bridge starts and binds to its node.
    package func clientStarted(_ side: HFNodeSide, seed: UInt64) {
        var peer = peer
        peer.node = nodes.address(side.other)
        let client = Client(SubnetworkStateMachine(configuration, peers: [peer], seed: seed), side: side)
        clients[side.rawValue] = client
        client.machine.started(now: now)
        settle()
    }

    /// A bridge is gone without a word, and with it all that its machine knew. What is inside the node goes on.
    ///
    /// - Returns: the connection that it had, which the node still takes for a living one: see ``endNoticed(_:byNode:)``.
    package func clientGone(_ side: HFNodeSide) -> NodeConnection? {
        let connection = clients[side.rawValue]?.socket.connection
        clients[side.rawValue] = nil
        return connection
    }

    /// Whether a bridge has a connection to its node.
    package func isConnected(_ side: HFNodeSide) -> Bool {
        clients[side.rawValue]?.socket.connection.map { !deadConnections.contains($0) } ?? false
    }

    /// Nothing arrives any more on the connection between a bridge and its node.
    ///
    /// - Returns: the connection, whose ends are still to learn of it.
    package func connectionDied(_ side: HFNodeSide) -> NodeConnection? {
        guard isConnected(side), let connection = clients[side.rawValue]?.socket.connection else { return nil }
        deadConnections.insert(connection)
        return connection
    }

    /// One end of a dead connection learns that it is.
    package func endNoticed(_ connection: NodeConnection, byNode: Bool) {
        if byNode {
            nodes.connectionClosed(connection, now: now)
        } else if let client = clients[connection.side.rawValue], client.socket.connection == connection {
            client.socket.closedByNode()
            client.machine.connectionClosed(client.socket.id, now: now)
        }
        settle()
    }

    /// The node says late what became of units, and says everything else in time.
    package func answersHeld(_ side: HFNodeSide, _ areHeld: Bool) {
        if areHeld {
            lateAnswers[side.rawValue] = lateAnswers[side.rawValue] ?? []
        } else if let late = lateAnswers[side.rawValue] {
            lateAnswers[side.rawValue] = nil
            for (connection, bytes) in late { receive(bytes, on: connection) }
            settle()
        }
    }

    // MARK: Time

    package var nextDeadline: NIODeadline? {
        var next = nodes.nextDeadline
        for client in clients {
            if let armed = client?.armed { next = min(next ?? armed, armed) }
        }
        return next
    }

    /// Lets everything happen that is due at `time`, and what follows from it.
    package func advance(to time: NIODeadline) {
        now = max(now, time)
        nodes.deadlineReached(now: now)
        for client in clients {
            guard let client, let armed = client.armed, armed <= now else { continue }
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
                while let client = clients[side.rawValue], let action = client.machine.nextAction() {
                    isBusy = true
                    perform(action, side, client)
                }
            }
        }
    }

    private func perform(_ action: RadioNodesAction) {
        switch action {
        case .write(let id, let bytes):
            if lateAnswers[id.side.rawValue] != nil, Self.isAnswer(bytes) {
                lateAnswers[id.side.rawValue]?.append((id, bytes))
            } else {
                receive(bytes, on: id)
            }
        case .close(let id): closed(id)
        case .readingChanged(let id, let isOn):
            client(on: id)?.socket.readingChanged(isOn, &nodes, now: now)
        case .observed: break
        }
    }

    /// Who has this connection, as far as he knows, and can hear on it.
    private func client(on id: NodeConnection) -> Client? {
        guard let client = clients[id.side.rawValue], client.socket.connection == id, !deadConnections.contains(id) else { return nil }
        return client
    }

    private func receive(_ bytes: ByteBuffer, on id: NodeConnection) {
        guard let client = client(on: id) else { return }
        client.machine.bytesReceived(client.socket.id, bytes, now: now)
    }

    private func closed(_ id: NodeConnection) {
        guard let client = client(on: id) else { return }
        client.socket.closedByNode()
        client.machine.connectionClosed(client.socket.id, now: now)
    }

    /// Nodes write one primitive at a time.
    private static func isAnswer(_ primitive: ByteBuffer) -> Bool {
        let type = primitive.getInteger(at: primitive.readerIndex + SISPrimitive.headerBytes, as: UInt8.self)
        // S_UNIDATA_REQUEST_CONFIRM and S_UNIDATA_REQUEST_REJECTED.
        return type == 22 || type == 23
    }

    private func perform(_ action: SubnetworkAction, _ side: HFNodeSide, _ client: Client) {
        switch action {
        case .dial:
            guard let id = client.socket.dial(&nodes, now: now) else { return client.machine.dialFailed(now: now) }
            client.machine.dialSucceeded(id, now: now)
        case .write(let id, let primitive):
            guard client.socket.connection.map({ !deadConnections.contains($0) }) ?? false else { return }
            client.socket.write(primitive, id, to: &nodes, now: now)
        case .close(let id), .drop(let id):
            let isDead = client.socket.connection.map { deadConnections.contains($0) } ?? false
            guard id == client.socket.id, client.socket.connection != nil else { return }
            if isDead { client.socket.closedByNode() } else { _ = client.socket.close(id, &nodes, now: now) }
            client.machine.connectionClosed(id, now: now)
        case .arm(let deadline): client.armed = deadline
        case .disarm: client.armed = nil
        case .abandonDial: break
        case .stopped, .note, .stranger, .reservationChanged, .up, .down, .ready, .readyForUrgent, .idle, .finished, .failed, .unit:
            onAction?(side, action)
        }
    }
}
