import Blocks
import DequeModule
package import Logging
package import NIOCore
import NIOPosix
import TLS
package import XMPP

/// A link over TCP, of stanzas as in XEP-0361 or of blocks: plain where the configuration says so in words, else TLS
/// from the first byte with certificates at both ends.
///
/// ``TCPLinkStateMachine`` decides; this object does. It keeps the batch that is in flight, so that none is forgotten
/// when a connection dies, and pulls stanzas out of the connections only while the reader wants them.
package final class TCPLinkTransport: LinkTransport {
    package let configuration: TCPLinkConfiguration
    package var onEvent: ((LinkEvent) -> Void)?

    let eventLoop: any EventLoop
    let logger: Logger
    let clientContext: TLSContext?
    var machine: TCPLinkStateMachine
    var connections: [LinkConnectionID: LinkConnection] = [:]
    private var nextNumber: UInt64 = 1
    var attempt: DialAttempt?
    private var timer: Scheduled<Void>?
    var closing: EventLoopPromise<Void>?

    private var offered: [Stanza] = []
    private var offeredBlock: ByteBuffer?
    private var inFlight: [Stanza] = []
    /// Written, but the peer may still refuse the connection, or its TCP has not acknowledged them.
    private var unsettled = UnsettledBatches()

    /// Connections with bytes that were not reported yet, in the order in which they came.
    var readable: Deque<LinkConnection> = []
    var events: Deque<LinkEvent> = []
    var isPaused = false
    private var isDriving = false
    var isDelivering = false
    private var isDeliveryScheduled = false
    var hasReported = false
    /// The machine has closed everything; the promise follows the last event.
    var isOver = false

    var counts: LinkStatus
    private var shownState = LinkStatus.State.stopped
    private var hasConnected = false

    /// - Parameters:
    ///   - listener: where the peer connects to; nil when only we dial.
    ///   - seed: of the jitter between dials; from the system's random numbers.
    /// - Throws: ``TransportError`` when the TLS settings cannot be used, the listener cannot tell its peers apart, or
    ///   both sides of a link with blocks would dial.
    package init(
        _ configuration: TCPLinkConfiguration, eventLoop: any EventLoop, listener: LinkListener?, seed: UInt64,
        logger: Logger
    ) throws(TransportError) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        machine = TCPLinkStateMachine(policy: configuration.policy, seed: seed)
        counts = LinkStatus(peer: configuration.peer, state: .stopped, since: .now(), warning: configuration.warning)
        do throws(TLSError) {
            if let tls = configuration.tls, configuration.remote != nil {
                clientContext = try TLSContext(tls.clientConfiguration())
            } else {
                clientContext = nil
            }
        } catch {
            throw TransportError(.tls, "the link to \(configuration.peer) cannot use TLS: \(error.message)")
        }
        if configuration.dialect == .skywave, configuration.remote != nil, listener != nil {
            throw TransportError(
                .bothDial,
                "the link to \(configuration.peer) has both an address to dial and a listener; in dialect skywave the "
                    + "agreement names the one side that dials: keep connect there and listen at the other")
        }
        try listener?.register(self)
    }

    // MARK: LinkTransport

    package func start() {
        if let warning = configuration.warning {
            logger.warning("\(warning)", metadata: ["peer": "\(configuration.peer)"])
        }
        fromOwner { machine.started(now: .now()) }
    }

    package func demandConnection() {
        fromOwner { machine.connectionDemanded(now: .now()) }
    }

    package func send(_ batch: [Stanza]) {
        guard !batch.isEmpty, configuration.dialect == .xep else { return }
        fromOwner {
            offered = batch
            machine.batchOffered(now: .now())
        }
    }

    package func send(block: ByteBuffer, isUrgent: Bool) {
        guard configuration.dialect == .skywave else { return }
        fromOwner {
            offeredBlock = block
            machine.batchOffered(now: .now())
        }
    }

    package func pauseReading() {
        guard !isPaused else { return }
        isPaused = true
        for connection in connections.values { connection.setReading(false) }
    }

    package func resumeReading() {
        guard isPaused else { return }
        isPaused = false
        for connection in connections.values.sorted(by: { $0.since < $1.since }) { connection.setReading(true) }
        fromOwner {}
    }

    package func fail(_ error: StreamError) {
        fromOwner { machine.failRequested(error, now: .now()) }
    }

    package func close() -> EventLoopFuture<Void> {
        if let closing { return closing.futureResult }
        let promise = eventLoop.makePromise(of: Void.self)
        closing = promise
        fromOwner { machine.closeRequested(now: .now()) }
        return promise.futureResult
    }

    package var status: LinkStatus {
        var status = counts
        status.state = machine.state
        settle()
        status.stanzasUnacknowledged = UInt64(inFlight.count + unsettled.stanzaCount)
        for connection in connections.values.sorted(by: { $0.since < $1.since }) {
            status.connections.append(
                .init(
                    description: connection.description, since: connection.since,
                    sends: connection.id == machine.sendingConnection, bytesReceived: connection.counter.received,
                    bytesSent: connection.counter.sent))
            status.bytesReceived &+= connection.counter.received
            status.bytesSent &+= connection.counter.sent
        }
        return status
    }

    // MARK: From the network

    /// Takes over a connection whose peer has been recognised.
    func adopt(_ connection: LinkConnection) {
        fromNetwork {
            let id = take(connection)
            machine.peerAccepted(id, now: .now())
        }
    }

    /// The dialled connection is there and the peer is the right one.
    func dialSucceeded(_ connection: LinkConnection) {
        fromNetwork {
            let id = take(connection)
            machine.dialSucceeded(id, now: .now())
        }
    }

    func dialFailed(_ reason: LinkEnd, bytes: WireByteCounter?) {
        fromNetwork {
            countBytes(bytes)
            machine.dialFailed(reason, now: .now())
        }
    }

    private func take(_ connection: LinkConnection) -> LinkConnectionID {
        let id = LinkConnectionID(nextNumber)
        nextNumber += 1
        connection.id = id
        connection.owner = self
        connections[id] = connection
        connection.open(configuration)
        if isPaused { connection.setReading(false) }
        return id
    }

    func countBytes(_ counter: WireByteCounter?) {
        guard let counter else { return }
        counts.bytesReceived &+= counter.received
        counts.bytesSent &+= counter.sent
    }

    // MARK: Machine

    /// A call by the owner: its events come after it has returned.
    private func fromOwner(_ input: () -> Void) {
        input()
        drive()
        guard !isDelivering, !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        eventLoop.assumeIsolated().execute {
            self.isDeliveryScheduled = false
            self.deliver()
        }
    }

    func fromNetwork(_ input: () -> Void) {
        input()
        drive()
        deliver()
    }

    func drive() {
        guard !isDriving else { return }
        isDriving = true
        defer { isDriving = false }
        guard var action = machine.nextAction() else { return }
        while true {
            perform(action)
            guard let next = machine.nextAction() else { break }
            action = next
        }
        let state = machine.state
        if state != shownState {
            shownState = state
            counts.since = .now()
        }
    }

    private func perform(_ action: TCPLinkAction) {
        switch action {
        case .dial: dial()
        case .abandonDial: abandonDial()
        case .connected(let id): connected(id)
        case .disconnected(let reason, let batchInFlight, let refused):
            disconnected(reason, batchInFlight: batchInFlight, refused: refused)
        case .proven: settle()
        case .ready: events.append(.ready)
        case .write(let id): write(to: id)
        case .returnBatch: returnBatch()
        case .writeClose(let id): connections[id]?.writeClose()
        case .writeRefusal(let id): connections[id]?.writeRefusal()
        case .writeError(let id, let error): connections[id]?.writeError(error)
        case .close(let id): connections[id]?.close()
        case .drop(let id): connections[id]?.abort()
        case .note(let reason): note(reason)
        case .arm(let deadline): arm(deadline)
        case .disarm: timer?.cancel()
        case .closed:
            timer?.cancel()
            isOver = true
        }
    }

    private func connected(_ id: LinkConnectionID) {
        let description = connections[id]?.description ?? ""
        if hasConnected { counts.reconnects += 1 }
        hasConnected = true
        logger.info("link up", metadata: ["peer": "\(configuration.peer)", "how": "\(description)"])
        events.append(.connected(description: description))
    }

    private func disconnected(_ reason: LinkEnd, batchInFlight: Bool, refused: Bool) {
        var inDoubt = unsettled.takeInDoubt(isPolite: reason == .closedByPeer, isRefused: refused)
        if batchInFlight { inDoubt += inFlight }
        inFlight = []
        logger.info(
            "link down",
            metadata: [
                "peer": "\(configuration.peer)", "reason": "\(reason.sentence)", "in-doubt": "\(inDoubt.count)",
            ])
        events.append(.disconnected(unsent: [], inDoubt: inDoubt, reason: reason.sentence))
    }

    /// A block that cannot be sent is not given back: its owner has what is in it.
    private func returnBatch() {
        offeredBlock = nil
        guard !offered.isEmpty else { return }
        events.append(.disconnected(unsent: offered, inDoubt: [], reason: "the link could not take the batch"))
        offered = []
    }

    private func write(to id: LinkConnectionID) {
        let connection = connections[id]
        let written: EventLoopFuture<Void>?
        switch configuration.dialect {
        case .xep:
            inFlight = offered
            offered = []
            counts.batchesSent += 1
            counts.stanzasSent += UInt64(inFlight.count)
            if let connection { unsettled.use(connection) }
            written = connection?.write(inFlight)
        case .skywave:
            counts.blocksSent += 1
            written = offeredBlock.flatMap { connection?.write($0) }
            offeredBlock = nil
        }
        written?.assumeIsolated().whenSuccess {
            self.fromNetwork { self.batchWritten(id) }
        }
    }

    private func batchWritten(_ id: LinkConnectionID) {
        // A connection that was replaced may finish its last batch late; what is in flight by then is another's.
        guard machine.sendingConnection == id else { return }
        if !inFlight.isEmpty, unsettled.connection?.id == id { unsettled.append(inFlight) }
        inFlight = []
        settle()
        machine.batchWritten(id, now: .now())
    }

    /// Forgets the batches that have certainly reached the peer's machine.
    private func settle() {
        let isUnproven = unsettled.connection?.id.map { machine.isUnproven($0) } ?? false
        unsettled.settle(isUnproven: isUnproven, limit: configuration.unsettledBytes)
    }

    private func note(_ reason: LinkEnd) {
        switch reason {
        case .closed, .closedByPeer, .replaced: break
        case .endedByPeer, .badBlock, .otherVersion, .agreementBroken, .cut, .reset, .silent, .errorReceived,
            .errorSent, .dialTimeout, .failed:
            counts.lastError = reason.sentence
            logger.notice(
                "link trouble", metadata: ["peer": "\(configuration.peer)", "reason": "\(reason.sentence)"])
        }
    }

    private func arm(_ deadline: NIODeadline) {
        timer?.cancel()
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.fromNetwork { self.machine.deadlineReached(now: .now()) }
        }
    }
}
