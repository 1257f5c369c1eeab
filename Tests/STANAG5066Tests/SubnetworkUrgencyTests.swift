import NIOCore
import STANAG5066
import TestSupport
import Testing

/// What is urgent does not wait for what is less so to be handed to the node.
@Suite struct SubnetworkUrgencyTests {
    private static let reserve = TestClient.configuration.urgentReserve

    @Test func `an urgent unit goes to the node before the rest of a large one`() {
        let subnetwork = TestSubnetwork.bound()
        subnetwork.offer(20_000, token: 1)
        #expect(subnetwork.inNode.map(\.priority) == [6, 6])
        #expect(!subnetwork.mayOffer[0] && subnetwork.mayOfferUrgent[0])
        subnetwork.offer(1_000, token: 2, service: 1)
        #expect(subnetwork.inNode.map(\.priority) == [6, 6, 12])
        #expect(!subnetwork.mayOffer[0] && subnetwork.mayOfferUrgent[0])
        subnetwork.confirm(2)
        #expect(subnetwork.ends[0][2] == [.finished(0, token: 2)] && subnetwork.ends[0][1] == nil)
        // The large one goes on where it was.
        while !subnetwork.inNode.isEmpty { subnetwork.confirm() }
        #expect(subnetwork.ends[0][1] == [.finished(0, token: 1)])
        #expect(subnetwork.mayOffer[0] && !subnetwork.mayOfferUrgent[0])
        #expect(subnetwork.requests.filter { $0.priority == 6 }.count == 10)
    }

    @Test func `what is kept for urgent units is bounded, and what they need beyond it they get before others`() {
        // Two of the largest U_PDUs, so that the window does not open.
        let subnetwork = TestSubnetwork.bound { $0.bytesPerDestination = 4_096 }
        subnetwork.offer(20_000, token: 1)
        subnetwork.offer(20_000, token: 2, service: 1)
        #expect(!subnetwork.mayOffer[0] && !subnetwork.mayOfferUrgent[0])
        var order: [UInt8] = []
        while subnetwork.ends[0][2] == nil, !subnetwork.inNode.isEmpty {
            #expect(subnetwork.inNode.reduce(0) { $0 + $1.uPDU.readableBytes } <= 4_096 + Self.reserve)
            let before = subnetwork.requests.count
            // The node sends by priority.
            subnetwork.confirm(subnetwork.inNode.firstIndex { $0.priority == 12 } ?? 0)
            order += subnetwork.requests[before...].map(\.priority)
        }
        #expect(subnetwork.ends[0][2] == [.finished(0, token: 2)])
        #expect(order.prefix { $0 == 12 }.count == 8, "\(order)")
    }

    @Test(arguments: [2, 256])
    func `bulk that has used up all credit leaves some for what is urgent`(_ units: Int) {
        let subnetwork = TestSubnetwork.bound([TestSubnetwork.peer(0), TestSubnetwork.peer(1)]) {
            $0.bytesPerDestination = 4_096
            $0.bytesInNode = 4_096
            $0.unitsInNode = units
        }
        subnetwork.offer(20_000, token: 1)
        #expect(subnetwork.inNode.count == 2)
        // Also where another peer has used it up.
        for peer in 0..<2 {
            #expect(!subnetwork.mayOffer[peer] || peer == 1)
            subnetwork.offer(500, token: 2, peer: peer, service: 1)
            #expect(subnetwork.inNode.last?.priority == 12)
            #expect(subnetwork.inNode.last?.destination == TestSubnetwork.nodes[peer])
        }
        while subnetwork.ends[0][1] == nil, !subnetwork.inNode.isEmpty { subnetwork.confirm() }
        #expect(subnetwork.ends.map { $0[2]?.count } == [1, 1] && subnetwork.ends[0][1] == [.finished(0, token: 1)])
    }

    @Test func `where no class is more urgent than the first, nothing overtakes`() {
        var peer = TestSubnetwork.peer()
        for index in peer.services.indices { peer.services[index].priority = 6 }
        let subnetwork = TestSubnetwork.bound([peer])
        subnetwork.offer(20_000, token: 1)
        #expect(!subnetwork.mayOffer[0] && !subnetwork.mayOfferUrgent[0])
    }

    @Test func `a peer that does not answer, or a node that takes nothing, gets no urgent units either`() {
        let subnetwork = TestSubnetwork.bound()
        subnetwork.offer(20_000, token: 1)
        subnetwork.say(.dataFlowOff)
        subnetwork.offer(100, token: 2, service: 1)
        #expect(!subnetwork.mayOfferUrgent[0] && subnetwork.inNode.count == 2)
        subnetwork.say(.dataFlowOn)
        #expect(subnetwork.inNode.map(\.priority) == [6, 6, 12] && subnetwork.mayOfferUrgent[0])
        subnetwork.reject(2)
        subnetwork.offer(100, token: 3, service: 1)
        #expect(subnetwork.inNode.map(\.priority) == [6, 6] && !subnetwork.mayOfferUrgent[0])
        subnetwork.advance(by: .seconds(10))
        #expect(subnetwork.inNode.map(\.priority) == [6, 6, 12, 12])
    }

    @Test(arguments: Array(1...8) as [UInt64])
    func `units of both classes arrive whole, those of a class in order`(_ seed: UInt64) {
        let pair = SubnetworkPair(seed: seed)
        var random = SeededGenerator(seed: seed)
        func unit(_ number: UInt64, _ count: Int) -> ByteBuffer {
            var bytes = ByteBuffer(integer: number)
            bytes.writeRepeatingByte(UInt8(truncatingIfNeeded: number), count: count)
            return bytes
        }
        var sent: [[ByteBuffer]] = [[], []]
        var next: UInt64 = 0
        var used = (ready: 0, urgent: 0)
        while next < 80 {
            let side = pair.sides[0]
            if side.readies.count > used.ready {
                // `ready` stands for both.
                used = (side.readies.count, side.urgentReadies)
                let service = Int.random(in: 0...1, using: &random)
                sent[service].append(unit(next, Int.random(in: 0...9_000, using: &random)))
                pair.offer(0, sent[service].last ?? ByteBuffer(), token: next, service: service)
                next += 1
            } else if side.urgentReadies > used.urgent, Int.random(in: 0..<4, using: &random) == 0 {
                used.urgent = side.urgentReadies
                sent[1].append(unit(next, Int.random(in: 0...2_000, using: &random)))
                pair.offer(0, sent[1].last ?? ByteBuffer(), token: next, service: 1)
                next += 1
            } else {
                pair.turn()
            }
        }
        for _ in 0..<2_000 where pair.sides[0].finished.count < 80 { pair.turn() }
        let urgent = Set(sent[1])
        #expect(pair.sides[0].finished.sorted() == Array(0..<80) && pair.sides[0].failed.isEmpty)
        #expect(pair.sides[1].receivedBytes.filter { !urgent.contains($0) } == sent[0])
        #expect(pair.sides[1].receivedBytes.filter { urgent.contains($0) } == sent[1])
        #expect(pair.sides[0].largestInNode <= 4_096 + 2 * Int(SubnetworkPair.mtu) + Self.reserve)
    }
}
