package import NIOCore
package import STANAG5066

/// How a unit of a client is to be delivered (STANAG 5066 Ed. 3 §A.2.2.28.2).
package struct UnidataDelivery: Hashable, Sendable {
    package enum Transmission: Hashable, Sendable {
        case arq
        /// Error-free only. Sent once, and again as often as `retransmissions` says.
        case nonARQ(retransmissions: Int)
    }

    package enum Confirmation: Hashable, Sendable {
        case none
        /// The other node has it.
        case node
        /// A client of the other node was given it.
        case client
    }

    package var transmission = Transmission.arq
    /// Of ARQ only.
    package var confirmation = Confirmation.none
    package var isInOrder = true

    package init(transmission: Transmission = .arq, confirmation: Confirmation = .none, isInOrder: Bool = true) {
        self.transmission = transmission
        self.confirmation = confirmation
        self.isInOrder = isInOrder
    }
}

/// A unit that a client of this node wants delivered.
package struct UnidataRequest: Hashable, Sendable {
    /// The caller's name for it, in confirmations and rejections.
    package var id: UInt64
    package var sourceSAP: UInt8
    package var destinationSAP: UInt8
    package var destination: NodeAddress
    /// 0 to 15, larger first.
    package var priority: UInt8
    package var delivery: UnidataDelivery
    /// Seconds; 0 for the node's maximum.
    package var timeToLive: Int
    package var unit: ByteBuffer

    package init(
        id: UInt64, sourceSAP: UInt8, destinationSAP: UInt8, destination: NodeAddress, priority: UInt8 = 0,
        delivery: UnidataDelivery = UnidataDelivery(), timeToLive: Int = 0, unit: ByteBuffer
    ) {
        self.id = id
        self.sourceSAP = sourceSAP & 0x0F
        self.destinationSAP = destinationSAP & 0x0F
        self.destination = destination
        self.priority = priority & 0x0F
        self.delivery = delivery
        self.timeToLive = timeToLive
        self.unit = unit
    }
}

/// A unit for a client of this node.
package struct UnidataIndication: Hashable, Sendable {
    package var destinationSAP: UInt8
    /// This node, or a group.
    package var destination: NodeAddress
    package var sourceSAP: UInt8
    package var source: NodeAddress
    package var priority: UInt8
    package var isARQ: Bool
    package var unit: ByteBuffer
}

/// Why a unit was not delivered: the numbers of S_UNIDATA_REQUEST_REJECTED (§A.2.1.8).
package enum UnidataRejection: UInt8, Hashable, Sendable {
    case timeToLiveExpired = 1
    case destinationNotBound = 2
    case destinationNotResponding = 3
    case tooLarge = 4
    case modeNotSpecified = 5
}
