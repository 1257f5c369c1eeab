import BridgeCore
import DequeModule
import Logging
import NIOCore
import NIOPosix
import ServerStreams
import TLS
import Transports
import XMPP

/// The running site: the machine of the local side, one machine per peer, and everything that carries out what they want.
///
/// Confined to one event loop. Work is done in *turns*: whatever one read, timer or link event brings in is fed to the
/// machines, their actions are carried out until none is left, and then each connection that was written to gets one write.
/// No stanza hops to another thread or task on its way, and none allocates anything here.
final class SiteRuntime {
    let configuration: SiteConfiguration
    let eventLoop: any EventLoop
    let logger: Logger
    let startedAt: NIODeadline
    var local: LocalSide
    var peers: [PeerRuntime] = []
    var linkListeners: [LinkListener] = []
    private let tls: LocalTLS?
    private var router: StanzaRouter
    var admission: LocalAdmission
    private let localLimits: XMLLimits

    var connections: [ConnectionID: LocalConnection] = [:]
    private var nextConnection: UInt64 = 1
    var listeners: [any Channel] = []

    private var localTimer: Scheduled<Void>?
    private var marked: Deque<PeerRuntime> = []
    private var written: [LocalConnection] = []
    private var isDraining = false
    private var isFlushing = false
    /// A turn was to be ended while actions were being carried out, for instance because one closed a connection.
    private var isTurnWanted = false
    private var pressure = BackPressure()
    private(set) var isStopping = false
    /// Succeeds when the local side is shut down.
    private var stopped: EventLoopPromise<Void>?
    var counters = SiteCounters()
    /// Sees what comes from the local server before it is routed; `check --dial` stands where peers otherwise do.
    var probe: (any SiteProbe)?

    /// - Parameter peers: those whose domains are routed; none when a probe takes all.
    init(
        _ configuration: SiteConfiguration, peers: [PeerConfiguration], secrets: any ServerStreamSecrets, tls: LocalTLS?, serverAddress: SocketAddress?,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.tls = tls
        startedAt = .now()
        router = StanzaRouter(peers: peers.map(\.domains))
        admission = LocalAdmission(configuration.limits, server: serverAddress)
        var limits = XMLLimits.local
        limits.stanzaBytes = configuration.limits.stanzaBytes
        limits.skippedBytes = max(limits.skippedBytes, 4 * limits.stanzaBytes)
        localLimits = limits
        local = LocalSide(configuration: SiteRuntime.localSide(configuration), secrets: secrets)
    }

    private static func localSide(_ configuration: SiteConfiguration) -> LocalSideConfiguration {
        var local = LocalSideConfiguration(
            localDomains: configuration.domains, remoteDomains: configuration.remoteDomains)
        switch configuration.attachment {
        case .server: local.attachment = .server
        case .components(let secrets): local.attachment = .components(secrets.mapValues(\.text))
        }
        local.encryption =
            switch configuration.tls.mode {
            case .off: .off
            case .optional: .optional
            case .required: .required
            }
        local.authentication =
            switch configuration.tls.authentication {
            case .dialback: .dialback
            case .certificateOrDialback: .certificateOrDialback
            case .certificate: .certificate
            }
        local.negotiationTimeout = configuration.limits.negotiationTimeout
        local.maximumInboundConnections = configuration.limits.connections
        local.queuedBytes = configuration.limits.queueBytes
        local.queuedBytesPerPair = min(local.queuedBytesPerPair, configuration.limits.queueBytes)
        local.queuedStanzasPerPair = configuration.limits.queueStanzas
        local.jitterSeed = SecureRandom.uniform(in: 0..<UInt64.max)
        return local
    }

    // MARK: Connections

    private func makeConnection(_ channel: any Channel, isDialled: Bool) -> LocalConnection {
        let id = ConnectionID(number: nextConnection)
        nextConnection += 1
        return LocalConnection(id: id, channel: channel, isDialled: isDialled, limits: localLimits)
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
        local.connectionAccepted(connection.id, now: .now())
        endTurn()
    }

