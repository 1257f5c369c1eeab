import NIOCore
import STANAG5066
import TestSupport
import Testing

@Suite struct RCOPReceiverTests {
    private let long = String(repeating: "0123456789", count: 12)

    private func receiver(_ change: (inout RCOPReceiverConfiguration) -> Void = { _ in }) -> RCOPReceiver {
        var configuration = RCOPReceiverConfiguration(framing: .delimited, application: .skywave)
        change(&configuration)
        return RCOPReceiver(configuration)
    }

    private func stanzaReceiver() -> RCOPReceiver {
        RCOPReceiver(RCOPReceiverConfiguration(framing: .stanzas, application: nil))
    }

    private func texts(_ units: [RCOPUnit]) -> [String] { units.map { String(buffer: $0.bytes) } }

    // MARK: Order

    @Test func `segments in any order, each twice, make one unit`() {
        var random = SeededGenerator(seed: 1)
        let uPDUs = cut(long, mtu: 16)
        #expect(uPDUs.count == 13)
        for _ in 0..<200 {
            var receiver = receiver()
            let units = receiver.units(of: (uPDUs + uPDUs).shuffled(using: &random))
            #expect(texts(units) == [long])
            #expect(receiver.counters[.duplicate] == 13)
            #expect(receiver.heldBytes == 0)
        }
    }

    @Test func `connections, sources and units interleave`() {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<50 {
            var streams: [(RCOPSource, [ByteBuffer])] = []
            var expected: Set<String> = []
            for source in [RCOPSource.ship, .shore, RCOPSource(node: RCOPSource.ship.node, sap: .tmmhs)] {
                for connection in [UInt8(0), 7, 15] {
                    for number in [UInt8(254), 255, 0] {
                        let text = "\(source.node) \(source.sap) \(connection) \(number) " + long
                        expected.insert(text)
                        streams.append((source, cut(text, mtu: 40, number: number, connection: connection)))
                    }
                }
            }
            var receiver = receiver()
            while !streams.isEmpty {
                let index = Int.random(in: streams.indices, using: &random)
                receiver.uPDUReceived(streams[index].1.removeFirst(), from: streams[index].0, now: .second(0))
                if streams[index].1.isEmpty { streams.remove(at: index) }
            }
            let events = receiver.drawEvents()
            var arrived: Set<String> = []
            for case .unit(let unit) in events {
                let text = String(buffer: unit.bytes)
                #expect(text.hasPrefix("\(unit.source.node) \(unit.source.sap) \(unit.connection) \(unit.number) "))
                arrived.insert(text)
            }
            #expect(arrived == expected && events.count == expected.count)
        }
    }

    @Test func `a character that is cut in the middle is whole in the unit`() {
        let text = "<message><body>" + String(repeating: "€", count: 40) + "</body></message>"
        for mtu in 16..<24 {
            var receiver = stanzaReceiver()
            #expect(texts(receiver.units(of: cut(text, .stanzas, mtu: mtu))) == [text])
        }
    }

    @Test func `an empty unit is a unit where lengths are explicit, and nothing where a stanza must be`() {
        var receiver = receiver()
        #expect(texts(receiver.units(of: cut(""))) == [""])
        var stanzas = stanzaReceiver()
        let nothing = ["", " \n", "</stream:stream>"].enumerated().flatMap { cut($1, .stanzas, number: UInt8($0)) }
        #expect(stanzas.units(of: nothing).isEmpty)
        #expect(stanzas.counters[.empty] == 2 && stanzas.counters[.closingTag] == 1)
        // Nothing is missing because of them.
        let units = stanzas.units(of: cut("<a/>", .stanzas, number: 3))
        #expect(units.map(\.followsGap) == [false])
        #expect(stanzas.drawEvents().isEmpty)
    }

    // MARK: Gaps

    @Test func `a gap is told once, with the first unit after it`() {
        var receiver = receiver()
        func deliver(_ number: UInt8) -> [Bool] {
            receiver.units(of: cut("unit \(number)", number: number)).map(\.followsGap)
        }
        // Nothing is known of what came before the first.
        #expect(deliver(250) == [false])
        #expect(deliver(251) == [false])
        #expect(deliver(254) == [true])
        #expect(deliver(255) == [false])
        #expect(deliver(0) == [false])
        // What was missing may still come.
        #expect(deliver(252) == [false])
        #expect(deliver(2) == [true])
        #expect(deliver(3) == [false])
    }

