import HFNode
import NIOCore
import STANAG5066
import SeededRandom
import Testing

/// Bytes of text like `90 EB`.
func bytes(_ text: String) -> ByteBuffer {
    ByteBuffer(bytes: text.split(separator: " ").compactMap { UInt8($0, radix: 16) })
}

func address(_ text: String) -> NodeAddress { NodeAddress(text) ?? .broadcast }

private let here = address("10.9.8.7")
private let there = address("10.1.2.3")

struct DPDUTests {
    struct Vector: CustomTestStringConvertible, Sendable {
        let name: String
        let dpdu: DPDU
        let bytes: String

        var testDescription: String { name }
    }

    static let vectors: [Vector] = {
        var frame = DPDU.DataFrame(
            sequence: 0, segment: HFNodeTests.bytes("00 08 66 80 00 2A 00 00 83 61 3C 72 2F 3E"))
        frame.isStart = true
        frame.isEnd = true
        frame.isInOrder = true
        frame.isUpperEdge = true
        frame.isLowerEdge = true
        var data = DPDU(source: here, destination: there, content: .data(frame))
        data.endOfTransmission = 10
        return [
            Vector(
                name: "type 0 with a whole C_PDU", dpdu: data,
                bytes: "90 EB 00 00 0A E9 A0 10 20 3A 09 08 07 EC 0E 00 B9 3A 00 08 66 80 00 2A 00 00 83 61 3C 72 2F 3E FC 81 7C 8E"),
            Vector(
                name: "type 1 without bitmap",
                dpdu: DPDU(source: there, destination: here, content: .acknowledgement(.init(lowerEdge: 1))),
                bytes: "90 EB 10 00 00 E7 A0 90 80 7A 01 02 03 01 CD 91"),
        ]
    }()

    @Test(arguments: vectors) func `a D_PDU has the bytes of the standard both ways`(_ vector: Vector) throws {
        var buffer = ByteBuffer()
        vector.dpdu.encode(into: &buffer, addressBytes: 7)
        #expect(buffer == bytes(vector.bytes))
        #expect(vector.dpdu.encodedSize(addressBytes: 7) == buffer.readableBytes)
        let received = try ReceivedDPDU(decoding: buffer)
        #expect(received.dpdu == vector.dpdu)
        #expect(received.isSegmentIntact)
        #expect(received.size == buffer.readableBytes)
    }

    @Test func `the warning of the standard's checksum example decodes`() throws {
        // §C.3.2.8: type 15, the address field of two bytes is 05 64 with a size of 2.
        let received = try ReceivedDPDU(decoding: bytes("90 EB F0 00 00 47 05 64 02 5F 1E"))
        #expect(received.dpdu.content == .warning(.init(receivedType: 0, reason: 2)))
        #expect(received.dpdu.destination == address("0.0.0.5"))
        #expect(received.dpdu.source == address("0.0.0.100"))
        var buffer = ByteBuffer()
        received.dpdu.encode(into: &buffer, addressBytes: 2)
        #expect(buffer == bytes("90 EB F0 00 00 47 05 64 02 5F 1E"))
    }

    @Test func `the checksum of a segment is the standard's`() {
        // §C.3.2.11: the seven octets F0 00 00 47 05 64 02 have the CRC-32 95 8F 17 F4.
        var buffer = ByteBuffer()
        DPDU(
            source: here, destination: there,
            content: .data(.init(sequence: 0, segment: bytes("F0 00 00 47 05 64 02")))
        ).encode(into: &buffer, addressBytes: 7)
        #expect(Array(buffer.readableBytesView.suffix(4)) == [0x95, 0x8F, 0x17, 0xF4])
    }

    @Test(arguments: 1...7) func `addresses take as many half-bytes as wanted or needed`(size: Int) throws {
        let near = DPDU(
            source: try #require(NodeAddress(value: 5)), destination: try #require(NodeAddress(value: 0xA)),
            content: .acknowledgement(.init(lowerEdge: 9)))
        var buffer = ByteBuffer()
        near.encode(into: &buffer, addressBytes: size)
        #expect(buffer.readableBytes == DPDU.acknowledgementOverhead + size)
        #expect(try ReceivedDPDU(decoding: buffer).dpdu == near)
        let far = DPDU(source: here, destination: there, content: near.content)
        buffer.clear()
        far.encode(into: &buffer, addressBytes: size)
        #expect(buffer.readableBytes == DPDU.acknowledgementOverhead + 7)
        #expect(try ReceivedDPDU(decoding: buffer).dpdu == far)
    }

