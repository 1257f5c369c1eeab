import NIOCore
import STANAG5066
import Testing

/// A client machine with the clock and the drawing of actions that its owner provides.
final class TestClient {
    private var machine: SISClientStateMachine
    private(set) var now = NIODeadline.uptimeNanoseconds(0) + .hours(1)
    private(set) var armed: NIODeadline?
    private var drawn: [SISClientAction] = []
    /// How each U_PDU ended, over the whole test.
    private(set) var ends: [SISUnitID: [SISUnitEnd]] = [:]
    private(set) var connection = SISConnectionID(0)

    static let service = ServiceType(.arq, confirmation: .node)
    static let peer = SISExample.there
    static let otherPeer = NodeAddress(field: 0xEA01_0204)

    static var configuration: SISClientConfiguration {
        SISClientConfiguration(bind: BindRequest(sap: .rcop, rank: 5, service: service))
    }

    init(_ configuration: SISClientConfiguration = TestClient.configuration, seed: UInt64 = 1) {
        machine = SISClientStateMachine(configuration, seed: seed)
    }

    /// A client that is bound, with nothing left to draw.
    static func bound(_ configuration: SISClientConfiguration = TestClient.configuration, mtu: UInt16 = 2048) -> TestClient {
        let client = TestClient(configuration)
        client.start()
        client.connect()
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: mtu)))
        _ = client.take()
        return client
    }

    var status: SISClientStatus { machine.status }
    var counters: SISClientCounters { machine.counters }
    var debugState: String { machine.debugState }

    /// What was wanted since the last call, but for the timer.
    func take() -> [SISClientAction] {
        defer { drawn = [] }
        return drawn
    }

    /// What was written since the last call.
    func takeWritten() -> [SISPrimitive] {
        take().compactMap { if case .write(_, let primitive) = $0 { primitive } else { nil } }
    }

    func start() { input { $0.started(now: now) } }
    func stop() { input { $0.stopRequested(now: now) } }
    func dialFailed() { input { $0.dialFailed(now: now) } }
    func closed(_ id: SISConnectionID? = nil) { input { $0.connectionClosed(id ?? connection, now: now) } }
    func reserve(_ node: NodeAddress, priority: UInt8 = 1) {
        input { $0.reservationRequested(of: node, priority: priority, now: now) }
    }
    func release() { input { $0.reservationReleased(now: now) } }
    func peers(_ peers: Set<NodeAddress>) { input { $0.peersChanged(peers) } }
    func deadline() { input { $0.deadlineReached(now: now) } }

    func connect() {
        connection = SISConnectionID(connection.number + 1)
        input { $0.dialSucceeded(connection, now: now) }
    }

    func receive(_ primitives: SISPrimitive...) {
        var bytes = ByteBuffer()
        for primitive in primitives { primitive.encode(into: &bytes) }
        receive(bytes)
    }

    func receive(_ bytes: ByteBuffer, on id: SISConnectionID? = nil) {
        input { $0.bytesReceived(id ?? connection, bytes, now: now) }
    }

    func offer(_ id: UInt64, _ request: UnidataRequest) {
        input { $0.unitOffered(request, id: SISUnitID(id), now: now) }
    }

    func credit(to destination: NodeAddress = TestClient.peer) -> Int { machine.credit(to: destination) }
    func mayOffer(_ bytes: Int, to destination: NodeAddress = TestClient.peer) -> Bool {
        machine.mayOffer(bytes: bytes, to: destination)
    }

    func advance(by amount: TimeAmount) { advance(to: now + amount) }

    /// Lets the time pass, with every deadline on the way.
    func advance(to end: NIODeadline) {
        var steps = 0
        while let armed, armed <= end {
            now = max(now, armed)
            self.armed = nil
            deadline()
            steps += 1
            guard steps < 100_000 else {
                Issue.record("deadlines without end: \(debugState)")
                return
            }
        }
        now = max(now, end)
    }

    private func input(_ body: (inout SISClientStateMachine) -> Void) {
        body(&machine)
        while let action = machine.nextAction() {
            switch action {
            case .arm(let deadline): armed = deadline
            case .disarm: armed = nil
            case .ended(let id, let end):
                ends[id, default: []].append(end)
                drawn.append(action)
            default: drawn.append(action)
            }
        }
    }
}

extension UnidataRequest {
    /// A request with an RCOP header: connection 0, the id, the segment, and the application.
    static func test(
        id: UInt8 = 0, segment: UInt16 = 0, bytes: Int = 100, to destination: NodeAddress = TestClient.peer, sap: SAP = .rcop,
        _ delivery: ServiceType = TestClient.service, timeToLive: TimeToLive = TimeToLive(units: 300), priority: UInt8 = 5
    ) -> UnidataRequest {
        var uPDU = ByteBuffer(bytes: [0, id])
        uPDU.writeMultipleIntegers(segment, 0x8361 as UInt16)
        uPDU.writeRepeatingByte(UInt8(ascii: "x"), count: max(0, bytes - 6))
        return UnidataRequest(
            priority: priority, destinationSAP: sap, destination: destination, delivery: delivery, timeToLive: timeToLive,
            uPDU: uPDU.getSlice(at: 0, length: bytes) ?? uPDU)
    }
}
