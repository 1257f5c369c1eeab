import NIOCore
import STANAG5066
import TestSupport
import Testing

struct SISDecoderTests {
    private func outcome(_ hex: String, _ reader: SISPrimitive.Reader = .client) -> SISProperties.Outcome {
        SISProperties.outcome(of: [Array(ByteBuffer(hex: hex).readableBytesView)[...]], reader)
    }

    private func stream(for reader: SISPrimitive.Reader) -> (bytes: [UInt8], primitives: [SISPrimitive]) {
        let examples = SISExample.all.filter { $0.primitive.reader != (reader == .client ? .node : .client) }
        return (examples.flatMap { $0.bytes.readableBytesView }, examples.map(\.primitive))
    }

    @Test(arguments: [SISPrimitive.Reader.client, .node])
    func `Primitives are the same wherever their bytes are cut`(reader: SISPrimitive.Reader) {
        let (bytes, primitives) = stream(for: reader)
        let expected = SISProperties.Outcome(events: primitives.map { .primitive($0) })
        #expect(SISProperties.outcome(of: [bytes[...]], reader) == expected)
        #expect(SISProperties.outcome(of: bytes.indices.map { bytes[$0...$0] }, reader) == expected)
        for cut in bytes.indices {
            #expect(SISProperties.outcome(of: [bytes[..<cut], bytes[cut...]], reader) == expected, "cut at \(cut)")
        }
        var random = SeededGenerator(seed: 1)
        for _ in 0..<200 {
            #expect(SISProperties.outcome(of: random.pieces(of: bytes, largest: 40), reader) == expected)
        }
    }