    @Test(arguments: 0..<60) func `any D_PDU comes back as it was`(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        for _ in 0..<20 {
            let dpdu = DPDU.random(using: &random)
            let size = Int.random(in: 1...7, using: &random)
            var buffer = ByteBuffer()
            dpdu.encode(into: &buffer, addressBytes: size)
            #expect(buffer.readableBytes == dpdu.encodedSize(addressBytes: size))
            buffer.writeBytes([1, 2, 3])
            let received = try ReceivedDPDU(decoding: buffer)
            #expect(received.dpdu == dpdu)
            #expect(received.isSegmentIntact)
            #expect(received.size == buffer.readableBytes - 3)
        }
    }

    @Test(arguments: 0..<50) func `a damaged segment leaves the header readable, a damaged header nothing`(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        var frame = DPDU.DataFrame(sequence: 7, segment: ByteBuffer(bytes: (0..<100).map { UInt8($0) }))
        frame.isStart = true
        let dpdu = DPDU(source: here, destination: there, content: .dataAcknowledgement(frame, .init(lowerEdge: 3, bitmap: [5])))
        var buffer = ByteBuffer()
        dpdu.encode(into: &buffer, addressBytes: 7)
        let header = buffer.readableBytes - 104
        for _ in 0..<20 {
            let place = Int.random(in: 0..<buffer.readableBytes, using: &random)
            var damaged = buffer
            let old = try #require(damaged.getInteger(at: place, as: UInt8.self))
            damaged.setInteger(old ^ UInt8.random(in: 1...255, using: &random), at: place)
            if place < header {
                #expect(throws: DPDUError.self) { try ReceivedDPDU(decoding: damaged) }
            } else {
                let received = try ReceivedDPDU(decoding: damaged)
                #expect(!received.isSegmentIntact)
                guard case .dataAcknowledgement(let data, let part) = received.dpdu.content else {
                    Issue.record("another type")
                    return
                }
                #expect(data.sequence == 7)
                #expect(part == .init(lowerEdge: 3, bitmap: [5]))
            }
        }
    }

    @Test func `a D_PDU that ends early is truncated in the header and not intact in the segment`() throws {
        let dpdu = DPDU(source: here, destination: there, content: .data(.init(sequence: 1, segment: bytes("01 02 03"))))
        var buffer = ByteBuffer()
        dpdu.encode(into: &buffer, addressBytes: 7)
        for length in 0..<buffer.readableBytes {
            let part = try #require(buffer.getSlice(at: 0, length: length))
            if length < buffer.readableBytes - 7 {
                #expect(throws: DPDUError.truncated) { try ReceivedDPDU(decoding: part) }
            } else {
                #expect(try !ReceivedDPDU(decoding: part).isSegmentIntact)
            }
        }
    }

    @Test func `a reserved type names its source`() throws {
        // A type 9 header of the smallest size: 90 EB, 90 00 00 E6, addresses, checksum.
        var buffer = ByteBuffer()
        DPDU(source: there, destination: here, content: .warning(.init(receivedType: 0, reason: 0))).encode(
            into: &buffer, addressBytes: 7)
        for type in UInt8(9)...14 {
            buffer.setInteger(type << 4, at: 2)
            buffer.setInteger(headerChecksum(buffer, from: 2, to: buffer.readableBytes - 2), at: buffer.readableBytes - 2, endianness: .little)
            #expect(throws: DPDUError.unrecognisedType(type, source: there, destination: here)) {
                try ReceivedDPDU(decoding: buffer)
            }
        }
        // The same header as a type that has more fields.
        buffer.setInteger(UInt8(0), at: 2)
        buffer.setInteger(headerChecksum(buffer, from: 2, to: buffer.readableBytes - 2), at: buffer.readableBytes - 2, endianness: .little)
        #expect(throws: DPDUError.headerSize(type: 0, size: 7)) { try ReceivedDPDU(decoding: buffer) }
    }

    @Test(arguments: 0..<60) func `noise and changed bytes never trap`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        for _ in 0..<50 {
            var buffer = ByteBuffer()
            if Bool.random(using: &random) {
                DPDU.random(using: &random).encode(into: &buffer, addressBytes: Int.random(in: 1...7, using: &random))
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    buffer.setInteger(
                        UInt8.random(in: 0...255, using: &random), at: Int.random(in: 0..<buffer.readableBytes, using: &random))
                }
            } else {
                buffer.writeBytes([0x90, 0xEB].prefix(Int.random(in: 0...2, using: &random)))
                buffer.writeBytes((0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
            }
            // Half of the headers get a good checksum, so that the fields behind it are reached.
            if Bool.random(using: &random), let sizes = buffer.getInteger(at: 5, as: UInt8.self) {
                let end = 2 + Int(sizes >> 5) + Int(sizes & 0x1F) - 2
                if end > 2, end + 2 <= buffer.readableBytes {
                    buffer.setInteger(headerChecksum(buffer, from: 2, to: end), at: end, endianness: .little)
                }
            }
            if let received = try? ReceivedDPDU(decoding: buffer) { #expect(received.size <= buffer.readableBytes) }
        }
    }

    /// Bit by bit, from the text of §C.3.2.8, to check the tables of the target by other means.
    private func headerChecksum(_ buffer: ByteBuffer, from: Int, to: Int) -> UInt16 {
        var sum: UInt16 = 0
        for index in from..<to {
            var byte = buffer.getInteger(at: index, as: UInt8.self) ?? 0
            for _ in 0..<8 {
                let isSet = (sum & 1) ^ UInt16(byte & 1) == 1
                sum = isSet ? sum >> 1 ^ 0x9299 : sum >> 1
                byte >>= 1
            }
        }
        return sum
    }
}

