import Blocks
import NIOCore
import SampleTraffic
import TestSupport
import Testing
import XMPP

/// What ``BodyEncoder`` writes, ``BodyDecoder`` reads.
@Suite struct BodyCodecTests {
    @Test(arguments: [1, 6, 9] as [Int32], [1, 7, 64])
    func `traffic comes out as it went in`(level: Int32, batch: Int) throws {
        var generator = TrafficGenerator(seed: 5)
        let sent = traffic(300, seed: 3) + stanzas(generator.next(700).map(\.xml).joined())
        let pair = CodecPair(level: level)
        for batch in sent.chunked(by: batch) { #expect(try pair.carry(batch) == batch) }
        #expect(sent.count > 900)
    }

    @Test func `a block costs less than zlib alone`() throws {
        var generator = TrafficGenerator(seed: 6)
        let sent = stanzas(generator.next(2_000).map(\.xml).joined())
        let pair = CodecPair(level: 6)
        let stream = LinkStreamEncoder(compression: .deflate(level: 6))
        var bytes = ByteBuffer()
        for batch in sent.chunked(by: 64) {
            _ = try pair.carry(batch)
            stream.encode(batch, into: &bytes)
        }
        #expect(pair.bodyBytes * 100 < bytes.readableBytes * 80)
    }

    @Test func `ages cross, and take nothing where there is none`() throws {
        let message = try stanza("<message to='a@b.example' from='c@d.example'><body>late</body></message>")
        var encoder = BodyEncoder(level: 6, history: ByteBuffer())
        let ages: [UInt32] = [0, 1, 61, 86_400, .max, 0]
        for age in ages { encoder.append(message, ageSeconds: age) }
        let records = try decodeAlone(&encoder).records
        #expect(records == ages.map { .stanzas([message], ageSeconds: $0) })
    }

    @Test func `parts cross as they are, wherever they were cut`() throws {
        let bytes = Array("<message to='a@b.example'><body>Grüße 🚢</body></message>".utf8)
        let total = UInt32(bytes.count)
        for cut in 0...bytes.count {
            var encoder = BodyEncoder(level: 6, history: ByteBuffer())
            encoder.appendFragment(ByteBuffer(bytes: bytes[..<cut]), offset: 0, total: total, ageSeconds: 0)
            encoder.appendFragment(ByteBuffer(bytes: bytes[cut...]), offset: UInt32(cut), total: total, ageSeconds: 7)
            #expect(
                try decodeAlone(&encoder).records == [
                    .fragment(ByteBuffer(bytes: bytes[..<cut]), offset: 0, total: total, ageSeconds: 0),
                    .fragment(ByteBuffer(bytes: bytes[cut...]), offset: UInt32(cut), total: total, ageSeconds: 7),
                ])
        }
    }

    @Test func `an empty block has an empty text`() throws {
        var encoder = BodyEncoder(level: 6, history: ByteBuffer())
        let decoded = try decodeAlone(&encoder)
        #expect(decoded.records.isEmpty && decoded.text.readableBytes == 0)
    }

