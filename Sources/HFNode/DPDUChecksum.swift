import NIOCore

/// The two checksums of a D_PDU (STANAG 5066 Ed. 3 §C.3.2.8, §C.3.2.11). Both start from 0, work on the least
/// significant bit first and are sent with their low byte first.
enum DPDUChecksum {
    /// Over the header without the synchronisation bytes; polynomial 0x19949, reflected 0x9299.
    static func header(_ bytes: ByteBuffer) -> UInt16 {
        let table = headerTable
        let span = bytes.readableBytesUInt8Span
        var sum: UInt16 = 0
        for index in span.indices { sum = sum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ span[index])] }
        return sum
    }

    /// Over the segment of a C_PDU; polynomial 0x10AA725CF, reflected 0xF3A4E550.
    static func segment(_ bytes: ByteBuffer) -> UInt32 {
        let table = segmentTable
        let span = bytes.readableBytesUInt8Span
        var sum: UInt32 = 0
        for index in span.indices { sum = sum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ span[index])] }
        return sum
    }

    private static let headerTable: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index)) { sum, _ in sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x9299 }
    }

    private static let segmentTable: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { sum, _ in sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0xF3A4_E550 }
    }
}
