package import NIOCore
package import STANAG5066

/// Why bytes are not a D_PDU.
package enum DPDUError: Error, Hashable, Sendable {
    case noSync
    /// The bytes end within the header.
    case truncated
    case headerChecksum
    /// An address field of no bytes.
    case noAddress
    /// The size of the header does not suit the type.
    case headerSize(type: UInt8, size: UInt8)
    /// A reserved type with a good header: the source is owed a warning (STANAG 5066 Ed. 3 §C.3.12).
    case unrecognisedType(UInt8, source: NodeAddress, destination: NodeAddress)
}

/// A D_PDU as it came off the air. Its header is good; its segment need not be.
package struct ReceivedDPDU: Hashable, Sendable {
    package var dpdu: DPDU
    /// The segment is whole and its checksum is right; true where there is none. Only then may the frame be
    /// acknowledged (STANAG 5066 Ed. 3 §C.3.4).
    package var isSegmentIntact: Bool
    /// Bytes of it, from the sync.
    package var size: Int

    /// Reads a D_PDU from the front of `buffer`. A segment that ends early is not intact.
    package init(decoding buffer: ByteBuffer) throws(DPDUError) {
        var reader = buffer
        guard let first: UInt8 = reader.readInteger() else { throw .truncated }
        guard first == DPDU.sync.0 else { throw .noSync }
        guard let second: UInt8 = reader.readInteger() else { throw .truncated }
        guard second == DPDU.sync.1 else { throw .noSync }
        guard let sizes: UInt8 = reader.getInteger(at: reader.readerIndex + 3) else { throw .truncated }
        let addressBytes = Int(sizes >> 5)
        let headerBytes = Int(sizes & 0x1F)
        guard headerBytes >= 6 else { throw .headerSize(type: reader.peekType, size: sizes & 0x1F) }
        guard let header = reader.readSlice(length: addressBytes + headerBytes) else { throw .truncated }
        var fields = header.prefix(addressBytes + headerBytes - 2)
        let sum: UInt16? = header.getInteger(at: header.writerIndex - 2, endianness: .little)
        guard sum == DPDUChecksum.header(fields) else { throw .headerChecksum }
        guard addressBytes > 0 else { throw .noAddress }
        guard let (typed, orderwireData, endOfTransmission, _) = fields.readMultipleIntegers(as: (UInt8, UInt8, UInt8, UInt8).self)
        else { throw .truncated }
        let type = typed >> 4
        let (destination, source) = Self.addresses(&fields, bytes: addressBytes)
        guard let part = DPDU.TypePart(type: type, fields: &fields) else {
            guard (9...14).contains(type) else { throw .headerSize(type: type, size: sizes & 0x1F) }
            throw .unrecognisedType(type, source: source, destination: destination)
        }
        var segment = ByteBuffer()
        isSegmentIntact = true
        if let length = part.segmentLength {
            segment = reader.prefix(length)
            reader.moveReaderIndex(forwardBy: segment.readableBytes)
            let sum: UInt32? = reader.readInteger(endianness: .little)
            isSegmentIntact = segment.readableBytes == length && sum == DPDUChecksum.segment(segment)
        }
        size = buffer.readableBytes - reader.readableBytes
        dpdu = DPDU(
            source: source, destination: part.isGroup ? destination.asGroup : destination, content: part.content(segment: segment))
        dpdu.orderwire = EngineeringOrderwire(type: typed, data: orderwireData)
        dpdu.endOfTransmission = endOfTransmission
    }

    /// The address field holds as many half-bytes of the destination as of the source (§C.3.2.6).
    private static func addresses(_ fields: inout ByteBuffer, bytes: Int) -> (destination: NodeAddress, source: NodeAddress) {
        let both = (fields.readBytes(length: bytes) ?? []).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let bits = UInt64(4 * bytes)
        let mask = (UInt64(1) << bits) - 1
        return (
            NodeAddress(field: UInt32(truncatingIfNeeded: both >> bits & mask)),
            NodeAddress(field: UInt32(truncatingIfNeeded: both & mask))
        )
    }
}

extension ByteBuffer {
    fileprivate var peekType: UInt8 { (getInteger(at: readerIndex, as: UInt8.self) ?? 0) >> 4 }
}

extension NodeAddress {
    fileprivate var asGroup: NodeAddress { NodeAddress(value: value, isGroup: true) ?? self }
}

