import NIOCore
import STANAG5066
import TestSupport
import Testing

/// What no honest client sends: it may cost its own units, and a bounded amount of memory.
@Suite struct RCOPHostilityTests {
    private func uPDU(
        connection: UInt8 = 0, unit: UInt8, segment: UInt16, application: RCOPApplication = .skywave, _ data: ByteBuffer
    ) -> ByteBuffer {
        var uPDU = ByteBuffer()
        RCOPHeader(connection: connection, unit: unit, segment: segment, application: application).encode(into: &uPDU)
        uPDU.writeImmutableBuffer(data)
        return uPDU
    }

    private func receiver(_ change: (inout RCOPReceiverConfiguration) -> Void = { _ in }) -> RCOPReceiver {
        var configuration = RCOPReceiverConfiguration(framing: .delimited, application: .skywave)
        change(&configuration)
        return RCOPReceiver(configuration)
    }

    @Test func `short U_PDUs and foreign applications are counted, and say nothing else`() {
        var receiver = receiver()
        for count in 0..<6 { receiver.uPDUReceived(ByteBuffer(repeating: 0, count: count), from: .ship, now: .second(0)) }
        let foreign = uPDU(unit: 1, segment: 0, application: .basicFileTransfer, ByteBuffer(hex: "40 00"))
        receiver.uPDUReceived(foreign, from: .ship, now: .second(0))
        #expect(receiver.counters[.tooShort] == 6)
        #expect(receiver.counters[.foreignApplication] == 1)
        #expect(receiver.counters.lastForeignApplication == .basicFileTransfer)
        #expect(receiver.drawEvents().isEmpty)
        var open = self.receiver { $0.application = nil }
        #expect(open.units(of: [foreign]).count == 1)
    }

    @Test func `lengths that nobody keeps are refused where they are said`() {
        var receiver = receiver { $0.unitBytes = 10_000 }
        let beginnings = ["BF FF FF FF 00 00 00 00", "80 00 27 11 00 00 00 00", "7F FF 00", "40 01", "40 00 00"]
        for (number, hex) in beginnings.enumerated() {
            let uPDU = uPDU(unit: UInt8(number), segment: 0, ByteBuffer(hex: hex))
            receiver.uPDUReceived(uPDU, from: .ship, now: .second(0))
        }
        #expect(receiver.counters[.tooLarge] == 3 && receiver.counters[.malformed] == 2)
        #expect(receiver.heldBytes == 0)
        // 10 000 is no such length.
        let largest = uPDU(unit: 9, segment: 0, ByteBuffer(hex: "80 00 27 10 00 00 00 00"))
        receiver.uPDUReceived(largest, from: .ship, now: .second(0))
        #expect(receiver.heldBytes > 0)
    }

    @Test func `a unit without end stops at the limit, and its rest is not taken for another`() {
        for framing in [RCOPFraming.delimited, .stanzas] {
            var receiver = receiver {
                $0.framing = framing
                $0.unitBytes = 5_000
            }
            let first = framing == .delimited ? ByteBuffer(hex: "80 00 13 88 00 00 00 00") : ByteBuffer(string: "<a>")
            receiver.uPDUReceived(uPDU(unit: 1, segment: 0, first), from: .ship, now: .second(0))
            for segment in 1..<UInt16(100) {
                // With a hole, so that no end is looked for.
                receiver.uPDUReceived(
                    uPDU(unit: 1, segment: segment + 1, ByteBuffer(repeating: 0x20, count: 200)), from: .ship, now: .second(0))
                #expect(receiver.heldBytes < 5_000 + 8 + 300 + 30 * 64)
            }
            #expect(receiver.counters[.tooLarge] == 1)
            #expect(receiver.counters[.abandoned] > 50)
            #expect(receiver.drawEvents() == [.lost(.ship, connection: 0, number: 1, .tooLarge)])
        }
    }

    @Test func `segments without bytes cost what they cost`() {
        var receiver = receiver { $0.sourceBytes = 100_000 }
        for segment in 1...UInt16.max {
            receiver.uPDUReceived(uPDU(unit: 1, segment: segment, ByteBuffer()), from: .ship, now: .second(0))
            if receiver.heldBytes > 100_000 { Issue.record("\(receiver.heldBytes) bytes held"); return }
        }
        #expect(receiver.counters[.memory] == 1)
    }

