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

    /// A bridge gives what came back again, as soon as it may.
    @Test(arguments: [
        UnidataRejectedReason.transmissionModeNotSpecified, .timeToLiveExpired, .largerThanMTU, .destinationNotResponding,
    ])
    func `a node that refuses everything at once is asked more and more rarely`(_ reason: UnidataRejectedReason) {
        let subnetwork = TestSubnetwork.bound([TestSubnetwork.peer(framing: .stanzas, repetition: .unit)])
        let stanza = ByteBuffer(string: "<message/>")
        var token: UInt64 = 0
        var times: Set<Int> = []
        for second in 0..<1_200 {
            for _ in 0..<4 {
                if subnetwork.mayOffer[0] {
                    token += 1
                    subnetwork.offer(stanza, token: token)
                }
                while !subnetwork.inNode.isEmpty {
                    subnetwork.reject(0, reason)
                    times.insert(second)
                }
            }
            subnetwork.advance(by: .seconds(1))
        }
        // After 10, 20, 40, 80, 160 and 300 seconds.
        #expect(times == [0, 10, 30, 70, 150, 310, 610, 910], "\(times.sorted())")
        #expect(subnetwork.requests.count < 60, "each time with what the node has room for")
        switch subnetwork.impediment() {
        case .notAnswering: #expect(reason == .destinationNotResponding)
        case .refused(let other, _): #expect(other == reason)
        default: Issue.record("\(String(describing: subnetwork.impediment()))")
        }
    }

    @Test func `a unit whose lifetime ends after long holds nothing up`() {
        let subnetwork = TestSubnetwork.bound([TestSubnetwork.peer(framing: .stanzas, repetition: .unit)])
        subnetwork.offer(ByteBuffer(string: "<message/>"), token: 1)
        subnetwork.advance(by: .minutes(10))
        subnetwork.reject(0, .timeToLiveExpired)
        #expect(subnetwork.ends[0][1]?.count == 1 && subnetwork.mayOffer[0] && subnetwork.impediment() == nil)
    }

    @Test func `each peer behind a node has a limit of its own`() {
        var narrow = TestSubnetwork.peer(0)
        narrow.bytesInNode = 3_000
        let subnetwork = TestSubnetwork.bound([narrow, TestSubnetwork.peer(1)], mtu: 500) {
            $0.bytesInNode = 1 << 20
            $0.bytesPerDestination = 20_000
        }
        for token in 1...400 as ClosedRange<UInt64> {
            for peer in 0..<2 where subnetwork.mayOffer[peer] { subnetwork.offer(400, token: token, peer: peer) }
            // The oldest of each, so that both windows open as far as they may.
            for node in TestSubnetwork.nodes where token % 2 == 0 {
                if let index = subnetwork.inNode.firstIndex(where: { $0.destination == node }) { subnetwork.confirm(index) }
            }
            for (node, limit) in zip(TestSubnetwork.nodes, [3_000, 20_000]) {
                let inside = subnetwork.inNode.filter { $0.destination == node }.reduce(0) { $0 + $1.uPDU.readableBytes }
                #expect(inside < limit + 500)
            }
        }
        let inside = subnetwork.inNode.filter { $0.destination == TestSubnetwork.nodes[1] }
        #expect(inside.reduce(0) { $0 + $1.uPDU.readableBytes } > 15_000, "the other one's is not smaller for it")
    }

    @Test func `a node that never says what became of anything is told of`() {
        let subnetwork = TestSubnetwork.bound()
        subnetwork.offer(10, token: 1)
        subnetwork.advance(by: .minutes(29))
        #expect(subnetwork.impediment() == nil)
        subnetwork.confirm()
        subnetwork.offer(10, token: 2)
        subnetwork.advance(by: .minutes(29))
        #expect(subnetwork.impediment() == nil)
        subnetwork.advance(by: .minutes(2))
        #expect(subnetwork.impediment() == .unanswered(.minutes(31)))
        subnetwork.confirm()
        #expect(subnetwork.impediment() == nil)
    }

    @Test func `silent peers leave room for the others`() {
        let subnetwork = TestSubnetwork.bound([TestSubnetwork.peer(0), TestSubnetwork.peer(1)], mtu: 100) {
            $0.bytesInNode = 1 << 20
            $0.bytesPerDestination = 1 << 19
            $0.unitsInNode = 512
        }
        var token: UInt64 = 1
        func fill() {
            while subnetwork.mayOffer[0] {
                subnetwork.offer(460, token: token)
                token += 1
            }
        }
        for _ in 0..<600 {
            fill()
            subnetwork.confirm()
        }
        fill()
        #expect(subnetwork.inNode.count == 256)
        subnetwork.offer(20, token: 1, peer: 1)
        #expect(subnetwork.inNode.last?.destination == TestSubnetwork.nodes[1])
    }

    @Test func `an operator is told once that the node keeps no link up`() {
        var peer = TestSubnetwork.peer()
        peer.reservesLink = true
        let subnetwork = TestSubnetwork.bound([peer])
        let link = HardLink.reservation(of: TestSubnetwork.nodes[0], priority: 0)
        _ = subnetwork.takeActions()
        for _ in 0..<3 {
            subnetwork.say(.hardLinkRejected(.remoteNodeNotResponding, link))
            subnetwork.advance(by: .minutes(2))
        }
        let told = subnetwork.takeActions().filter { if case .reservationChanged = $0 { true } else { false } }
        #expect(told == [.reservationChanged(0, .rejected(.remoteNodeNotResponding))])
        #expect(subnetwork.impediment()?.description.contains("remote node not responding") == true)
        subnetwork.say(.hardLinkEstablished(RemoteNodeStatus(rawValue: 1), link))
        #expect(subnetwork.impediment() == nil)
        #expect(subnetwork.takeActions().contains(.reservationChanged(0, .established)))
    }
}
