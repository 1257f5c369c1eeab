import Bridge
import NIOCore
import Testing

@Suite("DNS messages")
struct DNSMessageTests {
    /// An answer header with a question for `xmpp.hq.example` SRV, then the given bytes.
    static func answer(
        id: UInt16 = 7, flags: UInt16 = 0x8180, type: UInt16 = 33, questions: UInt16 = 1, records: UInt16,
        _ body: [UInt8]
    ) -> ByteBuffer {
        var buffer = ByteBuffer()
        for value in [id, flags, questions, records, 0, 0] { buffer.writeInteger(value) }
        buffer.writeBytes(name("xmpp.hq.example"))
        buffer.writeInteger(type)
        buffer.writeInteger(UInt16(1))
        buffer.writeBytes(body)
        return buffer
    }

    static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    static func record(_ owner: [UInt8] = [0xC0, 12], type: UInt16, _ data: [UInt8], length: Int? = nil) -> [UInt8] {
        let count = length ?? data.count
        return owner + [UInt8(type >> 8), UInt8(type & 255), 0, 1, 0, 0, 0, 60, UInt8(count >> 8), UInt8(count & 255)]
            + data
    }

    let question = DNSQuestion(name: "XMPP.hq.example.", type: .srv)

    @Test("A query is what RFC 1035 and RFC 6891 say, byte for byte")
    func query() {
        var buffer = ByteBuffer()
        #expect(DNSQuestion(name: "a.bc.", type: .aaaa).encode(id: 0x1234, into: &buffer))
        #expect(
            Array(buffer.readableBytesView) == [
                0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0x61, 2, 0x62, 0x63, 0, 0, 28, 0, 1, 0, 0, 41, 4, 0xD0, 0,
                0, 0,
                0, 0, 0,
            ])
    }

    @Test(
        "Names that DNS cannot hold are refused",
        arguments: [
            "", "a..b", String(repeating: "a", count: 64),
            Array(repeating: "abcdefghi", count: 26).joined(separator: "."),
        ])
    func badNames(_ name: String) {
        var buffer = ByteBuffer()
        #expect(!DNSQuestion(name: name, type: .a).encode(id: 1, into: &buffer))
    }

    @Test("SRV records come in the order of their priority, with compressed targets")
    func services() throws {
        let body =
            Self.record(type: 33, [0, 20, 0, 0, 0x14, 0x95] + Self.name("b.example"))
            + Self.record(type: 5, [0xC0, 12])
            + Self.record(type: 33, [0, 10, 0, 5, 0x14, 0x96, 1, 0x61, 0xC0, 17])
        let answer = try DNSAnswer.decode(Self.answer(records: 3, body), id: 7, question: question)
        #expect(
            answer.services == [
                .init(priority: 10, weight: 5, port: 5270, target: "a.hq.example"),
                .init(priority: 20, weight: 0, port: 5269, target: "b.example"),
            ])
    }

    @Test("Addresses of both families are read")
    func addresses() throws {
        let v4 = try DNSAnswer.decode(
            Self.answer(type: 1, records: 1, Self.record(type: 1, [127, 0, 0, 4])), id: 7,
            question: DNSQuestion(name: "xmpp.hq.example", type: .a))
        #expect(v4.addresses == ["127.0.0.4"])
        let v6 = try DNSAnswer.decode(
            Self.answer(type: 28, records: 1, Self.record(type: 28, [UInt8](repeating: 0, count: 15) + [1])), id: 7,
            question: DNSQuestion(name: "xmpp.hq.example", type: .aaaa))
        #expect(v6.addresses == ["::1"])
    }

    @Test("Codes are told apart: no such name, and refused")
    func outcomes() throws {
        #expect(
            try DNSAnswer.decode(Self.answer(flags: 0x8183, records: 0, []), id: 7, question: question).outcome
                == .noSuchName)
        #expect(
            try DNSAnswer.decode(Self.answer(flags: 0x8185, records: 0, []), id: 7, question: question).outcome
                == .refused(code: 5))
    }

    struct Hostile: Sendable, CustomTestStringConvertible {
        var name: String
        var message: ByteBuffer
        var error: DNSAnswer.DecodingError
        var testDescription: String { name }
    }

    @Test(
        "Hostile answers are refused by name",
        arguments: [
            Hostile(name: "empty", message: ByteBuffer(), error: .malformed),
            Hostile(name: "another id", message: answer(id: 8, records: 0, []), error: .unrelated),
            Hostile(name: "a query", message: answer(flags: 0x0100, records: 0, []), error: .unrelated),
            Hostile(name: "another type", message: answer(type: 1, records: 0, []), error: .unrelated),
            Hostile(name: "two questions", message: answer(questions: 2, records: 0, []), error: .unrelated),
            Hostile(name: "cut by the server", message: answer(flags: 0x8380, records: 0, []), error: .truncated),
            Hostile(name: "fewer records than counted", message: answer(records: 9, []), error: .malformed),
            Hostile(
                name: "pointer to itself", message: answer(records: 1, record([0xC0, 33], type: 33, [])),
                error: .malformed),
            Hostile(
                name: "pointer forwards", message: answer(records: 1, record([0xC0, 60], type: 33, [])),
                error: .malformed),
            Hostile(
                name: "pointers in a circle",
                message: answer(records: 1, record([0xC0, 35, 0xC0, 33], type: 33, [])), error: .malformed),
            Hostile(
                name: "label into the void", message: answer(records: 1, [63, 0x61]), error: .malformed),
            Hostile(name: "reserved label kind", message: answer(records: 1, [0x80, 0]), error: .malformed),
            Hostile(
                name: "data longer than the message",
                message: answer(records: 1, record(type: 33, [0, 1], length: 999)),
                error: .malformed),
            Hostile(
                name: "service shorter than its record", message: answer(records: 1, record(type: 33, [0, 1, 0, 1])),
                error: .malformed),
            Hostile(
                name: "a name of more than 255 bytes",
                message: answer(
                    records: 1, Array(repeating: [63] + [UInt8](repeating: 0x61, count: 63), count: 5).flatMap { $0 }),
                error: .malformed),
        ])
    func hostile(_ hostile: Hostile) {
        let error = #expect(throws: DNSAnswer.DecodingError.self) {
            try DNSAnswer.decode(hostile.message, id: 7, question: question)
        }
        #expect(error == hostile.error)
    }

    @Test("Every cut and every changed byte of a good answer is survived")
    func mutations() {
        let body = Self.record(type: 33, [0, 10, 0, 5, 0x14, 0x96, 1, 0x61, 0xC0, 17])
        let good = Array(Self.answer(records: 1, body).readableBytesView)
        for count in 0..<good.count {
            _ = try? DNSAnswer.decode(ByteBuffer(bytes: good[..<count]), id: 7, question: question)
        }
        for index in good.indices {
            for value in [UInt8(0), 1, 0x3F, 0x40, 0x7F, 0x80, 0xBF, 0xC0, 0xFF] {
                var changed = good
                changed[index] = value
                _ = try? DNSAnswer.decode(ByteBuffer(bytes: changed), id: 7, question: question)
            }
        }
    }

    @Test("A pointer chain as long as a message allows costs no more than the message")
    func longChain() throws {
        // Every pointer leads to the one before it; the deepest ends in a name.
        var body = Self.name("x")
        var target = 12 + 17 + 4
        for _ in 0..<600 {
            body += [0xC0 | UInt8(target >> 8), UInt8(target & 255)]
            target = 12 + 17 + 4 + body.count - 2
        }
        body += Self.record([0xC0 | UInt8(target >> 8), UInt8(target & 255)], type: 33, [])
        _ = try? DNSAnswer.decode(Self.answer(records: 200, body), id: 7, question: question)
    }

    @Test("The system's resolver file is read as the C library reads it")
    func resolver() {
        #expect(
            ResolverConfiguration.firstServer(in: "# x\nsearch a\nnameserver fe80::1%eth0\nnameserver 127.0.0.99\n")
                == Endpoint(host: "127.0.0.99", port: 53))
        #expect(ResolverConfiguration.firstServer(in: "options ndots:1\n") == nil)
        #expect(ResolverConfiguration.server("127.0.0.99:5353") == Endpoint(host: "127.0.0.99", port: 5353))
        #expect(ResolverConfiguration.server("::1") == Endpoint(host: "::1", port: 53))
        #expect(ResolverConfiguration.server("localhost:53") == nil)
    }
}
