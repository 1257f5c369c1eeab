import BridgeCore
import Logging
import NIOCore
import NIOPosix
import ServerStreams
import TLS
import Transports
import XMPP

// What happens on local connections and on links, fed to the machines.
extension SiteRuntime {
    // MARK: Connections

    func makeConnection(_ channel: any Channel, isDialled: Bool) -> LocalConnection {
        let id = ConnectionID(number: nextConnection)
        nextConnection += 1
        let connection = LocalConnection(id: id, channel: channel, isDialled: isDialled, limits: localLimits)
        connection.onTaken = { [unowned self, unowned connection] in stanzasTaken(connection) }
        return connection
    }

    /// A connection came in on the local listener. Throws to have it closed.
    func accept(_ channel: any Channel) throws {
        guard !isStopping, let address = channel.remoteAddress,
            connections.count < configuration.limits.connections,
            let place = admission.admit(address, now: .now())
        else {
            counters.refusedConnections += 1
            // Every power of two: a flood must not become a flood of lines.
            if counters.refusedConnections & (counters.refusedConnections - 1) == 0 {
                logger.warning(
                    "connections to the local listener refused: too many that proved nothing",
                    metadata: ["count": "\(counters.refusedConnections)"])
            }
            throw ChannelError.operationUnsupported
        }
        let connection = makeConnection(channel, isDialled: false)
        connection.admission = place
        do {
            try channel.pipeline.syncOperations.addHandler(LocalStreamHandler(runtime: self, connection: connection))
        } catch {
            admission.release(place)
            throw error
        }
        connections[connection.id] = connection
        counters.acceptedConnections += 1
        site.connectionAccepted(connection.id, now: .now())
        endTurn()
    }

    func dial(_ token: DialToken) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(10))
            .channelOption(.writeBufferWaterMark, value: SiteRuntime.waterMark)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.socketOption(.so_sndbuf), value: SiteRuntime.sendBuffer)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let runtime = bound.value
                    let connection = runtime.makeConnection(channel, isDialled: true)
                    // Known to the runtime only when the dial has succeeded: of several addresses one is taken.
                    try channel.pipeline.syncOperations.addHandler(
                        LocalStreamHandler(runtime: runtime, connection: connection))
                }
            }
            .connect(host: configuration.server.host, port: configuration.server.port)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel): self.dialSucceeded(token, channel)
                case .failure(let error): self.dialFailed(token, error)
                }
            }
    }

    /// Room for a few full turns: below this a server that reads in bursts is not taken for a slow one.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 128 * 1_024, high: 512 * 1_024)

    /// What the kernel has taken and the server has not read is lost when the server dies, and where nothing is acknowledged
    /// nobody knows it; so the kernel is given no more room than a server on the same LAN needs.
    static let sendBuffer: SocketOptionValue = 256 * 1_024

    func dialSucceeded(_ token: DialToken, _ channel: any Channel) {
        let handler = try? channel.pipeline.syncOperations.handler(type: LocalStreamHandler.self)
        guard let connection = handler?.connection, channel.isActive else {
            channel.close(promise: nil)
            site.dialFailed(token, reason: "the connection ended at once", now: .now())
            return endTurn()
        }
        connections[connection.id] = connection
        site.dialSucceeded(token, connection: connection.id, now: .now())
        endTurn()
    }

    func dialFailed(_ token: DialToken, _ error: any Error) {
        site.dialFailed(token, reason: NetworkFailure.describe(error), now: .now())
        endTurn()
    }

    // MARK: From the local server

    func bytesReceived(_ bytes: inout ByteBuffer, on connection: LocalConnection) {
        counters.localBytesReceived &+= UInt64(bytes.readableBytes)
        let now = NIODeadline.now()
        connection.read(&bytes)
        while let event = connection.nextEvent() {
            switch event {
            case .stanza(let stanza):
                site.stanzaReceived(connection.id, stanza, now: now)
                // What negotiates may change how the next event is to be read; ordinary stanzas do not.
                if stanza.kind == .other { drain() }
            case .opened(let header):
                site.streamOpened(connection.id, header: header, streamID: SecureRandom.hex(bytes: 16), now: now)
                drain()
            case .oversize(let stub, _):
                site.oversizeReceived(connection.id, stub, now: now)
            case .closed:
                site.streamClosed(connection.id, now: now)
            case .failed(let error):
                site.streamFailed(connection.id, error, now: now)
            }
        }
        drain()
    }

    func secured(_ connection: LocalConnection, peer: CertificateIdentities?, version: TLSVersion, isResumed: Bool) {
        connection.secured()
        logger.debug(
            "TLS towards the local server",
            metadata: [
                "connection": "\(connection.id)", "version": "\(version)", "resumed": "\(isResumed)",
                "certificate": "\(peer.map { $0.isValid ? "valid" : $0.failure ?? "not valid" } ?? "none")",
            ])
        site.tlsEstablished(connection.id, peer: peer, now: .now())
        endTurn()
    }

    func writabilityChanged(_ connection: LocalConnection, isWritable: Bool) {
        site.writabilityChanged(connection.id, isWritable: isWritable, now: .now())
        // Within a turn the loop that is drawing actions sees the change by itself.
        if !isDraining { endTurn() }
    }

    /// The kernel took stanzas of a connection; the local side hears of it at the end of the turn, of all at once.
    func stanzasTaken(_ connection: LocalConnection) {
        taken.append(connection)
        endTurn()
    }

    func reportTaken() {
        guard !taken.isEmpty else { return }
        for connection in taken {
            site.stanzasWritten(connection.id, count: connection.takeTaken(), now: .now())
        }
        taken.removeAll(keepingCapacity: true)
    }

    func connectionEnded(_ connection: LocalConnection) {
        guard connections.removeValue(forKey: connection.id) != nil else { return }
        if let place = connection.admission { admission.release(place) }
        connection.admission = nil
        site.stanzasWritten(connection.id, count: connection.takeTaken(), now: .now())
        site.connectionClosed(connection.id, reason: connection.failure, now: .now())
        endTurn()
    }

    // MARK: From the links

    func linkEvent(_ event: LinkEvent, _ peer: PeerRuntime) {
        let now = NIODeadline.now()
        let number = peer.number
        switch event {
        case .received(let stanza): return site.linkStanzaReceived(peer: number, stanza, now: now)
        case .block(let block): return site.linkBlockReceived(peer: number, block, now: now)
        case .oversize(let stub, let limit):
            return site.linkOversizeReceived(peer: number, stub, limit: limit, now: now)
        case .connected: site.linkConnected(peer: number, now: now)
        case .disconnected(let unsent, let inDoubt, _):
            site.linkDisconnected(peer: number, unsent: unsent, inDoubt: inDoubt, now: now)
        case .ready: site.linkReady(peer: number, now: now)
        case .readyForUrgent: site.linkReadyForUrgent(peer: number, now: now)
        case .brought(let count): site.linkBlocksBrought(peer: number, count, now: now)
        case .room(let bytes): site.linkRoomChanged(peer: number, bytes: bytes, now: now)
        case .turn(let isOpen): site.linkTurnChanged(peer: number, isOpen: isOpen, now: now)
        case .confirmed(let stanzas): site.linkConfirmed(peer: number, stanzas, now: now)
        case .returned(let unsent, let inDoubt):
            site.linkReturned(peer: number, unsent: unsent, inDoubt: inDoubt, now: now)
        case .batchEnd: break
        }
        endTurn()
    }
}
