import Blocks
import NIOCore
import TestSupport
import Testing
import XMPP

@Suite struct LinkStreamTests {
    private static let compressions: [LinkCompression?] = [nil, .deflate(level: 1), .deflate(level: 6), .deflate(level: 9)]

    @Test(arguments: compressions, [1, 2, 17, 1_500, 1_000_000])
    func `what goes in comes out, at any split`(compression: LinkCompression?, largestPiece: Int) throws {
        let seed = UInt64(largestPiece) &* 31 &+ 5
        var random = SeededGenerator(seed: seed)
        let sent = traffic(300, seed: seed)
        #expect(sent.count == 300)
        let encoder = LinkStreamEncoder(compression: compression)
        var bytes = ByteBuffer()
        for batch in random.pieces(of: sent, largest: 40) { encoder.encode(Array(batch), into: &bytes) }
        encoder.encodeClose(into: &bytes)

        let decoder = LinkStreamDecoder(compression: compression != nil, limits: .link)
        let found = events(
            of: decoder, reading: Array(bytes.readableBytesView), largestPiece: largestPiece, random: &random)
        #expect(found.stanzas == sent)
        #expect(found.last == .closed)
        #expect(decoder.nextEvent() == nil)
        #expect(decoder.byteCounts.expanded == encoder.byteCounts.uncompressed)
        #expect(decoder.byteCounts.received == encoder.byteCounts.encoded)
    }

    @Test(arguments: compressions)
    func `each batch can be read without the next`(compression: LinkCompression?) {
        let encoder = LinkStreamEncoder(compression: compression)
        let decoder = LinkStreamDecoder(compression: compression != nil, limits: .link)
        for batch in traffic(100, seed: 3).chunked(by: 9) {
            var bytes = ByteBuffer()
            encoder.encode(batch, into: &bytes)
            decoder.read(&bytes)
            var read: [StreamEvent] = []
            while let event = decoder.nextEvent() { read.append(event) }
            #expect(read.stanzas == batch)
        }
    }

    @Test func `the first byte is the first stanza's and nothing stands between stanzas`() throws {
        let encoder = LinkStreamEncoder(compression: nil)
        var bytes = ByteBuffer()
        encoder.encode([], into: &bytes)
        #expect(bytes.readableBytes == 0)
        let message = try stanza("<message to='a@b.example' from='c@d.example'><body>hi</body></message>")
        encoder.encode([message, message], into: &bytes)
        #expect(String(buffer: bytes) == message.text + message.text)
    }

    @Test func `peers d24: whitespace between stanzas is accepted, compressed or not`() throws {
        let text = " \n<presence to='a@b.example' from='c@d.example'/>\r\n\t <presence to='a@b.example' from='c@d.example'/> "
        var plain = ByteBuffer(string: text)
        let plainDecoder = LinkStreamDecoder(compression: false, limits: .link)
        plainDecoder.read(&plain)
        var found: [StreamEvent] = []
        while let event = plainDecoder.nextEvent() { found.append(event) }
        #expect(found.count == 2 && found.stanzas.count == 2)

        var deflater = Deflater(level: 6)
        var compressed = ByteBuffer()
        deflater.add(ByteBuffer(string: text), into: &compressed)
        deflater.flush(into: &compressed)
        let decoder = LinkStreamDecoder(compression: true, limits: .link)
        decoder.read(&compressed)
        found = []
        while let event = decoder.nextEvent() { found.append(event) }
        #expect(found.count == 2 && found.stanzas.count == 2)
    }

    @Test func `bytes after the close tag are ignored`() throws {
        let encoder = LinkStreamEncoder(compression: .deflate(level: 6))
        var bytes = ByteBuffer()
        encoder.encode(traffic(3, seed: 1), into: &bytes)
        encoder.encodeClose(into: &bytes)
        bytes.writeString("garbage that is no DEFLATE at all")
        let decoder = LinkStreamDecoder(compression: true, limits: .link)
        decoder.read(&bytes)
        var found: [StreamEvent] = []
        while let event = decoder.nextEvent() { found.append(event) }
        #expect(found.stanzas.count == 3)
        #expect(found.last == .closed && found.failure == nil)
        bytes.writeString("<presence/>")
        decoder.read(&bytes)
        #expect(bytes.readableBytes == 0)
        #expect(decoder.nextEvent() == nil)
    }

    @Test(arguments: compressions)
    func `a stream error arrives as an element, then the close`(compression: LinkCompression?) {
        let encoder = LinkStreamEncoder(compression: compression)
        var bytes = ByteBuffer()
        encoder.encodeError(StreamError(.policyViolation, text: "enough"), into: &bytes)
        let decoder = LinkStreamDecoder(compression: compression != nil, limits: .link)
        decoder.read(&bytes)
        guard case .stanza(let element)? = decoder.nextEvent() else {
            Issue.record("no element")
            return
        }
        #expect(StreamError(element.root) == StreamError(.policyViolation, text: "enough"))
        #expect(decoder.nextEvent() == .closed)
    }

    @Test func `damaged compressed data ends the stream with a named error, at every place`() {
        let encoder = LinkStreamEncoder(compression: .deflate(level: 6))
        var bytes = ByteBuffer()
        let sent = traffic(40, seed: 8)
        encoder.encode(sent, into: &bytes)
        let sound = Array(bytes.readableBytesView)
        var random = SeededGenerator(seed: 99)
        var failures = 0
        for place in sound.indices {
            var damaged = sound
            damaged[place] ^= UInt8.random(in: 1...255, using: &random)
            let decoder = LinkStreamDecoder(compression: true, limits: .link)
            let found = events(of: decoder, reading: damaged, largestPiece: 700, random: &random)
            // Whatever came out before the damage is a prefix of what went in, or the stream failed, or text was altered
            // in a way that no checksum of raw DEFLATE could show; never a trap, never anything after a failure.
            if let error = found.failure {
                failures += 1
                #expect(found.last == .failed(error))
                #expect(decoder.nextEvent() == nil)
            }
        }
        #expect(failures > sound.count / 2)
    }

    @Test func `a compressor that ends its stream early is refused, after what came before`() throws {
        // "<presence/>" in a final block of fixed codes would need a compressor; a final empty block does as well.
        let encoder = LinkStreamEncoder(compression: .deflate(level: 6))
        var bytes = ByteBuffer()
        encoder.encode(traffic(2, seed: 4), into: &bytes)
        bytes.writeBytes([0x03, 0x00])
        let decoder = LinkStreamDecoder(compression: true, limits: .link)
        decoder.read(&bytes)
        var found: [StreamEvent] = []
        while let event = decoder.nextEvent() { found.append(event) }
        #expect(found.stanzas.count == 2)
        #expect(found.failure?.condition == .undefinedCondition)
    }
}

extension Array {
    func chunked(by size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
