import NIOCore
import STANAG5066
import TestSupport
import Testing

/// What a single node does, and what it leaves undone.
@Suite struct SubnetworkNodeTests {
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
