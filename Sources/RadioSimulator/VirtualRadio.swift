package import HFNode
package import LinkCatalogue
package import NIOCore
package import STANAG5066

/// Two nodes with clients in virtual time. Connections carry everything at once, and a node that does not read holds up
/// its client.
package final class VirtualRadio {
    package var nodes: RadioNodes
    package private(set) var clients: [VirtualClient] = []
    package private(set) var now: NIODeadline
    /// What the nodes tell observers.
    package var onEvent: ((RadioNodesEvent, NIODeadline) -> Void)? {
        didSet { nodes.isObserved = onEvent != nil }
    }
    /// Bytes of connections as they pass, from the client or to it.
    package var onBytes: ((NodeConnection, Bool, ByteBuffer, NIODeadline) -> Void)?

    package static let standardStart = NIODeadline.uptimeNanoseconds(0) + .hours(1)

    package init(
        link: RadioLink, seed: UInt64? = nil, server: SISServerConfiguration = SISServerConfiguration(),
        start: NIODeadline = VirtualRadio.standardStart
    ) {
        nodes = RadioNodes(link: link, seed: seed, server: server, start: start)
        nodes.isObserved = false
        now = start
    }

    /// A client that begins to connect.
    @discardableResult
    package func addClient(
        _ side: HFNodeSide, _ configuration: SISClientConfiguration, seed: UInt64 = 1,
        onAction: ((VirtualClient, SISClientAction, NIODeadline) -> Void)? = nil
    ) -> VirtualClient {
        let client = VirtualClient(side: side, configuration, seed: seed)
        client.onAction = onAction
        clients.append(client)
        client.machine.started(now: now)
        settle()
        return client
    }

    /// Lets a client, or whoever operates nodes and link, act at this time.
    package func act(_ body: (VirtualRadio, NIODeadline) -> Void) {
        body(self, now)
        settle()
    }

    /// Lets time pass, until `isDone` or the end.
    package func run(for duration: TimeAmount, until isDone: () -> Bool = { false }) {
        run(to: now + duration, until: isDone)
    }

    package func run(to end: NIODeadline, until isDone: () -> Bool = { false }) {
        settle()
        while !isDone(), let next = nextDeadline, next <= end {
            now = max(now, next)
            nodes.deadlineReached(now: now)
            for client in clients {
                guard let deadline = client.armed, deadline <= now else { continue }
                client.armed = nil
                client.machine.deadlineReached(now: now)
            }
            settle()
        }
        if !isDone() { now = max(now, end) }
    }

    package var nextDeadline: NIODeadline? {
        var next = nodes.nextDeadline
        for client in clients {
            if let armed = client.armed { next = min(next ?? armed, armed) }
        }
        return next
    }

    // MARK: What is wanted

    /// Carries bytes to and fro until nobody says anything more at this time.
    private func settle() {
        var isBusy = true
        while isBusy {
            isBusy = false
            while let action = nodes.nextAction() {
                isBusy = true
                perform(action)
            }
            for client in clients {
                while let action = client.machine.nextAction() {
                    isBusy = true
                    perform(action, client)
                }
            }
        }
    }

    private func client(_ id: NodeConnection) -> VirtualClient? { clients.first { $0.socket.connection == id } }

    private func perform(_ action: RadioNodesAction) {
        switch action {
        case .write(let id, let bytes):
            onBytes?(id, false, bytes, now)
            guard let client = client(id) else { return }
            client.machine.bytesReceived(client.socket.id, bytes, now: now)
        case .close(let id):
            guard let client = client(id) else { return }
            client.socket.closedByNode()
            client.machine.connectionClosed(client.socket.id, now: now)
        case .readingChanged(let id, let isOn):
            guard let client = client(id) else { return }
            if let bytes = client.socket.readingChanged(isOn, &nodes, now: now) { onBytes?(id, true, bytes, now) }
        case .observed(let event, let at): onEvent?(event, at)
        }
    }

    private func perform(_ action: SISClientAction, _ client: VirtualClient) {
        switch action {
        case .dial:
            guard let id = client.socket.dial(&nodes, now: now) else { return client.machine.dialFailed(now: now) }
            client.machine.dialSucceeded(id, now: now)
        case .write(let id, let primitive):
            guard let connection = client.socket.connection,
                let bytes = client.socket.write(primitive, id, to: &nodes, now: now)
            else { return }
            onBytes?(connection, true, bytes, now)
        case .close(let id), .drop(let id):
            if client.socket.close(id, &nodes, now: now) { client.machine.connectionClosed(id, now: now) }
        case .arm(let deadline): client.armed = deadline
        case .disarm: client.armed = nil
        case .abandonDial, .bound, .unbound, .ended, .creditAvailable, .deliver, .subnetChanged, .reservationChanged,
            .managementMessage, .note, .stopped:
            client.onAction?(client, action, now)
        }
    }
}
