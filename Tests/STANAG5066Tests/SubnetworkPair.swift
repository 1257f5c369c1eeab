import DequeModule
import NIOCore
import STANAG5066
import TestSupport

/// Two subnetwork machines, each with a node of its own, and a subnetwork between the nodes that loses, repeats and confirms by
/// chance. What machines and nodes say to each other is cut anywhere.
final class SubnetworkPair {
    struct Faults {
        /// Chances in a thousand, for each U_PDU: it does not arrive and is rejected.
        var rejected = 0
        /// It arrives, and is rejected all the same.
        var rejectedThoughDelivered = 0
        /// It arrives, and nobody says so.
        var silent = 0
        /// It is confirmed twice.
        var doubled = 0
        /// Chances in a thousand, for each turn: a node restarts, with all that it holds.
        var restarts = 0
    }

    final class Side {
        var machine: SubnetworkStateMachine
        var server: SISServerStateMachine?
        var connection: SISConnectionID?
        var deadline: NIODeadline?
        var held: Deque<UnidataRequest> = []
        var isNodeUp = true
        var dials: UInt64 = 0
        /// Units that came, in order, by peer.
        var received: [[UInt8]] = []
        var receivedBytes: [ByteBuffer] = []
        var finished: [UInt64] = []
        var failed: [UInt64] = []
        /// Whether the node has this client.
        var isBound = false
        var isUp = false
        var readies: [Bool] = []
        var urgentReadies = 0
        var idles = 0
        var strangers = 0
        /// Nodes to which the own node was asked to keep a link up.
        var reserved: [NodeAddress] = []
        var largestInNode = 0

        init(_ machine: consuming SubnetworkStateMachine) { self.machine = machine }
    }

    static let mtu: UInt16 = 300
    let sides: [Side]
    var faults = Faults()
    private(set) var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private var random: SeededGenerator
    /// Where bytes are cut; of its own, so that it changes nothing else.
    private var cuts: SeededGenerator
    private let addresses: [NodeAddress]
    private var turns = 0

    static func address(_ side: Int) -> NodeAddress { NodeAddress("10.0.0.\(side + 1)")! }

    init(
        seed: UInt64, framing: RCOPFraming = .delimited, repetition: RCOPSenderConfiguration.Repetition = .segment,
        bytesInNode: Int = 4_096, reservesLink: Bool = false
    ) {
        random = SeededGenerator(seed: seed)
        cuts = SeededGenerator(seed: ~seed)
        addresses = [Self.address(0), Self.address(1)]
        sides = (0..<2).map { side in
            var client = SISClientConfiguration(
                bind: BindRequest(sap: .rcop, rank: 0, service: ServiceType(.arq, confirmation: .node)))
            client.bytesPerDestination = bytesInNode
            client.bytesInNode = bytesInNode
            client.patienceMinimum = .minutes(2)
            let services = [(UInt8(0), UInt8(6)), (1, 12)].map { connection, priority in
                UnitService(
                    connection: connection, priority: priority, confirmation: .node, timeToLive: TimeToLive(.minutes(1)))
            }
            var peer = SubnetworkPeerConfiguration(
                name: "far", node: Self.address(1 - side), sap: .rcop, application: .skywave, framing: framing,
                repetition: repetition, services: services)
            peer.reservesLink = reservesLink && side == 0
            return Side(SubnetworkStateMachine(client, peers: [peer], seed: seed &+ UInt64(side)))
        }
        for side in 0..<2 {
            sides[side].machine.started(now: now)
            perform(side)
        }
    }

    /// A primitive as it may come from a socket: every byte alone, or cut somewhere, or whole.
    private func pieces(_ primitive: SISPrimitive) -> [ByteBuffer] {
        var bytes = ByteBuffer()
        primitive.encode(into: &bytes)
        switch Int.random(in: 0..<4, using: &cuts) {
        case 0: return bytes.readableBytesView.map { ByteBuffer(bytes: [$0]) }
        case 1:
            let head = bytes.readSlice(length: Int.random(in: 0...bytes.readableBytes, using: &cuts)) ?? ByteBuffer()
            return [head, bytes]
        default: return [bytes]
        }
    }

    private func chance(_ thousandths: Int) -> Bool { Int.random(in: 0..<1_000, using: &random) < thousandths }

    func offer(_ side: Int, _ bytes: ByteBuffer, token: UInt64, service: Int = 0) {
        sides[side].machine.unitOffered(0, bytes, token: token, service: service, now: now)
        perform(side)
    }

    func fail(_ side: Int) {
        sides[side].machine.peerFailed(0, now: now)
        perform(side)
    }

    /// The node takes nothing more.
    func stopFlow(_ side: Int) {
        sides[side].server?.primitiveOffered(.dataFlowOff)
        performServer(side)
    }

