package import NIOCore
package import STANAG5066

/// A D_PDU: what one data transfer sublayer sends to another through the modem (STANAG 5066 Ed. 3 §C.3).
///
/// ```
/// sync     90 EB
/// b0       type 4 bits, orderwire bits 11 to 8
/// b1       orderwire bits 7 to 0
/// b2       end of transmission: half-seconds left of this transmission, from the start of this D_PDU
/// b3       bytes of both addresses together 3 bits, bytes of the header without addresses and sync 5 bits
/// address  1 to 7 bytes: destination, then source, as many half-bytes each
/// …        part of the type
/// CRC-16   over all of it but the sync
/// [segment and CRC-32, types 0, 2, 4, 7 and 8]
/// ```
package struct DPDU: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        /// Type 0.
        case data(DataFrame)
        /// Type 1.
        case acknowledgement(Acknowledgement)
        /// Type 2.
        case dataAcknowledgement(DataFrame, Acknowledgement)
        /// Type 3.
        case reset(WindowReset)
        /// Type 4.
        case expeditedData(ExpeditedFrame)
        /// Type 5.
        case expeditedAcknowledgement(Acknowledgement)
        /// Type 6.
        case management(Management)
        /// Type 7.
        case nonARQ(NonARQFrame)
        /// Type 8; carries the making and breaking of links too.
        case expeditedNonARQ(NonARQFrame)
        /// Type 15.
        case warning(Warning)
    }

    package var orderwire = EngineeringOrderwire.none
    /// Half-seconds until the transmission ends.
    package var endOfTransmission: UInt8 = 0
    package var source: NodeAddress
    /// A group only in types 7 and 8.
    package var destination: NodeAddress
    package var content: Content

    package init(source: NodeAddress, destination: NodeAddress, content: Content) {
        self.source = source
        self.destination = destination
        self.content = content
    }

    /// Sync, header checksum and the four common bytes, without addresses.
    static let fixedBytes = 8
    static let segmentChecksumBytes = 4
    /// A segment is never longer (§C.4.1).
    package static let maximumSegment = 1023
    package static let sync: (UInt8, UInt8) = (0x90, 0xEB)

    /// Bytes on the air but addresses and segment, for a type 0 D_PDU: with the address field this is what a segment
    /// costs.
    package static let dataOverhead = fixedBytes + 3 + segmentChecksumBytes
    /// The same for types 7 and 8.
    package static let nonARQOverhead = fixedBytes + 9 + segmentChecksumBytes
    /// The same for a type 1 D_PDU without bitmap.
    package static let acknowledgementOverhead = fixedBytes + 1
}

extension DPDU.Content {
    /// The number on the air (Table C-2).
    package var type: UInt8 {
        switch self {
        case .data: 0
        case .acknowledgement: 1
        case .dataAcknowledgement: 2
        case .reset: 3
        case .expeditedData: 4
        case .expeditedAcknowledgement: 5
        case .management: 6
        case .nonARQ: 7
        case .expeditedNonARQ: 8
        case .warning: 15
        }
    }

    /// The part of a C_PDU that it carries.
    package var segment: ByteBuffer? {
        switch self {
        case .data(let frame), .dataAcknowledgement(let frame, _): frame.segment
        case .expeditedData(let frame): frame.segment
        case .nonARQ(let frame), .expeditedNonARQ(let frame): frame.segment
        case .acknowledgement, .reset, .expeditedAcknowledgement, .management, .warning: nil
        }
    }
}

// MARK: The parts of the types

extension DPDU {
    /// A segment of an ARQ C_PDU (§C.3.3).
    package struct DataFrame: Hashable, Sendable {
        /// First segment of its C_PDU.
        package var isStart = false
        /// Last segment of its C_PDU.
        package var isEnd = false
        package var isInOrder = false
        /// The C_PDU is given up; no segment follows, and it is acknowledged all the same.
        package var isDropped = false
        /// The sequence number is the upper edge of the sender's window.
        package var isUpperEdge = false
        /// The sequence number is the lower edge of the sender's window.
        package var isLowerEdge = false
        package var sequence: UInt8
        /// At most ``DPDU/maximumSegment`` bytes.
        package var segment: ByteBuffer

        package init(sequence: UInt8, segment: ByteBuffer) {
            self.sequence = sequence
            self.segment = segment
        }
    }

