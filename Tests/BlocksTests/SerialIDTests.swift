import Blocks
import NIOCore
import TestSupport
import Testing
import XMPP

/// Ids of eight digits that count up, as id folding makes them.
@Suite struct SerialIDTests {
    static func token(_ number: UInt32) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    private func message(_ id: String, receipt: String? = nil) throws -> Stanza {
        let payload = receipt.map { "<received xmlns='urn:xmpp:receipts' id='\($0)'/>" } ?? "<body>x</body>"
        return try stanza("<message to='a@b.example' from='c@d.example' id='\(id)'>\(payload)</message>")
    }

    private func decode(_ blocks: [(text: [UInt8], raw: [UInt8])]) throws -> [String?] {
        var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockLimits())
        var ids: [String?] = []
        for block in blocks {
            // Each block is a stream's beginning for DEFLATE, which a decoder in its middle takes as well.
            let body = BodyHostilityTests.body(block.text, raw: block.raw)
            for case .stanzas(let stanzas, _) in try decoder.decode(body).records { ids += stanzas.map(\.id) }
        }
        return ids
    }

    /// `<message id='…'/>` with marks for the id.
    private func text(_ marks: [UInt8]) -> [UInt8] {
        [0x1B] + Array(" id='".utf8) + marks + Array("'/>".utf8) + [0x00]
    }

    /// An id of eight digits with its four bytes.
    private var inFull: [UInt8] { text([0x0F, 0x24]) }

    @Test func `an id that follows the last one takes no byte of the raw section`() throws {
        func bytes(step: UInt32) throws -> Int {
            let pair = CodecPair(level: 6)
            var number: UInt32 = 0x1B2C_3D4E
            var before = 0
            for _ in 0..<6 {
                number &+= step
                before = pair.bodyBytes
                #expect(try pair.carry([message(Self.token(number))]) == [message(Self.token(number))])
            }
            return pair.bodyBytes - before
        }
        let next = try bytes(step: 1)
        #expect(try bytes(step: 1_000) == next + 4)
        for (step, more) in [(2, 1), (95, 1), (96, 4), (-1, 1), (-32, 1), (-33, 4)] as [(Int32, Int)] {
            #expect(try bytes(step: UInt32(bitPattern: step)) == next + more)
        }
    }

    @Test func `each end's tokens count up by themselves`() throws {
        let pair = CodecPair(level: 6)
        func receipt(_ number: UInt32) throws -> Stanza {
            try message(Self.token(0x7000_0000 + number), receipt: Self.token(0x8111_0000 + number))
        }
        for number in 0..<4 as Range<UInt32> { _ = try pair.carry([receipt(number)]) }
        let before = pair.bodyBytes
        #expect(try pair.carry([receipt(4)]) == [receipt(4)])
        #expect(pair.bodyBytes - before <= 8)
    }

    @Test func `after the highest number of a half comes its lowest`() throws {
        let pair = CodecPair(level: 6)
        let ids = ["7fffffff", "00000000", "00000001", "ffffffff", "80000000", "80000001", "00000002"]
        let sent = try ids.map { try message($0) }
        #expect(try pair.carry(sent) == sent)
        let block = inFull + text([0x1E]) + inFull + text([0x1F])
        #expect(
            try decode([(block, [0x7F] + [UInt8](repeating: 0xFF, count: 7))])
                == ["7fffffff", "00000000", "ffffffff", "80000000"])
    }

    @Test func `an id near the last one of its half has the distance as its byte`() throws {
        let raw: [UInt8] = [0x00, 0x00, 0x00, 0x10, 0x80, 0x00, 0x00, 0x01, 0x00, 0x7F, 0x9E, 0x20, 0xFF]
        let near = repeatElement(text([0x18]), count: 5).joined()
        let block = inFull + inFull + near + text([0x1E])
        #expect(
            try decode([(block, raw)])
                == ["00000010", "80000001", "7ffffff0", "0000004f", "ffffffff", "0000004f", "8000005e", "00000050"])
    }

    @Test func `an id that followed counts as sent lately, and is the last one from then on`() throws {
        let block = inFull + text([0x1E]) + text([0x0B]) + text([0x1E]) + text([0x0C])
        #expect(
            try decode([(block, [0, 0, 0, 8, 2]), (text([0x1E]), [])])
                == ["00000008", "00000009", "00000009", "0000000a", "00000008", "0000000b"])
    }

    @Test func `only eight small digits have a next`() throws {
        let digits: [UInt8] = [0xAB, 0xCD, 0xEF, 0x01]
        let others: [(marks: [UInt8], count: Int)] = [
            ([0x15, 0x24], 4), ([0x0F, 0x25], 5), ([0x16, 0x2C], 12), ([0x0D], 16),
        ]
        for (marks, count) in others {
            let raw = digits + [UInt8](repeating: 0, count: count - 4)
            #expect(try decode([(text(marks), raw)]).count == 1)
            for next in [0x18, 0x1E, 0x1F] as [UInt8] {
                #expect(throws: BlockError.malformed("an id that follows none")) {
                    try decode([(text(marks) + text([next]), raw + [0x21])])
                }
            }
        }
    }

    @Test func `nothing follows in a half that had no id, nor in a new context`() throws {
        let cases: [(first: UInt8, other: UInt8, byte: UInt8)] = [
            (0x00, 0x1F, 0), (0x00, 0x18, 0xA1), (0x80, 0x1E, 0), (0x80, 0x18, 0x21),
        ]
        for (first, other, byte) in cases {
            #expect(throws: BlockError.malformed("an id that follows none")) {
                try decode([(inFull + text([other]), [first, 0, 0, 0, byte])])
            }
        }
        // Near, and the byte is not there.
        #expect(throws: BlockError.malformed("a raw section that ends early")) {
            try decode([(inFull + text([0x18]), [0, 0, 0, 0])])
        }
        // A history has phrases with such marks, and no ids.
        let pair = CodecPair(level: 6)
        for number in 0..<8 as Range<UInt32> { _ = try pair.carry([message(Self.token(number))]) }
        let next = try message(Self.token(8))
        let cold = CodecPair(level: 6, history: pair.history)
        #expect(try cold.carry([next]) == [next])
        var decoder = BodyDecoder(history: pair.history, limits: BlockLimits())
        #expect(throws: BlockError.malformed("an id that follows none")) {
            try decoder.decode(BodyHostilityTests.body(text([0x1E])))
        }
    }

    @Test func `a phrase stands for another id each time`() throws {
        let phrase: [UInt8] = [0x04, 0x10, 0x20] + Array(" id='".utf8) + [0x1E, 0x05]
        let end = Array("'/>".utf8) + [0x00]
        let block = inFull + [0x1B] + phrase + end + [0x1B, 0x10, 0x20] + end
        #expect(try decode([(block, [0x12, 0, 0, 0xFF])]) == ["120000ff", "12000100", "12000101"])
    }

    /// Tokens of both ends in order and out of it, named again, and what only looks like one.
    @Test(arguments: 0..<12 as Range<UInt64>)
    func `ids that count come out exactly, whatever the order`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pair = CodecPair(level: 6)
        var last: [UInt32] = [0x7FFF_FFF0, 0xFFFF_FFD0]
        var known = ["x"]
        func id(_ half: Int, _ random: inout SeededGenerator) -> String {
            let bit: UInt32 = half == 0 ? 0 : 0x8000_0000
            switch Int.random(in: 0..<12, using: &random) {
            case 0: return known.randomElement(using: &random) ?? ""
            case 1: return random.id().filter { $0 != "'" && $0 != "<" && $0 != "&" && $0 != "\t" && $0 != "\n" }
            case 2: return Self.token(last[half]).uppercased()
            case 3: last[half] = (last[half] &- 3) & 0x7FFF_FFFF | bit
            case 4: last[half] = (last[half] &+ UInt32.random(in: 2..<400, using: &random)) & 0x7FFF_FFFF | bit
            case 5: last[half] = UInt32.random(in: 0...0x7FFF_FFFF, using: &random) | bit
            default: last[half] = (last[half] &+ 1) & 0x7FFF_FFFF | bit
            }
            known.append(Self.token(last[half]))
            return known.last ?? ""
        }
        for _ in 0..<80 {
            let batch = try (0..<Int.random(in: 1..<12, using: &random)).map { _ in
                let receipt = Bool.random(using: &random) ? id(1, &random) : nil
                return try message(id(Int.random(in: 0..<8, using: &random) == 0 ? 1 : 0, &random), receipt: receipt)
            }
            #expect(try pair.carry(batch) == batch)
        }
    }
}
