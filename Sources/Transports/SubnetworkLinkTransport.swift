package import Blocks
import DequeModule
import Logging
package import NIOCore
import STANAG5066
package import XMPP

/// A link through a STANAG 5066 node: one RCOP unit for each block (dialect `skywave`), or for each stanza (`xep`, XEP-0365
/// 0.2.1).
///
/// The node says of each unit whether it has arrived, so nothing is in doubt for long: in `xep` the owner hears what was confirmed,
/// and what failed goes back to it; in `skywave` the owner has it, and a unit that failed for good ends the connection, so that a new session finds out what
/// is missing.
package final class SubnetworkLinkTransport: LinkTransport {
    /// How a peer's units are classed; places in ``SubnetworkPeerConfiguration/services``.
    package enum Service: Int, Sendable, CaseIterable {
        /// A block, or in `xep` a message, an IQ, a subscription, and what joins a room.
        case normal
        case urgent
        /// In `xep`: presence that the next one replaces.
        case presence
    }

    package var onEvent: ((LinkEvent) -> Void)?

    let name: String
    private let peer: Int
    private let dialect: LinkDialect
    private let description: String
    private let binding: SubnetworkBinding
    private let reader: XMPPUnitReader
    /// What may wait while nobody reads. Beyond it blocks are dropped, which the peer sends again.
    private let heldBytes: Int
    /// `xep`: the same of what the node has confirmed to the sender. When there is more, or it has waited for ``holdTime``, the bind is
    /// given up, so that the sender keeps what he has: here it would be lost with the process. Read it is bound again.
    private let confirmedBytes: Int
    /// Turns of a radio take longer, and a disk that is full for a moment must not end a bind.
    package static let holdTime = TimeAmount.seconds(30)
    /// How a stanza crosses, in dialect `xep`. Holds from the next that is handed over.
    package var classify: (Stanza) -> Service

    private var events: Deque<LinkEvent> = []
    private var isDelivering = false
    private var isDeliveryScheduled = false
    private var isPaused = false
    private var held: Deque<ByteBuffer> = []
    private var heldCount = 0
    private var holdTimer: Scheduled<Void>?
    /// The bind was given up for it.
    private var isReceivingStopped = false
    private var isUp = false
    private var isClosed = false
    private var isTurn = true
    /// What the owner was told of it last.
    private var room: Int?
    private var nextToken: UInt64 = 1
    /// `skywave`: blocks since the link came up that have not arrived, and how many there were.
    private var blocksUnderWay: Set<UInt64> = []
    private var firstToken: UInt64 = 1
    /// Empty in `skywave`.
    private var stanzas = StanzaUnits()
    private var hasConnected = false
    private var counts: LinkStatus

    /// - Parameters:
    ///   - peer: its place in the binding.
    ///   - description: where it is, for status: `node 127.0.0.1:5066, 10.1.2.3 SAP 6`.
    ///   - classify: how a stanza crosses, in dialect `xep`.
    package init(
        name: String, peer: Int, dialect: LinkDialect, description: String, binding: SubnetworkBinding,
        limits: XMLLimits = .link, heldBytes: Int = 32 << 20, confirmedBytes: Int = 16 << 10,
        classify: @escaping (Stanza) -> Service = { _ in .normal }
    ) {
        self.name = name
        self.peer = peer
        self.dialect = dialect
        self.description = description
        self.binding = binding
        self.heldBytes = heldBytes
        self.confirmedBytes = confirmedBytes
        self.classify = classify
        reader = XMPPUnitReader(limits: limits)
        counts = LinkStatus(peer: name, state: .stopped, since: .now())
        binding.add(self, peer: peer)
    }

    // MARK: LinkTransport

    package func start() {
        setState(.dialling)
        binding.start()
    }

    /// The bind is kept up at all times; the node makes links by itself.
    package func demandConnection() {}

    package func send(_ batch: [Stanza]) {
        guard isUp, stanzas.isBatchOver, !isDownPending else {
            notTaken(batch)
            return scheduleDelivery()
        }
        counts.batchesSent += 1
        stanzas.batchTaken(batch)
        offerNext()
        scheduleDelivery()
    }

    package func sendUrgent(_ batch: [Stanza]) {
        guard isUp, stanzas.isUrgentBatchOver, !isDownPending else {
            notTaken(batch)
            return scheduleDelivery()
        }
        counts.batchesSent += 1
        // What was said before this batch is used up by it.
        events.removeAll { $0 == .ready || $0 == .readyForUrgent }
        stanzas.urgentBatchTaken(batch)
        offerNextUrgent()
        scheduleDelivery()
    }

    package func send(block: ByteBuffer, isUrgent: Bool) {
        guard isUp else { return }
        counts.blocksSent += 1
        // What was said before this block is used up by it.
        events.removeAll { $0 == .ready || $0 == .readyForUrgent }
        blocksUnderWay.insert(nextToken)
        offer(block, isUrgent ? .urgent : .normal)
        scheduleDelivery()
    }

    package func pauseReading() { isPaused = !isClosed }

    package func resumeReading() {
        isPaused = false
        takeHeld()
        stopReceiving(false)
        scheduleDelivery()
    }

    private func takeHeld() {
        holdTimer?.cancel()
        holdTimer = nil
        while let unit = held.popFirst() { take(unit) }
        heldCount = 0
    }

    package func fail(_ error: StreamError) {
        counts.lastError = LinkEnd.errorSent(error).sentence
        let peer = peer
        binding.turn { $0.peerFailed(peer, now: $1) }
    }

    package func close() -> EventLoopFuture<Void> {
        guard !isClosed else { return binding.eventLoop.makeSucceededVoidFuture() }
        isClosed = true
        setState(.closing)
        // Its sender believes it delivered, and nobody would take it later.
        isPaused = false
        takeHeld()
        deliver()
        let closed = binding.linkClosed()
        closed.assumeIsolated().whenSuccess { self.setState(.stopped) }
        return closed
    }

    package var status: LinkStatus {
        var status = counts
        if !isClosed, !isUp {
            switch binding.machine.clientStatus.state {
            case .waiting(let until), .unbound(let until): status.state = .waiting(until: until)
            case .idle, .dialling, .binding, .bound, .stopping, .stopped: break
            }
        }
        if isUp {
            status.warning = binding.machine.impediment(peer, now: .now())?.description
            status.connections = [
                .init(
                    description: description, since: counts.since, sends: true, bytesReceived: counts.bytesReceived,
                    bytesSent: counts.bytesSent)
            ]
        }
        if isReceivingStopped {
            status.warning =
                "What came could be neither recorded nor delivered, so the node was left, for the peer to keep what it has; see what is wrong with the journal and the local server."
        }
        status.heldUnits = held.count
        status.heldBytes = heldCount
        status.bind = binding.status(peer: peer)
        status.stanzasUnacknowledged = UInt64(stanzas.underWayCount)
        status.lastError = counts.lastError ?? (isUp ? nil : binding.lastError)
        return status
    }

    // MARK: Sending

    private func offer(_ unit: ByteBuffer, _ service: Service) {
        let token = nextToken
        nextToken += 1
        counts.bytesSent += UInt64(unit.readableBytes)
        let peer = peer
        binding.turn { $0.unitOffered(peer, unit, token: token, service: service.rawValue, now: $1) }
    }

    /// `xep`: the next stanza of the batch.
    private func offerNext() {
        guard let (stanza, isUrgent) = stanzas.next(token: nextToken, isUrgent: { classify($0) == .urgent }) else { return }
        counts.stanzasSent += 1
        let service = classify(stanza)
        offer(stanza.rcopUnit, service == .urgent && !isUrgent ? .normal : service)
    }

    /// `xep`: the next stanza of the batch that overtakes the other.
    private func offerNextUrgent() {
        guard let (stanza, isUrgent) = stanzas.nextUrgent(token: nextToken) else { return }
        counts.stanzasSent += 1
        offer(stanza.rcopUnit, isUrgent ? .urgent : .normal)
    }

    // MARK: From the binding

    func cameUp(mtu: Int) {
        isUp = true
        isTurn = true
        blocksUnderWay = []
        firstToken = nextToken
        if hasConnected { counts.reconnects += 1 }
        hasConnected = true
        counts.lastError = nil
        setState(.connected)
        binding.logger.info("link up", metadata: ["peer": "\(name)", "how": "\(description), MTU \(mtu)"])
        events.append(.connected(description: description))
    }

    func wentDown(_ reason: String) {
        isUp = false
        var unsent = stanzas.takeBatch()
        var inDoubt: [Stanza] = []
        // What the node had comes before what it had not: the owner puts each event's stanzas in front of all others.
        if case .returned(let earlier, let doubtful) = events.last {
            events.removeLast()
            unsent = earlier + unsent
            inDoubt = doubtful
        }
        setState(.dialling)
        binding.logger.info("link down", metadata: ["peer": "\(name)", "reason": "\(reason)"])
        events.append(.disconnected(unsent: unsent, inDoubt: inDoubt, reason: reason))
    }

    func ready(isIdle: Bool) {
        guard stanzas.isBatchOver else { return offerNext() }
        let room = binding.machine.window(peer)
        if dialect == .skywave, room != self.room {
            self.room = room
            events.append(.room(room))
        }
        if isTurn != isIdle {
            isTurn = isIdle
            events.append(.turn(isIdle))
        }
        events.append(.ready)
    }

    func readyForUrgent() {
        guard stanzas.isUrgentBatchOver else { return offerNextUrgent() }
        events.append(.readyForUrgent)
    }

    func idle() {
        guard !isTurn else { return }
        isTurn = true
        events.append(.turn(true))
    }

    func finished(_ token: UInt64) {
        if blocksUnderWay.remove(token) != nil {
            let arrived = Int(clamping: (blocksUnderWay.min() ?? nextToken) - firstToken)
            if arrived > 0 { events.append(.brought(arrived)) }
        }
        if let end = stanzas.finished(token) { ended(end) }
    }

    func failed(_ token: UInt64, _ reason: RCOPUnitFailure) {
        switch dialect {
        case .xep:
            if let end = stanzas.failed(token, reason) { ended(end) }
        case .skywave:
            guard isUp else { return }
            counts.lastError = "a unit was given up: \(reason)"
            let peer = peer
            binding.eventLoop.assumeIsolated().execute { self.binding.turn { $0.peerFailed(peer, now: $1) } }
        }
    }

    /// One event for all that ended together in the same way.
    private func ended(_ end: StanzaUnits.End) {
        switch end {
        // What the node has not got must not go before it.
        case .unsent(let stanza): returned(unsent: [stanza] + stanzas.takeBatch(), inDoubt: [])
        case .inDoubt(let stanza): returned(unsent: [], inDoubt: [stanza])
        case .confirmed(let stanza):
            guard case .confirmed(let before) = events.last else { return events.append(.confirmed([stanza])) }
            events[events.count - 1] = .confirmed(before + [stanza])
        }
    }

    /// The owner does not know yet that the link is down, or was.
    private var isDownPending: Bool {
        events.contains { event in
            if case .disconnected = event { true } else { false }
        }
    }

    /// A batch that crosses with the news that the link is down comes back with that news: for the owner nothing is under way after it.
    private func notTaken(_ batch: [Stanza]) {
        for index in events.indices {
            guard case .disconnected(let unsent, let inDoubt, let reason) = events[index] else { continue }
            events[index] = .disconnected(unsent: unsent + batch, inDoubt: inDoubt, reason: reason)
            return
        }
        events.append(.returned(unsent: batch, inDoubt: []))
    }

    /// One event for all that came back together, in their order.
    private func returned(unsent: [Stanza], inDoubt: [Stanza]) {
        guard case .returned(let unsentBefore, let doubtfulBefore) = events.last else {
            return events.append(.returned(unsent: unsent, inDoubt: inDoubt))
        }
        events[events.count - 1] = .returned(unsent: unsentBefore + unsent, inDoubt: doubtfulBefore + inDoubt)
    }

    func received(_ unit: ByteBuffer, followsGap: Bool) {
        counts.bytesReceived += UInt64(unit.readableBytes)
        guard isPaused else { return take(unit) }
        guard heldCount + unit.readableBytes <= heldBytes else {
            counts.lastError = "the local server took nothing for so long that what the node brought could not be kept"
            return
        }
        heldCount += unit.readableBytes
        held.append(unit)
        guard dialect == .xep, !isReceivingStopped else { return }
        // What comes before the node hears of it is kept.
        if heldCount > confirmedBytes { return stopReceiving(true) }
        guard holdTimer == nil else { return }
        holdTimer = binding.eventLoop.assumeIsolated().scheduleTask(in: Self.holdTime) {
            self.holdTimer = nil
            if !self.held.isEmpty { self.stopReceiving(true) }
        }
    }

    private func stopReceiving(_ isStopped: Bool) {
        guard isReceivingStopped != isStopped else { return }
        isReceivingStopped = isStopped
        let peer = peer
        binding.turn { $0.receivingStopped(peer, isStopped, now: $1) }
    }

    private func take(_ unit: ByteBuffer) {
        switch dialect {
        case .skywave:
            counts.blocksReceived += 1
            events.append(.block(unit))
        case .xep:
            do throws(StreamError) {
                for content in try reader.read(unit) {
                    switch content {
                    case .stanza(let stanza):
                        counts.stanzasReceived += 1
                        events.append(.received(stanza))
                    case .oversize(let stub, let limit):
                        counts.oversizeReceived += 1
                        events.append(.oversize(stub, limit))
                    }
                }
            } catch {
                counts.lastError = LinkEnd.errorSent(error).sentence
            }
        }
        events.append(.batchEnd)
    }

    // MARK: Events

    private func scheduleDelivery() {
        guard !isDelivering, !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        binding.eventLoop.assumeIsolated().execute {
            self.isDeliveryScheduled = false
            self.deliver()
        }
    }

    /// Events come after the call or the bytes that caused them have been dealt with.
    func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        while let event = events.popFirst() { onEvent?(event) }
        isDelivering = false
    }

    private func setState(_ state: LinkStatus.State) {
        guard counts.state != state else { return }
        counts.state = state
        counts.since = .now()
    }
}
