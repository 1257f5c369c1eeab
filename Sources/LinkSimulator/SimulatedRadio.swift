import Blocks
import BridgeCore
import DequeModule
import HFNode
import NIOCore
import RadioSimulator
import STANAG5066
import XMPP

/// The link between two sites with a STANAG 5066 node each and a radio between them: what the daemon's transport for nodes is
/// around its machine, over ``VirtualSubnetwork``.
///
/// A bridge that ends takes its connection to the node with it; what is inside the node goes on.
final class SimulatedRadio: SiteLink {
    private enum Event {
        case ready(room: Int)
        case brought(Int)
        case connected, disconnected, readyForUrgent
        case turn(Bool)
        case block(ByteBuffer)
    }

    /// One site's end.
    private struct End {
        let site: SimulatedSite
        let peer: Int
        /// Units can be sent.
        var isUp = false
        var isTurn = true
        /// The site does not read.
        var isHeld = false
        var held: Deque<ByteBuffer> = []
        var events: Deque<Event> = []
        /// Blocks since the link came up, and whether they have arrived.
        var underWay: [(token: UInt64, hasArrived: Bool)] = []
        /// Counts processes: what was planned for an earlier one is void.
        var process = 0
    }

    private let world: Simulation
    private let number: Int
    private let terms: RadioTerms
    private let subnetwork: VirtualSubnetwork
    private var random: SimulationRandom
    private var ends: [End]
    private var nextToken: UInt64 = 1
    private var armed: NIODeadline?
    private var isDeliveryDue = false
    private(set) var blocks = 0
    private(set) var bytes = 0

    init(_ world: Simulation, number: Int, _ one: SimulatedSite, _ other: SimulatedSite, _ terms: RadioTerms) {
        self.world = world
        self.number = number
        self.terms = terms
        random = SimulationRandom(seed: ~terms.seed)
        ends = [End(site: one, peer: one.links.count), End(site: other, peer: other.links.count)]
        var client = SISClientConfiguration(
            bind: BindRequest(sap: .rcop, rank: 0, service: ServiceType(.arq, confirmation: .node)))
        client.bytesPerDestination = terms.bytesInNode
        client.bytesInNode = terms.bytesInNode
        let services = [(UInt8(0), UInt8(6)), (1, 12)].map { connection, priority in
            UnitService(
                connection: connection, priority: priority, confirmation: .node, timeToLive: TimeToLive(terms.timeToLive))
        }
        subnetwork = VirtualSubnetwork(
            link: terms.link, seed: terms.seed, client: client,
            peer: SubnetworkPeerConfiguration(
                name: "far", node: RadioNodes.standardAddresses[0], sap: .rcop, application: .skywave, framing: .delimited,
                repetition: .segment, services: services))
        subnetwork.onAction = { [unowned self] side, action in self.perform(action, side.rawValue) }
        one.add(self)
        other.add(self)
    }

    private func place(_ site: SimulatedSite) -> Int { ends[0].site === site ? 0 : 1 }
    func side(_ place: Int) -> HFNodeSide { HFNodeSide.allCases[place] }
    func other(_ site: SimulatedSite) -> SimulatedSite { ends[1 - place(site)].site }

    var isConnected: Bool { HFNodeSide.allCases.allSatisfy { subnetwork.isConnected($0) } }

    var isQuiet: Bool {
        let isEmpty = HFNodeSide.allCases.allSatisfy {
            subnetwork.unfinishedUnits($0) == 0 && subnetwork.nodes.queuedBytes($0, sap: .rcop) == 0
        }
        // What a node confirmed and nobody got is noticed by the missing acknowledgement alone, after half an hour or so.
        return isEmpty
            && ends.allSatisfy { end in
                end.held.isEmpty && end.events.isEmpty
                    && end.site.process?.machine.peerSnapshot(end.peer).inFlightStanzas ?? 0 == 0
            }
    }

    /// Transmissions of both nodes.
    var bursts: Int { subnetwork.nodes.statistics.first.bursts + subnetwork.nodes.statistics.second.bursts }

    /// As the daemon does for a peer behind a node.
    func adapt(_ policy: inout PeerPolicy, _ scenario: Scenario) {
        if case .time = policy.hold { policy.hold = .turn }
        policy.linkSession.deadAfter = terms.deadAfter
        policy.linkSession.repeatAfter = .nanoseconds(terms.deadAfter.nanoseconds / 2)
        policy.linkSession.firstRepeatAfter = .nanoseconds(terms.deadAfter.nanoseconds / 12)
        policy.linkSession.acknowledgementDelay = .seconds(20)
        policy.linkSession.windowText = 4 << 20
        policy.linkSession.waitsForTransport = true
    }

    // MARK: Time

    private var time: NIODeadline { VirtualRadio.standardStart + .nanoseconds(world.now) }

