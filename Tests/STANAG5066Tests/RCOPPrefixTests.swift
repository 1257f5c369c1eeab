import NIOCore
@testable import STANAG5066
import TestSupport
import Testing

@Suite struct RCOPPrefixTests {
    @Test func `the checksum has the check value of its catalogue`() {
        #expect(CRC32.of("123456789".utf8) == 0xCBF4_3926)
        #expect(CRC32.of([]) == 0)
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
