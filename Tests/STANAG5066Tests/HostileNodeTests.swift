import NIOCore
import STANAG5066
import TestSupport
import Testing

/// A node that says anything at any time: what it cannot do is stop the bridge for longer than it stays so.
@Suite struct HostileNodeTests {
    /// Somebody who gives a unit whenever one may be given.
    private struct Owner {
        var next: UInt64 = 1
        var offered: [Set<UInt64>] = [[], []]

        mutating func offer(_ subnetwork: TestSubnetwork, _ random: inout SeededGenerator) {
            for peer in 0..<2 where subnetwork.mayOffer[peer] {
                offered[peer].insert(next)
                subnetwork.offer(
                    Int.random(in: 0...5_000, using: &random), token: next, peer: peer,
                    service: Int.random(in: 0...1, using: &random))
                next += 1
            }
        }
    }

    private func reference(_ subnetwork: TestSubnetwork, _ random: inout SeededGenerator)
        -> UnidataReference
    {
        // About what it has or had, with as much of it as it likes, or about nothing.
        guard let request = subnetwork.requests.suffix(300).randomElement(using: &random),
            Int.random(in: 0..<8, using: &random) > 0
        else {
            return UnidataReference(
                destinationSAP: .rcop, destination: TestSubnetwork.nodes.randomElement(using: &random)!,
                prefix: ByteBuffer(
                    repeating: UInt8.random(in: 0...255, using: &random),
                    count: Int.random(in: 0...9, using: &random)))
        }
        return UnidataReference(
            to: request, bytes: [0, 1, 2, 4, 6, 7, .max].randomElement(using: &random)!)
    }

    private func nonsense(_ subnetwork: TestSubnetwork, _ random: inout SeededGenerator) {
        let node = TestSubnetwork.nodes.randomElement(using: &random)!
        let link = HardLink(
            .init(low: UInt8.random(in: 0...3, using: &random)), priority: 3, remoteSAP: .rcop,
            remoteNode: node)
        switch Int.random(in: 0..<60, using: &random) {
        case 0..<18: subnetwork.say(.unidataRequestConfirm(reference(subnetwork, &random)))
        case 18..<26:
            subnetwork.say(
                .unidataRequestRejected(
                    UnidataRejectedReason(rawValue: UInt8.random(in: 0...7, using: &random)),
                    reference(subnetwork, &random)))
        case 26..<29: subnetwork.say(.dataFlowOff)
        case 29..<34: subnetwork.say(.dataFlowOn, .dataFlowOn, .dataFlowOn)
        case 34:
            subnetwork.say(
                .subnetAvailability(
                    SubnetStatus(rawValue: UInt8.random(in: 0...9, using: &random)), .unspecified))
        case 35:
            subnetwork.bind(mtu: [0, 15, 16, 17, 48, 2_048, 65_535].randomElement(using: &random)!)
        case 36:
            subnetwork.say(
                .bindRejected(BindRejectedReason(rawValue: UInt8.random(in: 0...5, using: &random))))
        case 37:
            subnetwork.say(
                .unbindIndication(UnbindReason(rawValue: UInt8.random(in: 0...6, using: &random))))
        case 38: subnetwork.close()
        case 39:
            subnetwork.say(
                ByteBuffer(bytes: (0..<9).map { _ in UInt8.random(in: 0...255, using: &random) }))
        case 40: subnetwork.say(.keepAlive)
        case 41:
            subnetwork.say(.hardLinkIndication(.ok, link), .hardLinkTerminated(.physicalLinkBroken, link))
        case 42: subnetwork.say(.expeditedUnidataRequestConfirm(reference(subnetwork, &random)))
        case 43: subnetwork.fail(Int.random(in: 0...1, using: &random))
        case 44..<50:
            subnetwork.deliver(ByteBuffer(bytes: [0, 1, 0, 0, 0x83, 0x62, 0x40, 0x01, 7]), from: node)
        default: subnetwork.advance(by: .seconds(Int64.random(in: 0...40, using: &random)))
        }
    }

    private func accept(_ subnetwork: TestSubnetwork) {
        if subnetwork.isDialling { subnetwork.connect() }
        if subnetwork.client.state == .binding { subnetwork.bind(mtu: 300) }
    }

    @Test(arguments: Array(1...40) as [UInt64])
    func `whatever a node says, each unit ends once, and when it is well again everything goes on`(
        _ seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        let subnetwork = TestSubnetwork(
            [TestSubnetwork.peer(0), TestSubnetwork.peer(1, repetition: .unit)], seed: seed)
        var owner = Owner()
        for _ in 0..<1_500 {
            if Int.random(in: 0..<4, using: &random) > 0 { accept(subnetwork) }
            owner.offer(subnetwork, &random)
            nonsense(subnetwork, &random)
            if subnetwork.isDialling, Int.random(in: 0..<9, using: &random) == 0 {
                subnetwork.refuseConnection()
            }
        }
        // From now on it does what it should; what it has kept to itself it never tells.
        subnetwork.inNode = []
        subnetwork.say(.dataFlowOn, .subnetAvailability(.on, .unspecified))
        let before = owner.next
        #expect(before > 10, "the node let nothing begin")
        for _ in 0..<600 {
            accept(subnetwork)
            while !subnetwork.inNode.isEmpty { subnetwork.confirm() }
            if owner.next < before + 40 { owner.offer(subnetwork, &random) }
            subnetwork.advance(by: .seconds(30))
        }
        #expect(owner.next >= before + 40, "\(subnetwork.debugState)")
        for peer in 0..<2 {
            #expect(Set(subnetwork.ends[peer].keys) == owner.offered[peer], "\(subnetwork.debugState)")
            #expect(subnetwork.ends[peer].values.allSatisfy { $0.count == 1 })
            #expect(subnetwork.unfinished(peer) == 0 && subnetwork.isUp[peer])
            #expect(subnetwork.mayOffer[peer] && subnetwork.isIdle[peer], "\(subnetwork.debugState)")
        }
        #expect(subnetwork.client.unitsInNode == 0 && subnetwork.client.bytesInNode == 0)
    }
}
