import NIOCore
@testable import STANAG5066
import Testing

/// The worked examples of RCOP, both ways: RC-1 to RC-6.
@Suite struct RCOPExampleTests {
    private let application = RCOPApplication(rawValue: 0x8361)

    @Test(
        arguments: [
            (0, 0x11, 0, 0x8361, "00 11 00 00 83 61"), (3, 0xFF, 258, 0x9000, "30 FF 01 02 90 00"),
            (15, 0, 0xFFFF, 0x1002, "F0 00 FF FF 10 02"),
        ] as [(UInt8, UInt8, UInt16, UInt16, String)])
    func `RC-1 and RC-2: a header is its six bytes, both ways`(
        connection: UInt8, unit: UInt8, segment: UInt16, application: UInt16, hex: String
    ) throws {
        let header = RCOPHeader(
            connection: connection, unit: unit, segment: segment, application: RCOPApplication(rawValue: application))
        var encoded = ByteBuffer()
        header.encode(into: &encoded)
        #expect(encoded == ByteBuffer(hex: hex))
        encoded.writeInteger(UInt8(0x3C))
        #expect(RCOPHeader(reading: &encoded) == header)
        #expect(encoded == ByteBuffer(hex: "3C"))
    }

    @Test func `reserved bits are not looked at, and a header that is not whole is none`() {
        var reserved = ByteBuffer(hex: "3F FF 01 02 90 00")
        #expect(RCOPHeader(reading: &reserved)?.connection == 3)
        for count in 0..<6 {
            var short = ByteBuffer(bytes: ByteBuffer(hex: "30 FF 01 02 90 00").readableBytesView.prefix(count))
            #expect(RCOPHeader(reading: &short) == nil)
            #expect(short.readableBytes == count)
        }
    }

