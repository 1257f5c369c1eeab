import NIOCore
import STANAG5066
import TestSupport

/// Made-up values of every type, over the whole range of every field.
extension SeededGenerator {
    mutating func byte() -> UInt8 { UInt8.random(in: .min ... .max, using: &self) }

    mutating func address() -> NodeAddress { NodeAddress(field: UInt32.random(in: .min ... .max, using: &self)) }

    mutating func bytes() -> ByteBuffer {
        let count = Bool.random(using: &self) ? Int.random(in: 0...20, using: &self) : Int.random(in: 0...2_048, using: &self)
        // Zeros and preambles where they could be taken for something else.
        let alphabet: [UInt8] = [0, 0x90, 0xEB, byte()]
        return ByteBuffer(bytes: (0..<count).map { _ in alphabet.randomElement(using: &self) ?? 0 })
    }

    private mutating func service() -> ServiceType {
        var service = ServiceType(
            TransmissionMode(low: byte()), confirmation: DeliveryConfirmation(low: byte()),
            isInOrder: Bool.random(using: &self),
            minimumRetransmissions: byte() & 0x0F)
        service.isExtended = Bool.random(using: &self)
        return service
    }

    private mutating func link() -> HardLink {
        HardLink(HardLink.Kind(low: byte()), priority: byte() & 0x03, remoteSAP: SAP(low: byte()), remoteNode: address())
    }

    private mutating func request(hasPriority: Bool) -> UnidataRequest {
        UnidataRequest(
            priority: hasPriority ? byte() & 0x0F : 0, destinationSAP: SAP(low: byte()), destination: address(),
            delivery: service(),
            timeToLive: TimeToLive(units: UInt32.random(in: 0...TimeToLive.maximumUnits, using: &self)), uPDU: bytes())
    }

    private mutating func blocks() -> [UnidataIndication.Block] {
        (0..<Int.random(in: 0...3, using: &self)).map { _ in
            UnidataIndication.Block(
                offset: UInt16.random(in: .min ... .max, using: &self), length: UInt16.random(in: .min ... .max, using: &self))
        }
    }

    private mutating func indication(hasPriority: Bool) -> UnidataIndication {
        var indication = UnidataIndication(
            priority: hasPriority ? byte() & 0x0F : 0, destinationSAP: SAP(low: byte()), destination: address(),
            mode: TransmissionMode(low: byte() & 0x07), sourceSAP: SAP(low: byte()), source: address(), uPDU: bytes())
        if indication.mode == .nonARQWithErrors {
            indication.erroredBlocks = blocks()
            indication.missingBlocks = blocks()
        }
        return indication
    }

    private mutating func reference() -> UnidataReference {
        UnidataReference(destinationSAP: SAP(low: byte()), destination: address(), prefix: bytes())
    }

    /// - Parameter type: 1 to 27; keep-alive for others.
    mutating func primitive(type: UInt8) -> SISPrimitive {
        switch type {
        case 1: .bindRequest(BindRequest(sap: SAP(low: byte()), rank: byte() & 0x0F, service: service()))
        case 2: .unbindRequest
        case 3: .bindAccepted(BindAccepted(sap: SAP(low: byte()), mtu: UInt16.random(in: .min ... .max, using: &self)))
        case 4: .bindRejected(BindRejectedReason(rawValue: byte()))
        case 5: .unbindIndication(UnbindReason(rawValue: byte()))
        case 6: .hardLinkEstablish(link())
        case 7: .hardLinkTerminate(address())
        case 8: .hardLinkEstablished(RemoteNodeStatus(rawValue: byte()), link())
        case 9: .hardLinkRejected(HardLinkRejectedReason(rawValue: byte()), link())
        case 10: .hardLinkTerminated(HardLinkTerminatedReason(rawValue: byte()), link())
        case 11: .hardLinkIndication(RemoteNodeStatus(rawValue: byte()), link())
        case 12: .hardLinkAccept(link())
        case 13: .hardLinkReject(HardLinkRejectReason(rawValue: byte()), link())
        case 14: .subnetAvailability(SubnetStatus(rawValue: byte()), SubnetReason(rawValue: byte()))
        case 15: .dataFlowOn
        case 16: .dataFlowOff
        case 18: .managementMessageRequest(ManagementMessage(type: byte(), body: bytes()))
        case 19: .managementMessageIndication(ManagementMessage(type: byte(), body: bytes()))
        case 20: .unidataRequest(request(hasPriority: true))
        case 21: .unidataIndication(indication(hasPriority: true))
        case 22: .unidataRequestConfirm(reference())
        case 23: .unidataRequestRejected(UnidataRejectedReason(rawValue: byte()), reference())
        case 24: .expeditedUnidataRequest(request(hasPriority: false))
        case 25: .expeditedUnidataIndication(indication(hasPriority: false))
        case 26: .expeditedUnidataRequestConfirm(reference())
        case 27: .expeditedUnidataRequestRejected(UnidataRejectedReason(rawValue: byte()), reference())
        default: .keepAlive
        }
    }
}