    @Test func `a unit that is not whole is a gap before the next`() {
        var receiver = receiver()
        var uPDUs = cut(long, number: 9)
        let last = uPDUs.removeLast()
        #expect(receiver.units(of: uPDUs).isEmpty)
        #expect(receiver.units(of: cut("next", number: 10)).map(\.followsGap) == [true])
        #expect(receiver.units(of: [last]).map(\.followsGap) == [false])
        #expect(receiver.units(of: cut("and next", number: 11)).map(\.followsGap) == [false])
    }

    @Test func `numbers that go back are a new start, not a replay`() {
        var receiver = receiver()
        for number in UInt8(100)..<110 { _ = receiver.units(of: cut("first life \(number)", number: number)) }
        let units = receiver.units(of: cut("second life", number: 3) + cut("second life too", number: 4))
        #expect(texts(units) == ["second life", "second life too"])
        #expect(units.map(\.followsGap) == [true, false])
        // The same number with other bytes is another unit.
        #expect(texts(receiver.units(of: cut("third life", number: 4))) == ["third life"])
    }

    @Test func `numbers wrap for as long as one likes`() {
        var receiver = receiver()
        var number: UInt8 = 77
        for count in 0..<2_000 {
            let units = receiver.units(of: cut(String(repeating: "\(count) ", count: count % 40), number: number))
            #expect(units.count == 1 && !units[0].followsGap)
            number &+= 1
        }
        #expect(receiver.counters.units == 2_000)
    }

    // MARK: Repeats

    @Test func `a delimited unit that comes again is dropped, for as long as it is remembered`() {
        var receiver = receiver { $0.repeatMemory = .hours(2) }
        let unit = cut(long, number: 5)
        #expect(receiver.units(of: unit, now: .second(0)).count == 1)
        #expect(receiver.units(of: unit.reversed() + unit, now: .second(7_200)).isEmpty)
        #expect(receiver.counters[.duplicate] == UInt64(2 * unit.count))
        #expect(receiver.units(of: unit, now: .second(7_201)).count == 1)
    }

    @Test func `the same bytes under another number are another unit`() {
        var receiver = receiver()
        let units = receiver.units(of: cut("00 12 05", number: 5) + cut("00 12 05", number: 6))
        #expect(units.count == 2)
        // And under the same number after all others were used.
        var number: UInt8 = 7
        repeat {
            _ = receiver.units(of: cut("\(number)", number: number))
            number &+= 1
        } while number != 5
        #expect(receiver.units(of: cut("00 12 05", number: 5)).count == 1)
    }

    @Test func `a stanza that comes again under the same number is passed on and marked`() {
        var receiver = stanzaReceiver()
        let unit = cut("<presence from='a@x.lit/r' to='b@y.lit'/>", .stanzas, mtu: 32, number: 5)
        #expect(unit.count == 2)
        #expect(receiver.units(of: unit).map(\.isRepeat) == [false])
        let again = receiver.units(of: unit)
        #expect(again.map(\.isRepeat) == [true])
        #expect(again.map(\.followsGap) == [false])
        // A single segment that comes late is no unit, and nobody waits for the rest of it in earnest.
        #expect(receiver.units(of: [unit[1], unit[0]]).isEmpty)
        receiver.deadlineReached(now: .second(100_000))
        #expect(receiver.drawEvents().isEmpty)
        #expect(receiver.heldBytes == 0)
    }

    // MARK: XML

    @Test func `a new unit cuts off the one before, which is told`() {
        var receiver = stanzaReceiver()
        let first = cut("<message><body>\(long)</body></message>", .stanzas, number: 1)
        #expect(receiver.units(of: first.dropLast()).isEmpty)
        receiver.uPDUReceived(cut("<a/>", .stanzas, number: 2)[0], from: .ship, now: .second(1))
        guard case .unit(let unit)? = receiver.drawEvents().last else { Issue.record("no unit"); return }
        #expect(unit.followsGap && unit.number == 2)
        #expect(receiver.counters[.truncated] == 1)
        // Another connection and another source are not cut off.
        #expect(receiver.units(of: cut("<b>\(long)</b>", .stanzas, number: 3, connection: 1).dropLast()).isEmpty)
        #expect(receiver.units(of: cut("<c/>", .stanzas, number: 3)).count == 1)
        #expect(receiver.units(of: cut("<c/>", .stanzas, number: 1), from: .shore).count == 1)
        #expect(receiver.heldBytes > 0)
    }

