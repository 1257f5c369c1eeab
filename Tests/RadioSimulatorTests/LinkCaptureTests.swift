import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import Testing

struct LinkCaptureTests {
    private struct Packet {
        let interface: UInt32
        let time: UInt64
        let bytes: ByteBuffer
    }

    /// Blocks of a pcapng file.
    private static func packets(_ file: ByteBuffer) throws -> (linkTypes: [UInt16], packets: [Packet]) {
        var file = file
        var types: [UInt16] = []
        var packets: [Packet] = []
        while let type: UInt32 = file.readInteger(endianness: .little) {
            let length = file.readInteger(endianness: .little, as: UInt32.self) ?? 0
            #expect(length >= 12 && length.isMultiple(of: 4))
            let content = file.readSlice(length: max(0, Int(length) - 12))
            let repeated = file.readInteger(endianness: .little, as: UInt32.self)
            #expect(repeated == length)
            var body = try #require(content)
            switch type {
            case 0x0A0D_0D0A:
                let magic = body.readInteger(endianness: .little, as: UInt32.self)
                #expect(magic == 0x1A2B_3C4D)
            case 1: types.append(body.readInteger(endianness: .little) ?? 0)
            case 6:
                let read = body.readMultipleIntegers(
                    endianness: .little, as: (UInt32, UInt32, UInt32, UInt32, UInt32).self)
                let (interface, high, low, captured, original) = try #require(read)
                #expect(captured == original)
                let bytes = body.readSlice(length: Int(captured))
                packets.append(
                    Packet(
                        interface: interface, time: UInt64(high) << 32 | UInt64(low), bytes: try #require(bytes)))
            default: Issue.record("block \(type)")
            }
        }
        return (types, packets)
    }

    /// The Internet checksum over words that hold it is zero.
    private static func sum(_ bytes: ByteBuffer) -> UInt32 {
        var bytes = bytes
        if !bytes.readableBytes.isMultiple(of: 2) { bytes.writeInteger(0 as UInt8) }
        var sum: UInt32 = 0
        while let word: UInt16 = bytes.readInteger() { sum += UInt32(word) }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
        return sum
    }

    @Test func `D_PDUs and the bytes of connections can be read out of a capture`() throws {
        let link = try RadioLink.shipped("hf-lab-1200S")
        let radio = VirtualRadio(link: link)
        var capture = LinkCapture(start: VirtualRadio.standardStart, origin: 1_700_000_000_000_000_000)
        var file = capture.header
        var sent: [UInt32: [UInt8]] = [:]
        var opened: Set<NodeConnection> = []
        var dpdus = [0, 0]
        var passed: [String: [UInt8]] = [:]
        radio.onBytes = { id, fromClient, bytes, now in
            if opened.insert(id).inserted { file.writeImmutableBuffer(capture.opened(id, at: now)) }
            file.writeImmutableBuffer(capture.passed(id, fromClient: fromClient, bytes, at: now))
            passed["\(id.side) \(fromClient)", default: []] += bytes.readableBytesView
        }
        radio.onEvent = { event, at in
            guard case .transmitted(let side, let burst) = event else { return }
            dpdus[side.rawValue] += burst.elements.count
            sent[UInt32(side.rawValue) + 1, default: []] += burst.elements.flatMap { Array($0.bytes.readableBytesView) }
            file.writeImmutableBuffer(capture.transmitted(side, burst, at: at))
        }
        let exchange = SampleExchange(
            units: 6, longest: 2_048, addresses: HFNodeSide.allCases.map { radio.nodes.address($0) }, seed: 3)
        for side in HFNodeSide.allCases {
            let client = radio.addClient(side, SampleExchange.configuration) { client, action, now in
                exchange.clientActed(side, action, now: now)
            }
            exchange.joined(side, client)
        }
        radio.act { radio, now in
            for side in HFNodeSide.allCases { exchange.clientActed(side, .creditAvailable, now: now) }
        }
        radio.run(for: .hours(3)) { exchange.isOver }
        #expect(exchange.isSuccess)
        for id in opened.sorted(by: { $0.number < $1.number }) {
            file.writeImmutableBuffer(capture.closed(id, byClient: true, at: radio.now))
        }
        file.writeImmutableBuffer(capture.finished())

        let (types, packets) = try Self.packets(file)
        #expect(types == [101, 237, 237])
        #expect(zip(packets, packets.dropFirst()).allSatisfy { $0.time <= $1.time })
        for interface in [1, 2] as [UInt32] {
            let frames = packets.filter { $0.interface == interface }
            #expect(frames.count == dpdus[Int(interface) - 1])
            #expect(frames.flatMap { Array($0.bytes.readableBytesView) } == sent[interface])
            for frame in frames { _ = try ReceivedDPDU(decoding: frame.bytes) }
        }
        try checkConnections(packets.filter { $0.interface == 0 }.map(\.bytes), passed)
    }

    private func checkConnections(_ packets: [ByteBuffer], _ passed: [String: [UInt8]]) throws {
        var next: [String: UInt32] = [:]
        var read: [String: [UInt8]] = [:]
        for packet in packets {
            #expect(packet.getInteger(at: 2, as: UInt16.self).map(Int.init) == packet.readableBytes)
            #expect(Self.sum(try #require(packet.getSlice(at: 0, length: 20))) == 0xFFFF)
            var pseudo = try #require(packet.getSlice(at: 12, length: 8))
            pseudo.writeMultipleIntegers(6 as UInt16, UInt16(packet.readableBytes - 20))
            pseudo.writeImmutableBuffer(try #require(packet.getSlice(at: 20, length: packet.readableBytes - 20)))
            #expect(Self.sum(pseudo) == 0xFFFF)
            let isFromClient = packet.getInteger(at: 22, as: UInt16.self) == LinkCapture.port
            let port: UInt16 = try #require(packet.getInteger(at: isFromClient ? 20 : 22))
            // The last byte of the node's address is its number.
            let node: UInt8 = try #require(packet.getInteger(at: isFromClient ? 19 : 15))
            let key = "\(port) \(isFromClient)"
            let sequence: UInt32 = try #require(packet.getInteger(at: 24))
            if let expected = next[key] { #expect(sequence == expected) }
            let flags: UInt8 = try #require(packet.getInteger(at: 33))
            let data = try #require(packet.getBytes(at: 40, length: packet.readableBytes - 40))
            next[key] = sequence &+ UInt32(data.count) &+ (flags & 0x03 == 0 ? 0 : 1)
            let side = node == 1 ? HFNodeSide.first : .second
            read["\(side) \(isFromClient)", default: []] += data
        }
        #expect(read == passed)
    }
}
