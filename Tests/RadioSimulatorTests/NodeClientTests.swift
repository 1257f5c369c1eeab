import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import Testing

/// Drives one node by primitives.
final class RawClient {
    var nodes: RadioNodes
    var now = VirtualRadio.standardStart
    var events: [RadioNodesEvent] = []
    private var decoders: [NodeConnection: SISDecoder] = [:]
    private var primitives: [NodeConnection: [SISPrimitive]] = [:]
    private(set) var closed: Set<NodeConnection> = []
    private(set) var held: Set<NodeConnection> = []

    init(_ link: RadioLink) {
        nodes = RadioNodes(link: link, start: now)
    }

    func connect(_ side: HFNodeSide = .first) throws -> NodeConnection {
        let connection = nodes.connected(to: side, now: now)
        let id = try #require(connection)
        decoders[id] = SISDecoder(for: .client)
        return id
    }

    func isRefused(_ side: HFNodeSide) -> Bool { nodes.connected(to: side, now: now) == nil }

    func queuedBytes(_ side: HFNodeSide) -> Int { nodes.queuedBytes(side, sap: .rcop) }

    func say(_ id: NodeConnection, _ primitives: SISPrimitive...) {
        var bytes = ByteBuffer()
        for primitive in primitives { primitive.encode(into: &bytes) }
        say(id, bytes)
    }

    func say(_ id: NodeConnection, _ bytes: ByteBuffer) {
        nodes.bytesReceived(id, bytes, now: now)
        drain()
    }

    func hangUp(_ id: NodeConnection) {
        nodes.connectionClosed(id, now: now)
        drain()
    }

    func run(for duration: TimeAmount) {
        now = now + duration
        nodes.deadlineReached(now: now)
        drain()
    }

    /// What the client was told since the last call.
    func heard(_ id: NodeConnection) -> [SISPrimitive] { primitives.removeValue(forKey: id) ?? [] }

    private func drain() {
        while let action = nodes.nextAction() {
            switch action {
            case .write(let id, let bytes):
                decoders[id]?.read(bytes)
                while case .some(.some(.primitive(let primitive))) = try? decoders[id]?.next() {
                    primitives[id, default: []].append(primitive)
                }
            case .close(let id): closed.insert(id)
            case .readingChanged(let id, let isOn): if isOn { held.remove(id) } else { held.insert(id) }
            case .observed(let event, _): events.append(event)
            }
        }
    }

    static let node = ServiceType(.arq, confirmation: .node)

    static func bind(_ sap: SAP = .rcop, _ service: ServiceType = node) -> SISPrimitive {
        .bindRequest(BindRequest(sap: sap, rank: 1, service: service))
    }

    func request(_ number: UInt32, size: Int = 500, service: ServiceType = node, to sap: SAP = .rcop) -> UnidataRequest {
        var unit = ByteBuffer(integer: number)
        unit.writeRepeatingByte(7, count: size - 4)
        return UnidataRequest(
            priority: 0, destinationSAP: sap, destination: nodes.address(.second), delivery: service,
            timeToLive: .unlimited, uPDU: unit)
    }
}

@Suite("What a node says to its clients")
struct NodeClientTests {
    private static func link(_ change: (inout RadioLink) -> Void = { _ in }) throws -> RadioLink {
        var link = try RadioLink.shipped("hf-lab-1200S")
        change(&link)
        return link
    }

    @Test func `a SAP belongs to one client at a time`() throws {
        let world = RawClient(try Self.link())
        let first = try world.connect()
        world.say(first, RawClient.bind())
        #expect(world.heard(first) == [.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048))])
        let second = try world.connect()
        world.say(second, RawClient.bind())
        #expect(world.heard(second) == [.bindRejected(.sapAlreadyAllocated)])
        // Another SAP, and the same at the other node, are free.
        world.say(second, RawClient.bind(.udop))
        #expect(world.heard(second) == [.bindAccepted(BindAccepted(sap: .udop, mtu: 2048))])
        let far = try world.connect(.second)
        world.say(far, RawClient.bind())
        #expect(world.heard(far) == [.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048))])
        world.hangUp(first)
        let third = try world.connect()
        world.say(third, RawClient.bind())
        #expect(world.heard(third) == [.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048))])
    }

    @Test func `clients of different SAPs get their own units and confirmations`() throws {
        let world = RawClient(try Self.link())
        var ids: [SAP: (near: NodeConnection, far: NodeConnection)] = [:]
        let saps = [SAP.rcop, .udop, SAP(low: 13)]
        for sap in saps {
            let pair = (near: try world.connect(.first), far: try world.connect(.second))
            ids[sap] = pair
            for id in [pair.near, pair.far] { world.say(id, RawClient.bind(sap)) }
            _ = world.heard(pair.near)
            _ = world.heard(pair.far)
        }
        for sap in saps {
            let id = try #require(ids[sap])
            world.say(id.near, .unidataRequest(world.request(UInt32(sap.number), to: sap)))
        }
        world.run(for: .minutes(5))
        for sap in saps {
            let id = try #require(ids[sap])
            let request = world.request(UInt32(sap.number), to: sap)
            #expect(world.heard(id.near) == [.unidataRequestConfirm(UnidataReference(to: request))])
            let indication = UnidataIndication(
                priority: 0, destinationSAP: sap, destination: world.nodes.address(.second), mode: .arq, sourceSAP: sap,
                source: world.nodes.address(.first), uPDU: request.uPDU)
            #expect(world.heard(id.far) == [.unidataIndication(indication)])
        }
    }

