import Blocks
import Foundation
import NIOCore
import Testing
import XMPP

/// The examples of the document, and what their words say.
enum LinkProtocolExamples {
    static let epoch: UInt64 = 0x0102_0304_0506_0708
    static let process: UInt32 = 0x5152_5354

    /// Name and bytes of every example in the document.
    static let examples: [String: [UInt8]] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/link-protocol.md")
        var found: [String: [UInt8]] = [:]
        var name: String?
        for line in ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n") {
            if line.hasPrefix("```hex ") {
                name = String(line.dropFirst(7))
                found[name ?? ""] = []
            } else if line.hasPrefix("```") {
                name = nil
            } else if let name {
                found[name]? += line.split(separator: " ").map { UInt8($0, radix: 16) ?? 0 }
            }
        }
        return found
    }()

    static let headers: [String: BlockHeader] = {
        func header(_ session: UInt8 = 1, _ other: UInt8 = 2, _ count: UInt8 = 5, _ change: (inout BlockHeader) -> Void) -> BlockHeader {
            var header = BlockHeader(session: session, acknowledgedSession: other, acknowledgedNormal: count)
            change(&header)
            return header
        }
        func body(_ length: Int, _ block: UInt8, _ change: (inout BlockHeader.Body) -> Void = { _ in }) -> BlockHeader.Body {
            var body = BlockHeader.Body()
            body.length = length
            body.block = block
            change(&body)
            return body
        }
        var reconnection = SessionOpening(epoch: epoch, session: 18)
        reconnection.runs = [ProcessRun(process: 0x5556_5758, highest: [1_000, 3])]
        reconnection.peerEpoch = 0x1112_1314_1516_1718
        reconnection.receivedNormal = 700
        reconnection.receivedPart = 4_096
        reconnection.peerSession = 17
        reconnection.history = .text(position: 100_000, length: 32_768, hash: 0x2122_2324_2526_2728)
        reconnection.profile = 7
        reconnection.process = process
        reconnection.peerProcess = 0x6162_6364
        var withDictionary = SessionOpening(epoch: epoch, session: 1)
        withDictionary.history = .dictionary(0x3132_3334_3536_3738)
        withDictionary.process = process
        return [
            "header-acknowledgement": header { _ in },
            "header-normal": header { $0.body = body(42, 7) },
            "header-express": header {
                $0.acknowledgedExpress = 9
                $0.hasGap = true
                $0.body = body(200, 3) {
                    $0.lane = .express
                    $0.base = 5
                }
            },
            "header-jump": header {
                $0.body = body(42, 4) {
                    $0.context = 2
                    $0.jump = 1_000
                }
            },
            "opening-reconnection": header(2, 0, 0) { $0.opening = .session(reconnection) },
            "opening-dictionary": header(1, 0, 0) { $0.opening = .session(withDictionary) },
            "refusal-version": header(0, 0, 0) { $0.opening = .refusal(.version(1)) },
            "refusal-history": header(3, 1, 0) { $0.opening = .refusal(.unknownHistory(session: 18)) },
            "refusal-restored": header(3, 1, 0) { $0.opening = .refusal(.restored(epoch: epoch, session: 18, seen: 300)) },
        ]
    }()
}

/// The worked examples of docs/link-protocol.md, encoded and decoded.
@Suite struct LinkProtocolDocumentTests {
    private static let greeting = "<message to='b@y.example'><body>hi</body></message>"

    // MARK: Headers

    @Test(arguments: LinkProtocolExamples.headers.keys.sorted())
    func `headers`(name: String) throws {
        let header = try #require(LinkProtocolExamples.headers[name])
        var buffer = ByteBuffer()
        header.encode(into: &buffer)
        check(name, Array(buffer.readableBytesView))
        var bytes = ByteBuffer(bytes: LinkProtocolExamples.examples[name] ?? [])
        #expect(try BlockHeader(reading: &bytes) == header)
        #expect(bytes.readableBytes == 0)
        // Every byte less leaves the receiver waiting.
        let whole = LinkProtocolExamples.examples[name] ?? []
        for count in 0..<whole.count {
            var part = ByteBuffer(bytes: whole[..<count])
            #expect(try BlockHeader(reading: &part) == nil)
        }
    }