extension DPDU {
    /// The header's part of a type, before its segment is read.
    fileprivate struct TypePart {
        let segmentLength: Int?
        let isGroup: Bool
        private let known: Content

        /// Nil for a reserved type and for a part of another size than the type has.
        init?(type: UInt8, fields: inout ByteBuffer) {
            var length: Int?
            var isGroup = false
            switch type {
            case 0:
                guard let (frame, size) = DataFrame.read(&fields) else { return nil }
                length = size
                known = .data(frame)
            case 1, 5:
                guard let part = Acknowledgement.read(&fields) else { return nil }
                known = type == 1 ? .acknowledgement(part) : .expeditedAcknowledgement(part)
            case 2:
                guard let (frame, size) = DataFrame.read(&fields), let part = Acknowledgement.read(&fields) else { return nil }
                length = size
                known = .dataAcknowledgement(frame, part)
            case 3:
                guard let (flags, edge, identifier) = fields.readMultipleIntegers(as: (UInt8, UInt8, UInt8).self) else {
                    return nil
                }
                var reset = WindowReset(identifier: identifier)
                reset.isFull = flags & 8 != 0
                reset.requestsTransmitReset = flags & 4 != 0
                reset.commandsReceiveReset = flags & 2 != 0
                reset.isAcknowledgement = flags & 1 != 0
                reset.newLowerEdge = edge
                known = .reset(reset)
            case 4:
                guard let (flags, sequence) = fields.readMultipleIntegers(as: (UInt16, UInt8).self) else { return nil }
                length = Int(flags & 0x03FF)
                var frame = ExpeditedFrame(
                    unit: UInt8(truncatingIfNeeded: flags >> 10), sequence: sequence, segment: ByteBuffer())
                frame.isStart = flags & 0x8000 != 0
                frame.isEnd = flags & 0x4000 != 0
                known = .expeditedData(frame)
            case 6:
                guard let (flags, identifier) = fields.readMultipleIntegers(as: (UInt8, UInt8).self) else { return nil }
                var part = Management(identifier: identifier)
                part.isMessage = flags & 2 != 0
                part.isAcknowledgement = flags & 1 != 0
                guard fields.readableBytes <= Management.maximumExtended else { return nil }
                if flags & 4 != 0 { part.extended = Array(fields.readableBytesView) }
                fields.moveReaderIndex(to: fields.writerIndex)
                known = .management(part)
            case 7, 8:
                guard
                    let (flags, low, size, offset, window) = fields.readMultipleIntegers(
                        as: (UInt16, UInt8, UInt16, UInt16, UInt16).self)
                else { return nil }
                length = Int(flags & 0x03FF)
                isGroup = flags & 0x0400 != 0
                var frame = NonARQFrame(
                    unit: flags >> 4 & 0x0F00 | UInt16(low), unitSize: size, offset: offset, receptionWindow: window,
                    segment: ByteBuffer())
                frame.isInOrder = flags & 0x0800 != 0
                known = type == 7 ? .nonARQ(frame) : .expeditedNonARQ(frame)
            case 15:
                guard let byte: UInt8 = fields.readInteger() else { return nil }
                known = .warning(Warning(receivedType: byte >> 4, reason: byte))
            default: return nil
            }
            guard fields.readableBytes == 0 else { return nil }
            segmentLength = length
            self.isGroup = isGroup
        }

        func content(segment: ByteBuffer) -> Content {
            switch known {
            case .data(var frame):
                frame.segment = segment
                return .data(frame)
            case .dataAcknowledgement(var frame, let part):
                frame.segment = segment
                return .dataAcknowledgement(frame, part)
            case .expeditedData(var frame):
                frame.segment = segment
                return .expeditedData(frame)
            case .nonARQ(var frame):
                frame.segment = segment
                return .nonARQ(frame)
            case .expeditedNonARQ(var frame):
                frame.segment = segment
                return .expeditedNonARQ(frame)
            case .acknowledgement, .reset, .expeditedAcknowledgement, .management, .warning: return known
            }
        }
    }
}

extension DPDU.DataFrame {
    fileprivate static func read(_ fields: inout ByteBuffer) -> (DPDU.DataFrame, Int)? {
        guard let (flags, sequence) = fields.readMultipleIntegers(as: (UInt16, UInt8).self) else { return nil }
        var frame = DPDU.DataFrame(sequence: sequence, segment: ByteBuffer())
        frame.isStart = flags & 0x8000 != 0
        frame.isEnd = flags & 0x4000 != 0
        frame.isInOrder = flags & 0x2000 != 0
        frame.isDropped = flags & 0x1000 != 0
        frame.isUpperEdge = flags & 0x0800 != 0
        frame.isLowerEdge = flags & 0x0400 != 0
        return (frame, Int(flags & 0x03FF))
    }
}

extension DPDU.Acknowledgement {
    fileprivate static func read(_ fields: inout ByteBuffer) -> DPDU.Acknowledgement? {
        guard let edge: UInt8 = fields.readInteger(), fields.readableBytes <= maximumBitmap else { return nil }
        return DPDU.Acknowledgement(lowerEdge: edge, bitmap: fields.readBytes(length: fields.readableBytes) ?? [])
    }
}