    /// What a receiver has (§C.3.4).
    package struct Acknowledgement: Hashable, Sendable {
        /// The oldest sequence number that was not received.
        package var lowerEdge: UInt8
        /// Bit 0 of the first byte stands for lower edge + 1; 0 to 16 bytes.
        package var bitmap: [UInt8]

        package static let maximumBitmap = 16

        package init(lowerEdge: UInt8, bitmap: [UInt8] = []) {
            self.lowerEdge = lowerEdge
            self.bitmap = bitmap
        }
    }

    /// Reset of the windows, and its acknowledgement (§C.3.6).
    package struct WindowReset: Hashable, Sendable {
        package var isFull = false
        package var requestsTransmitReset = false
        package var commandsReceiveReset = false
        package var isAcknowledgement = false
        /// Valid with ``commandsReceiveReset`` only.
        package var newLowerEdge: UInt8 = 0
        /// Tells copies from new ones.
        package var identifier: UInt8

        package init(identifier: UInt8) {
            self.identifier = identifier
        }
    }

    /// A segment of an expedited ARQ C_PDU (§C.3.7).
    package struct ExpeditedFrame: Hashable, Sendable {
        package var isStart = false
        package var isEnd = false
        /// Four bits.
        package var unit: UInt8
        package var sequence: UInt8
        package var segment: ByteBuffer

        package init(unit: UInt8, sequence: UInt8, segment: ByteBuffer) {
            self.unit = unit & 0x0F
            self.sequence = sequence
            self.segment = segment
        }
    }

    /// A management message in the orderwire field, or the acknowledgement of one (§C.3.9).
    package struct Management: Hashable, Sendable {
        /// The orderwire field holds a message that wants an acknowledgement.
        package var isMessage = false
        package var isAcknowledgement = false
        package var identifier: UInt8
        /// 0 to 23 bytes.
        package var extended: [UInt8] = []

        package static let maximumExtended = 23

        package init(identifier: UInt8) {
            self.identifier = identifier
        }
    }

    /// A segment of a C_PDU that nobody acknowledges (§C.3.10, §C.3.11).
    package struct NonARQFrame: Hashable, Sendable {
        /// Twelve bits; types 7 and 8 count apart.
        package var unit: UInt16
        package var isInOrder = false
        /// Bytes of the whole C_PDU.
        package var unitSize: UInt16
        /// Where the segment begins in the C_PDU.
        package var offset: UInt16
        /// Half-seconds, from the start of this D_PDU, in which more of the C_PDU may come.
        package var receptionWindow: UInt16
        package var segment: ByteBuffer

        package init(unit: UInt16, unitSize: UInt16, offset: UInt16, receptionWindow: UInt16, segment: ByteBuffer) {
            self.unit = unit & 0x0FFF
            self.unitSize = unitSize
            self.offset = offset
            self.receptionWindow = receptionWindow
            self.segment = segment
        }
    }

    /// Says that a D_PDU was not expected (§C.3.12).
    package struct Warning: Hashable, Sendable {
        /// Four bits: the type that was not expected.
        package var receivedType: UInt8
        /// Four bits (Table C-3).
        package var reason: UInt8

        package static let unrecognisedType: UInt8 = 0
        package static let notConnected: UInt8 = 1
        package static let invalid: UInt8 = 2
        package static let invalidForState: UInt8 = 3

        package init(receivedType: UInt8, reason: UInt8) {
            self.receivedType = receivedType & 0x0F
            self.reason = reason & 0x0F
        }
    }
}