    /// Lets something happen to nodes or bridges now, and what follows from it.
    private func turn(_ body: (VirtualSubnetwork) -> Void) {
        subnetwork.advance(to: time)
        body(subnetwork)
        subnetwork.settle()
        arm()
        deliverSoon()
    }

    private func arm() {
        guard let next = subnetwork.nextDeadline, next != armed else { return }
        armed = next
        world.at(max(world.now, (next - VirtualRadio.standardStart).nanoseconds)) { [weak self] in
            guard let self, self.armed == next else { return }
            self.armed = nil
            self.turn { _ in }
        }
    }

    // MARK: Bridges

    func processStarted(_ site: SimulatedSite) {
        let place = place(site)
        ends[place].process += 1
        let seed = random.next()
        turn { $0.clientStarted(side(place), seed: seed) }
    }

    func processGone(_ site: SimulatedSite, kernelLives: Bool) {
        let place = place(site)
        ends[place].process += 1
        ends[place].isUp = false
        ends[place].isHeld = false
        ends[place].held = []
        ends[place].events = []
        guard let connection = subnetwork.clientGone(side(place)) else { return }
        // A node learns of a machine without power by its own means, if at all.
        let pause = kernelLives ? 1_000_000 : Int64(random.spread(1_000, 300_000)) * 1_000_000
        world.after(pause) { [weak self] in self?.turn { $0.endNoticed(connection, byNode: true) } }
    }

    /// The bind is kept up at all times, and the nodes make links by themselves.
    func wanted(by site: SimulatedSite) {}

    func failed(by site: SimulatedSite) {
        let place = place(site)
        let process = ends[place].process
        world.after(0) { [weak self] in
            guard let self, self.ends[place].process == process else { return }
            self.turn { $0.peerFailed(self.side(place)) }
        }
    }

    func send(_ load: LinkLoad, from site: SimulatedSite) {
        let place = place(site)
        guard case .block(let block, let isUrgent) = load else {
            return world.oracle.fail("stanzas were given to a link for blocks")
        }
        guard ends[place].isUp else { return }
        world.trace.record(world.now, "block", number, place, block.readableBytes)
        world.trace.record(block)
        blocks += 1
        bytes += block.readableBytes
        let token = nextToken
        nextToken += 1
        // What was said before this block is used up by it.
        ends[place].events.removeAll { event in
            switch event {
            case .ready, .readyForUrgent: true
            case .connected, .disconnected, .turn, .brought, .block: false
            }
        }
        ends[place].underWay.append((token, false))
        turn { $0.offer(side(place), block, token: token, service: isUrgent ? 1 : 0) }
    }

    func held(by site: SimulatedSite, _ isHeld: Bool) {
        let place = place(site)
        ends[place].isHeld = isHeld
        guard !isHeld else { return }
        ends[place].events += ends[place].held.map { .block($0) }
        ends[place].held = []
        deliverSoon()
    }

    // MARK: What nodes and machines say

    private func perform(_ action: SubnetworkAction, _ place: Int) {
        switch action {
        case .up:
            ends[place].isUp = true
            ends[place].isTurn = true
            ends[place].underWay = []
            ends[place].events.append(.connected)
        case .down:
            ends[place].isUp = false
            ends[place].events.append(.disconnected)
        case .ready(_, let isIdle):
            if ends[place].isTurn != isIdle {
                ends[place].isTurn = isIdle
                ends[place].events.append(.turn(isIdle))
            }
            ends[place].events.append(.ready(room: subnetwork.window(side(place))))
        case .readyForUrgent: ends[place].events.append(.readyForUrgent)
        case .idle:
            guard !ends[place].isTurn else { return }
            ends[place].isTurn = true
            ends[place].events.append(.turn(true))
        case .failed: if ends[place].isUp { failed(by: ends[place].site) }
        case .unit(_, let block, _, _): arrived(block, at: place)
        case .note(let trouble): world.trace.record(world.now, "node trouble", number, place, 0, "\(trouble)")
        case .dial, .abandonDial, .write, .close, .drop, .arm, .disarm, .stopped, .stranger, .reservationChanged: break
        case .finished(_, let token):
            guard let index = ends[place].underWay.firstIndex(where: { $0.token == token }) else { return }
            ends[place].underWay[index].hasArrived = true
            let arrived = ends[place].underWay.firstIndex { !$0.hasArrived } ?? ends[place].underWay.count
            if arrived > 0 { ends[place].events.append(.brought(arrived)) }
        }
    }

    private func arrived(_ block: ByteBuffer, at place: Int) {
        guard ends[place].isHeld || !ends[place].held.isEmpty else { return ends[place].events.append(.block(block)) }
        guard ends[place].held.reduce(block.readableBytes, { $0 + $1.readableBytes }) <= terms.heldBytes else {
            world.trace.record(world.now, "block dropped", number, place, block.readableBytes)
            return world.statistics.count(.blockLost)
        }
        ends[place].held.append(block)
    }