    @Test func `a missing segment in the middle is never papered over`() {
        var receiver = stanzaReceiver()
        var uPDUs = cut("<message><body>\(long)</body></message>", .stanzas, number: 1)
        uPDUs.remove(at: 1)
        uPDUs += cut("<message><body>\(long)</body></message>", .stanzas, number: 2)
        receiver = stanzaReceiver()
        for uPDU in uPDUs { receiver.uPDUReceived(uPDU, from: .ship, now: .second(0)) }
        let events = receiver.drawEvents()
        #expect(events.count == 2)
        #expect(events.first == .lost(.ship, connection: 0, number: 1, .truncated))
    }

    @Test func `several stanzas in a unit are passed on, even where a segment ends between two`() {
        // 42 bytes in a segment.
        let first = "<message to='b@y.lit'><body>12</body></message>"
        let filled = String(repeating: " ", count: 84 - first.utf8.count) + first
        var receiver = stanzaReceiver()
        let units = receiver.units(of: cut(filled + "<presence to='c@y.lit'/>", .stanzas, number: 1))
        #expect(texts(units) == [filled, "<presence to='c@y.lit'/>"])
        #expect(units.map(\.followsGap) == [false, false])
        let together = receiver.units(of: cut(first + "<presence to='c@y.lit'/>", .stanzas, number: 2))
        #expect(texts(together) == [first + "<presence to='c@y.lit'/>"])
        #expect(together.map(\.followsGap) == [false])
    }

    @Test func `segments of white space before and between stanzas end nothing`() {
        let space = String(repeating: " ", count: 42)
        var receiver = stanzaReceiver()
        let stanza = "<a>" + String(repeating: "x", count: 35) + "</a>"
        let units = receiver.units(of: cut(space + stanza + space + space + "<b/>", .stanzas, number: 1))
        #expect(texts(units) == [stanza, "<b/>"])
        #expect(receiver.counters[.empty] == 3)
        #expect(receiver.units(of: cut("<c/>", .stanzas, number: 2)).map(\.followsGap) == [false])
        #expect(receiver.drawEvents().isEmpty)
    }

