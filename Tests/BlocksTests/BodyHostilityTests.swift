import Blocks
import NIOCore
import TestSupport
import Testing
import XMPP

/// Bodies from a peer that is broken or worse, and stanzas from users who try to look like the codec.
@Suite struct BodyHostilityTests {
    /// A body around text of one's own.
    static func body(_ text: [UInt8], raw: [UInt8] = [], level: Int32 = 9) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeVariableInteger(UInt64(raw.count))
        body.writeBytes(raw)
        var deflater = Deflater(level: level)
        var compressed = ByteBuffer()
        deflater.add(ByteBuffer(bytes: text), into: &compressed)
        deflater.flush(into: &compressed)
        body.writeBytes(compressed.readableBytesView.dropLast(4))
        return body
    }

    static func decode(
        _ text: [UInt8], raw: [UInt8] = [], limits: BlockLimits = BlockLimits()
    ) throws(BlockError) -> [DecodedBody.Record] {
        var decoder = BodyDecoder(history: ByteBuffer(), limits: limits)
        return try decoder.decode(body(text, raw: raw)).records
    }

    private let good = "<message to='a@b.example' from='c@d.example'><body>x</body></message>"

    @Test(arguments: [
        "<message to='a@b.example'><body>never closed</body>", "<message", "", "text", "<message to='a@b.example'/><presence/>",
        "<message>&undefined;</message>", "<!DOCTYPE x><message/>", "<features xmlns='http://etherx.jabber.org/streams'/>",
        "</stream:stream>", "<message to='a' to='b'/>",
    ])
    func `peers d19: what is no acceptable stanza is set aside, and the rest of the block goes on`(bad: String) throws {
        let message = try stanza(good)
        let records = try Self.decode(Array((good + "\u{0}" + bad + "\u{0}" + good + "\u{0}").utf8))
        #expect(records.count == 3)
        #expect(records.first == .stanzas([message], ageSeconds: 0))
        #expect(records.last == .stanzas([message], ageSeconds: 0))
        guard case .poison(let bytes, let reason) = records[1] else {
            Issue.record("not set aside")
            return
        }
        #expect(String(buffer: bytes) == bad)
        #expect(!reason.isEmpty)
    }

    @Test func `peers d19: a stanza over the limit is set aside`() throws {
        var limits = BlockLimits()
        limits.stanzaBytes = 10_000
        let long = "<message to='a@b.example'><body>\(String(repeating: "x", count: 10_001))</body></message>"
        let records = try Self.decode(Array((long + "\u{0}" + good + "\u{0}").utf8), limits: limits)
        guard case .poison = records[0], case .stanzas = records[1] else {
            Issue.record("not set aside")
            return
        }
    }

    /// Every byte that means something to the codec, as a user would have to bring it: none can pass the reader, and what
    /// looks like a mark in another spelling is text.
    @Test func `peers d17: no user can write a mark`() throws {
        for mark in 0..<0x20 as Range<UInt8> where mark != 9 && mark != 10 && mark != 13 {
            let raw = Array("<message to='a@b.example'><body>".utf8) + [mark] + Array("</body></message>".utf8)
            let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
            var bytes = ByteBuffer(bytes: raw)
            reader.read(&bytes)
            guard case .failed? = reader.nextEvent() else {
                Issue.record("\(mark) was taken")
                continue
            }
            #expect(stanzas("<message to='a@b.example'><body>&#\(mark);</body></message>").isEmpty)
        }
        let message = try stanza(
            "<message to='a@b.example' id='&#10;\u{7F}'><body>\\x00 \\u0004 %00 &amp;#0; &#10;&#9;&#13;</body></message>")
        let pair = CodecPair(level: 6)
        for _ in 0..<4 { #expect(try pair.carry([message, message]) == [message, message]) }
    }

    /// Bytes that no parser gave us – an answer made here with something odd in it – still cannot become a record.
    @Test func `peers d17: a mark in a stanza's own bytes stays inside its record`() throws {
        var encoder = BodyEncoder(level: 6, history: ByteBuffer())
        var writer = StanzaWriter()
        writer.start("message", XMLNamespace.server, [("to", "a@b.example"), ("id", "x")])
        writer.text("before\u{0}\u{2}\u{18}\u{0}after")
        encoder.append(writer.finish(), ageSeconds: 0)
        encoder.append(try stanza(good), ageSeconds: 0)
        let records = try decodeAlone(&encoder).records
        #expect(records.count == 2)
        guard case .poison = records[0], case .stanzas = records[1] else {
            Issue.record("not kept apart")
            return
        }
    }

    @Test(arguments: [
        [0x10, 0x20, 0x00],  // a phrase that was never defined
        [0x10, 0x1F, 0x00],  // no slot
        [0x04, 0x15, 0x20, 0x61, 0x05, 0x00],  // no slot
        [0x04, 0x10, 0x20, 0x05, 0x00],  // an empty phrase
        [0x04, 0x10, 0x20, 0x10, 0x20, 0x05, 0x00],  // a phrase in a phrase
        [0x04, 0x10, 0x20, 0x61],  // a phrase that does not end
        [0x61, 0x62],  // a stanza that does not end
        [0x08, 0x00],  // a value outside a phrase
        [0x04, 0x10, 0x20, 0x08, 0x05, 0x61, 0x00],  // a value that ends in a mark
        [0x06, 0x00],  // a recipient without a list
        [0x02, 0x18, 0x00, 0x06, 0x00],  // a list that was never defined
        [0x02, 0x18, 0x40, 0x06, 0x00],  // a list beyond the table
        [0x02, 0x19, 0x00, 0x00, 0x06, 0x00],  // an empty list
        [0x02, 0x19, 0x00, 0x01, 0x61, 0x05, 0x61, 0x00],  // a list and nobody to write to
        [0x02, 0x19, 0x00, 0x01, 0x61, 0x05, 0x06, 0x06, 0x00],  // two places for the recipient
        [0x02, 0x19, 0x00, 0x01, 0x61, 0x27, 0x05, 0x06, 0x00],  // a recipient that ends its attribute
        [0x02, 0x19, 0x00, 0x02, 0x61, 0x05],  // a list that ends early
        [0x0D, 0x00],  // an id without bytes
        [0x0B, 0x00],  // an id before the first
        [0x0C, 0x00],
        [0x18, 0x00], [0x1E, 0x00], [0x1F, 0x00],  // the next id before the first
        [0x04, 0x10, 0x20, 0x1E, 0x05, 0x00],
        [0x0F, 0x20, 0x00],  // an id of no bytes
        [0x0F, 0xFF, 0x00],
        [0x03, 0x00, 0x01, 0x02, 0x61, 0x62],  // a part beyond its stanza
        [0x03, 0x00], [0x07, 0x02, 0x61], [0x01], [0x01, 0x80],
        [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F, 0x61, 0x00],  // an age of more than 32 bits
        [0x01, 0x81, 0x00, 0x61, 0x00],  // an integer longer than necessary
        [0x05, 0x00], [0x0E], [0x0D],
    ] as [[UInt8]])
    func `text that breaks the rules ends the context`(text: [UInt8]) {
        #expect(throws: BlockError.self) { try Self.decode(text) }
    }

    @Test func `compressed bytes that are none are told`() {
        for compressed in [[0x07], [0x06, 0xFF], [0x01, 0x05, 0x00, 0x00, 0x00]] as [[UInt8]] {
            var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockLimits())
            #expect(throws: BlockError.self) { try decoder.decode(ByteBuffer(bytes: [0x00] + compressed)) }
        }
        for short in [[], [0x80], [0x02, 0x61]] as [[UInt8]] {
            var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockLimits())
            #expect(throws: BlockError.self) { try decoder.decode(ByteBuffer(bytes: short)) }
        }
        // A final block: what comes after could never be read.
        var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockLimits())
        #expect(throws: BlockError.self) { try decoder.decode(ByteBuffer(bytes: [0x00, 0x03, 0x00])) }
    }

    @Test func `the number of stanzas in a block is bounded`() throws {
        var limits = BlockLimits()
        limits.stanzas = 10
        let one = Array("<presence/>\u{0}".utf8)
        #expect(try Self.decode(Array(repeatElement(one, count: 10).joined()), limits: limits).count == 10)
        #expect(throws: BlockError.tooLarge("the number of stanzas in a block")) {
            try Self.decode(Array(repeatElement(one, count: 11).joined()), limits: limits)
        }
    }

    @Test func `peers d8: phrases cannot multiply beyond the limit`() {
        // 1 000 bytes by each reference of two: a second stage behind DEFLATE's thousandfold.
        let phrase = [0x04, 0x10, 0x20] + [UInt8](repeating: 0x61, count: 1_000) + [0x05]
        let references = repeatElement([0x10, 0x20] as [UInt8], count: 100_000).joined()
        #expect(throws: BlockError.tooLarge("the stanzas of a block")) { try Self.decode(phrase + references + [0]) }
    }

    @Test func `peers d8: recipient lists cannot multiply beyond the limit`() {
        var text: [UInt8] = [0x02, 0x19, 0x00, 0x80, 0x04]
        for number in 0..<512 { text += Array("u\(number)@b.example".utf8) + [0x05] }
        let body = String(repeating: "y", count: 3_000)
        text += Array("<message to='".utf8) + [0x06] + Array("'><body>\(body)</body></message>".utf8) + [0x00]
        #expect(throws: BlockError.tooLarge("the stanzas of a block")) { try Self.decode(text) }
    }

    @Test func `peers d8: memory stays flat under a bomb of a thousand to one`() async {
        await #expect(processExitsWith: .success) {
            let before = residentBytes()
            // 16 MB of text in 16 kB: of white space, of one stanza, of many, of parts, of plain bytes.
            let beginnings: [[UInt8]] = [
                [], Array("<message to='a@b.example'><body>".utf8), [0x07, 0x80, 0x80, 0x80, 0x20],
                [0x03, 0x00, 0x80, 0x80, 0x80, 0x20, 0x80, 0x80, 0x80, 0x20], [0x04, 0x10, 0x20],
            ]
            var deflater = Deflater(level: 9)
            for beginning in beginnings {
                var compressed = ByteBuffer(bytes: [0x00])
                deflater = Deflater(level: 9)
                deflater.add(ByteBuffer(bytes: beginning), into: &compressed)
                let repeated = ByteBuffer(repeating: 0x61, count: 1 << 16)
                for _ in 0..<256 { deflater.add(repeated, into: &compressed) }
                deflater.flush(into: &compressed)
                var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockLimits())
                do throws(BlockError) {
                    _ = try decoder.decode(compressed)
                    preconditionFailure("a bomb was taken")
                } catch { precondition(error == .tooLarge("the text of a block")) }
            }
            let growth = residentBytes() - before
            precondition(growth < 16 << 20, "grew by \(growth) bytes")
        }
    }

    @Test(arguments: [1, 6, 9] as [Int32])
    func `no user can make a block that the other side refuses`(level: Int32) throws {
        let body = String(repeating: "a", count: 500_000)
        let message = try stanza("<message to='a@b.example' from='c@d.example'><body>\(body)</body></message>")
        let pair = CodecPair(level: level)
        for count in [1, 2, 3, 8] {
            let batch = Array(repeating: message, count: count)
            #expect(try pair.carry(batch) == batch)
        }
        var encoder = BodyEncoder(level: level, history: ByteBuffer())
        var count = 0
        while encoder.hasRoom(stanzas: 1, bytes: message.byteCount) {
            encoder.append(message, ageSeconds: 0)
            count += 1
        }
        #expect(count == 8)
    }

    @Test func `peers d10: a context knows nothing of another`() throws {
        let secret = try stanza(
            "<message to='a@b.example' from='c@d.example' id='00112233445566778899aabbccddeeff'><body>the word is heron</body></message>")
        let other = CodecPair(level: 9)
        for _ in 0..<20 { _ = try other.carry([secret]) }
        // What one context has learnt makes no byte less in another.
        func first() throws -> Int {
            let pair = CodecPair(level: 9)
            _ = try pair.carry([secret])
            return pair.bodyBytes
        }
        let before = try first()
        _ = try other.carry([secret])
        #expect(try first() == before)
        let learnt = other.bodyBytes
        _ = try other.carry([secret])
        #expect(other.bodyBytes - learnt < before / 3)
    }

    @Test(arguments: [1, 2, 16, 64, 100, 128, 1_000])
    func `peers d10: bodies are padded to a multiple, and padding is ignored`(multiple: Int) throws {
        let pair = CodecPair(level: 6)
        pair.encoder.paddingMultiple = multiple
        var sizes: Set<Int> = []
        for stanza in traffic(200, seed: 31) {
            let before = pair.bodyBytes
            #expect(try pair.carry([stanza]) == [stanza])
            #expect((pair.bodyBytes - before) % multiple == 0)
            sizes.insert(pair.bodyBytes - before)
        }
        if multiple >= 128 { #expect(sizes.count <= 2) }
    }
}
