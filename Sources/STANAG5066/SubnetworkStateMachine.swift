import DequeModule
package import NIOCore

/// All peers behind one SAP of one node: one bind, an RCOP sender and receiver for each, and fair use of what may be inside the
/// node.
///
/// ```
///   unit ──▶ RCOPSender (peer 0) ──┐                                ┌──▶ RCOPReceiver (peer 0) ──▶ unit
///   unit ──▶ RCOPSender (peer 1) ──┼─▶ SISClientStateMachine ◀─▶ node
///                                  └ credit                         └──▶ nobody's: counted
/// ```
///
/// Urgency is decided as late as can be: a peer gets `ready` only when all that it gave before is inside the node and more may
/// follow, so that what waits does so where it can still be overtaken, replaced or expire. A large unit is long on its way into
/// the node, so meanwhile a peer gets `readyForUrgent`, and what it gives then goes first. What the node rejects is handed to it
/// again; what it gives up for good, and all that is unfinished when the bind ends, comes back to the owner.
package struct SubnetworkStateMachine: ~Copyable {
    final class Peer {
        let configuration: SubnetworkPeerConfiguration
        var sender: RCOPSender
        var receiver: RCOPReceiver
        /// Of units that are not finished, by token: how they go.
        var services: [UInt64: UnitService] = [:]
        /// U_PDUs inside the node, and their bytes.
        var inNode = 0
        var bytesInNode = 0
        /// When the node last said what became of one, or was given the first after it had none.
        var answeredAt: NIODeadline?
        /// Of them, what is urgent.
        var urgentBytesInNode = 0
        var window = NodeWindow(minimum: 1, maximum: 1)
        var isUp = false
        /// Its owner can keep nothing more.
        var isReceivingStopped = false
        /// After the owner ended it, it does not come up before.
        var restUntil: NIODeadline?
        /// `ready` was given and not used.
        var isReady = false
        /// `readyForUrgent` was given and not used, and no `ready` since.
        var isReadyForUrgent = false
        /// `ready` was given while something was inside the node, and the owner waits to hear when that ends.
        var awaitsIdle = false
        var unitsSent: UInt64 = 0
        var unitsReceived: UInt64 = 0

        init(_ configuration: SubnetworkPeerConfiguration, firstNumber: UInt8) {
            self.configuration = configuration
            sender = RCOPSender(configuration.sender, firstNumber: firstNumber)
            receiver = RCOPReceiver(
                RCOPReceiverConfiguration(framing: configuration.framing, application: configuration.application))
        }
    }

    var client: SISClientStateMachine
    let peers: [Peer]
    /// What is inside the node: whose it is, and its name there.
    struct Inside {
        var peer: Int
        var ticket: UInt64
        var bytes: Int
        var isUrgent: Bool
        var since: NIODeadline
    }

    private let reservingPeer: Int?
    private var reservation: SISReservationState?
    /// Bytes of one peer that may be inside the node beyond all limits, when they are urgent.
    let urgentReserve: Int
    var inside: [UInt64: Inside] = [:]
    var nextID: UInt64 = 1
    /// Who is served first next time.
    var turn = 0
    var actions = Deque<SubnetworkAction>()
    private var clientDeadline: NIODeadline?
    private var armed: NIODeadline?
    private(set) var mtu = 0
    /// U_PDUs of nodes and SAPs that no peer has.
    package private(set) var strangers: UInt64 = 0
    /// U_PDUs that came damaged, or for another SAP than ours.
    package private(set) var refused: UInt64 = 0
    /// Where it is bound.
    package let sap: SAP

    /// - Parameter seed: of jitter and of the first unit numbers.
    package init(_ configuration: SISClientConfiguration, peers: [SubnetworkPeerConfiguration], seed: UInt64) {
        client = SISClientStateMachine(configuration, seed: seed)
        sap = configuration.bind.sap
        reservingPeer = peers.firstIndex { $0.reservesLink }
        urgentReserve = configuration.urgentReserve
        var mixed = seed
        self.peers = peers.map { peer in
            mixed = mixed &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
            return Peer(peer, firstNumber: UInt8(truncatingIfNeeded: mixed >> 56))
        }
    }

    package mutating func nextAction() -> SubnetworkAction? { actions.popFirst() }

    package var clientStatus: SISClientStatus { client.status }
    package var clientCounters: SISClientCounters { client.counters }
    package func receiverCounters(_ peer: Int) -> RCOPReceiverCounters { peers[peer].receiver.counters }
    var mayNotTransmit: Bool { !client.mayTransmit }
    func hold(_ peer: Int) -> (until: NIODeadline, reason: UnidataRejectedReason)? {
        guard let until = peers[peer].sender.nextDeadline, let reason = peers[peer].sender.holdReason else { return nil }
        return (until, reason)
    }
    /// For how long the node has said nothing of what it has of a peer.
    func silence(_ peer: Int, now: NIODeadline) -> TimeAmount? {
        guard peers[peer].inNode > 0, let answeredAt = peers[peer].answeredAt else { return nil }
        return now - answeredAt
    }
    /// What became of the link that the node is to keep up; nil where it was not asked, or has not answered.
    func reservation(_ peer: Int) -> SISReservationState? { peer == reservingPeer ? reservation : nil }
    func application(_ peer: Int) -> RCOPApplication { peers[peer].configuration.application }
    /// How many bytes of a peer may be inside the node now.
    package func window(_ peer: Int) -> Int { peers[peer].window.bytes }
    package func unitsSent(_ peer: Int) -> UInt64 { peers[peer].unitsSent }
    package func unitsReceived(_ peer: Int) -> UInt64 { peers[peer].unitsReceived }
    /// Units that were taken and have not ended.
    package func unfinishedUnits(_ peer: Int) -> Int { peers[peer].services.count }

    package var debugState: String {
        client.debugState + "; "
            + peers.map { "\($0.configuration.name): in node \($0.inNode), \($0.sender.debugState)" }.joined(separator: "; ")
    }

    // MARK: The owner

    package mutating func started(now: NIODeadline) {
        client.peersChanged(Set(peers.map(\.configuration.node)))
        if let reservingPeer {
            client.reservationRequested(of: peers[reservingPeer].configuration.node, priority: 0, now: now)
        }
        client.started(now: now)
        drive(now: now)
    }

    package mutating func stopRequested(now: NIODeadline) {
        client.stopRequested(now: now)
        drive(now: now)
    }

    /// Offers a unit, after `ready`; it ends with `finished` or `failed`, perhaps at once.
    ///
    /// - Parameters:
    ///   - token: names it in actions; of this peer's units that have not ended no other has it.
    ///   - service: which of the peer's classes it is.
    package mutating func unitOffered(_ peer: Int, _ bytes: ByteBuffer, token: UInt64, service: Int, now: NIODeadline) {
        let place = peers[peer]
        place.isReady = false
        place.isReadyForUrgent = false
        place.awaitsIdle = false
        let services = place.configuration.services
        let unitService = services[min(max(service, 0), services.count - 1)]
        guard place.isUp, place.sender.unitOffered(bytes, token: token, connection: unitService.connection) == .accepted
        else {
            actions.append(.failed(peer, token: token, .lost))
            drive(now: now)
            return
        }
        place.services[token] = unitService
        drive(now: now)
    }

    /// The owner does not want to go on as it is: everything unfinished ends, and the peer comes up again after ``rest``.
    package mutating func peerFailed(_ peer: Int, now: NIODeadline) {
        guard peers[peer].isUp else { return }
        peers[peer].restUntil = now + Self.rest
        takeDown(peer, .ended)
        drive(now: now)
    }

    /// The owner of a peer can keep no more of what comes, or can again. While one cannot there is no bind, so that nodes do not
    /// confirm to senders what is then thrown away.
    package mutating func receivingStopped(_ peer: Int, _ isStopped: Bool, now: NIODeadline) {
        peers[peer].isReceivingStopped = isStopped
        client.receivingStopped(peers.contains { $0.isReceivingStopped }, now: now)
        drive(now: now)
    }

    /// How long a peer rests whose owner ended it.
    package static let rest = TimeAmount.seconds(10)

    // MARK: The network

    package mutating func dialSucceeded(_ id: SISConnectionID, now: NIODeadline) {
        client.dialSucceeded(id, now: now)
        drive(now: now)
    }

    package mutating func dialFailed(now: NIODeadline) {
        client.dialFailed(now: now)
        drive(now: now)
    }

    package mutating func connectionClosed(_ id: SISConnectionID, now: NIODeadline) {
        client.connectionClosed(id, now: now)
        drive(now: now)
    }

    package mutating func bytesReceived(_ id: SISConnectionID, _ bytes: ByteBuffer, now: NIODeadline) {
        client.bytesReceived(id, bytes, now: now)
        drive(now: now)
    }

    package mutating func deadlineReached(now: NIODeadline) {
        armed = nil
        if let clientDeadline, clientDeadline <= now {
            self.clientDeadline = nil
            client.deadlineReached(now: now)
        }
        for peer in peers {
            peer.receiver.deadlineReached(now: now)
            peer.sender.deadlineReached(now: now)
        }
        drive(now: now)
    }

    // MARK: Driving

    private mutating func drive(now: NIODeadline) {
        drawClient(now: now)
        repeat { handOver(now: now) } while drawClient(now: now)
        bringUp(now: now)
        offerTurns()
        arm()
    }

    /// - Returns: whether there was something.
    @discardableResult
    private mutating func drawClient(now: NIODeadline) -> Bool {
        var any = false
        while let action = client.nextAction() {
            any = true
            switch action {
            case .dial: actions.append(.dial)
            case .abandonDial: actions.append(.abandonDial)
            case .write(let id, let primitive): actions.append(.write(id, primitive))
            case .close(let id): actions.append(.close(id))
            case .drop(let id): actions.append(.drop(id))
            case .bound(let mtu): bound(mtu)
            case .unbound(let trouble): unbound(trouble)
            case .ended(let id, let end): ended(id, end, now: now)
            case .deliver(let indication): deliver(indication, now: now)
            case .note(let trouble): actions.append(.note(trouble))
            case .arm(let deadline): clientDeadline = deadline
            case .disarm: clientDeadline = nil
            case .stopped: actions.append(.stopped)
            case .reservationChanged(let state): reservationChanged(state)
            case .creditAvailable, .subnetChanged, .managementMessage: break
            }
        }
        return any
    }

    private mutating func bound(_ mtu: Int) {
        self.mtu = mtu
        for peer in peers {
            peer.sender.bound(mtu: mtu)
            peer.window = NodeWindow(
                minimum: 2 * mtu, maximum: min(peer.configuration.bytesInNode ?? .max, client.configuration.bytesPerDestination))
        }
    }

    /// Told once, and not every time that the node was asked again.
    private mutating func reservationChanged(_ state: SISReservationState) {
        guard reservation != state, let reservingPeer else { return }
        reservation = state
        actions.append(.reservationChanged(reservingPeer, state))
    }

    private mutating func unbound(_ trouble: SISTrouble) {
        mtu = 0
        for number in peers.indices {
            peers[number].sender.unbound()
            if peers[number].isUp { takeDown(number, .node(trouble)) }
        }
    }

    private mutating func takeDown(_ number: Int, _ reason: SubnetworkDown) {
        let peer = peers[number]
        peer.isReady = false
        peer.isReadyForUrgent = false
        peer.awaitsIdle = false
        peer.isUp = false
        giveBackAll(number)
        actions.append(.down(number, reason))
    }

    private mutating func bringUp(now: NIODeadline) {
        guard mtu > 0 else { return }
        for (number, peer) in peers.enumerated() where !peer.isUp {
            if let until = peer.restUntil, until > now { continue }
            peer.restUntil = nil
            peer.isUp = true
            actions.append(.up(number, mtu: mtu))
        }
    }

    /// Ends all units of a peer: the owner has what is in them, and decides anew what is worth sending.
    private mutating func giveBackAll(_ number: Int) {
        let peer = peers[number]
        drawSender(number)
        for token in peer.services.keys.sorted() { actions.append(.failed(number, token: token, .lost)) }
        peer.services = [:]
        peer.sender.allWithdrawn()
    }

    private mutating func ended(_ id: SISUnitID, _ end: SISUnitEnd, now: NIODeadline) {
        guard let unit = inside.removeValue(forKey: id.number) else { return }
        let (number, ticket) = (unit.peer, unit.ticket)
        let peer = peers[number]
        let wasFull = !hasRoom(peer)
        peer.inNode -= 1
        peer.answeredAt = now
        peer.bytesInNode -= unit.bytes
        if unit.isUrgent { peer.urgentBytesInNode -= unit.bytes }
        switch end {
        case .confirmed, .handedOver:
            peer.window.confirmed(unit.bytes, after: now - unit.since, wasFull: wasFull)
            peer.sender.uPDUConfirmed(ticket)
        case .rejected(let reason):
            peer.window.failed()
            peer.sender.uPDURejected(ticket, reason, now: now)
        case .lost, .notSent: peer.sender.uPDULost(ticket)
        }
        drawSender(number)
    }

    mutating func drawSender(_ number: Int) {
        let peer = peers[number]
        while let event = peer.sender.nextEvent() {
            switch event {
            case .finished(let token):
                peer.services[token] = nil
                peer.unitsSent += 1
                actions.append(.finished(number, token: token))
            case .failed(let token, let reason):
                peer.services[token] = nil
                actions.append(.failed(number, token: token, reason))
            }
        }
    }

    private mutating func deliver(_ indication: UnidataIndication, now: NIODeadline) {
        // A unit of one segment has no checksum of its own.
        guard indication.destinationSAP == sap, indication.erroredBlocks.isEmpty, indication.missingBlocks.isEmpty else {
            refused &+= 1
            return
        }
        let source = RCOPSource(node: indication.source, sap: indication.sourceSAP)
        guard
            let number = peers.firstIndex(where: { $0.configuration.node == source.node && $0.configuration.sap == source.sap })
        else {
            strangers &+= 1
            actions.append(.stranger(source.node, source.sap))
            return
        }
        let peer = peers[number]
        peer.sender.peerHeard()
        peer.receiver.uPDUReceived(indication.uPDU, from: source, now: now)
        while let event = peer.receiver.nextEvent() {
            guard case .unit(let unit) = event else { continue }
            peer.unitsReceived += 1
            actions.append(.unit(number, unit.bytes, connection: unit.connection, followsGap: unit.followsGap))
        }
    }

    private mutating func arm() {
        var deadline = clientDeadline
        func consider(_ other: NIODeadline?) {
            if let other { deadline = min(deadline ?? other, other) }
        }
        for peer in peers {
            consider(peer.receiver.nextDeadline)
            if peer.isUp { consider(peer.sender.nextDeadline) } else if mtu > 0 { consider(peer.restUntil) }
        }
        guard deadline != armed else { return }
        armed = deadline
        actions.append(deadline.map { .arm($0) } ?? .disarm)
    }
}
