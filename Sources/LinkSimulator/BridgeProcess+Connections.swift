import BridgeCore
import NIOCore
import ServerStreams
import XMPP

// The bridge's connections with its local server.
extension BridgeProcess {
    /// The server connected to the bridge's listener.
    func accept(_ socket: LocalSocket) {
        add(socket, isDialled: false)
        let id = socket.id
        turn { $0.connectionAccepted(id, now: $1) }
    }

    private func add(_ socket: LocalSocket, isDialled: Bool) {
        socket.process = self
        connections[socket.number] = Connection(
            socket: socket, reader: StreamReader(limits: .beforeAuthentication, root: .received), isDialled: isDialled)
    }

    func read(_ unit: VirtualPipe.Unit, on socket: LocalSocket) {
        guard isAlive, let connection = connections[socket.number], !connection.isClosing else { return }
        if unit.isStanza, let key = unit.key, let stream = socket.stream, !stream.isManaged { exposed.append((key, world.now)) }
        isReading = true
        defer {
            isReading = false
            forgetExposed()
        }
        let cut = world.cutsReads && unit.bytes.count > 1 ? world.random.between(1, unit.bytes.count - 1) : nil
        let pieces = cut.map { [unit.bytes[..<$0], unit.bytes[$0...]] } ?? [unit.bytes[...]]
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            connection.reader.read(&buffer)
            while isAlive, connections[socket.number]?.isClosing == false, let event = connection.reader.nextEvent() {
                feed(event, socket)
                // As in the daemon: between two events of one read the machine is drained, the turn is not over.
            }
            drain()
        }
    }

    private func feed(_ event: StreamEvent, _ socket: LocalSocket) {
        let id = socket.id
        let now = site.clock
        switch event {
        case .opened(let header):
            nextStreamID += 1
            let streamID = "\(site.index)-\(site.starts)-\(nextStreamID)-\(String(world.random.next(), radix: 36))"
            machine.streamOpened(id, header: header, streamID: streamID, now: now)
        case .stanza(let stanza):
            if stanza.kind == .other { acknowledgementRead(stanza, socket) }
            machine.stanzaReceived(id, stanza, now: now)
        case .oversize(let stub, _): machine.oversizeReceived(id, stub, now: now)
        case .closed: machine.streamClosed(id, now: now)
        case .failed(let error): machine.streamFailed(id, error, now: now)
        }
        drain()
    }

    /// The server says how much it has: that becomes certain with the next commit.
    private func acknowledgementRead(_ element: Stanza, _ socket: LocalSocket) {
        let root = element.root
        if root.name == "failed", root.namespace == SimulatedServer.smNamespace {
            connections[socket.number]?.isManaged = false
        }
        guard root.name == "a", root.namespace == SimulatedServer.smNamespace,
            let count = root.attribute("h").flatMap({ UInt32($0) }), var connection = connections[socket.number]
        else { return }
        while connection.acknowledged != count, !connection.unacknowledged.isEmpty {
            connection.acknowledged &+= 1
            if let key = connection.unacknowledged.removeFirst() { settling.append(key) }
        }
        connections[socket.number] = connection
    }

    /// The kernel took something; the machine learns of it in a turn of its own.
    func unitTaken(_ unit: VirtualPipe.Unit, on socket: LocalSocket) {
        guard connections[socket.number] != nil else { return }
        let first = connections[socket.number]!.taken == 0
        if unit.isStanza {
            connections[socket.number]!.taken += 1
            connections[socket.number]!.takenKeys.append(unit.key)
        }
        guard first else { return }
        world.after(20_000) { [weak self] in self?.reportTaken(socket) }
    }

    private func reportTaken(_ socket: LocalSocket) {
        guard isAlive, var connection = connections[socket.number] else { return }
        let count = connection.taken
        if !connection.isManaged { settling += connection.takenKeys.compactMap { $0 } }
        connection.taken = 0
        connection.takenKeys = []
        let becomesWritable = connection.isBlocked && !socket.toServer.isBlocked
        if becomesWritable { connection.isBlocked = false }
        connections[socket.number] = connection
        let id = socket.id
        turn { machine, now in
            if count > 0 { machine.stanzasWritten(id, count: count, now: now) }
            if becomesWritable { machine.writabilityChanged(id, isWritable: true, now: now) }
        }
    }

    func connectionEnded(_ socket: LocalSocket, unsent: [Stanza], reason: String) {
        guard isAlive, connections[socket.number] != nil else { return }
        if let connection = connections[socket.number], connection.taken > 0 { reportTaken(socket) }
        connections[socket.number] = nil
        let id = socket.id
        world.trace.record(world.now, "connection ended", site.index, Int(socket.number), unsent.count, reason)
        turn { $0.connectionClosed(id, reason: reason, now: $1) }
    }

    /// Everything written before the close has left.
    func closeTaken(_ socket: LocalSocket) {
        world.after(10_000) { [weak self] in
            guard let self else { return }
            socket.closedByBridge()
            self.connectionEnded(socket, unsent: [], reason: "closed")
        }
    }

    func perform(_ action: LocalAction) {
        switch action {
        case .write(let id, let text):
            guard let connection = connections[id.number], !connection.isClosing else { return }
            if text.hasPrefix("<enable "), text.contains(SimulatedServer.smNamespace) {
                connections[id.number]?.unacknowledged = []
                connections[id.number]?.acknowledged = 0
                connections[id.number]?.isManaged = true
            }
            write(VirtualPipe.Unit(bytes: Array(text.utf8), isStanza: false), connection.socket)
        case .writeStanza(let id, let stanza):
            writeStanza(id, stanza)
        case .startTLS:
            world.oracle.fail("the bridge wants TLS, which is off")
        case .restartReader(let id):
            connections[id.number]?.reader.reset()
        case .authenticated(let id):
            connections[id.number]?.reader.setLimits(.local)
        case .dial(let token):
            world.after(Int64(world.random.between(100, 2_000)) * 1_000) { [weak self] in self?.dial(token) }
        case .close(let id):
            close(id)
        case .note(let note):
            world.trace.record(world.now, "local note", site.index, 0, 0, note.text)
        case .received, .delivered, .oversize, .undeliverable, .streamOpened, .streamLost, .arm, .disarm:
            world.oracle.fail("the site's machine gave out an action that it keeps to itself")
        }
    }

    private func write(_ unit: VirtualPipe.Unit, _ socket: LocalSocket) {
        socket.toServer.write(unit)
        guard let connection = connections[socket.number], !connection.isBlocked, socket.toServer.isBlocked else { return }
        connections[socket.number]?.isBlocked = true
        machine.writabilityChanged(socket.id, isWritable: false, now: site.clock)
    }

    private func writeStanza(_ id: ConnectionID, _ stanza: Stanza) {
        guard let connection = connections[id.number], !connection.isClosing else { return }
        let socket = connection.socket
        let key = world.oracle.key(of: stanza) ?? world.roomKey(of: stanza)
        connections[id.number]?.unacknowledged.append(key)
        if let key { world.oracle.written(key, isStalled: isStalled) }
        var unit = VirtualPipe.Unit(
            bytes: stanza.canonicalBytes, isStanza: true, key: key, stanza: stanza)
        guard let sabotage = world.sabotage, site.index == 0 else { return write(unit, socket) }
        switch world.sabotaged(sabotage, stanza) {
        case .none: write(unit, socket)
        case .drop: break
        case .twice:
            write(unit, socket)
            write(unit, socket)
        case .swap:
            if let (other, held) = heldBack {
                heldBack = nil
                write(unit, socket)
                write(held, other)
            } else {
                heldBack = (socket, unit)
            }
        case .garble:
            if let place = unit.bytes.firstIndex(of: UInt8(ascii: "#")) { unit.bytes[place + 2] = UInt8(ascii: "x") }
            write(unit, socket)
        case .error:
            write(unit, socket)
            if let error = stanza.errorReply(.remoteServerTimeout) {
                let bytes = error.canonicalBytes
                // Sent to our own server's room as if the far side had answered.
                world.inject(bytes, for: error, from: site)
            }
        }
    }

    private func dial(_ token: DialToken) {
        guard isAlive else { return }
        guard site.server.isUp, let socket = world.makeSocket(site) else {
            return turn { $0.dialFailed(token, reason: "connection refused", now: $1) }
        }
        add(socket, isDialled: true)
        site.server.accept(socket)
        let id = socket.id
        turn { $0.dialSucceeded(token, connection: id, now: $1) }
    }

    private func close(_ id: ConnectionID) {
        guard let connection = connections[id.number], !connection.isClosing else { return }
        connections[id.number]?.isClosing = true
        let socket = connection.socket
        socket.toServer.write(VirtualPipe.Unit(bytes: [], isStanza: false))
        // What does not leave in time is cut.
        world.after(5_000_000_000) { [weak socket] in socket?.bridgeSawEnd("the server took nothing more") }
    }
}
