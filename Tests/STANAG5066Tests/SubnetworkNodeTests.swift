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
            // Three whole segments, and five bytes: they are never answered, so units stay of which little is inside the node.
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
}
