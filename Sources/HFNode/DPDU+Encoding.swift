package import NIOCore
import STANAG5066

extension DPDU {
    /// Bytes that encoding takes.
    ///
    /// - Parameter addressBytes: wanted for both addresses together, 1 to 7; more are taken when the addresses need them.
    package func encodedSize(addressBytes: Int) -> Int {
        let segment = content.segment.map { $0.readableBytes + Self.segmentChecksumBytes } ?? 0
        return Self.fixedBytes + fittingAddressBytes(addressBytes) + typePartBytes + segment
    }

    /// Appends the bytes as they go to the modem. Segments, bitmaps and extended messages beyond their limits are cut
    /// off.
    package func encode(into buffer: inout ByteBuffer, addressBytes: Int) {
        let addressBytes = fittingAddressBytes(addressBytes)
        buffer.writeMultipleIntegers(Self.sync.0, Self.sync.1)
        let start = buffer.writerIndex
        buffer.writeMultipleIntegers(
            content.type << 4 | orderwire.type, orderwire.data, endOfTransmission,
            UInt8(addressBytes) << 5 | UInt8(Self.fixedBytes - 2 + typePartBytes))
        let addresses = UInt64(destination.value) << UInt64(4 * addressBytes) | UInt64(source.value)
        for index in (0..<addressBytes).reversed() { buffer.writeInteger(UInt8(truncatingIfNeeded: addresses >> UInt64(8 * index))) }
        encodeTypePart(into: &buffer)
        let header = buffer.getSlice(at: start, length: buffer.writerIndex - start) ?? ByteBuffer()
        buffer.writeInteger(DPDUChecksum.header(header), endianness: .little)
        guard var segment = content.segment else { return }
        segment = segment.prefix(Self.maximumSegment)
        let sum = DPDUChecksum.segment(segment)
        buffer.writeBuffer(&segment)
        buffer.writeInteger(sum, endianness: .little)
    }

    /// Bytes of the address field: as many half-bytes for each address as the larger one needs, at least as wanted.
    private func fittingAddressBytes(_ wanted: Int) -> Int {
        let bits = UInt32.bitWidth - (source.value | destination.value).leadingZeroBitCount
        return min(max(wanted, (bits + 3) / 4, 1), 7)
    }

    private var typePartBytes: Int {
        switch content {
        case .data, .reset, .expeditedData: 3
        case .acknowledgement(let part), .expeditedAcknowledgement(let part):
            1 + min(part.bitmap.count, Acknowledgement.maximumBitmap)
        case .dataAcknowledgement(_, let part): 4 + min(part.bitmap.count, Acknowledgement.maximumBitmap)
        case .management(let part): 2 + min(part.extended.count, Management.maximumExtended)
        case .nonARQ, .expeditedNonARQ: 9
        case .warning: 1
        }
    }

    private func encodeTypePart(into buffer: inout ByteBuffer) {
        switch content {
        case .data(let frame): frame.encode(into: &buffer)
        case .acknowledgement(let part), .expeditedAcknowledgement(let part): part.encode(into: &buffer)
        case .dataAcknowledgement(let frame, let part):
            frame.encode(into: &buffer)
            part.encode(into: &buffer)
        case .reset(let reset):
            let flags = [
                reset.isFull, reset.requestsTransmitReset, reset.commandsReceiveReset, reset.isAcknowledgement,
            ]
            let bits = flags.reduce(UInt8(0)) { $0 << 1 | ($1 ? 1 : 0) }
            buffer.writeMultipleIntegers(bits, reset.newLowerEdge, reset.identifier)
        case .expeditedData(let frame):
            let size = UInt16(min(frame.segment.readableBytes, Self.maximumSegment))
            let flags: UInt16 = (frame.isStart ? 0x8000 : 0) | (frame.isEnd ? 0x4000 : 0)
            buffer.writeMultipleIntegers(flags | UInt16(frame.unit & 0x0F) << 10 | size, frame.sequence)
        case .management(let part):
            let extended = part.extended.prefix(Management.maximumExtended)
            let flags: UInt8 = (extended.isEmpty ? 0 : 4) | (part.isMessage ? 2 : 0) | (part.isAcknowledgement ? 1 : 0)
            buffer.writeMultipleIntegers(flags, part.identifier)
            buffer.writeBytes(extended)
        case .nonARQ(let frame), .expeditedNonARQ(let frame):
            let size = UInt16(min(frame.segment.readableBytes, Self.maximumSegment))
            let flags: UInt16 = (frame.isInOrder ? 0x0800 : 0) | (destination.isGroup ? 0x0400 : 0)
            buffer.writeMultipleIntegers(
                (frame.unit & 0x0F00) << 4 | flags | size, UInt8(truncatingIfNeeded: frame.unit), frame.unitSize, frame.offset,
                frame.receptionWindow)
        case .warning(let part): buffer.writeInteger(part.receivedType << 4 | part.reason & 0x0F)
        }
    }
}

extension DPDU.DataFrame {
    fileprivate func encode(into buffer: inout ByteBuffer) {
        let flags = [isStart, isEnd, isInOrder, isDropped, isUpperEdge, isLowerEdge]
        let bits = flags.reduce(UInt16(0)) { $0 << 1 | ($1 ? 1 : 0) }
        let size = UInt16(min(segment.readableBytes, DPDU.maximumSegment))
        buffer.writeMultipleIntegers(bits << 10 | size, sequence)
    }
}

extension DPDU.Acknowledgement {
    fileprivate func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(lowerEdge)
        buffer.writeBytes(bitmap.prefix(Self.maximumBitmap))
    }
}

extension ByteBuffer {
    /// At most so many bytes of the front, as a slice.
    func prefix(_ count: Int) -> ByteBuffer {
        getSlice(at: readerIndex, length: min(count, readableBytes)) ?? ByteBuffer()
    }
}
