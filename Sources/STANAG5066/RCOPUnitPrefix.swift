package import NIOCore

/// What stands before the bytes of a delimited unit, at the beginning of its first segment.
///
/// ```
/// 2 bytes   01 LLLLLL LLLLLLLL                     the unit is whole in this one segment; 14 bits of length
/// 8 bytes   10 LLLLLL … 30 bits of length, CRC-32  the unit goes on in further segments, or has more than 16 383 bytes
/// ```
///
/// The first two bits are the format; 00 and 11 are free. XML begins with a byte of format 00, so a side that was set
/// to the other dialect is told from damage. Lengths count what follows the prefix.
///
/// The checksum is for units of several segments alone: after a restart of the sender its numbers begin anywhere, and
/// then segments of two units can come together under one number. One segment is covered by the checksums of the data
/// transfer sublayer.
package struct RCOPUnitPrefix: Equatable, Sendable {
    /// Bytes of the unit, without this prefix.
    package let length: Int
    /// ``CRC32`` of these bytes; nil where the unit is whole in one segment.
    package let checksum: UInt32?

    private static let single: UInt8 = 0b01
    private static let several: UInt8 = 0b10
    package static let maximumSingleLength = 0x3FFF
    package static let maximumLength = 0x3FFF_FFFF

    package var byteCount: Int { checksum == nil ? Self.singleByteCount : Self.severalByteCount }
    package static let singleByteCount = 2
    package static let severalByteCount = 8

    /// The prefix for a unit that is cut into segments with so many bytes of data each.
    ///
    /// - Returns: nil for a unit of more than ``maximumLength`` bytes.
    package init?(for unit: ByteBuffer, segmentBytes: Int) {
        length = unit.readableBytes
        if length <= Self.maximumSingleLength, length + Self.singleByteCount <= segmentBytes {
            checksum = nil
        } else {
            guard length <= Self.maximumLength else { return nil }
            checksum = CRC32.of(unit.readableBytesView)
        }
    }

    package func encode(into buffer: inout ByteBuffer) {
        if let checksum {
            buffer.writeMultipleIntegers(UInt32(Self.several) << 30 | UInt32(truncatingIfNeeded: length), checksum)
        } else {
            buffer.writeInteger(UInt16(Self.single) << 14 | UInt16(truncatingIfNeeded: length))
        }
    }

    /// Reads the prefix from the front of the data of a unit's first segment.
    ///
    /// - Throws: ``RCOPDropReason/unknownFormat``, or ``RCOPDropReason/malformed`` where it is not whole: a first
    ///   segment holds at least that.
    package init(reading data: inout ByteBuffer) throws(RCOPDropReason) {
        guard let first = data.readableBytesView.first else { throw .malformed }
        switch first >> 6 {
        case Self.single:
            guard let field: UInt16 = data.readInteger() else { throw .malformed }
            length = Int(field & 0x3FFF)
            checksum = nil
        case Self.several:
            guard let (field, checksum) = data.readMultipleIntegers(as: (UInt32, UInt32).self) else { throw .malformed }
            length = Int(field & 0x3FFF_FFFF)
            self.checksum = checksum
        default: throw .unknownFormat
        }
    }
}
