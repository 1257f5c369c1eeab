package import NIOCore

/// S_BIND_REQUEST (STANAG 5066 Ed. 3 §A.2.2.3).
package struct BindRequest: Hashable, Sendable {
    package var sap: SAP
    /// 0 to 15, larger is more important; 15 is for clients that may change the node's configuration.
    package var rank: UInt8
    /// The default for U_PDUs; its mode must not be `.default`.
    package var service: ServiceType

    /// - Parameter rank: more than 15 is taken for 15.
    package init(sap: SAP, rank: UInt8, service: ServiceType) {
        self.sap = sap
        self.rank = min(rank, 15)
        self.service = service
    }
}

/// S_BIND_ACCEPTED (STANAG 5066 Ed. 3 §A.2.2.5).
package struct BindAccepted: Hashable, Sendable {
    package var sap: SAP
    /// The longest U_PDU that the node takes, in bytes.
    package var mtu: UInt16

    package init(sap: SAP, mtu: UInt16) {
        self.sap = sap
        self.mtu = mtu
    }
}

/// A hard link as its primitives name it (STANAG 5066 Ed. 3 §A.2.1.18, figures ).
package struct HardLink: Hashable, Sendable {
    /// Two bits; 3 is undefined, and kept as it came.
    package struct Kind: Hashable, Sendable {
        package let number: UInt8

        /// - Parameter byte: the low two bits count.
        package init(low byte: UInt8) {
            number = byte & 0x03
        }

        /// Type 0: the physical link stays up.
        package static let reservation = Kind(low: 0)
        /// Type 1: only clients of these two nodes.
        package static let partialBandwidth = Kind(low: 1)
        /// Type 2: only these two clients.
        package static let fullBandwidth = Kind(low: 2)
    }

    package var kind: Kind
    /// 0 to 3, larger wins.
    package var priority: UInt8
    /// Means something with ``Kind/fullBandwidth`` only.
    package var remoteSAP: SAP
    package var remoteNode: NodeAddress

    /// - Parameter priority: more than 3 is taken for 3.
    package init(_ kind: Kind, priority: UInt8, remoteSAP: SAP, remoteNode: NodeAddress) {
        self.kind = kind
        self.priority = min(priority, 3)
        self.remoteSAP = remoteSAP
        self.remoteNode = remoteNode
    }

    /// A reservation names no SAP.
    package static func reservation(of node: NodeAddress, priority: UInt8) -> HardLink {
        HardLink(.reservation, priority: priority, remoteSAP: SAP(low: 0), remoteNode: node)
    }
}

/// S_MANAGEMENT_MSG_REQUEST or _INDICATION; what it says is the node's own affair (STANAG 5066 Ed. 3 §A.2.1.16).
package struct ManagementMessage: Hashable, Sendable {
    package var type: UInt8
    /// At most ``maximumBytes``.
    package var body: ByteBuffer

    package static let maximumBytes = SISPrimitive.maximumSize - 2

    package init(type: UInt8, body: ByteBuffer) {
        self.type = type
        self.body = body
    }
}

/// S_UNIDATA_REQUEST or its expedited form (STANAG 5066 Ed. 3 §A.2.2.20, figures ).
package struct UnidataRequest: Hashable, Sendable {
    /// 0 to 15, larger is more important. The expedited form has none: it is read as 0 and written as 0.
    package var priority: UInt8
    package var destinationSAP: SAP
    package var destination: NodeAddress
    package var delivery: ServiceType
    package var timeToLive: TimeToLive
    /// At most the MTU, and never more than ``maximumBytes``.
    package var uPDU: ByteBuffer

    /// What a primitive can hold.
    package static let maximumBytes = SISPrimitive.maximumSize - 12

    /// - Parameter priority: more than 15 is taken for 15.
    package init(
        priority: UInt8, destinationSAP: SAP, destination: NodeAddress, delivery: ServiceType, timeToLive: TimeToLive,
        uPDU: ByteBuffer
    ) {
        self.priority = min(priority, 15)
        self.destinationSAP = destinationSAP
        self.destination = destination
        self.delivery = delivery
        self.timeToLive = timeToLive
        self.uPDU = uPDU
    }
}

/// S_UNIDATA_INDICATION or its expedited form (STANAG 5066 Ed. 3 §A.2.2.21, figures ).
package struct UnidataIndication: Hashable, Sendable {
    /// A part of a U_PDU, in bytes from its start; as the node says, so it may lie beyond the end.
    package struct Block: Hashable, Sendable {
        package var offset: UInt16
        package var length: UInt16

        package init(offset: UInt16, length: UInt16) {
            self.offset = offset
            self.length = length
        }
    }

    /// As in ``UnidataRequest/priority``.
    package var priority: UInt8
    package var destinationSAP: SAP
    /// Our own node, or a group.
    package var destination: NodeAddress
    package var mode: TransmissionMode
    package var sourceSAP: SAP
    package var source: NodeAddress
    package var uPDU: ByteBuffer
    /// Parts that came with errors; written with ``TransmissionMode/nonARQWithErrors`` only.
    package var erroredBlocks: [Block] = []
    /// Parts that did not come; written with ``TransmissionMode/nonARQWithErrors`` only.
    package var missingBlocks: [Block] = []

    /// - Parameters:
    ///   - priority: more than 15 is taken for 15.
    ///   - uPDU: at most ``maximumBytes``, less four for each block.
    package init(
        priority: UInt8, destinationSAP: SAP, destination: NodeAddress, mode: TransmissionMode, sourceSAP: SAP,
        source: NodeAddress, uPDU: ByteBuffer
    ) {
        self.priority = min(priority, 15)
        self.destinationSAP = destinationSAP
        self.destination = destination
        self.mode = mode
        self.sourceSAP = sourceSAP
        self.source = source
        self.uPDU = uPDU
    }

    /// What a primitive can hold, blocks counted.
    package static let maximumBytes = SISPrimitive.maximumSize - 13 - 4
}

/// Which U_PDU a confirmation or rejection is about: there is no number, only where it goes and how it begins (STANAG 5066
/// Ed. 3 §A.2.1.7, §A.2.1.8, figures ).
package struct UnidataReference: Hashable, Sendable {
    package var destinationSAP: SAP
    package var destination: NodeAddress
    /// The first bytes of the U_PDU; how many, the node's configuration says. May be none, and may be all.
    package var prefix: ByteBuffer

    /// - Parameter prefix: what does not fit into a primitive is left out.
    package init(destinationSAP: SAP, destination: NodeAddress, prefix: ByteBuffer) {
        self.destinationSAP = destinationSAP
        self.destination = destination
        self.prefix = prefix
        let excess = prefix.readableBytes - (SISPrimitive.maximumSize - 8)
        if excess > 0 { self.prefix.moveWriterIndex(to: prefix.writerIndex - excess) }
    }

    /// The reference to `request`, as a node with that much to say about it makes it.
    ///
    /// - Parameter bytes: at most so many of the U_PDU are repeated.
    package init(to request: UnidataRequest, bytes: Int = .max) {
        let prefix = request.uPDU.getSlice(at: request.uPDU.readerIndex, length: min(max(bytes, 0), request.uPDU.readableBytes))
        self.init(
            destinationSAP: request.destinationSAP, destination: request.destination, prefix: prefix ?? ByteBuffer())
    }
}
