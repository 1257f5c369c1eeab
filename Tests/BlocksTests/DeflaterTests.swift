import Blocks
import NIOCore
import TestSupport
import Testing

@Suite struct DeflaterTests {
    private func inflateAll(_ inflater: inout Inflater, _ input: ByteBuffer, piece: Int) throws -> [UInt8] {
        var input = input
        var output = ByteBuffer()
        while try inflater.inflate(&input, into: &output, limit: piece) == piece || input.readableBytes > 0 {}
        return Array(output.readableBytesView)
    }

    @Test(arguments: [0, 1, 6, 9] as [Int32], [1, 7, 100_000])
    func `what was flushed can be inflated at once, in pieces of any size`(level: Int32, piece: Int) throws {
        var random = SeededGenerator(seed: 11)
        var deflater = Deflater(level: level)
        var inflater = Inflater()
        for _ in 0..<20 {
            let text = (0..<Int.random(in: 0..<4_000, using: &random)).map { _ in UInt8.random(in: 65..<80, using: &random) }
            var compressed = ByteBuffer()
            for part in random.pieces(of: text, largest: 500) { deflater.add(ByteBuffer(bytes: part), into: &compressed) }
            deflater.flush(into: &compressed)
            #expect(try inflateAll(&inflater, compressed, piece: piece) == text)
        }
    }

    @Test func `a partial flush is smaller and can be inflated as well, whole with the next one`() throws {
        var partial = Deflater(level: 9)
        var whole = Deflater(level: 9)
        var inflater = Inflater()
        var sizes = [0, 0]
        var all: [UInt8] = []
        for word in ["one, two", "three", "four, two, one"] {
            var bytes = ByteBuffer()
            partial.add(ByteBuffer(string: word), into: &bytes)
            partial.partialFlush(into: &bytes)
            sizes[0] += bytes.readableBytes
            all += try inflateAll(&inflater, bytes, piece: 64)
            bytes.clear()
            whole.add(ByteBuffer(string: word), into: &bytes)
            whole.flush(into: &bytes)
            sizes[1] += bytes.readableBytes
        }
        #expect(sizes[0] < sizes[1])
        #expect(all == Array("one, twothreefour, two, one".utf8))
    }

    @Test func `history runs across flushes`() throws {
        var deflater = Deflater(level: 6)
        let text = ByteBuffer(string: "<message from='romeo@montague.example' to='juliet@capulet.example' type='chat'/>")
        var first = ByteBuffer()
        deflater.add(text, into: &first)
        deflater.flush(into: &first)
        var second = ByteBuffer()
        deflater.add(text, into: &second)
        deflater.flush(into: &second)
        #expect(second.readableBytes < first.readableBytes / 4)
    }

    @Test func `an empty stored block after a flush decodes to nothing`() throws {
        var deflater = Deflater(level: 6)
        var inflater = Inflater()
        var bytes = ByteBuffer()
        for word in ["one", "two"] {
            deflater.add(ByteBuffer(string: word), into: &bytes)
            deflater.flush(into: &bytes)
            bytes.writeBytes(Deflater.emptyBlock)
            bytes.writeBytes(Deflater.emptyBlock)
        }
        #expect(try inflateAll(&inflater, bytes, piece: 64) == Array("onetwo".utf8))
    }

    @Test func `a flush with nothing added gives at most one empty block`() {
        var deflater = Deflater(level: 6)
        var bytes = ByteBuffer()
        deflater.flush(into: &bytes)
        let first = bytes.readableBytes
        deflater.flush(into: &bytes)
        #expect(first <= 6)
        #expect(bytes.readableBytes <= first + 5)
    }

    @Test func `a flush is written once even when it just fills the buffer`() throws {
        // The free space of the output is made to end at every place around the end of the flush.
        for room in 0..<80 {
            var deflater = Deflater(level: 6)
            var output = ByteBufferAllocator().buffer(capacity: 128)
            output.writeRepeatingByte(0, count: max(0, output.capacity - room))
            output.moveReaderIndex(to: output.writerIndex)
            deflater.add(ByteBuffer(string: "some words to compress, not many"), into: &output)
            deflater.flush(into: &output)
            var inflater = Inflater()
            #expect(try inflateAll(&inflater, output, piece: 1_000) == Array("some words to compress, not many".utf8))
        }
    }

    @Test func `damaged input is told from missing input`() throws {
        var inflater = Inflater()
        var output = ByteBuffer()
        var nothing = ByteBuffer()
        #expect(try inflater.inflate(&nothing, into: &output, limit: 100) == 0)
        // A block of the reserved type 3.
        var damaged = ByteBuffer(bytes: [0x07, 0x00])
        #expect(throws: InflateError.damaged) { try inflater.inflate(&damaged, into: &output, limit: 100) }
    }
}