    @Test func `what cannot be carried is rejected with its reason`() throws {
        let world = RawClient(try Self.link())
        let id = try world.connect()
        world.say(id, RawClient.bind())
        _ = world.heard(id)
        let long = world.request(1, size: 2049)
        world.say(id, .unidataRequest(long))
        #expect(world.heard(id) == [.unidataRequestRejected(.largerThanMTU, UnidataReference(to: long))])
        let urgent = world.request(2)
        world.say(id, .expeditedUnidataRequest(urgent))
        #expect(
            world.heard(id)
                == [.expeditedUnidataRequestRejected(.transmissionModeNotSpecified, UnidataReference(to: urgent))])
        world.say(id, .hardLinkEstablish(.reservation(of: world.nodes.address(.second), priority: 1)))
        guard case .hardLinkRejected = world.heard(id).first else {
            Issue.record("a hard link was not rejected")
            return
        }
        // Nobody is bound over there.
        let unheard = world.request(3, service: ServiceType(.arq, confirmation: .client))
        world.say(id, .unidataRequest(unheard))
        world.run(for: .minutes(5))
        #expect(world.heard(id) == [.unidataRequestRejected(.destinationSAPNotBound, UnidataReference(to: unheard))])
        world.nodes.linkCut(true, now: world.now)
        let lost = world.request(4)
        world.say(id, .unidataRequest(lost))
        world.run(for: .minutes(30))
        #expect(world.heard(id) == [.unidataRequestRejected(.destinationNotResponding, UnidataReference(to: lost))])
    }

    @Test func `a keep-alive is answered at once`() throws {
        let world = RawClient(try Self.link())
        let id = try world.connect()
        world.say(id, RawClient.bind(), .keepAlive)
        #expect(world.heard(id).last == .keepAlive)
        world.run(for: .minutes(2))
        world.say(id, .keepAlive)
        #expect(world.heard(id) == [.keepAlive])
    }

    @Test func `a client whose queue is full is told to stop, and to go on`() throws {
        let world = RawClient(try Self.link { $0.clients.queueBytes = 8_192 })
        let near = try world.connect(.first)
        let far = try world.connect(.second)
        for id in [near, far] { world.say(id, RawClient.bind()) }
        _ = world.heard(near)
        for number in 1...5 { world.say(near, .unidataRequest(world.request(UInt32(number), size: 2_000))) }
        #expect(world.heard(near) == [.dataFlowOff])
        // The client leaves, and the next one is told as well.
        world.hangUp(near)
        let next = try world.connect(.first)
        world.say(next, RawClient.bind())
        #expect(world.heard(next).last == .dataFlowOff)
        world.run(for: .minutes(10))
        // Confirmations are for who asked.
        #expect(world.heard(next) == [.dataFlowOn])
        #expect(world.heard(far).count == 6)
    }

    @Test func `with back-pressure a node reads no more than it has room for, and loses nothing`() throws {
        let world = RawClient(
            try Self.link {
                $0.clients.queueBytes = 4_096
                $0.clients.flowControl = .backPressure
            })
        let near = try world.connect(.first)
        let far = try world.connect(.second)
        for id in [near, far] { world.say(id, RawClient.bind()) }
        _ = world.heard(near)
        _ = world.heard(far)
        // All in one piece, as a socket may give it.
        var bytes = ByteBuffer()
        for number in 1...100 as ClosedRange<UInt32> {
            SISPrimitive.unidataRequest(world.request(number)).encode(into: &bytes)
        }
        world.say(near, bytes)
        #expect(world.held == [near])
        #expect(world.queuedBytes(.first) <= 4_096 + 500)
        world.run(for: .hours(1))
        #expect(world.held.isEmpty)
        #expect(world.nodes.statistics.first.unitsDropped == 0)
        let arrived = world.heard(far).compactMap { primitive -> UInt32? in
            guard case .unidataIndication(let indication) = primitive else { return nil }
            return indication.uPDU.getInteger(at: indication.uPDU.readerIndex)
        }
        #expect(arrived == Array(1...100))
        #expect(world.heard(near).count == 100)
    }

    @Test func `primitives in any pieces are read, and what is none ends the connection`() throws {
        let world = RawClient(try Self.link())
        let near = try world.connect(.first)
        let far = try world.connect(.second)
        world.say(far, RawClient.bind())
        _ = world.heard(far)
        var bytes = ByteBuffer()
        for primitive in [RawClient.bind(), .unidataRequest(world.request(1)), .unidataRequest(world.request(2))] {
            primitive.encode(into: &bytes)
        }
        while let byte = bytes.readSlice(length: 1), byte.readableBytes > 0 { world.say(near, byte) }
        world.run(for: .minutes(5))
        #expect(world.heard(far).count == 2)
        for junk in [[0x91], [0x90, 0xEC], [0x90, 0xEB, 0x01], [0x90, 0xEB, 0x00, 0x00, 0x00, 0x00]] as [[UInt8]] {
            let id = try world.connect(.second)
            world.say(id, ByteBuffer(bytes: junk))
            #expect(world.closed.contains(id), "\(junk)")
        }
        #expect(!world.closed.contains(near))
    }

    @Test func `a node takes so many connections and no more, and none while it is off`() throws {
        let world = RawClient(try Self.link())
        var ids: [NodeConnection] = []
        for _ in 0..<RadioNodes.maximumConnections { ids.append(try world.connect()) }
        #expect(world.isRefused(.first))
        #expect(!world.isRefused(.second))
        world.hangUp(ids[3])
        _ = try world.connect()
        world.nodes.nodeStopped(.first, now: world.now)
        #expect(world.isRefused(.first))
        world.nodes.nodeStarted(.first, now: world.now)
        let id = try world.connect()
        world.say(id, RawClient.bind())
        #expect(world.heard(id).count == 1)
    }
}