    @Test func `an integer`() throws {
        var buffer = ByteBuffer()
        buffer.writeVariableInteger(300)
        check("integer-300", Array(buffer.readableBytesView))
        #expect(try buffer.readVariableInteger() == 300)
    }

    @Test func `the hash of a history`() {
        var hash = StableHash()
        for byte in "abc".utf8 { hash.combine(byte) }
        var buffer = ByteBuffer()
        buffer.writeInteger(hash.value)
        check("history-hash", Array(buffer.readableBytesView))
    }

    @Test func `reserved flag and other versions are refused`() {
        var tagged = ByteBuffer(bytes: [0x80, 0x12, 0x05])
        #expect(throws: BlockError.reservedFlag) { try BlockHeader(reading: &tagged) }
        var newer = ByteBuffer(bytes: [0x01, 0x12, 0x05, 0x02])
        #expect(throws: BlockError.unsupportedVersion(2)) { try BlockHeader(reading: &newer) }
        for flags in [0x04, 0x20, 0x40] as [UInt8] {
            var bare = ByteBuffer(bytes: [flags, 0x12, 0x05])
            #expect(throws: BlockError.self) { try BlockHeader(reading: &bare) }
        }
    }

    // MARK: Texts

    /// What an encoder makes of stanzas, each in a block of its own, taken together.
    private func written(_ write: (inout BodyEncoder) throws -> Void) rethrows -> (text: [UInt8], raw: [UInt8]) {
        var encoder = BodyEncoder(level: 6, history: ByteBuffer())
        try write(&encoder)
        var body = ByteBuffer()
        let text = encoder.finish(into: &body)
        let count = (try? body.readVariableInteger()) ?? 0
        return (Array(text.readableBytesView), body.readBytes(length: Int(count)) ?? [])
    }

    @Test func `stanzas`() throws {
        let presence = try stanza("<presence to='a@y.example'/>")
        let message = try stanza(Self.greeting)
        let text = written {
            $0.append(message, ageSeconds: 0)
            $0.append(presence, ageSeconds: 90)
        }.text
        check("text-stanzas", text)
        #expect(try decode("text-stanzas") == [.stanzas([message], ageSeconds: 0), .stanzas([presence], ageSeconds: 90)])
    }

    @Test func `phrases`() throws {
        let message = try stanza(Self.greeting)
        check("text-phrases", written { for _ in 0..<3 { $0.append(message, ageSeconds: 0) } }.text)
        #expect(try decode("text-phrases") == Array(repeating: .stanzas([message], ageSeconds: 0), count: 3))
    }

    @Test func `ids`() throws {
        let id = "00112233-4455-4677-8899-aabbccddeeff"
        let message = try stanza(
            "<message to='b@y.example' id='\(id)'><x xmlns='u:i' id='\(id)'/><y xmlns='u:i' id='deadbeef'/></message>")
        let (text, raw) = written { $0.append(message, ageSeconds: 0) }
        check("text-ids", text)
        check("raw-ids", raw)
        #expect(try decode("text-ids", raw: "raw-ids") == [.stanzas([message], ageSeconds: 0)])
    }

    @Test func `ids that count`() throws {
        let ids = ["r": "80000041", "s": "0a0b0d00", "t": "80000042", "u": "0a0b0d03", "v": "80000041", "w": "80000040"]
        let content = ids.sorted { $0.key < $1.key }.map { "<\($0.key) xmlns='u:i' id='\($0.value)'/>" }.joined()
        let message = try stanza("<message to='b@y.example' id='0a0b0cff'>\(content)</message>")
        let (text, raw) = written { $0.append(message, ageSeconds: 0) }
        check("text-serial-ids", text)
        check("raw-serial-ids", raw)
        #expect(try decode("text-serial-ids", raw: "raw-serial-ids") == [.stanzas([message], ageSeconds: 0)])
    }