    private func dial(_ token: DialToken) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(10))
            .channelOption(.writeBufferWaterMark, value: SiteRuntime.waterMark)
            .channelOption(.socketOption(.so_keepalive), value: 1)
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

    private func dialSucceeded(_ token: DialToken, _ channel: any Channel) {
        let handler = try? channel.pipeline.syncOperations.handler(type: LocalStreamHandler.self)
        guard let connection = handler?.connection, channel.isActive else {
            channel.close(promise: nil)
            local.dialFailed(token, reason: "the connection ended at once", now: .now())
            return endTurn()
        }
        connections[connection.id] = connection
        local.dialSucceeded(token, connection: connection.id, now: .now())
        endTurn()
    }

    private func dialFailed(_ token: DialToken, _ error: any Error) {
        local.dialFailed(token, reason: NetworkFailure.describe(error), now: .now())
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
                local.stanzaReceived(connection.id, stanza, now: now)
                // What negotiates may change how the next event is to be read; ordinary stanzas do not.
                if stanza.kind == .other { drain() }
            case .opened(let header):
                local.streamOpened(connection.id, header: header, streamID: SecureRandom.hex(bytes: 16), now: now)
                drain()
            case .oversize(let stub, _):
                local.oversizeReceived(connection.id, stub, now: now)
            case .closed:
                local.streamClosed(connection.id, now: now)
            case .failed(let error):
                local.streamFailed(connection.id, error, now: now)
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
        local.tlsEstablished(connection.id, peer: peer, now: .now())
        endTurn()
    }

    func writabilityChanged(_ connection: LocalConnection, isWritable: Bool) {
        local.writabilityChanged(connection.id, isWritable: isWritable, now: .now())
        if connection.isDialled { updatePressure(connection.id, isBlocked: !isWritable) }
        // Within a turn the loop that is drawing actions sees the change by itself.
        if !isDraining { endTurn() }
    }

    func connectionEnded(_ connection: LocalConnection) {
        guard connections.removeValue(forKey: connection.id) != nil else { return }
        if let place = connection.admission { admission.release(place) }
        connection.admission = nil
        updatePressure(connection.id, isBlocked: false)
        local.connectionClosed(
            connection.id, unsent: connection.takeUnsent(), reason: connection.failure, now: .now())
        endTurn()
    }

    // MARK: From the links

    func linkEvent(_ event: LinkEvent, _ peer: PeerRuntime) {
        let now = NIODeadline.now()
        switch event {
        case .connected: peer.machine.linkConnected(now: now)
        case .disconnected(let unsent, let inDoubt, _):
            peer.machine.linkDisconnected(unsent: unsent, inDoubt: inDoubt, now: now)
        case .ready: peer.machine.linkReady(now: now)
        case .received(let stanza):
            peer.machine.linkStanzaReceived(stanza, now: now)
            return mark(peer)
        case .oversize(let stub, let limit):
            peer.machine.linkOversizeReceived(stub, limit: limit, now: now)
            return mark(peer)
        case .batchEnd: break
        }
        mark(peer)
        endTurn()
    }

    // MARK: Turns

    /// Remembers that a peer's machine may have something to do.
    private func mark(_ peer: PeerRuntime) {
        guard !peer.isMarked else { return }
        peer.isMarked = true
        marked.append(peer)
    }

    /// Carries out what the machines want and writes what that produced.
    func endTurn() {
        guard !isDraining, !isFlushing else {
            isTurnWanted = true
            return
        }
        isFlushing = true
        repeat {
            isTurnWanted = false
            drain()
            var index = 0
            // Writing may change writability and so add to the list.
            while index < written.count {
                written[index].flush()
                index += 1
                if index == written.count { drain() }
            }
            written.removeAll(keepingCapacity: true)
        } while isTurnWanted
        isFlushing = false
        if isStopping, local.isShutDown, let stopped {
            self.stopped = nil
            stopped.succeed()
        }
    }

    /// Carries out actions until no machine has any. Does nothing when called from within itself: the outer loop sees what
    /// was added.
    private func drain() {
        guard !isDraining else { return }
        isDraining = true
        while true {
            if let action = local.nextAction() {
                perform(action)
            } else if let peer = marked.popFirst() {
                peer.isMarked = false
                while let action = peer.machine.nextAction() { perform(action, peer) }
            } else {
                break
            }
        }
        isDraining = false
        // No other event may come to end this turn: the connection that it belongs to may be gone.
        if isTurnWanted, !isFlushing { endTurn() }
    }

    private func perform(_ action: LocalAction) {
        switch action {
        case .received(let stanza):
            counters.localStanzasReceived &+= 1
            if let probe { return probe.received(stanza) }
            guard let number = router.recipient(of: stanza) else { return reply(to: stanza, .remoteServerNotFound) }
            let peer = peers[number]
            peer.machine.localStanzaReceived(stanza, now: .now())
            mark(peer)
        case .writeStanza(let id, let stanza):
            counters.localStanzasSent &+= 1
            guard let connection = connections[id] else { return }
            if !connection.hasOutgoing { written.append(connection) }
            connection.write(stanza)
        case .write(let id, let text):
            guard let connection = connections[id] else { return }
            if !connection.hasOutgoing { written.append(connection) }
            connection.write(text)
        case .oversize(let stub):
            counters.localOversize &+= 1
            reply(to: stub, .policyViolation, type: .modify)
        case .undeliverable(let stanza, let condition, let type):
            if let probe { return probe.undeliverable(stanza, condition) }
            guard let number = router.sender(of: stanza) else { return }
            let peer = peers[number]
            peer.machine.localDeliveryFailed(stanza, condition, type, now: .now())
            mark(peer)
        case .startTLS(let id, let asServer, let domain, let peerName):
            startTLS(id, asServer: asServer, domain: domain, peerName: peerName)
        case .restartReader(let id): connections[id]?.restartReader()
        case .authenticated(let id):
            guard let connection = connections[id] else { return }
            connection.raiseLimits()
            if let place = connection.admission { admission.release(place) }
            connection.admission = nil
        case .dial(let token): dial(token)
        case .close(let id): connections[id]?.close(within: .seconds(5))
        case .arm(let deadline):
            localTimer?.cancel()
            localTimer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                self.local.deadlineReached(now: .now())
                self.endTurn()
            }
        case .disarm:
            localTimer?.cancel()
            localTimer = nil
        case .note(let note): log(note)
        }
    }

    private func perform(_ action: PeerAction, _ peer: PeerRuntime) {
        switch action {
        case .deliver(let stanza): local.deliver(stanza, now: .now())
        case .send(let batch): peer.link.send(batch)
        case .wantLink: peer.link.demandConnection()
        case .failLink(let error): peer.link.fail(error)
        case .arm(let deadline):
            peer.timer?.cancel()
            peer.timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                peer.machine.deadlineReached(now: .now())
                self.mark(peer)
                self.endTurn()
            }
        case .disarm:
            peer.timer?.cancel()
            peer.timer = nil
        case .note(let note):
            logger.notice("\(note)", metadata: ["peer": "\(peer.configuration.name)"])
        }
    }

    /// An answer of the bridge's own to a stanza of the local server, where one may be given.
    private func reply(to stanza: Stanza, _ condition: StanzaErrorCondition, type: StanzaErrorType? = nil) {
        // No error ever goes to a room; presence is never worth one.
        guard stanza.kind != .presence, let sender = stanza.fromDomain, !configuration.rooms.contains(sender),
            let error = stanza.errorReply(condition, type: type)
        else { return }
        local.deliver(error, now: .now())
    }

    private func startTLS(_ id: ConnectionID, asServer: Bool, domain: Domain, peerName: Domain?) {
        guard let connection = connections[id] else { return }
        guard let tls else {
            connection.failure = "TLS was asked for, but [site.tls] says off"
            return connection.close(within: .zero)
        }
        do {
            try connection.startTLS(tls.handler(asServer: asServer, domain: domain, peerName: peerName))
        } catch {
            connection.failure = NetworkFailure.describe(error)
            connection.close(within: .zero)
        }
    }

    private func log(_ note: LocalNote) {
        probe?.noted(note)
        guard !note.isRepetition else { return }
        let level: Logger.Level =
            switch note.severity {
            case .information: .info
            case .warning: .warning
            case .error: .error
            }
        logger.log(
            level: level, "\(note.text)",
            metadata: note.connection.map { ["event": "\(note.kind.rawValue)", "connection": "\($0)"] }
                ?? ["event": "\(note.kind.rawValue)"])
    }

    // MARK: Start and end

    /// Everything is in place: links come up, components connect.
    func start() {
        for peer in peers {
            peer.link.onEvent = { [unowned self, unowned peer] event in linkEvent(event, peer) }
            peer.link.start()
        }
        local.started(now: .now())
        endTurn()
    }

    /// Ends everything in good order: nothing new is accepted, requests that wait for an answer are answered, what is queued
    /// goes back, streams are closed with their closing tags and links with theirs. Done when all that has happened or
    /// `patience` is over; then whatever is left is cut.
    func stop(within patience: TimeAmount) -> EventLoopFuture<Void> {
        guard !isStopping else { return eventLoop.makeSucceededVoidFuture() }
        isStopping = true
        let promise = eventLoop.makePromise(of: Void.self)
        stopped = promise
        for listener in listeners { listener.close(promise: nil) }
        var ends = linkListeners.map { $0.close() }
        for peer in peers {
            peer.machine.shutdownRequested(now: .now())
            mark(peer)
        }
        drain()
        local.shutdownRequested(now: .now())
        endTurn()
        ends += peers.map { $0.link.close() }
        ends.append(promise.futureResult)
        let finished = eventLoop.makePromise(of: Void.self)
        let deadline = eventLoop.assumeIsolated().scheduleTask(in: patience) {
            let streams = self.local.snapshot.streams.map { "\($0.direction.rawValue) \($0.connection) \($0.state)" }
            let links = self.peers.filter { $0.link.status.state != .stopped }.map(\.configuration.name)
            self.logger.warning(
                "not everything could be closed in good order within the time for it",
                metadata: ["streams": "\(streams.joined(separator: ", "))", "links": "\(links.joined(separator: ", "))"])
            finished.succeed()
        }
        EventLoopFuture.andAllComplete(ends, on: eventLoop).assumeIsolated().whenComplete { _ in
            deadline.cancel()
            finished.succeed()
        }
        return finished.futureResult.assumeIsolated().map {
            self.stopped?.succeed()
            self.stopped = nil
            self.localTimer?.cancel()
            for peer in self.peers {
                peer.timer?.cancel()
                peer.link.onEvent = nil
            }
            for connection in self.connections.values { connection.channel.close(promise: nil) }
        }.nonisolated()
    }

    // MARK: Back-pressure

    /// A server that reads too slowly holds up the links, for a while; then what comes is queued within the limits of the
    /// local side and bounced beyond them.
    private func updatePressure(_ id: ConnectionID, isBlocked: Bool) {
        switch pressure.changed(id, isBlocked: isBlocked) {
        case .pause:
            counters.linkPauses &+= 1
            for peer in peers { peer.link.pauseReading() }
            pressure.deadline = eventLoop.assumeIsolated().scheduleTask(in: configuration.limits.backPressure) {
                self.pressure.deadline = nil
                self.logger.warning("the local server reads too slowly; stanzas for it are queued now")
                for peer in self.peers { peer.link.resumeReading() }
                self.endTurn()
            }
        case .resume:
            let wasPaused = pressure.deadline != nil
            pressure.deadline?.cancel()
            pressure.deadline = nil
            if wasPaused { for peer in peers { peer.link.resumeReading() } }
        case nil:
            break
        }
    }
}

