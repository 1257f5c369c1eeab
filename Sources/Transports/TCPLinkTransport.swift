import Blocks
import DequeModule
package import Logging
package import NIOCore
import NIOPosix
import TLS
package import XMPP

/// A XEP-0361 link over TCP: plain where the configuration says so in words, else TLS from the first byte with
/// certificates at both ends.
///
/// ``TCPLinkStateMachine`` decides; this object does. It keeps the batch that is in flight, so that none is forgotten
/// when a connection dies, and pulls stanzas out of the connections only while the reader wants them.
package final class TCPLinkTransport: LinkTransport {
    package let configuration: TCPLinkConfiguration
    package var onEvent: ((LinkEvent) -> Void)?

    let eventLoop: any EventLoop
    let logger: Logger
    let clientContext: TLSContext?
    private var machine: TCPLinkStateMachine
    private var connections: [LinkConnectionID: LinkConnection] = [:]
    private var nextNumber: UInt64 = 1
    var attempt: DialAttempt?
    private var timer: Scheduled<Void>?
    private var closing: EventLoopPromise<Void>?

    private var offered: [Stanza] = []
    private var offeredBlock: ByteBuffer?
    private var inFlight: [Stanza] = []
    /// Written, but the peer may still refuse the connection, or its TCP has not acknowledged them.
    private var unsettled: Deque<UnsettledBatch> = []
    private var unsettledBytes = 0
    private var unsettledConnection: LinkConnection?

    /// Connections with bytes that were not reported yet, in the order in which they came.
    private var readable: Deque<LinkConnection> = []
    private var events: Deque<LinkEvent> = []
    private var isPaused = false
    private var isDriving = false
    private var isDelivering = false
    private var isDeliveryScheduled = false
    private var hasReported = false
    /// The machine has closed everything; the promise follows the last event.
    private var isOver = false

    private var counts: LinkStatus
    private var shownState = LinkStatus.State.stopped
    private var hasConnected = false

    /// - Parameters:
    ///   - listener: where the peer connects to; nil when only we dial.
    ///   - seed: of the jitter between dials; from the system's random numbers.
    /// - Throws: ``TransportError`` when the TLS settings cannot be used, or the listener cannot tell its peers apart.
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
        guard !batch.isEmpty else { return }
        fromOwner {
            offered = batch
            machine.batchOffered(now: .now())
        }
    }

    package func send(block: ByteBuffer, isUrgent: Bool) {
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
        status.stanzasUnacknowledged = UInt64(unsettled.reduce(inFlight.count) { $0 + $1.stanzas.count })
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

    private func countBytes(_ counter: WireByteCounter?) {
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

    private func fromNetwork(_ input: () -> Void) {
        input()
        drive()
        deliver()
    }

    private func drive() {
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
        case .returnBatch:
            events.append(.disconnected(unsent: offered, inDoubt: [], reason: "the link could not take the batch"))
            offered = []
        case .writeClose(let id): connections[id]?.writeClose()
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
        unsettledConnection?.refreshAcknowledgement()
        let acknowledged = unsettledConnection?.acknowledgedBytes ?? .max
        // Who closes in good order reads to the end; a peer that refuses us has read nothing.
        let isPolite = reason == .closedByPeer
        var inDoubt = unsettled.filter { refused || !isPolite && $0.end > acknowledged }.flatMap(\.stanzas)
        if batchInFlight { inDoubt += inFlight }
        forgetUnsettled()
        inFlight = []
        logger.info(
            "link down",
            metadata: [
                "peer": "\(configuration.peer)", "reason": "\(reason.sentence)", "in-doubt": "\(inDoubt.count)",
            ])
        events.append(.disconnected(unsent: [], inDoubt: inDoubt, reason: reason.sentence))
    }

    private func write(to id: LinkConnectionID) {
        inFlight = offered
        offered = []
        counts.batchesSent += 1
        counts.stanzasSent += UInt64(inFlight.count)
        guard let connection = connections[id] else { return }
        if unsettledConnection !== connection {
            forgetUnsettled()
            unsettledConnection = connection
        }
        guard let written = connection.write(inFlight) else { return }
        written.assumeIsolated().whenSuccess {
            self.fromNetwork { self.batchWritten(id) }
        }
    }

    private func batchWritten(_ id: LinkConnectionID) {
        // A connection that was replaced may finish its last batch late; what is in flight by then is another's.
        guard machine.sendingConnection == id else { return }
        if let connection = unsettledConnection, connection.id == id {
            let batch = UnsettledBatch(end: connection.counter.sent, stanzas: inFlight)
            unsettled.append(batch)
            unsettledBytes += batch.bytes
        }
        inFlight = []
        settle()
        machine.batchWritten(id, now: .now())
    }

    /// Forgets the batches that have certainly reached the peer's machine.
    private func settle() {
        guard let connection = unsettledConnection, !unsettled.isEmpty else { return }
        connection.refreshAcknowledgement()
        let isUnproven = connection.id.map { machine.isUnproven($0) } ?? false
        while let oldest = unsettled.first {
            let isSettled = !isUnproven && oldest.end <= connection.acknowledgedBytes
            guard isSettled || unsettledBytes > configuration.unsettledBytes else { return }
            unsettledBytes -= oldest.bytes
            unsettled.removeFirst()
        }
    }

    private func forgetUnsettled() {
        unsettled = []
        unsettledBytes = 0
        unsettledConnection = nil
    }

    private func note(_ reason: LinkEnd) {
        switch reason {
        case .closed, .closedByPeer, .replaced: break
        case .cut, .reset, .silent, .errorReceived, .errorSent, .dialTimeout, .failed:
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

    // MARK: Delivery

    /// Reports what waits, one event after the other; whatever the listener does in between only adds to the queues.
    private func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while true {
            if let event = events.popFirst() {
                onEvent?(event)
            } else if !isPaused, let connection = readable.first {
                if let event = connection.nextEvent() {
                    received(event, on: connection)
                    drive()
                } else {
                    readable.removeFirst()
                }
            } else if hasReported {
                hasReported = false
                onEvent?(.batchEnd)
            } else {
                if isOver { closing?.succeed() }
                return
            }
        }
    }

    private func received(_ event: StreamEvent, on connection: LinkConnection) {
        guard let id = connection.id else { return }
        switch event {
        case .opened: break
        case .stanza(let stanza):
            if stanza.kind == .other, let error = StreamError(stanza.root) {
                return machine.streamErrorReceived(id, error, now: .now())
            }
            counts.stanzasReceived += 1
            hasReported = true
            machine.stanzaReceived(id)
            onEvent?(.received(stanza))
        case .oversize(let stub, let limit):
            counts.oversizeReceived += 1
            hasReported = true
            machine.stanzaReceived(id)
            onEvent?(.oversize(stub, limit))
        case .closed: machine.closeTagReceived(id, now: .now())
        case .failed(let error): machine.readerFailed(id, error, now: .now())
        }
    }
}

/// A batch that the kernel has taken and the peer perhaps has not.
private struct UnsettledBatch {
    /// Where it ends, counted in bytes of its connection.
    let end: UInt64
    let stanzas: [Stanza]

    var bytes: Int { stanzas.reduce(0) { $0 + $1.byteCount } }
}

extension TCPLinkTransport: LinkConnectionOwner {
    func connectionReady(_ connection: LinkConnection, certificate: CertificateIdentities?) {
        dialledConnectionReady(connection, certificate: certificate)
    }

    func connectionReadable(_ connection: LinkConnection) {
        if !readable.contains(where: { $0 === connection }) { readable.append(connection) }
        fromNetwork {}
    }

    func connectionEnded(_ connection: LinkConnection, _ reason: LinkEnd) {
        guard let id = connection.id else { return dialledConnectionEnded(connection, reason) }
        fromNetwork {
            countBytes(connection.counter)
            connections[id] = nil
            machine.connectionClosed(id, reason, now: .now())
        }
    }
}