    @Test func `RC-2: unit 255 is followed by unit 0`() {
        var configuration = RCOPSenderConfiguration.xep(connections: [.init(number: 3, priority: 5)])
        configuration.application = RCOPApplication(rawValue: 0x9000)
        var sender = RCOPSender(configuration, firstNumber: 0xFF)
        sender.bound(mtu: 2048)
        for token in 0..<2 {
            #expect(sender.unitOffered(ByteBuffer(string: "<a/>"), token: UInt64(token), connection: 3) == .accepted)
        }
        #expect(
            sender.drawAll().map(\.bytes) == [
                ByteBuffer(hex: "30 FF 00 00 90 00 3C 61 2F 3E"), ByteBuffer(hex: "30 00 00 00 90 00 3C 61 2F 3E"),
            ])
    }

    // MARK: RC-3 and RC-6

    private let message = "<message from='c2@ship.lit/ops' to='duty@shore.lit' type='chat' id='m1'>"
        + "<body>Contact brg 045 rng 12nm</body></message>"

    /// Whole requests to the node.
    private let requests = [
        """
        90 EB 00 00 3C 14 86 EA 01 02 03 18 00 03 84 00 30  00 2A 00 00 83 61
        3C 6D 65 73 73 61 67 65 20 66 72 6F 6D 3D 27 63 32 40 73 68 69 70 2E 6C 69 74 2F 6F 70 73 27 20
        74 6F 3D 27 64 75 74 79 40 73
        """,
        """
        90 EB 00 00 3C 14 86 EA 01 02 03 18 00 03 84 00 30  00 2A 00 01 83 61
        68 6F 72 65 2E 6C 69 74 27 20 74 79 70 65 3D 27 63 68 61 74 27 20 69 64 3D 27 6D 31 27 3E 3C 62
        6F 64 79 3E 43 6F 6E 74 61 63
        """,
        """
        90 EB 00 00 35 14 86 EA 01 02 03 18 00 03 84 00 29  00 2A 00 02 83 61
        74 20 62 72 67 20 30 34 35 20 72 6E 67 20 31 32 6E 6D 3C 2F 62 6F 64 79 3E 3C 2F 6D 65 73 73 61
        67 65 3E
        """,
    ]

    private var uPDUs: [ByteBuffer] {
        requests.map { request in
            let whole = ByteBuffer(hex: request)
            return whole.getSlice(at: 17, length: whole.readableBytes - 17) ?? ByteBuffer()
        }
    }

    /// What the node is given of a U_PDU in these examples.
    private func request(_ uPDU: RCOPUPDU) -> ByteBuffer {
        SISPrimitive.unidataRequest(
            UnidataRequest(
                priority: uPDU.priority, destinationSAP: .rcop, destination: SISExample.there,
                delivery: ServiceType(.arq, confirmation: .client), timeToLive: TimeToLive(.minutes(30)), uPDU: uPDU.bytes)
        ).encoded
    }

    private func sender(mtu: Int, number: UInt8) -> RCOPSender {
        var sender = RCOPSender(
            .xep(connections: [.init(number: 0, priority: 8)], application: application), firstNumber: number)
        sender.bound(mtu: mtu)
        return sender
    }

    private func receiver() -> RCOPReceiver {
        RCOPReceiver(RCOPReceiverConfiguration(framing: .stanzas, application: application))
    }

    @Test func `RC-3: a unit goes as three U_PDUs at an MTU of 48, and comes back`() {
        #expect(message.utf8.count == 119)
        var sender = sender(mtu: 48, number: 0x2A)
        _ = sender.unitOffered(ByteBuffer(string: message), token: 1, connection: 0)
        let drawn = sender.drawAll()
        #expect(drawn.map(request) == requests.map { ByteBuffer(hex: $0) })

        var receiver = receiver()
        let units = receiver.units(of: uPDUs)
        #expect(
            units == [
                RCOPUnit(
                    source: .ship, connection: 0, number: 0x2A, application: application, bytes: ByteBuffer(string: message),
                    followsGap: false, isRepeat: false)
            ])
        #expect(receiver.heldBytes == 0)
    }

    @Test func `RC-4: 4500 bytes at an MTU of 2048 are 2042, 2042 and 416`() {
        let unit = ByteBuffer(string: "<a>" + String(repeating: "x", count: 4_493) + "</a>")
        #expect(unit.readableBytes == 4_500)
        var sender = sender(mtu: 2_048, number: 0x2B)
        _ = sender.unitOffered(unit, token: 1, connection: 0)
        let drawn = sender.drawAll()
        #expect(drawn.map(request).map(\.readableBytes) == [2_065, 2_065, 439])
        #expect(
            drawn.map { request($0).getSlice(at: 0, length: 23) } == [
                ByteBuffer(hex: "90 EB 00 08 0C 14 86 EA 01 02 03 18 00 03 84 08 00 00 2B 00 00 83 61"),
                ByteBuffer(hex: "90 EB 00 08 0C 14 86 EA 01 02 03 18 00 03 84 08 00 00 2B 00 01 83 61"),
                ByteBuffer(hex: "90 EB 00 01 B2 14 86 EA 01 02 03 18 00 03 84 01 A6 00 2B 00 02 83 61"),
            ])
        var receiver = receiver()
        #expect(receiver.units(of: drawn.map(\.bytes)).map(\.bytes) == [unit])
    }

    @Test(arguments: [4_084, 4_085, 4_083, 2_042])
    func `RC-5: a unit that fills its last segment ends there, and one byte more makes another segment`(size: Int) {
        let xml = ByteBuffer(string: "<a>" + String(repeating: "x", count: size - 7) + "</a>")
        let uPDUs = cut(xml, .stanzas, mtu: 2_048)
        #expect(uPDUs.count == (size + 2_041) / 2_042)
        var configuration = RCOPReceiverConfiguration(framing: .stanzas, application: nil)
        var receiver = RCOPReceiver(configuration)
        #expect(receiver.units(of: uPDUs).map(\.bytes) == [xml])

        // The prefix takes eight of them.
        let block = ByteBuffer(repeating: 7, count: size - 8)
        let delimited = cut(block, mtu: 2_048)
        #expect(delimited.count == (size <= 2_042 ? 1 : (size + 2_041) / 2_042))
        configuration.framing = .delimited
        receiver = RCOPReceiver(configuration)
        #expect(receiver.units(of: delimited).map(\.bytes) == [block])
    }

    @Test func `RC-6: four bytes of echo tell the segments of a unit apart`() {
        let confirmation = ByteBuffer(hex: "90 EB 00 00 0C 16 06 EA 01 02 03 00 04 00 2A 00 01")
        let read = SISProperties.outcome(of: [Array(confirmation.readableBytesView)[...]], .client)
        guard case .primitive(.unidataRequestConfirm(let reference)) = read.events.first else {
            Issue.record("\(read)")
            return
        }
        #expect(reference.destination == SISExample.there && reference.destinationSAP == .rcop)
        #expect(SISPrimitive.unidataRequestConfirm(reference).encoded == confirmation)
        let echo = reference.prefix.readableBytesView
        var sender = sender(mtu: 48, number: 0x2A)
        _ = sender.unitOffered(ByteBuffer(string: message), token: 1, connection: 0)
        #expect(sender.drawAll().map { $0.bytes.readableBytesView.starts(with: echo) } == [false, true, false])
    }
}