/// Takes the place of the peers while a site is being checked. Confined to the event loop of the site.
protocol SiteProbe: AnyObject {
    /// A stanza of the local server whose domains are proved.
    func received(_ stanza: Stanza)
    /// A stanza of the probe that could not be delivered.
    func undeliverable(_ stanza: Stanza, _ condition: StanzaErrorCondition)
    func noted(_ note: LocalNote)
}

/// Which connections towards the local server take nothing at the moment.
private struct BackPressure {
    enum Change {
        case pause
        case resume
    }

    private var blocked: Set<ConnectionID> = []
    /// Set while the links are held up.
    var deadline: Scheduled<Void>?

    mutating func changed(_ id: ConnectionID, isBlocked: Bool) -> Change? {
        if isBlocked {
            return blocked.insert(id).inserted && blocked.count == 1 ? .pause : nil
        }
        return blocked.remove(id) != nil && blocked.isEmpty ? .resume : nil
    }
}

/// What the runtime itself counts.
struct SiteCounters {
    var acceptedConnections: UInt64 = 0
    var refusedConnections: UInt64 = 0
    var localBytesReceived: UInt64 = 0
    var localStanzasReceived: UInt64 = 0
    var localStanzasSent: UInt64 = 0
    var localOversize: UInt64 = 0
    var linkPauses: UInt64 = 0
}