extension DPDU {
    static func random(using random: inout SplitMix64) -> DPDU {
        func octet() -> UInt8 { UInt8.random(in: 0...255, using: &random) }
        func word() -> UInt16 { UInt16.random(in: 0...UInt16.max, using: &random) }
        func segment() -> ByteBuffer {
            let sizes = [0, 1, 200, 1023, Int.random(in: 0...1023, using: &random)]
            return ByteBuffer(bytes: (0..<(sizes.randomElement(using: &random) ?? 0)).map { _ in octet() })
        }
        func data() -> DataFrame {
            var frame = DataFrame(sequence: octet(), segment: segment())
            frame.isStart = Bool.random(using: &random)
            frame.isEnd = Bool.random(using: &random)
            frame.isInOrder = Bool.random(using: &random)
            frame.isDropped = Bool.random(using: &random)
            frame.isUpperEdge = Bool.random(using: &random)
            frame.isLowerEdge = Bool.random(using: &random)
            return frame
        }
        func acknowledgement() -> Acknowledgement {
            Acknowledgement(lowerEdge: octet(), bitmap: (0..<Int.random(in: 0...16, using: &random)).map { _ in octet() })
        }
        func nonARQ() -> NonARQFrame {
            var frame = NonARQFrame(unit: word(), unitSize: word(), offset: word(), receptionWindow: word(), segment: segment())
            frame.isInOrder = Bool.random(using: &random)
            return frame
        }
        func node(isGroup: Bool = false) -> NodeAddress {
            let bits = Int.random(in: 1...28, using: &random)
            return NodeAddress(value: UInt32.random(in: 0..<(1 << UInt32(bits)), using: &random), isGroup: isGroup) ?? .broadcast
        }
        let content: Content
        var isGroup = false
        switch Int.random(in: 0..<10, using: &random) {
        case 0: content = .data(data())
        case 1: content = .acknowledgement(acknowledgement())
        case 2: content = .dataAcknowledgement(data(), acknowledgement())
        case 3:
            var reset = WindowReset(identifier: octet())
            reset.isFull = Bool.random(using: &random)
            reset.requestsTransmitReset = Bool.random(using: &random)
            reset.commandsReceiveReset = Bool.random(using: &random)
            reset.isAcknowledgement = Bool.random(using: &random)
            reset.newLowerEdge = octet()
            content = .reset(reset)
        case 4:
            var frame = ExpeditedFrame(unit: octet(), sequence: octet(), segment: segment())
            frame.isStart = Bool.random(using: &random)
            frame.isEnd = Bool.random(using: &random)
            content = .expeditedData(frame)
        case 5: content = .expeditedAcknowledgement(acknowledgement())
        case 6:
            var part = Management(identifier: octet())
            part.isMessage = Bool.random(using: &random)
            part.isAcknowledgement = Bool.random(using: &random)
            part.extended = (0..<Int.random(in: 0...23, using: &random)).map { _ in octet() }
            content = .management(part)
        case 7:
            isGroup = Bool.random(using: &random)
            content = .nonARQ(nonARQ())
        case 8:
            isGroup = Bool.random(using: &random)
            content = .expeditedNonARQ(nonARQ())
        default: content = .warning(Warning(receivedType: octet(), reason: octet()))
        }
        var dpdu = DPDU(source: node(), destination: node(isGroup: isGroup), content: content)
        dpdu.orderwire = EngineeringOrderwire(type: octet(), data: octet())
        dpdu.endOfTransmission = octet()
        return dpdu
    }
}
