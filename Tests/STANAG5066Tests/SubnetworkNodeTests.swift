import NIOCore
import STANAG5066
import TestSupport
import Testing

/// What a single node does, and what it leaves undone.
@Suite struct SubnetworkNodeTests {
    @Test func `ready is not said while the sender takes nothing`() {
        let subnetwork = TestSubnetwork.bound(mtu: 60_000) {
            $0.bytesInNode = 1 << 20
            $0.bytesPerDestination = 1 << 20
        }
        var token: UInt64 = 1
        for _ in 0..<200 where subnetwork.mayOffer[0] {
            // Three whole segments, and five bytes that are never answered: little of a unit that stays is in the node.
            subnetwork.offer(3 * 59_994 - 8 + 5, token: token)
            token += 1
            var index = 0
            while index < subnetwork.inNode.count {
                if subnetwork.inNode[index].uPDU.readableBytes < 60_000 {
                    index += 1
                } else {
                    subnetwork.confirm(index)
                }
            }
        }
        #expect(subnetwork.ends[0].isEmpty && token > 20, "\(subnetwork.debugState)")
        subnetwork.confirm()
        #expect(subnetwork.ends[0].count == 1 && subnetwork.mayOffer[0])
    }

    @Test func `while a peer's owner can keep nothing there is no bind, and what is on its way is delivered`() {
        let subnetwork = TestSubnetwork.bound([TestSubnetwork.peer(0), TestSubnetwork.peer(1)])
        let connection = subnetwork.connection
        _ = subnetwork.takeActions()
        for peer in 0..<2 { subnetwork.stopReceiving(true, peer: peer) }
        let actions = subnetwork.takeActions()
        #expect(actions.contains(.write(SISConnectionID(1), .unbindRequest)) && subnetwork.isUp == [false, false])
        #expect(actions.contains(.down(1, .node(.receivingStopped))))
        var uPDU = ByteBuffer()
        RCOPHeader(connection: 0, unit: 1, segment: 0, application: .skywave).encode(into: &uPDU)
        let unit = ByteBuffer(string: "word")
        RCOPUnitPrefix(for: unit, segmentBytes: 2_042)?.encode(into: &uPDU)
        uPDU.writeImmutableBuffer(unit)
        subnetwork.deliver(uPDU)
        #expect(subnetwork.takeUnits() == [unit])
        // However long it takes; and until the last of them takes something again.
        subnetwork.advance(by: .hours(3))
        subnetwork.stopReceiving(false, peer: 1)
        let later = subnetwork.takeActions()
        #expect(!later.contains { if case .write(_, .bindRequest) = $0 { true } else { false } })
        subnetwork.stopReceiving(false, peer: 0)
        #expect(subnetwork.connection == connection)
        subnetwork.bind(mtu: 2_048)
        #expect(subnetwork.isUp == [true, true] && subnetwork.mayOffer == [true, true])
    }

    @Test func `a node that closes the connection when it is left is dialled when there is room again`() {
        let subnetwork = TestSubnetwork.bound()
        subnetwork.stopReceiving(true)
        subnetwork.close()
        subnetwork.advance(by: .hours(1))
        #expect(!subnetwork.isDialling && subnetwork.connection == nil)
        subnetwork.stopReceiving(false)
        subnetwork.advance(by: .seconds(60))
        #expect(subnetwork.isDialling)
        // It can keep nothing when the connection comes: nothing is bound.
        subnetwork.stopReceiving(true)
        _ = subnetwork.takeActions()
        subnetwork.connect()
        let actions = subnetwork.takeActions()
        #expect(!actions.contains { if case .write(_, .bindRequest) = $0 { true } else { false } })
        subnetwork.stopReceiving(false)
        subnetwork.bind(mtu: 2_048)
        #expect(subnetwork.isUp[0])
    }

    /// Lets hours pass in which the node rejects all that it is given.
    ///
    /// - Returns: how often it was given something.
    private func calls(_ subnetwork: TestSubnetwork, _ hours: Int64, token: inout UInt64) -> Int {
        var calls = 0
        for _ in 0..<(hours * 3_600) {
            if subnetwork.mayOffer[0] {
                subnetwork.offer(100, token: token)
                token += 1
            }
            if !subnetwork.inNode.isEmpty { calls += 1 }
            while !subnetwork.inNode.isEmpty { subnetwork.reject() }
            // As dialect `skywave` has it.
            if subnetwork.takeActions().contains(where: { if case .failed = $0 { true } else { false } }) {
                subnetwork.fail()
            }
            subnetwork.advance(by: .seconds(1))
        }
        return calls
    }