    @Test(arguments: SISExample.all)
    func `A primitive that is not whole is waited for`(example: SISExample) {
        let bytes = Array(example.bytes.readableBytesView)
        for count in bytes.indices {
            #expect(
                SISProperties.outcome(of: [bytes[..<count]], example.primitive.reader ?? .client) == .init(), "\(count) bytes")
        }
    }

    @Test(arguments: SISExample.all)
    func `A primitive whose size says less than it needs is refused, whatever its type`(example: SISExample) throws {
        let reader = example.primitive.reader ?? .client
        var bytes = example.bytes
        let size = try #require(bytes.getInteger(at: 3, as: UInt16.self))
        for shorter in 0..<size {
            bytes.setInteger(shorter, at: 3)
            let whole = bytes.getSlice(at: 0, length: 5 + Int(shorter)) ?? ByteBuffer()
            let outcome = SISProperties.outcome(of: [Array(whole.readableBytesView)[...]], reader)
            switch outcome.failure {
            case .tooShort(_, let told): #expect(told == shorter)
            // A management message is as long as it is.
            case nil where [18, 19].contains(example.primitive.type): #expect(shorter >= 2)
            case nil:
                // Long enough for the type, not for the U_PDU in it.
                let event = try #require(outcome.events.first)
                let type = example.primitive.type
                #expect(event == .skipped(.dataBeyondEnd(type: type)) || event == .skipped(.blocksBeyondEnd(type: type)))
            case let other?: Issue.record("\(other)")
            }
        }
    }

    @Test(
        arguments: [
            ("91", .badPreamble(0x91)), ("EB 90", .badPreamble(0xEB)), ("90 EC", .badPreamble(0xEC)),
            ("90 EB 01", .unsupportedVersion(1)),
            ("90 EB 00 00 00", .tooShort(type: nil, size: 0)), ("90 EB 00 00 01 03", .tooShort(type: 3, size: 1)),
            ("90 EB 00 00 03 03 60 08", .tooShort(type: 3, size: 3)), ("90 EB 00 00 0C 15", .tooShort(type: 21, size: 12)),
            // Little-endian sizes, as one open node writes them.
            ("90 EB 00 04 00 03 60 08 00 90", nil), ("90 EB 00 01 00 11", nil),
        ] as [(String, SISError?)])
    func `A stream that is out of step is given up as soon as that is clear`(hex: String, error: SISError?) {
        #expect(outcome(hex) == SISProperties.Outcome(failure: error))
        guard error != nil else { return }
        #expect(outcome(hex + "90 EB 00 00 01 0F").failure == error, "what follows is not looked at")
        #expect(outcome("90 EB 00 00 01 0F" + hex) == .init(events: [.primitive(.dataFlowOn)], failure: error))
    }

    @Test func `A decoder that has failed stays so`() {
        var decoder = SISDecoder(for: .client)
        decoder.read(ByteBuffer(bytes: [0]))
        for _ in 0..<3 {
            #expect(throws: SISError.badPreamble(0)) { try decoder.next() }
            decoder.read(SISPrimitive.dataFlowOn.encoded)
        }
    }

    @Test(
        arguments: [
            ("90 EB 00 00 01 00", .unknownType(0)), ("90 EB 00 00 03 1C AA BB", .unknownType(28)),
            ("90 EB 00 00 01 FF", .unknownType(255)),
            ("90 EB 00 00 04 01 65 18 00", .wrongDirection(type: 1)), ("90 EB 00 00 01 02", .wrongDirection(type: 2)),
            // N is larger than what is left.
            ("90 EB 00 00 0F 15 06 EA 01 02 03 16 EA 09 08 07 00 03 41 42", .dataBeyondEnd(type: 21)),
            ("90 EB 00 00 0E 15 06 EA 01 02 03 16 EA 09 08 07 FF FF 41", .dataBeyondEnd(type: 21)),
            ("90 EB 00 00 09 16 06 EA 01 02 03 00 02 00", .dataBeyondEnd(type: 22)),
            // K, or L, runs past the end; or is not there.
            ("90 EB 00 00 0F 15 06 EA 01 02 03 36 EA 09 08 07 00 00 00 01", .blocksBeyondEnd(type: 21)),
            ("90 EB 00 00 15 15 06 EA 01 02 03 36 EA 09 08 07 00 00 FF FF 00 00 00 00 00 00", .blocksBeyondEnd(type: 21)),
            ("90 EB 00 00 11 15 06 EA 01 02 03 36 EA 09 08 07 00 00 00 00 00 01", .blocksBeyondEnd(type: 21)),
            ("90 EB 00 00 0D 15 06 EA 01 02 03 36 EA 09 08 07 00 00", .blocksBeyondEnd(type: 21)),
            ("90 EB 00 00 12 15 06 EA 01 02 03 36 EA 09 08 07 00 02 00 00 00 00 41", .dataBeyondEnd(type: 21)),
        ] as [(String, SISError)])
    func `A primitive that cannot be read is skipped, and the next one is read`(hex: String, error: SISError) {
        #expect(!error.isFatal)
        #expect(outcome(hex + "90 EB 00 00 01 0F") == .init(events: [.skipped(error), .primitive(.dataFlowOn)]))
    }

    @Test func `What is only for the client is skipped by the node`() {
        #expect(
            outcome("90 EB 00 00 01 0F 90 EB 00 00 01 11", .node).events == [
                .skipped(.wrongDirection(type: 15)), .primitive(.keepAlive),
            ])
    }

    @Test(arguments: SISExample.all)
    func `Bytes after the last field are left out`(example: SISExample) throws {
        // Their end is that of the primitive.
        switch example.primitive {
        case .managementMessageRequest, .managementMessageIndication: return
        default: break
        }
        var bytes = example.bytes
        let size = try #require(bytes.getInteger(at: 3, as: UInt16.self))
        bytes.writeBytes([0x90, 0xEB, 0x00])
        bytes.setInteger(size + 3, at: 3)
        let outcome = SISProperties.outcome(of: [Array(bytes.readableBytesView)[...]], example.primitive.reader ?? .client)
        #expect(outcome == .init(events: [.primitive(example.primitive)]))
    }

    @Test func `Bits that are not used are ignored`() {
        #expect(
            outcome("90 EB 00 00 04 03 6F 08 00").events == [.primitive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)))])
        let bind = BindRequest(sap: .rcop, rank: 5, service: ServiceType(.arq, confirmation: .client))
        #expect(outcome("90 EB 00 00 04 01 65 18 0F", .node).events == [.primitive(.bindRequest(bind))])
        let reference = UnidataReference(destinationSAP: .rcop, destination: SISExample.there, prefix: ByteBuffer())
        #expect(outcome("90 EB 00 00 08 16 F6 EA 01 02 03 00 00").events == [.primitive(.unidataRequestConfirm(reference))])
    }

    @Test func `Short addresses are read from the side that the decoder was told`() {
        let bytes = Array(ByteBuffer(hex: "90 EB 00 00 05 07 80 10 20 00").readableBytesView)
        let right = SISProperties.outcome(of: [bytes[...]], .node, .right)
        let left = SISProperties.outcome(of: [bytes[...]], .node, .left)
        #expect(right.events == [.primitive(.hardLinkTerminate(NodeAddress(field: 0xE010_2000)))])
        #expect(left.events == [.primitive(.hardLinkTerminate(NodeAddress(field: 0xE000_0102)))])
    }

    @Test(arguments: Array(1...20) as [UInt64])
    func `Whatever comes is read without a trap, and the same in one piece as in many`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let kind = UInt8.random(in: 0...3, using: &random)
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let primitive = random.primitive(type: UInt8.random(in: 1...27, using: &random))
                bytes += primitive.encoded.readableBytesView.prefix(300)
            }
            for _ in 0..<Int.random(in: 0..<8, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = random.byte()
                case 1: bytes.remove(at: place)
                default: bytes.insert(random.byte(), at: place)
                }
            }
            #expect(SISProperties.violation(in: [kind] + bytes) == nil, "seed \(seed): \(bytes)")
        }
    }
}
