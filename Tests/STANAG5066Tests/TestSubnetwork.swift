import NIOCore
import STANAG5066
import Testing

/// A subnetwork machine with clock and drawing of actions, and a node that says what a test wants, whatever the
/// standard thinks of it.
final class TestSubnetwork {
    private var machine: SubnetworkStateMachine
    private(set) var now = NIODeadline.second(3_600)
    private(set) var armed: NIODeadline?
    private var dials: UInt64 = 0
    private(set) var connection: SISConnectionID?
    /// A connection is wanted and not given yet.
    private(set) var isDialling = false
    /// U_PDUs that the node was given on this connection and has not answered with ``confirm(_:)`` or ``reject(_:_:)``.
    var inNode: [UnidataRequest] = []
    /// All that the node was given.
    private(set) var requests: [UnidataRequest] = []
    private(set) var actions: [SubnetworkAction] = []
    /// By peer and token.
    private(set) var ends: [[UInt64: [SubnetworkAction]]]
    private(set) var isUp: [Bool]
    private(set) var mayOffer: [Bool]
    /// An urgent unit is taken, and nothing else.
    private(set) var mayOfferUrgent: [Bool]
    /// What was said last of whether the node has nothing of the peer.
    private(set) var isIdle: [Bool]

    static let nodes = ["10.0.0.2", "10.0.0.3"].map { NodeAddress($0)! }
    static let own = NodeAddress("10.0.0.1")!

    static func peer(
        _ number: Int = 0, framing: RCOPFraming = .delimited,
        repetition: RCOPSenderConfiguration.Repetition = .segment
    ) -> SubnetworkPeerConfiguration {
        let services = [(UInt8(0), UInt8(6)), (1, 12)].map { connection, priority in
            UnitService(
                connection: connection, priority: priority, confirmation: .node,
                timeToLive: TimeToLive(.hours(1)))
        }
        return SubnetworkPeerConfiguration(
            name: "peer \(number)", node: nodes[number], sap: .rcop, application: .skywave,
            framing: framing,
            repetition: repetition, services: services)
    }

    init(
        _ peers: [SubnetworkPeerConfiguration] = [peer()], seed: UInt64 = 1,
        _ change: (inout SISClientConfiguration) -> Void = { _ in }
    ) {
        var configuration = TestClient.configuration
        change(&configuration)
        machine = SubnetworkStateMachine(configuration, peers: peers, seed: seed)
        ends = peers.map { _ in [:] }
        isUp = peers.map { _ in false }
        mayOffer = isUp
        mayOfferUrgent = isUp
        isIdle = isUp
        input { $0.started(now: now) }
    }

    /// Bound, with nothing left to draw.
    static func bound(
        _ peers: [SubnetworkPeerConfiguration] = [peer()], mtu: UInt16 = 2_048,
        _ change: (inout SISClientConfiguration) -> Void = { _ in }
    ) -> TestSubnetwork {
        let subnetwork = TestSubnetwork(peers, change)
        subnetwork.connect()
        subnetwork.bind(mtu: mtu)
        return subnetwork
    }

    var debugState: String { machine.debugState }
    var client: SISClientStatus { machine.clientStatus }
    func impediment(_ peer: Int = 0) -> SubnetworkImpediment? { machine.impediment(peer, now: now) }
    var refused: UInt64 { machine.refused }
    func unfinished(_ peer: Int = 0) -> Int { machine.unfinishedUnits(peer) }
    func receiver(_ peer: Int = 0) -> RCOPReceiverCounters { machine.receiverCounters(peer) }
    func takeActions() -> [SubnetworkAction] {
        defer { actions = [] }
        return actions
    }
    /// Units that came since the last call.
    func takeUnits() -> [ByteBuffer] {
        takeActions().compactMap { if case .unit(_, let bytes, _, _) = $0 { bytes } else { nil } }
    }

    // MARK: The owner

    func offer(_ bytes: ByteBuffer, token: UInt64, peer: Int = 0, service: Int = 0) {
        mayOffer[peer] = false
        mayOfferUrgent[peer] = false
        input { $0.unitOffered(peer, bytes, token: token, service: service, now: now) }
    }

    func offer(_ count: Int, token: UInt64, peer: Int = 0, service: Int = 0) {
        offer(
            ByteBuffer(repeating: UInt8(truncatingIfNeeded: token), count: count), token: token,
            peer: peer, service: service)
    }