    /// A U_PDU from a node that is nobody's.
    func deliverFromStranger(to side: Int) {
        indicate(side, ByteBuffer(repeating: 1, count: 20), from: NodeAddress("10.9.9.9")!)
    }

    // MARK: Time

    /// Lets a second pass in which each node carries some of what it holds.
    func turn() {
        now = now + .seconds(1)
        turns += 1
        for side in 0..<2 {
            if let deadline = sides[side].deadline, deadline <= now {
                sides[side].deadline = nil
                sides[side].machine.deadlineReached(now: now)
                perform(side)
            }
            if chance(faults.restarts) { restart(side) }
            guard sides[side].isNodeUp else {
                sides[side].isNodeUp = true
                continue
            }
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                guard let request = sides[side].held.popFirst() else { break }
                carry(request, from: side)
            }
        }
    }

    func turns(_ count: Int) { for _ in 0..<count { turn() } }

    func restart(_ side: Int) {
        let place = sides[side]
        place.held = []
        place.server = nil
        place.isBound = false
        place.isNodeUp = false
        guard let id = place.connection else { return }
        place.connection = nil
        place.machine.connectionClosed(id, now: now)
        perform(side)
    }

    // MARK: The nodes

    private func carry(_ request: UnidataRequest, from side: Int) {
        guard !chance(faults.rejected), sides[1 - side].isBound else {
            let reason = sides[1 - side].isNodeUp ? UnidataRejectedReason.destinationSAPNotBound : .destinationNotResponding
            sides[side].server?.unitRejected(request, isExpedited: false, reason: reason)
            return performServer(side)
        }
        indicate(1 - side, request.uPDU, from: addresses[side])
        if chance(faults.rejectedThoughDelivered) {
            sides[side].server?.unitRejected(request, isExpedited: false, reason: .destinationNotResponding)
        } else if !chance(faults.silent) {
            sides[side].server?.unitConfirmed(request, isExpedited: false)
            if chance(faults.doubled) { sides[side].server?.unitConfirmed(request, isExpedited: false) }
        }
        performServer(side)
    }

    private func indicate(_ side: Int, _ uPDU: ByteBuffer, from source: NodeAddress) {
        sides[side].server?.primitiveOffered(
            .unidataIndication(
                UnidataIndication(
                    priority: 6, destinationSAP: .rcop, destination: addresses[side], mode: .arq, sourceSAP: .rcop,
                    source: source, uPDU: uPDU)))
        performServer(side)
    }

    private func performServer(_ side: Int) {
        let place = sides[side]
        while let action = place.server?.nextAction() {
            switch action {
            case .write(let primitive):
                guard let id = place.connection else { continue }
                for piece in pieces(primitive) { place.machine.bytesReceived(id, piece, now: now) }
            case .bindRequested:
                place.server?.bindAccepted(mtu: Self.mtu, now: now)
                place.isBound = true
            case .submitted(let request, _):
                place.held.append(request)
                place.largestInNode = max(place.largestInNode, place.held.reduce(0) { $0 + $1.uPDU.readableBytes })
            case .unbound:
                place.held = []
                place.isBound = false
            case .hardLinkRequested(let link): place.reserved.append(link.remoteNode)
            case .close, .hardLinkTerminated, .hardLinkAccepted, .hardLinkRefused, .managementMessage:
                break
            }
        }
        perform(side)
    }

    private func perform(_ side: Int) {
        let place = sides[side]
        while let action = place.machine.nextAction() {
            switch action {
            case .dial:
                guard place.isNodeUp else {
                    place.machine.dialFailed(now: now)
                    continue
                }
                place.dials += 1
                let id = SISConnectionID(place.dials)
                place.connection = id
                place.server = SISServerStateMachine()
                place.machine.dialSucceeded(id, now: now)
            case .write(let id, let primitive):
                guard id == place.connection else { continue }
                for piece in pieces(primitive) { place.server?.bytesReceived(piece, now: now) }
                performServer(side)
            case .close(let id), .drop(let id):
                guard id == place.connection else { continue }
                place.connection = nil
                place.server = nil
                place.isBound = false
                place.held = []
                place.machine.connectionClosed(id, now: now)
            case .arm(let deadline): place.deadline = deadline
            case .disarm: place.deadline = nil
            case .abandonDial, .stopped, .note, .reservationChanged: break
            case .stranger: place.strangers += 1
            case .up: place.isUp = true
            case .down: place.isUp = false
            case .ready(_, let isIdle): place.readies.append(isIdle)
            case .readyForUrgent: place.urgentReadies += 1
            case .idle: place.idles += 1
            case .finished(_, let token): place.finished.append(token)
            case .failed(_, let token, _): place.failed.append(token)
            case .unit(_, let bytes, _, _):
                place.receivedBytes.append(bytes)
                place.received.append(Array(bytes.readableBytesView.prefix(8)))
            }
        }
    }
}
