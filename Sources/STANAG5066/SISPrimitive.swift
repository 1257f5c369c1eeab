/// A primitive of the subnetwork interface service (SIS), by which a client and its node speak (STANAG 5066 Ed. 3 §A.2).
///
/// On a TCP connection primitives follow each other without anything between them (Annex F §F.16). Each begins with a header
/// (§A.2.2.2, figure A-1); all numbers but the preamble are big-endian:
///
/// ```
/// preamble   2   90 EB
/// version    1   00
/// size       2   bytes that follow, the type included
/// type       1   1 to 27
/// ```
///
/// Bits that are not used are written as 0 and ignored when read; so are bytes after the last field.
package enum SISPrimitive: Hashable, Sendable {
    case bindRequest(BindRequest)
    case unbindRequest
    case bindAccepted(BindAccepted)
    case bindRejected(BindRejectedReason)
    case unbindIndication(UnbindReason)
    case hardLinkEstablish(HardLink)
    case hardLinkTerminate(NodeAddress)
    case hardLinkEstablished(RemoteNodeStatus, HardLink)
    case hardLinkRejected(HardLinkRejectedReason, HardLink)
    case hardLinkTerminated(HardLinkTerminatedReason, HardLink)
    case hardLinkIndication(RemoteNodeStatus, HardLink)
    case hardLinkAccept(HardLink)
    case hardLinkReject(HardLinkRejectReason, HardLink)
    case subnetAvailability(SubnetStatus, SubnetReason)
    case dataFlowOn
    case dataFlowOff
    case keepAlive
    case managementMessageRequest(ManagementMessage)
    case managementMessageIndication(ManagementMessage)
    case unidataRequest(UnidataRequest)
    case unidataIndication(UnidataIndication)
    case unidataRequestConfirm(UnidataReference)
    case unidataRequestRejected(UnidataRejectedReason, UnidataReference)
    case expeditedUnidataRequest(UnidataRequest)
    case expeditedUnidataIndication(UnidataIndication)
    case expeditedUnidataRequestConfirm(UnidataReference)
    case expeditedUnidataRequestRejected(UnidataRejectedReason, UnidataReference)

    /// The largest Size_of_Primitive.
    package static let maximumSize = 0xFFFF
    /// Bytes before those that Size_of_Primitive counts.
    package static let headerBytes = 5

    /// Who reads.
    package enum Reader: Hashable, Sendable {
        case client
        case node
    }

    /// What is known of a type before its fields are read (STANAG 5066 Ed. 3 §A.2.2.3 to §A.2.2.27).
    struct Shape {
        let name: String
        /// Nil for both.
        let reader: Reader?
        /// The least Size_of_Primitive.
        let minimumSize: UInt16

        init(_ name: String, to reader: Reader?, _ minimumSize: UInt16) {
            self.name = name
            self.reader = reader
            self.minimumSize = minimumSize
        }

        /// In order of types, the first of type 1.
        static let all = [
            Shape("S_BIND_REQUEST", to: .node, 4),
            Shape("S_UNBIND_REQUEST", to: .node, 1),
            Shape("S_BIND_ACCEPTED", to: .client, 4),
            Shape("S_BIND_REJECTED", to: .client, 2),
            Shape("S_UNBIND_INDICATION", to: .client, 2),
            Shape("S_HARD_LINK_ESTABLISH", to: .node, 6),
            Shape("S_HARD_LINK_TERMINATE", to: .node, 5),
            Shape("S_HARD_LINK_ESTABLISHED", to: .client, 7),
            Shape("S_HARD_LINK_REJECTED", to: .client, 7),
            Shape("S_HARD_LINK_TERMINATED", to: .client, 7),
            Shape("S_HARD_LINK_INDICATION", to: .client, 7),
            Shape("S_HARD_LINK_ACCEPT", to: .node, 6),
            Shape("S_HARD_LINK_REJECT", to: .node, 7),
            Shape("S_SUBNET_AVAILABILITY", to: .client, 3),
            Shape("S_DATA_FLOW_ON", to: .client, 1),
            Shape("S_DATA_FLOW_OFF", to: .client, 1),
            Shape("S_KEEP_ALIVE", to: nil, 1),
            Shape("S_MANAGEMENT_MSG_REQUEST", to: .node, 2),
            Shape("S_MANAGEMENT_MSG_INDICATION", to: .client, 2),
            Shape("S_UNIDATA_REQUEST", to: .node, 12),
            Shape("S_UNIDATA_INDICATION", to: .client, 13),
            Shape("S_UNIDATA_REQUEST_CONFIRM", to: .client, 8),
            Shape("S_UNIDATA_REQUEST_REJECTED", to: .client, 8),
            Shape("S_EXPEDITED_UNIDATA_REQUEST", to: .node, 12),
            Shape("S_EXPEDITED_UNIDATA_INDICATION", to: .client, 13),
            Shape("S_EXPEDITED_UNIDATA_REQUEST_CONFIRM", to: .client, 8),
            Shape("S_EXPEDITED_UNIDATA_REQUEST_REJECTED", to: .client, 8),
        ]

        static subscript(_ type: UInt8) -> Shape? {
            (1...all.count).contains(Int(type)) ? all[Int(type) - 1] : nil
        }
    }

    /// The number of the primitive's type, 1 to 27.
    package var type: UInt8 {
        switch self {
        case .bindRequest: 1
        case .unbindRequest: 2
        case .bindAccepted: 3
        case .bindRejected: 4
        case .unbindIndication: 5
        case .hardLinkEstablish: 6
        case .hardLinkTerminate: 7
        case .hardLinkEstablished: 8
        case .hardLinkRejected: 9
        case .hardLinkTerminated: 10
        case .hardLinkIndication: 11
        case .hardLinkAccept: 12
        case .hardLinkReject: 13
        case .subnetAvailability: 14
        case .dataFlowOn: 15
        case .dataFlowOff: 16
        case .keepAlive: 17
        case .managementMessageRequest: 18
        case .managementMessageIndication: 19
        case .unidataRequest: 20
        case .unidataIndication: 21
        case .unidataRequestConfirm: 22
        case .unidataRequestRejected: 23
        case .expeditedUnidataRequest: 24
        case .expeditedUnidataIndication: 25
        case .expeditedUnidataRequestConfirm: 26
        case .expeditedUnidataRequestRejected: 27
        }
    }

    /// The standard's name, for logs.
    package var name: String { Shape[type]?.name ?? "" }

    /// Who may be sent it; nil for both.
    package var reader: Reader? { Shape[type]?.reader }
}
