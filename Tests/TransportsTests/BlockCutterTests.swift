import Blocks
import NIOCore
import TestSupport
import Testing

@testable import Transports

@Suite struct BlockCutterTests {
    private func cut(_ pieces: [[UInt8]], maximum: Int = 1 << 20) throws -> [[UInt8]] {
        var cutter = BlockCutter(maximumBytes: maximum)
        var found: [[UInt8]] = []
        for piece in pieces {
            var bytes = ByteBuffer(bytes: piece)
            cutter.append(&bytes)
            #expect(bytes.readableBytes == 0, "everything is taken")
            while let block = try cutter.next() { found.append(block.bytes) }
        }
        return found
    }

    @Test func `blocks come out as they went in, however the stream is cut`() throws {
        var generator = SeededGenerator(seed: 11)
        let blocks =
            [TestBlocks.opening()] + (0..<60).map { TestBlocks.block($0, bytes: $0 % 7 == 0 ? 0 : $0 * $0) }
        let stream = blocks.flatMap(\.bytes)
        for round in 0..<40 {
            var pieces: [[UInt8]] = []
            var rest = stream[...]
            while !rest.isEmpty {
                let longest = round == 0 ? 1 : round * 40
                let count = min(rest.count, Int.random(in: 1...longest, using: &generator))
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            #expect(try cut(pieces) == blocks.map(\.bytes), "round \(round)")
        }
    }

    @Test func `an unfinished block waits, and finished ones before it are not held on to`() throws {
        var cutter = BlockCutter(maximumBytes: 1 << 20)
        var bytes = TestBlocks.block(1, bytes: 500_000)
        bytes.writeBytes(TestBlocks.block(2).bytes.dropLast())
        cutter.append(&bytes)
        #expect(try cutter.next()?.readableBytes ?? 0 > 500_000)
        #expect(try cutter.next() == nil)
        #expect(cutter.pendingBytes == TestBlocks.block(2).readableBytes - 1)
        #expect(cutter.capacity < 1_000, "\(cutter.capacity)")
    }

    @Test func `peers d8: a block over the limit is refused by its header, before its body comes`() throws {
        var header = TestBlocks.block(1, bytes: 70_000)
        header = header.getSlice(at: 0, length: 8) ?? header
        var cutter = BlockCutter(maximumBytes: 65_536)
        cutter.append(&header)
        #expect(throws: BlockError.self) { try cutter.next() }
        // After that nothing is kept, however much comes.
        for _ in 0..<100 {
            var more = ByteBuffer(repeating: 0, count: 10_000)
            cutter.append(&more)
            #expect(try cutter.next() == nil)
        }
        #expect(cutter.pendingBytes == 0)
        #expect(try cut([TestBlocks.block(1, bytes: 65_000).bytes], maximum: 65_536).count == 1)
    }

    @Test func `what can never be a header is refused once, and at once where that can be told`() throws {
        #expect(throws: BlockError.unsupportedVersion(2)) { try cut([TestBlocks.opening(version: 2).bytes]) }
        #expect(throws: BlockError.reservedFlag) { try cut([[0x80, 0, 0]]) }
        // A XEP-0361 stream begins with `<`.
        #expect(throws: BlockError.self) { try cut([Array("<message from='a@b.example' ".utf8)]) }
        var cutter = BlockCutter(maximumBytes: 100)
        var bytes = ByteBuffer(bytes: [0x80, 0, 0])
        cutter.append(&bytes)
        #expect(throws: BlockError.self) { try cutter.next() }
        #expect(try cutter.next() == nil)
    }
}