    @Test func `what is not XML, or another dialect, is told at once`() {
        var receiver = stanzaReceiver()
        receiver.uPDUReceived(cut(long, number: 4)[0], from: .ship, now: .second(0))
        receiver.uPDUReceived(cut("<a><!-- --></a>", .stanzas, number: 5)[0], from: .ship, now: .second(0))
        #expect(
            receiver.drawEvents() == [
                .lost(.ship, connection: 0, number: 4, .malformed), .lost(.ship, connection: 0, number: 5, .malformed),
            ])
        var delimited = self.receiver()
        delimited.uPDUReceived(cut("<message/>", .stanzas)[0], from: .ship, now: .second(0))
        #expect(delimited.drawEvents() == [.lost(.ship, connection: 0, number: 0, .unknownFormat)])
    }

    // MARK: Time

    @Test func `the rest of a unit is waited for, but not for ever`() {
        var receiver = receiver { $0.assemblyTimeout = .seconds(100) }
        let uPDUs = cut(long, number: 5)
        #expect(receiver.nextDeadline == nil)
        receiver.uPDUReceived(uPDUs[0], from: .ship, now: .second(0))
        receiver.uPDUReceived(uPDUs[1], from: .ship, now: .second(60))
        #expect(receiver.nextDeadline == .second(100))
        receiver.deadlineReached(now: .second(100))
        #expect(receiver.drawEvents().isEmpty)
        #expect(receiver.nextDeadline == .second(160))
        receiver.deadlineReached(now: .second(160))
        #expect(receiver.drawEvents() == [.lost(.ship, connection: 0, number: 5, .timedOut)])
        #expect(receiver.heldBytes == 0 && receiver.nextDeadline == nil)
        // What comes too late does not begin another wait.
        receiver.uPDUReceived(uPDUs[2], from: .ship, now: .second(161))
        #expect(receiver.counters[.abandoned] == 1 && receiver.heldBytes == 0)
        // The whole unit again is a unit.
        #expect(texts(receiver.units(of: uPDUs, now: .second(162))) == [long])
    }

    // MARK: A unit that is cut anew

    @Test func `a unit that is cut anew for a smaller MTU is put together, and known again if it was whole before`() {
        let text = String(repeating: "0123456789", count: 100)
        let large = cut(text, mtu: 200, number: 5)
        let small = cut(text, mtu: 30, number: 5)
        var random = SeededGenerator(seed: 4)
        for _ in 0..<40 {
            var receiver = receiver()
            #expect(receiver.units(of: large.dropLast(Int.random(in: 1..<large.count, using: &random))).isEmpty)
            #expect(texts(receiver.units(of: small.shuffled(using: &random))) == [text])
            #expect(receiver.units(of: small.shuffled(using: &random)).isEmpty)
            #expect(receiver.heldBytes == 0)
        }
        var receiver = receiver()
        #expect(receiver.units(of: cut("before", number: 4) + large).count == 2)
        #expect(receiver.units(of: small).isEmpty)
        #expect(receiver.units(of: cut("next", number: 6)).map(\.followsGap) == [false])
    }

    // MARK: A sender that starts again

    @Test func `a new unit under the number of one that is half there replaces it, segment by segment`() {
        let old = cut(String(repeating: "old ", count: 30), number: 5)
        let new = cut(String(repeating: "new ", count: 29), number: 5)
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            for known in [[0], [0, 1], [1, 2], [0, 2]] {
                var receiver = receiver()
                #expect(receiver.units(of: known.map { old[$0] }).isEmpty)
                let units = receiver.units(of: order.map { new[$0] })
                #expect(texts(units) == [String(repeating: "new ", count: 29)], "\(known) then \(order)")
            }
        }
    }

    @Test func `a late copy of what was delivered does not spoil the new unit under its number`() {
        let old = cut(String(repeating: "old ", count: 29), number: 5)
        let new = cut(String(repeating: "new ", count: 29), number: 5)
        var receiver = receiver()
        #expect(receiver.units(of: old).count == 1)
        let units = receiver.units(of: [new[0], new[1], old[0], old[1], new[2]])
        #expect(texts(units) == [String(repeating: "new ", count: 29)])
        #expect(receiver.counters[.duplicate] == 2)
    }

    @Test func `segments of two units never make one`() {
        let old = cut(String(repeating: "old ", count: 29), number: 5)
        let new = cut(String(repeating: "new ", count: 29), number: 5)
        var receiver = receiver { $0.assemblyTimeout = .seconds(10) }
        #expect(receiver.units(of: [old[0], new[1], old[2]]).isEmpty)
        receiver.deadlineReached(now: .second(10))
        #expect(receiver.drawEvents() == [.lost(.ship, connection: 0, number: 5, .badChecksum)])
        #expect(receiver.heldBytes == 0)
    }

    /// As after a restart of the sender: its numbers come round to one that the receiver holds in part.
    @Test(arguments: Array(1...30) as [UInt64])
    func `whatever is left of an old unit, a new one under its number is put together`(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func unit(_ count: Int) -> ByteBuffer {
            ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
        // Blocks that are filled up have the same length.
        let size = Int.random(in: 1_000...3_000, using: &random)
        let old = cut(unit(size), number: 5)
        let new = unit(seed.isMultiple(of: 2) ? size : Int.random(in: 1_000...3_000, using: &random))
        var receiver = receiver()
        let missing = [0, 1].map { _ in Int.random(in: 0..<old.count, using: &random) }
        for (index, uPDU) in old.enumerated() where !missing.contains(index) {
            receiver.uPDUReceived(uPDU, from: .ship, now: .second(0))
        }
        _ = receiver.drawEvents()
        // A segment that was rejected comes later.
        var segments = cut(new, number: 5)
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            segments.append(segments.remove(at: Int.random(in: 0..<segments.count, using: &random)))
        }
        #expect(receiver.units(of: segments, now: .second(60)).map(\.bytes) == [new])
        #expect(receiver.heldBytes == 0)
    }

    @Test func `a stanza under the number of one that is half there takes its place`() {
        var receiver = stanzaReceiver()
        let old = cut("<message><body>\(long)</body></message>", .stanzas, number: 5)
        let new = cut("<message id='7'><body>\(long)</body></message>", .stanzas, number: 5)
        for uPDU in [old[0], old[1]] + new { receiver.uPDUReceived(uPDU, from: .ship, now: .second(0)) }
        let events = receiver.drawEvents()
        #expect(events.first == .lost(.ship, connection: 0, number: 5, .superseded))
        guard case .unit(let unit)? = events.last else { Issue.record("no unit"); return }
        #expect(String(buffer: unit.bytes).hasPrefix("<message id='7'>") && unit.followsGap)
    }
}
