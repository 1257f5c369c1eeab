import NIOCore
@testable import STANAG5066
import TestSupport
import Testing

@Suite struct RCOPPrefixTests {
    @Test func `the checksum has the check value of its catalogue`() {
        #expect(CRC32.of("123456789".utf8) == 0xCBF4_3926)
        #expect(CRC32.of([]) == 0)
    }

    /// docs/rcop.md.
    @Test func `the examples of the document`() {
        #expect(cut("skywave", number: 0x11) == [ByteBuffer(hex: "00 11 00 00 83 62 40 07 73 6B 79 77 61 76 65")])
        #expect(
            cut("skywave link", mtu: 18, number: 0x12) == [
                ByteBuffer(hex: "00 12 00 00 83 62 80 00 00 0C D8 83 36 6D 73 6B 79 77"),
                ByteBuffer(hex: "00 12 00 01 83 62 61 76 65 20 6C 69 6E 6B"),
            ])
    }

    @Test(arguments: [0, 1, 40, 41, 16_383, 16_384, 100_000], [10, 42, 2_042, 65_000])
    func `a prefix comes back, and says what follows`(length: Int, segmentBytes: Int) throws {
        let unit = ByteBuffer(repeating: 0xA5, count: length)
        let prefix = try #require(RCOPUnitPrefix(for: unit, segmentBytes: segmentBytes))
        #expect(prefix.length == length)
        #expect((prefix.checksum == nil) == (length <= 16_383 && length + 2 <= segmentBytes))
        var encoded = ByteBuffer()
        prefix.encode(into: &encoded)
        #expect(encoded.readableBytes == prefix.byteCount)
        encoded.writeInteger(UInt8(1))
        let read = try RCOPUnitPrefix(reading: &encoded)
        #expect(read == prefix)
        #expect(encoded.readableBytes == 1)
    }

    @Test func `what is no prefix is told from one that is not whole`() {
        func reason(_ hex: String) -> RCOPDropReason? {
            var data = ByteBuffer(hex: hex)
            do throws(RCOPDropReason) {
                _ = try RCOPUnitPrefix(reading: &data)
                return nil
            } catch { return error }
        }
        #expect(reason("3C 6D 65 73 73 61 67 65") == .unknownFormat)
        #expect(reason("C0 00 00 00 00 00 00 00") == .unknownFormat)
        #expect(reason("") == .malformed)
        #expect(reason("40") == .malformed)
        #expect(reason("80 00 00 00 00 00 00") == .malformed)
        #expect(reason("40 00") == nil)
    }
}