    @Test func `one source cannot push out what another has sent`() {
        var receiver = receiver {
            $0.sourceBytes = 50_000
            $0.totalBytes = 120_000
        }
        let honest = cut(String(repeating: "x", count: 5_000), mtu: 1_000, number: 1)
        #expect(receiver.units(of: honest.dropLast(), from: .shore).isEmpty)
        for round in 0..<3 {
            for sap in 0..<8 {
                let source = RCOPSource(node: RCOPSource.ship.node, sap: SAP(low: UInt8(sap)))
                for unit in UInt8.min...UInt8.max {
                    receiver.uPDUReceived(
                        uPDU(connection: UInt8(round * 5), unit: unit, segment: 7, ByteBuffer(repeating: 1, count: 500)),
                        from: source, now: .second(1))
                }
                #expect(receiver.heldBytes <= 120_000)
            }
        }
        #expect(receiver.counters[.memory] > 1_000)
        _ = receiver.drawEvents()
        #expect(receiver.units(of: honest.suffix(1), from: .shore).count == 1)
    }

    @Test func `made-up sources are bounded, and do not end what is being put together`() {
        var receiver = receiver { $0.sources = 10 }
        let honest = cut(String(repeating: "x", count: 200), number: 1)
        #expect(receiver.units(of: honest.dropLast(), from: .shore).isEmpty)
        for value in 0..<1_000 as Range<UInt32> {
            let source = RCOPSource(node: NodeAddress(value: value) ?? .broadcast, sap: .rcop)
            #expect(receiver.units(of: cut("hello"), from: source).count == 1)
        }
        for value in 2_000..<3_000 as Range<UInt32> {
            let source = RCOPSource(node: NodeAddress(value: value) ?? .broadcast, sap: .rcop)
            receiver.uPDUReceived(honest[0], from: source, now: .second(0))
        }
        #expect(receiver.counters[.tooManySources] == 991)
        #expect(receiver.units(of: honest.suffix(1), from: .shore).count == 1)
        receiver.sourceRemoved(RCOPSource(node: NodeAddress(value: 2_000) ?? .broadcast, sap: .rcop))
        for source in receiver.debugState.split(separator: ",") { #expect(!source.contains("0.0.7.208")) }
    }

    @Test func `a segment that changes for ever is given up`() {
        var receiver = receiver()
        for value in 0..<2_000 {
            receiver.uPDUReceived(uPDU(unit: 1, segment: 3, ByteBuffer(integer: UInt32(value))), from: .ship, now: .second(0))
        }
        #expect(receiver.counters[.badChecksum] == 1)
        #expect(receiver.counters[.abandoned] == 2_000 - 1_026)
        #expect(receiver.heldBytes == 0)
    }

    @Test func `random U_PDUs never trap, and what is held is what is counted`() {
        for seed in 0..<40 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var receiver = receiver {
                $0.framing = seed.isMultiple(of: 2) ? .delimited : .stanzas
                $0.application = nil
                $0.unitBytes = 300
                $0.sourceBytes = 3_000
                $0.totalBytes = 5_000
                $0.sources = 3
                $0.assemblyTimeout = .seconds(20)
            }
            let pool: [[UInt8]] = [
                Array("<a>".utf8), Array("</a>".utf8), [], [0x40, 0], [0x41, 0x2C], [0x80, 0, 0, 3, 0, 0, 0, 0], [1, 2, 3],
                [0x80, 0, 0, 3, 0x55, 0xBC, 0x80, 0x1D],
            ]
            var now: Int64 = 0
            for _ in 0..<3_000 {
                now += Int64.random(in: 0..<3, using: &random)
                let source = RCOPSource(
                    node: NodeAddress(value: UInt32.random(in: 0..<5, using: &random)) ?? .broadcast, sap: .rcop)
                let data = pool[Int.random(in: 0..<pool.count, using: &random)]
                receiver.uPDUReceived(
                    uPDU(
                        connection: UInt8.random(in: 0..<2, using: &random),
                        unit: UInt8.random(in: 250..<255, using: &random) &* 51,
                        segment: UInt16.random(in: 0..<4, using: &random), ByteBuffer(bytes: data)),
                    from: source, now: .second(now))
                guard (0...5_000).contains(receiver.heldBytes) else {
                    Issue.record("\(receiver.heldBytes) bytes held")
                    return
                }
                if Bool.random(using: &random) { receiver.deadlineReached(now: .second(now)) }
            }
            _ = receiver.drawEvents()
            receiver.deadlineReached(now: .second(now + 20))
            #expect(receiver.heldBytes == 0 && receiver.nextDeadline == nil)
        }
    }
}