    @Test func `lists`() throws {
        let presence = try stanza("<presence to='x@y.example'/>")
        let groups = [["a", "b", "c"], ["a", "b", "c"], ["b", "c", "d"]]
        let text = written { encoder in
            for group in groups {
                let recipients = group.map { Array("\($0)@y.example".utf8) }
                let isWritten = encoder.append(presence, recipients: recipients, ageSeconds: 0)
                #expect(isWritten)
            }
        }.text
        check("text-lists", text)
        let expected = try groups.map {
            DecodedBody.Record.stanzas(try $0.map { try stanza("<presence to='\($0)@y.example'/>") }, ageSeconds: 0)
        }
        #expect(try decode("text-lists") == expected)
    }

    @Test func `parts`() throws {
        let bytes = ByteBuffer(string: "<iq to='a@b.c'/>")
        let parts = try [(0, 4, 0), (4, 12, 90)].map { (offset: UInt32, count: Int, age: UInt32) in
            (try #require(bytes.getSlice(at: Int(offset), length: count)), offset, age)
        }
        check("text-parts", written { for (part, offset, age) in parts { $0.appendFragment(part, offset: offset, total: 16, ageSeconds: age) } }.text)
        #expect(
            try decode("text-parts") == parts.map { part, offset, age in
                .fragment(part, offset: offset, total: 16, ageSeconds: age)
            })
    }

    // MARK: Bodies and blocks

    @Test func `a padded body`() throws {
        var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockLimits())
        let decoded = try decoder.decode(ByteBuffer(bytes: LinkProtocolExamples.examples["body-padded"] ?? []))
        #expect(decoded.records == [.stanzas([try stanza("<iq/>")], ageSeconds: 0)])
        // Stored, as any compressor may do.
        let text = Array("<iq/>\u{0}".utf8)
        let count = UInt8(text.count)
        check("body-padded", [3, 0, 0, 0, 0, count, 0, ~count, 0xFF] + text + [0])
    }

    @Test func `a first block without stanzas`() throws {
        try checkBlock("opening-first-contact", records: []) { _ in }
    }

    @Test func `a whole block`() throws {
        let message = try stanza(Self.greeting)
        try checkBlock("whole-block", records: [.stanzas([message], ageSeconds: 0)], jump: 1) {
            $0.append(message, ageSeconds: 0)
        }
    }

    private func checkBlock(
        _ name: String, records: [DecodedBody.Record], jump: UInt64? = nil, _ write: (inout BodyEncoder) -> Void
    ) throws {
        var encoder = BodyEncoder(level: 6, history: ByteBuffer())
        write(&encoder)
        var body = ByteBuffer()
        _ = encoder.finish(into: &body)
        var header = BlockHeader(session: 1, acknowledgedSession: 0, acknowledgedNormal: 0)
        var opening = SessionOpening(epoch: LinkProtocolExamples.epoch, session: 1)
        opening.process = LinkProtocolExamples.process
        header.opening = .session(opening)
        header.body = BlockHeader.Body()
        header.body?.jump = jump
        header.body?.length = body.readableBytes
        var block = ByteBuffer()
        header.encode(into: &block)
        block.writeImmutableBuffer(body)
        check(name, Array(block.readableBytesView))

        var bytes = ByteBuffer(bytes: LinkProtocolExamples.examples[name] ?? [])
        #expect(try BlockHeader.blockLength(in: bytes) == bytes.readableBytes)
        #expect(try BlockHeader(reading: &bytes) == header)
        var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockLimits())
        #expect(try decoder.decode(bytes).records == records)
    }

    @Test func `every example is checked`() {
        let checked =
            Array(LinkProtocolExamples.headers.keys) + [
                "integer-300", "history-hash", "text-stanzas", "text-phrases", "text-ids", "raw-ids", "text-serial-ids",
                "raw-serial-ids", "text-lists", "text-parts", "body-padded",
                "opening-first-contact", "whole-block",
            ]
        #expect(Set(LinkProtocolExamples.examples.keys) == Set(checked))
    }

    private func check(_ name: String, _ bytes: [UInt8]) {
        let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: " ")
        #expect(LinkProtocolExamples.examples[name] == bytes, "\(name) should be: \(hex)")
    }

    private func decode(_ name: String, raw: String? = nil) throws -> [DecodedBody.Record] {
        try BodyHostilityTests.decode(LinkProtocolExamples.examples[name] ?? [], raw: raw.flatMap { LinkProtocolExamples.examples[$0] } ?? [])
    }
}