    /// Ids of every kind that is packed and of every kind that only looks like it.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `ids come out exactly, random and adversarial`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pair = CodecPair(level: 6)
        var known: [String] = ["x"]
        for _ in 0..<60 {
            let batch = try (0..<10).map { _ in
                let ids = (0..<3).map { _ in
                    Int.random(in: 0..<3, using: &random) == 0 ? known.randomElement(using: &random) ?? "" : random.id()
                }
                known += ids
                let escaped = ids.map { XMLEscape.attribute($0) }
                return try stanza(
                    "<message to='a@b.example' from='c@d.example' id='\(escaped[0])'><body>\(XMLEscape.text(ids[1]))</body>"
                        + "<stanza-id xmlns='urn:xmpp:sid:0' by='c@d.example' id='\(escaped[1])'/>"
                        + "<received xmlns='urn:xmpp:receipts' id='\(escaped[2])'/>"
                        + "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='\(escaped[2])'/></message>")
            }
            #expect(try pair.carry(batch) == batch)
        }
    }

    @Test func `ids of the usual kinds cross as bytes`() throws {
        var random = SeededGenerator(seed: 9)
        for (make, most) in [
            ({ (random: inout SeededGenerator) in random.uuid(capital: false) }, 16),
            ({ $0.uuid(capital: true) }, 16),
            ({ $0.symbols("0123456789abcdef", 32) }, 16), ({ $0.symbols("0123456789ABCDEF", 8) }, 4),
            ({ $0.symbols("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 24) }, 18),
            ({ $0.symbols("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 16) }, 12),
        ] as [((inout SeededGenerator) -> String, Int)] {
            let pair = CodecPair(level: 6)
            func message(_ id: String) throws -> Stanza {
                try stanza("<message to='a@b.example' from='c@d.example' id='\(id)'><body>x</body></message>")
            }
            for _ in 0..<5 { _ = try pair.carry([message(make(&random))]) }
            let before = pair.bodyBytes
            let id = make(&random)
            #expect(try pair.carry([message(id)]) == [message(id)])
            #expect(pair.bodyBytes - before <= most + 11)
            // Seen lately: a mark instead of the bytes.
            for _ in 0..<2 { _ = try pair.carry([message(id)]) }
            let again = pair.bodyBytes
            #expect(try pair.carry([message(id)]) == [message(id)])
            #expect(pair.bodyBytes - again <= 10)
        }
    }

    @Test func `a new context with the text of the old one goes on where it was`() throws {
        var generator = TrafficGenerator(seed: 8, people: 4)
        let sent = stanzas(generator.next(1_500).map(\.xml).joined())
        let warm = CodecPair(level: 6)
        for batch in Array(sent[..<1_436]).chunked(by: 64) { _ = try warm.carry(batch) }
        let next = Array(sent[1_436...])
        let cold = CodecPair(level: 6, history: warm.history)
        let before = warm.bodyBytes
        #expect(try warm.carry(next) == next)
        #expect(try cold.carry(next) == next)
        #expect(Double(cold.bodyBytes) <= 1.05 * Double(warm.bodyBytes - before))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `any bytes will do as history`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        // Full of what looks like definitions.
        let history = ByteBuffer(
            bytes: (0..<Int.random(in: 0..<40_000, using: &random)).map { _ in
                Int.random(in: 0..<3, using: &random) == 0
                    ? UInt8.random(in: 0..<0x20, using: &random) : UInt8.random(in: 0x20..<0x80, using: &random)
            })
        let pair = CodecPair(level: 6, history: history)
        let sent = traffic(200, seed: seed)
        for batch in sent.chunked(by: 20) { #expect(try pair.carry(batch) == batch) }
    }

    @Test func `more phrases than there are slots`() throws {
        let pair = CodecPair(level: 1)
        for round in 0..<3 {
            let sent = try (0..<1_500).flatMap { number in
                let xml = "<presence to='user\(number)@far.example/r\(round)' from='me@near.example'><x xmlns='n\(number)'/></presence>"
                return [try stanza(xml), try stanza(xml)]
            }
            for batch in sent.chunked(by: 500) { #expect(try pair.carry(batch) == batch) }
        }
    }

    @Test func `whatever a stanza is like, it crosses`() throws {
        let long = String(repeating: "long ", count: 500)
        let name = "urn:" + String(repeating: "n", count: 900)
        let sent = stanzas(
            """
            <presence/><iq/><message/><presence from='a@b.example'/><message id=''/><message id='abc' to='no/@address@'/>
            <message to='a@b.example'>text &gt; <b/>' " ' id='0011223344556677' <i id='x>y' a='>'/>\t\r\n</message>
            <message to='a@b.example' id='a&apos;b&lt;&#9;'><body>]]&gt;&#13;</body></message>
            <message to='a@b.example' id='\(long)' a='\(long)'><x xmlns='\(name)'/></message>
            <message to='a@b.example' id='\(long)' a='\(long)'><x xmlns='\(name)'/></message>
            <message xmlns:p='urn:p' to='ü@b.example'><p:id id='0011223344556677'/><x xmlns='' id='00112233445566778899AABBCCDDEEFf'/></message>
            """)
        #expect(sent.count == 11)
        let pair = CodecPair(level: 6)
        for _ in 0..<3 {
            #expect(try pair.carry(sent) == sent)
            for stanza in sent { #expect(try pair.carry([stanza]) == [stanza]) }
        }
    }
}

/// An encoder and a decoder of one context.
final class CodecPair {
    var encoder: BodyEncoder
    var decoder: BodyDecoder
    /// All text so far.
    private(set) var history: ByteBuffer
    private(set) var bodyBytes = 0

    init(level: Int32, history: ByteBuffer = ByteBuffer()) {
        encoder = BodyEncoder(level: level, history: history)
        decoder = BodyDecoder(history: history, limits: BlockLimits())
        self.history = history
    }

    /// Sends stanzas in one block.
    func carry(_ batch: [Stanza]) throws -> [Stanza] {
        for stanza in batch { encoder.append(stanza, ageSeconds: 0) }
        return try finish().flatMap { record in
            guard case .stanzas(let stanzas, ageSeconds: 0) = record else { throw NoStanza() }
            return stanzas
        }
    }

    func fold(_ stanza: Stanza, _ recipients: [JID], age: UInt32 = 0) -> Bool {
        let values = recipients.map { Array(XMLEscape.attribute($0.description).utf8) }
        return encoder.append(stanza, recipients: values, ageSeconds: age)
    }

    /// Sends what the encoder has.
    func finish() throws -> [DecodedBody.Record] {
        var body = ByteBuffer()
        let text = encoder.finish(into: &body)
        history.writeImmutableBuffer(text)
        bodyBytes += body.readableBytes
        let decoded = try decoder.decode(body)
        guard decoded.text == text else { throw NoStanza() }
        return decoded.records
    }
}

/// Decodes the first block of a context.
func decodeAlone(_ encoder: inout BodyEncoder, limits: BlockLimits = BlockLimits()) throws -> DecodedBody {
    var body = ByteBuffer()
    let text = encoder.finish(into: &body)
    var decoder = BodyDecoder(history: ByteBuffer(), limits: limits)
    let decoded = try decoder.decode(body)
    #expect(decoded.text == text)
    return decoded
}

extension SeededGenerator {
    mutating func symbols(_ alphabet: String, _ count: Int) -> String {
        let alphabet = Array(alphabet)
        return String((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &self)] })
    }

    mutating func uuid(capital: Bool) -> String {
        let digits = capital ? "0123456789ABCDEF" : "0123456789abcdef"
        return [8, 4, 4, 4, 12].map { symbols(digits, $0) }.joined(separator: "-")
    }

    /// An id as software makes them, or one that is nearly so.
    mutating func id() -> String {
        let base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        let length = Int.random(in: 0..<140, using: &self)
        var id =
            switch Int.random(in: 0..<10, using: &self) {
            case 0: uuid(capital: false)
            case 1: uuid(capital: true)
            case 2: [8, 4, 4, 4, 12].map { symbols("0123456789abcdefABCDEF", $0) }.joined(separator: "-")
            case 3: symbols("0123456789abcdef", length)
            case 4: symbols("0123456789ABCDEF", length)
            case 5: symbols(base64 + "-_", length)
            case 6: symbols(base64 + "+/", length)
            case 7: symbols(base64 + "+-=", length)
            case 8: symbols("0123456789", length)
            default: symbols("ab1-_+/='&<>\u{20}\u{9}\u{A}é🚢", length)
            }
        if Int.random(in: 0..<5, using: &self) == 0, !id.isEmpty {
            id.replaceSubrange(id.startIndex...id.startIndex, with: ["-", "", "g", "A", "é", "\u{9}"].randomElement(using: &self) ?? "")
        }
        return id
    }
}