    /// After whatever led here.
    private func deliverSoon() {
        guard !isDeliveryDue, ends.contains(where: { !$0.events.isEmpty }) else { return }
        isDeliveryDue = true
        world.after(10_000) { [weak self] in
            guard let self else { return }
            self.isDeliveryDue = false
            for place in 0...1 {
                while let event = self.ends[place].events.popFirst() { self.give(event, to: place) }
            }
        }
    }

    private func give(_ event: Event, to place: Int) {
        let peer = ends[place].peer
        guard let process = ends[place].site.process else { return }
        switch event {
        case .connected:
            world.trace.record(world.now, "link up", number, place)
            process.turn { $0.linkConnected(peer: peer, now: $1) }
        case .disconnected:
            world.trace.record(world.now, "link down", number, place)
            process.turn { $0.linkDisconnected(peer: peer, unsent: [], inDoubt: [], now: $1) }
        case .ready(let room):
            process.turn {
                $0.linkRoomChanged(peer: peer, bytes: room, now: $1)
                $0.linkReady(peer: peer, now: $1)
            }
        case .readyForUrgent: process.turn { $0.linkReadyForUrgent(peer: peer, now: $1) }
        case .brought(let count): process.turn { $0.linkBlocksBrought(peer: peer, count, now: $1) }
        case .turn(let isOpen): process.turn { $0.linkTurnChanged(peer: peer, isOpen: isOpen, now: $1) }
        case .block(let block):
            // What came before the site said that it does not read any more.
            guard !ends[place].isHeld else { return ends[place].held.append(block) }
            world.trace.record(world.now, "block in", number, place, block.readableBytes)
            process.turn { $0.linkBlockReceived(peer: peer, block, now: $1) }
        }
    }

    // MARK: Faults

    /// The connection between one bridge and its node breaks; each end learns of it in its own time.
    func cut(_ remains: LinkRemains, isSilent: Bool) {
        guard isConnected else { return }
        switch remains {
        case .some: breakConnection(random.below(2), isSilent: isSilent)
        case .all(let place):
            // Units leave the node of this side, and what it says of them does not come.
            holdAnswers(side(place), true)
            let pause = Int64(random.spread(1_000, 300_000)) * 1_000_000
            world.after(pause) { [weak self] in
                self?.breakConnection(place, isSilent: false)
                self?.holdAnswers(self!.side(place), false)
            }
        }
    }

    private func breakConnection(_ place: Int, isSilent: Bool) {
        world.trace.record(world.now, "node connection cut", number, place, isSilent ? 1 : 0)
        subnetwork.advance(to: time)
        guard let connection = subnetwork.connectionDied(side(place)) else { return }
        for byNode in [false, true] {
            let pause = isSilent ? random.spread(1_000, 600_000) : random.spread(1, 2_000)
            world.after(Int64(pause) * 1_000_000) { [weak self] in
                self?.turn { $0.endNoticed(connection, byNode: byNode) }
            }
        }
    }

    func setUp(_ isUp: Bool) { setCut(!isUp) }

    /// Nothing crosses the air, and nobody is told.
    func setCut(_ isCut: Bool) {
        world.trace.record(world.now, "radio cut", number, isCut ? 1 : 0)
        turn { $0.act { nodes, now in nodes.linkCut(isCut, now: now) } }
    }

    func isNodeRunning(_ side: HFNodeSide) -> Bool { subnetwork.nodes.isRunning(side) }

    func setNode(_ side: HFNodeSide, isRunning: Bool) {
        world.trace.record(world.now, "node", number, side.rawValue, isRunning ? 1 : 0)
        turn {
            $0.act { nodes, now in
                if isRunning { nodes.nodeStarted(side, now: now) } else { nodes.nodeStopped(side, now: now) }
            }
        }
    }

    func setSilent(_ side: HFNodeSide, _ isSilent: Bool) {
        world.trace.record(world.now, "emission control", number, side.rawValue, isSilent ? 1 : 0)
        turn { $0.act { nodes, now in nodes.emissionControlOrdered(side, isSilent: isSilent, now: now) } }
    }

    func holdAnswers(_ side: HFNodeSide, _ areHeld: Bool) {
        world.trace.record(world.now, "confirmations held", number, side.rawValue, areHeld ? 1 : 0)
        turn { $0.answersHeld(side, areHeld) }
    }

    func heal() {
        setCut(false)
        for side in HFNodeSide.allCases {
            setNode(side, isRunning: true)
            setSilent(side, false)
            holdAnswers(side, false)
        }
    }
}