    @Test func `a peer that does not answer is called more and more rarely, until it is heard`() {
        let subnetwork = TestSubnetwork.bound()
        var token: UInt64 = 1
        let first = calls(subnetwork, 1, token: &token)
        #expect((12...20).contains(first), "\(first)")
        let later = calls(subnetwork, 10, token: &token)
        #expect((100...120).contains(later), "\(later)")
        // Something of another is nothing of this one.
        subnetwork.deliver(ByteBuffer(repeating: 1, count: 9), from: TestSubnetwork.nodes[1])
        #expect(calls(subnetwork, 1, token: &token) <= 12)
        subnetwork.deliver(ByteBuffer(repeating: 1, count: 9))
        #expect(!subnetwork.inNode.isEmpty || subnetwork.mayOffer[0], "\(subnetwork.debugState)")
    }

    @Test
    func
        `while a peer is left alone nothing is taken for it, so that what waits can still be overtaken`()
    {
        let subnetwork = TestSubnetwork.bound([TestSubnetwork.peer(0), TestSubnetwork.peer(1)])
        for token in 1...2 as ClosedRange<UInt64> {
            subnetwork.offer(100, token: token)
            subnetwork.reject()
            subnetwork.fail()
            // The rest is over, and the first wait too; the second is twice as long.
            subnetwork.advance(by: SubnetworkStateMachine.rest)
            #expect(subnetwork.isUp[0] && subnetwork.mayOffer[0] == (token == 1))
        }
        subnetwork.offer(100, token: 3, peer: 1)
        #expect(subnetwork.inNode.count == 1)
        subnetwork.advance(by: .seconds(10))
        #expect(subnetwork.mayOffer[0])
    }

    @Test func `what came damaged, or for another client, is no unit`() {
        let subnetwork = TestSubnetwork.bound()
        let uPDU = ByteBuffer(bytes: [0, 1, 0, 0, 0x83, 0x62, 0x40, 0x01, 7])
        subnetwork.deliver(uPDU, mode: .nonARQWithErrors, errored: [.init(offset: 8, length: 1)])
        subnetwork.deliver(uPDU, mode: .nonARQWithErrors, missing: [.init(offset: 8, length: 1)])
        subnetwork.deliver(uPDU, to: .udop)
        #expect(
            subnetwork.takeUnits().isEmpty && subnetwork.refused == 3 && subnetwork.receiver().uPDUs == 0)
        subnetwork.deliver(uPDU)
        #expect(subnetwork.takeUnits().count == 1 && subnetwork.refused == 3)
    }

    @Test func `an operator is told why nothing moves`() {
        let subnetwork = TestSubnetwork.bound()
        #expect(subnetwork.impediment() == nil)
        subnetwork.say(.dataFlowOff)
        subnetwork.advance(by: .minutes(4))
        #expect(subnetwork.impediment() == nil)
        subnetwork.advance(by: .minutes(3))
        #expect(subnetwork.impediment() == .flowOff(.minutes(7)))
        subnetwork.say(.dataFlowOn, .subnetAvailability(.receiveOnly, .emissionControl))
        #expect(subnetwork.impediment() == .subnet(.receiveOnly))
        subnetwork.say(.subnetAvailability(.on, .unspecified))
        #expect(subnetwork.impediment() == nil)
        subnetwork.offer(10, token: 1)
        subnetwork.reject()
        subnetwork.advance(by: .seconds(4))
        #expect(subnetwork.impediment() == .notAnswering(.seconds(6)))
        subnetwork.deliver(ByteBuffer(bytes: [0, 1, 0, 0, 0x83, 0x61, 0x3C]))
        #expect(subnetwork.impediment() == .application(.xmpp, agreed: .skywave))
        #expect(subnetwork.impediment()?.description.contains("0x8361") == true)
        subnetwork.deliver(ByteBuffer(bytes: [0, 1, 0, 0, 0x83, 0x62, 0x40, 0x01, 7]))
        #expect(subnetwork.impediment() == nil)
        subnetwork.close()
        #expect(subnetwork.impediment() == nil)
    }
}
