import DequeModule
package import HFNode
package import LinkCatalogue
package import NIOCore
package import STANAG5066

/// Two STANAG 5066 nodes on a modelled radio link, as their clients see them: bytes of connections in, bytes of
/// connections out.
///
/// Time passes as the owner says: virtual time in a simulation, a clock behind sockets. He calls
/// ``deadlineReached(now:)`` at ``nextDeadline``, and draws ``nextAction()`` after that and after everything else that
/// he does here. What is said at a time comes after what was due before it, so a run depends on nothing but the link,
/// the seed and the inputs.
///
/// ```
/// client ⇄ SISServerStateMachine ⇄ ┌──────────────── HFNodePair ────────────────┐ ⇄ SISServerStateMachine ⇄ client
///                                  │ node ⇄ air (RadioChannel, can be cut) ⇄ node│
///                                  └──── RateControl ─────────── RateControl ────┘
/// ```
///
/// A SAP belongs to one connection at a time. Hard links and expedited data are refused; soft links are made by the
/// nodes as units come.
package struct RadioNodes: ~Copyable {
    /// A unit on its way whose client wants to hear of it.
    struct Submitted {
        let client: NodeConnection
        let bindNumber: UInt64
        let request: UnidataRequest
    }

    package let link: RadioLink
    let start: NIODeadline
    let seed: UInt64
    private let addresses: [NodeAddress]
    let server: SISServerConfiguration
    var pair: HFNodePair<InterruptibleChannel>
    var controls: [RateControl]
    /// The mode of the last burst of each side, until the other side has got something of it.
    var unheardModes: [Waveform?] = [nil, nil]
    var lastTransmitter: HFNodeSide?
    var clients: [NodeConnection: NodeClient] = [:]
    /// Who is bound, by side and SAP.
    var bound: [[SAP: NodeConnection]] = [[:], [:]]
    /// SAPs whose queue is full.
    var closedSAPs: [Set<SAP>] = [[], []]
    private var submitted: [UInt64: Submitted] = [:]
    /// Connections whose input may be looked at again.
    private var dueReads: Deque<NodeConnection> = []
    private var nextConnection: UInt64 = 1
    private var nextBind: UInt64 = 1
    private var nextUnit: UInt64 = 1
    var isRunning = [true, true]
    /// How often a node was started, so that each time has its own chance.
    var starts: [UInt64] = [0, 0]
    /// Emission control by the link file, and by whoever operates the node.
    var isSilentBySchedule = [false, false]
    var isSilentByOrder = [false, false]
    /// When silences begin and end, in order.
    var changes: Deque<NIODeadline> = []
    var now: NIODeadline
    private var actions: Deque<RadioNodesAction> = []
    package internal(set) var statistics = RadioNodesStatistics()
    /// Whether ``RadioNodesAction/observed(_:at:)`` is wanted.
    package var isObserved = true

    /// Connections that a node takes at the same time; the standard wants five at least (Annex F §F.16).
    package static let maximumConnections = 64

    package static let standardAddresses: [NodeAddress] = [0x0A_0000_01, 0x0A_0000_02].compactMap { NodeAddress(value: $0) }

    /// - Parameters:
    ///   - addresses: of the first and the second node.
    ///   - seed: instead of the link's.
    ///   - server: what both nodes say to clients.
    ///   - start: schedules of the link count from here.
    package init(
        link: RadioLink, addresses: (first: NodeAddress, second: NodeAddress)? = nil, seed: UInt64? = nil,
        server: SISServerConfiguration = SISServerConfiguration(), start: NIODeadline
    ) {
        self.link = link
        self.start = start
        self.seed = seed ?? link.seed
        self.server = server
        self.addresses = addresses.map { [$0.first, $0.second] } ?? Self.standardAddresses
        now = start
        controls = HFNodeSide.allCases.map { link.rateControl($0) }
        let radio = InterruptibleChannel(link.radioChannel(seed: seed, origin: start))
        pair = HFNodePair(
            first: HFNodeMachine(
                configuration: link.nodeConfiguration(.first, address: self.addresses[0], seed: seed), timing: link.timing),
            second: HFNodeMachine(
                configuration: link.nodeConfiguration(.second, address: self.addresses[1], seed: seed), timing: link.timing),
            channel: radio)
        changes = Deque(Set(link.silences.flatMap { [start + $0.from, start + $0.until] }).sorted())
        applySilences()
    }

    package mutating func nextAction() -> RadioNodesAction? { actions.popFirst() }

    package func address(_ side: HFNodeSide) -> NodeAddress { addresses[side.rawValue] }

    package func isRunning(_ side: HFNodeSide) -> Bool { isRunning[side.rawValue] }

    /// The mode of the node's next burst.
    package func mode(_ side: HFNodeSide) -> Waveform { controls[side.rawValue].current }

    /// Bytes of a SAP's units that the node has and that are not settled.
    package mutating func queuedBytes(_ side: HFNodeSide, sap: SAP) -> Int {
        pair.withNode(side, now: now) { $0.queuedBytes(sap: sap.number) }
    }

    mutating func perform(_ action: RadioNodesAction) { actions.append(action) }

    mutating func observe(_ event: @autoclosure () -> RadioNodesEvent, at time: NIODeadline? = nil) {
        guard isObserved else { return }
        actions.append(.observed(event(), at: time ?? now))
    }

    // MARK: Connections

    /// A client has connected to a node.
    ///
    /// - Returns: nil when the node does not run, or has too many already: close the connection.
    package mutating func connected(to side: HFNodeSide, now: NIODeadline) -> NodeConnection? {
        advance(to: now)
        guard isRunning[side.rawValue], clients.keys.count(where: { $0.side == side }) < Self.maximumConnections else {
            return nil
        }
        let id = NodeConnection(side: side, number: nextConnection)
        nextConnection += 1
        clients[id] = NodeClient(id: id, configuration: server)
        return id
    }

    package mutating func bytesReceived(_ id: NodeConnection, _ bytes: ByteBuffer, now: NIODeadline) {
        advance(to: now)
        guard let client = clients[id] else { return }
        client.append(bytes)
        read(client)
        settle()
    }

    /// The connection is gone, by its end or by an error.
    package mutating func connectionClosed(_ id: NodeConnection, now: NIODeadline) {
        advance(to: now)
        guard let client = clients[id] else { return }
        client.server.connectionClosed()
        takeActions(client)
        clients[id] = nil
        settle()
    }

    /// Lets what is held up go on until nothing happens any more at this time.
    mutating func settle() {
        drainPair()
        while let id = dueReads.popFirst() {
            guard let client = clients[id] else { continue }
            read(client)
        }
    }

    /// Looks at a client's primitives one by one, as long as it need not wait for its SAP.
    private mutating func read(_ client: NodeClient) {
        while clients[client.id] === client, !isHeldUp(client), let bytes = client.nextBytes() {
            client.server.bytesReceived(bytes, now: now)
            takeActions(client)
            drainPair()
        }
        guard clients[client.id] === client, client.isReading == isHeldUp(client) else { return }
        client.isReading.toggle()
        perform(.readingChanged(client.id, isOn: client.isReading))
    }

    private func isHeldUp(_ client: NodeClient) -> Bool {
        guard link.clients.flowControl == .backPressure, let bind = client.server.bind else { return false }
        return closedSAPs[client.id.side.rawValue].contains(bind.sap)
    }

    // MARK: What clients want

    func client(_ side: HFNodeSide, sap: SAP) -> NodeClient? {
        bound[side.rawValue][sap].flatMap { clients[$0] }
    }

    mutating func takeActions(_ client: NodeClient) {
        while let action = client.server.nextAction() {
            switch action {
            case .write(let primitive):
                var bytes = ByteBuffer()
                primitive.encode(into: &bytes)
                perform(.write(client.id, bytes))
            case .close:
                clients[client.id] = nil
                perform(.close(client.id))
            case .bindRequested(let bind): bindRequested(bind, client)
            case .unbound: unbound(client)
            case .submitted(let request, let isExpedited): unitSubmitted(request, isExpedited: isExpedited, client)
            case .hardLinkRequested(let link):
                // No reason has a number for a node without hard links.
                client.server.primitiveOffered(.hardLinkRejected(HardLinkRejectedReason(rawValue: 0), link))
            case .hardLinkTerminated, .hardLinkAccepted, .hardLinkRefused, .managementMessage: break
            }
        }
    }

    private mutating func bindRequested(_ bind: BindRequest, _ client: NodeClient) {
        let side = client.id.side
        guard bound[side.rawValue][bind.sap] == nil else {
            observe(.bindRejected(client.id, bind.sap, .sapAlreadyAllocated))
            client.server.bindRejected(.sapAlreadyAllocated, now: now)
            return
        }
        bound[side.rawValue][bind.sap] = client.id
        client.bindNumber = nextBind
        nextBind += 1
        pair.withNode(side, now: now) { $0.clientBound(sap: bind.sap.number) }
        observe(.bound(client.id, bind.sap))
        client.server.bindAccepted(mtu: UInt16(clamping: link.clients.maximumUnit), now: now)
        // An earlier client of this SAP may have left units behind.
        if closedSAPs[side.rawValue].contains(bind.sap), link.clients.flowControl == .primitives {
            client.server.primitiveOffered(.dataFlowOff)
        }
        if isSilent(side) { client.server.primitiveOffered(Self.availability(isSilent: true)) }
    }

    static func availability(isSilent: Bool) -> SISPrimitive {
        isSilent ? .subnetAvailability(.receiveOnly, .emissionControl) : .subnetAvailability(.halfDuplex, .unspecified)
    }

    private mutating func unbound(_ client: NodeClient) {
        let side = client.id.side
        for (sap, id) in bound[side.rawValue] where id == client.id {
            bound[side.rawValue][sap] = nil
            pair.withNode(side, now: now) { $0.clientUnbound(sap: sap.number) }
            observe(.unbound(client.id, sap))
        }
    }

    private mutating func unitSubmitted(_ request: UnidataRequest, isExpedited: Bool, _ client: NodeClient) {
        guard !isExpedited, let bind = client.server.bind else {
            client.server.unitRejected(request, isExpedited: isExpedited, reason: .transmissionModeNotSpecified)
            return
        }
        let side = client.id.side
        let id = nextUnit
        nextUnit += 1
        submitted[id] = Submitted(client: client.id, bindNumber: client.bindNumber, request: request)
        let unit = SubmittedUnit(id: id, sourceSAP: bind.sap, request)
        let time = now
        let hadNoRoom = pair.withNode(side, now: time) { node in
            let before = node.statistics.unitsWithoutRoom
            node.requestReceived(unit, now: time)
            return node.statistics.unitsWithoutRoom > before
        }
        if hadNoRoom { statistics[side].unitsDropped += 1 } else { statistics[side].unitsTaken += 1 }
        drainPair()
        // Nothing more is said of it.
        if hadNoRoom || request.delivery.confirmation == .none { submitted[id] = nil }
    }

    // MARK: What nodes say

    mutating func delivered(_ side: HFNodeSide, _ indication: UnidataIndication) {
        statistics[side].unitsDelivered += 1
        statistics[side].bytesDelivered += indication.uPDU.readableBytes
        guard let client = client(side, sap: indication.destinationSAP) else { return }
        client.server.primitiveOffered(.unidataIndication(indication))
        takeActions(client)
    }

    /// - Parameter reason: nil for confirmed.
    mutating func settled(_ side: HFNodeSide, _ id: UInt64, _ reason: UnidataRejectedReason?) {
        if reason == nil { statistics[side].unitsConfirmed += 1 } else { statistics[side].unitsRejected += 1 }
        guard let unit = submitted.removeValue(forKey: id), let client = clients[unit.client],
            client.bindNumber == unit.bindNumber
        else { return }
        if let reason {
            client.server.unitRejected(unit.request, isExpedited: false, reason: reason)
        } else {
            client.server.unitConfirmed(unit.request, isExpedited: false)
        }
        takeActions(client)
    }

    mutating func flowChanged(_ side: HFNodeSide, _ sap: SAP, isOpen: Bool) {
        if isOpen { closedSAPs[side.rawValue].remove(sap) } else { closedSAPs[side.rawValue].insert(sap) }
        observe(.flowChanged(side, sap, isOpen: isOpen))
        guard let client = client(side, sap: sap) else { return }
        switch link.clients.flowControl {
        case .backPressure: if isOpen { dueReads.append(client.id) }
        case .primitives:
            client.server.primitiveOffered(isOpen ? .dataFlowOn : .dataFlowOff)
            takeActions(client)
        }
    }

    // MARK: Nodes that stop

    /// Ends all connections of a node, and forgets what its clients had submitted.
    mutating func dropClients(of side: HFNodeSide) {
        let ids = clients.keys.filter { $0.side == side }.sorted { $0.number < $1.number }
        for id in ids {
            clients[id] = nil
            perform(.close(id))
        }
        bound[side.rawValue] = [:]
        closedSAPs[side.rawValue] = []
        submitted = submitted.filter { $0.value.client.side != side }
    }
}
