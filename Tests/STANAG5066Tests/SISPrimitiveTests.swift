import NIOCore
import STANAG5066
import TestSupport
import Testing

struct SISPrimitiveTests {
    @Test(arguments: SISExample.all)
    func `An example is written and read byte for byte`(example: SISExample) {
        #expect(example.primitive.encoded == example.bytes)
        for reader in [SISPrimitive.Reader.client, .node] {
            let outcome = SISProperties.outcome(of: [Array(example.bytes.readableBytesView)[...]], reader)
            let isForReader = example.primitive.reader.map { $0 == reader } ?? true
            #expect(outcome.failure == nil)
            #expect(
                outcome.events == [
                    isForReader ? .primitive(example.primitive) : .skipped(.wrongDirection(type: example.primitive.type))
                ])
        }
    }

    @Test func `The examples have every type`() {
        #expect(Set(SISExample.all.map(\.primitive.type)) == Set(1...27))
    }

    @Test(
        arguments: [
            (0, 1), (1, 1), (1_000, 1), (2_000, 1), (2_001, 2), (3_000, 2), (600_000, 300), (1_296_000_000, 648_000),
            (1_296_000_001, 648_000),
            (.max / 1_000_000, 648_000), (-5, 1),
        ] as [(Int64, UInt32)])
    func `A time to live is rounded up to units of two seconds`(milliseconds: Int64, units: UInt32) {
        #expect(TimeToLive(.milliseconds(milliseconds)).units == units)
    }

    @Test func `A time to live beyond the longest is taken for the longest`() throws {
        let bytes = ByteBuffer(hex: "90 EB 00 00 0C 14 06 EA 01 02 03 18 0F FF FF 00 00")
        let outcome = SISProperties.outcome(of: [Array(bytes.readableBytesView)[...]], .node)
        guard case .primitive(.unidataRequest(let request)) = try #require(outcome.events.first) else {
            Issue.record("no request: \(outcome)")
            return
        }
        #expect(request.timeToLive == TimeToLive(.hours(15 * 24)))
        #expect(TimeToLive.unlimited.duration == nil)
        #expect(TimeToLive(units: 300).duration == .seconds(600))
    }

    @Test func `Four zero bytes before a U_PDU are the counts of old Rockwell Collins stacks`() {
        let plain = "06 EA 01 02 03 16 EA 09 08 07 00 03"
        for (hex, uPDU) in [
            ("90 EB 00 00 14 15 \(plain) 00 00 00 00 41 42 43", "ABC"),
            // Not the quirk: what is behind the U_PDU is left out.
            ("90 EB 00 00 14 15 \(plain) 41 42 43 00 00 00 00", "ABC"), ("90 EB 00 00 13 15 \(plain) 41 42 43 00 00 00", "ABC"),
            ("90 EB 00 00 15 15 \(plain) 41 42 43 00 00 00 00 00", "ABC"), ("90 EB 00 00 10 15 \(plain) 00 00 00", "\0\0\0"),
        ] {
            let indication = UnidataIndication(
                priority: 0, destinationSAP: .rcop, destination: SISExample.there, mode: .arq, sourceSAP: .rcop,
                source: SISExample.here, uPDU: ByteBuffer(string: uPDU))
            let outcome = SISProperties.outcome(of: [Array(ByteBuffer(hex: hex).readableBytesView)[...]], .client)
            #expect(outcome == SISProperties.Outcome(events: [.primitive(.unidataIndication(indication))]), "\(hex)")
        }
    }

    @Test func `The expedited forms have no priority`() throws {
        let request = UnidataRequest(
            priority: 9, destinationSAP: .rcop, destination: SISExample.there, delivery: ServiceType(.arq),
            timeToLive: .unlimited,
            uPDU: SISExample.uPDU)
        var bytes = SISPrimitive.expeditedUnidataRequest(request).encoded
        #expect(bytes.getInteger(at: 6, as: UInt8.self) == 0x06)
        bytes.setInteger(0xF6 as UInt8, at: 6)
        var expected = request
        expected.priority = 0
        let outcome = SISProperties.outcome(of: [Array(bytes.readableBytesView)[...]], .node)
        #expect(outcome.events == [.primitive(.expeditedUnidataRequest(expected))])
    }

    @Test func `The largest primitives are written and read`() {
        let blocks = Array(repeating: UnidataIndication.Block(offset: 1, length: 2), count: 16_379)
        var indication = UnidataIndication(
            priority: 15, destinationSAP: .rcop, destination: .broadcast, mode: .nonARQWithErrors, sourceSAP: .rcop,
            source: SISExample.here, uPDU: ByteBuffer(repeating: 7, count: 2))
        indication.erroredBlocks = blocks
        for primitive in [
            SISPrimitive.unidataIndication(indication),
            .managementMessageIndication(
                ManagementMessage(type: 1, body: ByteBuffer(repeating: 1, count: ManagementMessage.maximumBytes))),
            .unidataRequestConfirm(
                UnidataReference(
                    destinationSAP: .rcop, destination: SISExample.there, prefix: ByteBuffer(repeating: 3, count: 100_000))),
        ] {
            let bytes = primitive.encoded
            #expect(bytes.readableBytes >= 65_530)
            #expect(SISProperties.outcome(of: [Array(bytes.readableBytesView)[...]], .client).events == [.primitive(primitive)])
        }
        let request = SISPrimitive.unidataRequest(
            UnidataRequest(
                priority: 1, destinationSAP: .rcop, destination: SISExample.there, delivery: ServiceType(.arq),
                timeToLive: .unlimited, uPDU: ByteBuffer(repeating: 9, count: UnidataRequest.maximumBytes)))
        #expect(request.encoded.readableBytes == 65_540)
        #expect(
            SISProperties.outcome(of: [Array(request.encoded.readableBytesView)[...]], .node).events == [.primitive(request)])
    }

    @Test func `A reference repeats as much of a U_PDU as its node says`() {
        let request = UnidataRequest(
            priority: 1, destinationSAP: .rcop, destination: SISExample.there, delivery: ServiceType(.arq),
            timeToLive: .unlimited,
            uPDU: SISExample.uPDU)
        for (bytes, expected) in [(-1, 0), (0, 0), (6, 6), (47, 47), (48, 47), (.max, 47)] {
            #expect(UnidataReference(to: request, bytes: bytes).prefix == SISExample.uPDU.getSlice(at: 0, length: expected))
        }
    }

    @Test func `Any primitive is read as it was written`() {
        var random = SeededGenerator(seed: 27)
        var seen: Set<UInt8> = []
        for round in 0..<5_400 {
            let primitive = random.primitive(type: UInt8(round % 27) + 1)
            seen.insert(primitive.type)
            let bytes = Array(primitive.encoded.readableBytesView)
            let reader = primitive.reader ?? (round % 2 == 0 ? .client : .node)
            #expect(SISProperties.outcome(of: [bytes[...]], reader) == .init(events: [.primitive(primitive)]), "\(primitive)")
        }
        #expect(seen.count == 27)
    }

    @Test func `Codes are shown with their meaning and their number`() {
        #expect(UnidataRejectedReason.timeToLiveExpired.description == "TTL expired (1)")
        #expect(UnidataRejectedReason(rawValue: 0x1F).description == "unknown (15)")
        #expect(BindRejectedReason(rawValue: 0).description == "unknown (0)")
        #expect(SubnetStatus.transmitOnly.description == "transmit-only (5)")
        #expect(UnbindReason(rawValue: 255).description == "unknown (255)")
    }

    @Test func `Only a node that is off or receives only may not transmit`() {
        let may = (0...255).map { SubnetStatus(rawValue: UInt8($0)).mayTransmit }
        #expect(may.filter { !$0 }.count == 2)
        #expect(!may[0] && !may[2])
    }
}