    func stopReceiving(_ isStopped: Bool, peer: Int = 0) { input { $0.receivingStopped(peer, isStopped, now: now) } }

    func fail(_ peer: Int = 0) { input { $0.peerFailed(peer, now: now) } }

    // MARK: The node

    func connect() {
        dials += 1
        isDialling = false
        let id = SISConnectionID(dials)
        connection = id
        inNode = []
        input { $0.dialSucceeded(id, now: now) }
    }

    func refuseConnection() {
        isDialling = false
        input { $0.dialFailed(now: now) }
    }

    func close() {
        guard let id = connection else { return }
        connection = nil
        inNode = []
        input { $0.connectionClosed(id, now: now) }
    }

    func bind(mtu: UInt16) { say(.bindAccepted(BindAccepted(sap: .rcop, mtu: mtu))) }

    func say(_ primitives: SISPrimitive...) {
        var bytes = ByteBuffer()
        for primitive in primitives { primitive.encode(into: &bytes) }
        say(bytes)
    }

    func say(_ bytes: ByteBuffer) {
        guard let id = connection else { return }
        input { $0.bytesReceived(id, bytes, now: now) }
    }

    /// - Parameter index: among those that have no answer.
    func confirm(_ index: Int = 0) {
        say(.unidataRequestConfirm(UnidataReference(to: inNode.remove(at: index))))
    }

    func reject(_ index: Int = 0, _ reason: UnidataRejectedReason = .destinationNotResponding) {
        say(.unidataRequestRejected(reason, UnidataReference(to: inNode.remove(at: index))))
    }

    func deliver(
        _ uPDU: ByteBuffer, mode: TransmissionMode = .arq, from source: NodeAddress = nodes[0],
        sap: SAP = .rcop,
        to destination: SAP = .rcop, errored: [UnidataIndication.Block] = [],
        missing: [UnidataIndication.Block] = []
    ) {
        var indication = UnidataIndication(
            priority: 6, destinationSAP: destination, destination: Self.own, mode: mode, sourceSAP: sap,
            source: source,
            uPDU: uPDU)
        indication.erroredBlocks = errored
        indication.missingBlocks = missing
        say(.unidataIndication(indication))
    }

    // MARK: Time

    func advance(by amount: TimeAmount) {
        let end = now + amount
        var steps = 0
        while let armed, armed <= end {
            now = max(now, armed)
            self.armed = nil
            input { $0.deadlineReached(now: now) }
            steps += 1
            guard steps < 10_000 else {
                Issue.record("deadlines without end: \(debugState)")
                return
            }
        }
        now = max(now, end)
    }

    private func input(_ body: (inout SubnetworkStateMachine) -> Void) {
        body(&machine)
        while let action = machine.nextAction() {
            actions.append(action)
            switch action {
            case .dial: isDialling = true
            case .abandonDial: isDialling = false
            case .write(let id, .unidataRequest(let request)) where id == connection:
                requests.append(request)
                inNode.append(request)
            case .close(let id), .drop(let id):
                guard id == connection else { continue }
                connection = nil
                inNode = []
                machine.connectionClosed(id, now: now)
            case .arm(let deadline): armed = deadline
            case .disarm: armed = nil
            case .up(let peer, _):
                #expect(!isUp[peer], "up twice")
                isUp[peer] = true
            case .down(let peer, _):
                #expect(isUp[peer], "down twice")
                isUp[peer] = false
                mayOffer[peer] = false
                mayOfferUrgent[peer] = false
            case .ready(let peer, let isIdle):
                self.isIdle[peer] = isIdle
                #expect(isUp[peer] && !mayOffer[peer], "ready while down, or twice")
                mayOffer[peer] = true
                mayOfferUrgent[peer] = false
            case .finished(let peer, let token), .failed(let peer, let token, _):
                ends[peer][token, default: []].append(action)
            case .readyForUrgent(let peer):
                #expect(isUp[peer] && !mayOffer[peer] && !mayOfferUrgent[peer], "ready for urgent ones while down, ready, or twice")
                mayOfferUrgent[peer] = true
            case .idle(let peer): isIdle[peer] = true
            case .write, .stopped, .note, .stranger, .reservationChanged, .unit: break
            }
        }
    }
}
