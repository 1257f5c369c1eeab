import NIOCore
import STANAG5066
import TestSupport
import Testing

@Suite struct RCOPSenderTests {
    private let long = ByteBuffer(repeating: 0x61, count: 120)

    private func sender(
        _ repetition: RCOPSenderConfiguration.Repetition = .segment, mtu: Int? = 48,
        _ change: (inout RCOPSenderConfiguration) -> Void = { _ in }
    ) -> RCOPSender {
        var configuration = RCOPSenderConfiguration.skywave(
            connections: [.init(number: 0, priority: 2), .init(number: 1, priority: 8), .init(number: 2, priority: 8)])
        configuration.repetition = repetition
        change(&configuration)
        var sender = RCOPSender(configuration, firstNumber: 7)
        if let mtu { sender.bound(mtu: mtu) }
        return sender
    }

    private func numbers(_ uPDUs: [RCOPUPDU]) -> [UInt8] {
        uPDUs.map { uPDU in
            var bytes = uPDU.bytes
            return RCOPHeader(reading: &bytes)?.unit ?? 0
        }
    }

    private func segments(_ uPDUs: [RCOPUPDU]) -> [UInt16] {
        uPDUs.map { uPDU in
            var bytes = uPDU.bytes
            return RCOPHeader(reading: &bytes)?.segment ?? 0
        }
    }

    // MARK: What goes

    @Test func `nothing goes before the node has said what it takes, and nothing with an MTU that is too small`() {
        var sender = sender(mtu: nil)
        #expect(sender.unitOffered(long, token: 1, connection: 0) == .accepted)
        #expect(sender.drawAll().isEmpty)
        sender.bound(mtu: 15)
        #expect(sender.drawAll().isEmpty)
        sender.bound(mtu: 16)
        #expect(sender.drawAll().count == 13)
        sender.unbound()
        #expect(sender.unitOffered(long, token: 2, connection: 0) == .accepted)
        #expect(sender.drawAll().isEmpty)
    }

    @Test func `the most urgent connection goes first, in each the oldest unit, and numbers are given then`() {
        var sender = sender()
        for (token, connection) in [0, 2, 1, 0, 1].enumerated() {
            _ = sender.unitOffered(ByteBuffer(string: "\(token)"), token: UInt64(token), connection: UInt8(connection))
        }
        let first = sender.nextUPDU(now: .second(0))
        #expect(first?.unit == 2 && first?.connection == 1 && first?.priority == 8)
        #expect(sender.unitWithdrawn(4) == true)
        #expect(sender.unitWithdrawn(2) == false)
        #expect(sender.unitWithdrawn(99) == false)
        let rest = sender.drawAll()
        #expect(rest.map(\.unit) == [1, 0, 3])
        #expect(numbers(rest) == [7, 7, 8])
        #expect(sender.unitCount == 4 && sender.byteCount == 4)
    }

    @Test func `what is larger than the room in the node waits, and nothing passes it`() {
        var sender = sender()
        _ = sender.unitOffered(long, token: 1, connection: 1)
        _ = sender.unitOffered(ByteBuffer(string: "x"), token: 2, connection: 0)
        #expect(sender.nextUPDU(maximumBytes: 47, now: .second(0)) == nil)
        #expect(sender.nextUPDU(maximumBytes: 48, now: .second(0))?.bytes.readableBytes == 48)
        #expect(sender.nextUPDU(maximumBytes: 0, now: .second(0)) == nil)
        // The last segment is shorter: 128 bytes with the prefix are 42, 42, 42 and 2.
        _ = sender.nextUPDU(now: .second(0))
        _ = sender.nextUPDU(now: .second(0))
        #expect(sender.nextUPDU(maximumBytes: 7, now: .second(0)) == nil)
        #expect(sender.nextUPDU(maximumBytes: 8, now: .second(0))?.bytes.readableBytes == 8)
    }

    @Test func `a unit that fits into one segment has no checksum, and one byte more makes it several`() {
        for (count, sizes) in [(40, [48]), (41, [48, 13]), (34, [42]), (0, [8])] {
            #expect(cut(ByteBuffer(repeating: 1, count: count)).map(\.readableBytes) == sizes)
        }
        #expect(cut(ByteBuffer(), .stanzas).map(\.readableBytes) == [6])
    }

    @Test func `limits are kept`() {
        var sender = sender { $0.bytes = 200 }
        #expect(sender.unitOffered(ByteBuffer(repeating: 1, count: 500), token: 1, connection: 0) == .accepted)
        #expect(sender.unitOffered(ByteBuffer(repeating: 1, count: 1), token: 2, connection: 0) == .full)
        #expect(sender.unitOffered(ByteBuffer(repeating: 1, count: 1), token: 3, connection: 9) == .unknownConnection)
        for uPDU in sender.drawAll() { sender.uPDUConfirmed(uPDU.ticket) }
        #expect(sender.drawEvents() == [.finished(1)])
        #expect(sender.unitOffered(ByteBuffer(repeating: 1, count: 1), token: 2, connection: 0) == .accepted)
    }

    @Test func `more segments than can be counted are refused when it is known`() {
        var sender = sender(mtu: 16) { $0.bytes = .max }
        _ = sender.unitOffered(ByteBuffer(repeating: 1, count: 655_353), token: 1, connection: 0)
        _ = sender.unitOffered(ByteBuffer(repeating: 1, count: 10), token: 2, connection: 0)
        #expect(sender.nextUPDU(now: .second(0))?.unit == 2)
        #expect(sender.drawEvents() == [.failed(1, .tooLarge)])
        #expect(sender.unitCount == 1)
    }

    @Test func `no more numbers are under way than can be told apart`() {
        var sender = sender { $0.unitsUnderWay = 1_000 }
        for token in 0..<300 { _ = sender.unitOffered(ByteBuffer(string: "x"), token: UInt64(token), connection: 0) }
        var drawn = sender.drawAll()
        #expect(drawn.count == 128)
        // Those in the middle make no room: the oldest decides.
        for uPDU in drawn[1...] { sender.uPDUConfirmed(uPDU.ticket) }
        #expect(sender.drawAll().isEmpty)
        sender.uPDUConfirmed(drawn[0].ticket)
        drawn = sender.drawAll()
        #expect(drawn.count == 128 && numbers(drawn).first == 135)
        var few = self.sender { $0.unitsUnderWay = 3 }
        for token in 0..<10 { _ = few.unitOffered(ByteBuffer(string: "x"), token: UInt64(token), connection: 0) }
        #expect(few.drawAll().count == 3)
    }

    // MARK: Outcomes

    @Test func `a unit is finished when its last U_PDU is confirmed, once`() {
        var sender = sender()
        _ = sender.unitOffered(long, token: 5, connection: 0)
        let drawn = sender.drawAll()
        for uPDU in drawn.reversed() {
            #expect(sender.drawEvents().isEmpty)
            sender.uPDUConfirmed(uPDU.ticket)
            sender.uPDUConfirmed(uPDU.ticket)
        }
        #expect(sender.drawEvents() == [.finished(5)])
        for uPDU in drawn {
            sender.uPDUConfirmed(uPDU.ticket)
            sender.uPDULost(uPDU.ticket)
            sender.uPDURejected(uPDU.ticket, .destinationNotResponding, now: .second(0))
        }
        sender.uPDUConfirmed(4_711)
        #expect(sender.drawEvents().isEmpty && sender.unitCount == 0 && sender.byteCount == 0 && sender.nextDeadline == nil)
    }

    @Test func `a lost segment goes again alone, with the same bytes, before anything new`() {
        var sender = sender()
        _ = sender.unitOffered(long, token: 5, connection: 0)
        let drawn = sender.drawAll()
        _ = sender.unitOffered(long, token: 6, connection: 0)
        sender.uPDULost(drawn[2].ticket)
        sender.uPDULost(drawn[1].ticket)
        let again = sender.drawAll()
        #expect(again.prefix(2).map(\.bytes) == [drawn[1].bytes, drawn[2].bytes])
        #expect(again.dropFirst(2).allSatisfy { $0.unit == 6 })
        #expect(sender.repeatedCount == 2)
        // The first handing-over was confirmed after all; the second then says nothing new.
        sender.uPDUConfirmed(drawn[1].ticket)
        sender.uPDULost(again[0].ticket)
        for uPDU in [drawn[0], again[1], drawn[3]] { sender.uPDUConfirmed(uPDU.ticket) }
        #expect(sender.drawEvents() == [.finished(5)])
    }

    @Test func `what is confirmed late does not go again`() {
        var sender = sender()
        _ = sender.unitOffered(ByteBuffer(string: "x"), token: 5, connection: 0)
        let drawn = sender.drawAll()
        sender.uPDULost(drawn[0].ticket)
        sender.uPDUConfirmed(drawn[0].ticket)
        #expect(sender.drawAll().isEmpty)
        #expect(sender.drawEvents() == [.finished(5)])
    }

    @Test func `an outcome of an earlier handing-over does not send a segment once more`() {
        var sender = sender()
        _ = sender.unitOffered(ByteBuffer(string: "x"), token: 5, connection: 0)
        let first = sender.drawAll()
        sender.uPDULost(first[0].ticket)
        let second = sender.drawAll()
        #expect(second.count == 1)
        sender.uPDULost(first[0].ticket)
        sender.uPDURejected(first[0].ticket, .timeToLiveExpired, now: .second(0))
        #expect(sender.drawAll().isEmpty && sender.drawEvents().isEmpty)
        sender.uPDUConfirmed(second[0].ticket)
        #expect(sender.drawEvents() == [.finished(5)])
    }

    @Test func `an outcome that comes when its number is in use again means nothing`() {
        var sender = sender()
        _ = sender.unitOffered(ByteBuffer(string: "x"), token: 0, connection: 0)
        let old = sender.drawAll(now: .second(0))
        sender.uPDURejected(old[0].ticket, .timeToLiveExpired, now: .second(100))
        for token in 1..<256 as Range<UInt64> {
            _ = sender.unitOffered(ByteBuffer(string: "x"), token: token, connection: 0)
            for uPDU in sender.drawAll() { sender.uPDUConfirmed(uPDU.ticket) }
        }
        _ = sender.unitOffered(ByteBuffer(string: "y"), token: 256, connection: 0)
        let new = sender.drawAll()
        #expect(numbers(new) == numbers(old) && sender.drawEvents().count == 256)
        sender.uPDUConfirmed(old[0].ticket)
        #expect(sender.drawEvents().isEmpty)
        #expect(sender.debugState.contains("handed over 1,"))
    }

    @Test func `in dialect xep the whole unit goes again under a new number, in its old place`() {
        var sender = sender(.unit)
        for token in 5..<9 as Range<UInt64> { _ = sender.unitOffered(long, token: token, connection: 0) }
        var drawn: [RCOPUPDU] = []
        while drawn.count < 8, let uPDU = sender.nextUPDU(now: .second(0)) { drawn.append(uPDU) }
        #expect(Set(drawn.map(\.unit)) == [5, 6])
        // The bind ends; outcomes come in any order.
        sender.unbound()
        for uPDU in drawn.reversed() { sender.uPDULost(uPDU.ticket) }
        sender.bound(mtu: 48)
        let again = sender.drawAll()
        #expect(again.map(\.unit) == [5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8])
        #expect(numbers(again).first == 9)
        for uPDU in drawn { sender.uPDUConfirmed(uPDU.ticket) }
        #expect(sender.drawEvents().isEmpty)
        for uPDU in again { sender.uPDUConfirmed(uPDU.ticket) }
        #expect(sender.drawEvents() == [.finished(5), .finished(6), .finished(7), .finished(8)])
    }

    @Test(arguments: [RCOPSenderConfiguration.Repetition.segment, .unit])
    func `what fails too often is given up and told once`(repetition: RCOPSenderConfiguration.Repetition) {
        var sender = sender(repetition) { $0.attempts = 3 }
        _ = sender.unitOffered(long, token: 5, connection: 0)
        var handed: [RCOPUPDU] = []
        for attempt in 1...3 {
            let drawn = sender.drawAll(now: .second(Int64(100 * attempt)))
            #expect(drawn.count == (attempt == 1 || repetition == .unit ? 4 : 1))
            handed += drawn
            guard let failing = drawn.first else { continue }
            sender.uPDURejected(failing.ticket, .destinationSAPNotBound, now: .second(Int64(100 * attempt)))
        }
        #expect(sender.drawEvents() == [.failed(5, .rejected(.destinationSAPNotBound))])
        for uPDU in handed { sender.uPDUConfirmed(uPDU.ticket) }
        #expect(sender.drawEvents().isEmpty && sender.drawAll(now: .second(1_000)).isEmpty && sender.unitCount == 0)
    }

    @Test(arguments: [UnidataRejectedReason.timeToLiveExpired, .largerThanMTU, .transmissionModeNotSpecified])
    func `a rejection that cannot end otherwise the next time ends the unit`(reason: UnidataRejectedReason) {
        var sender = sender()
        _ = sender.unitOffered(long, token: 5, connection: 0)
        let drawn = sender.drawAll(now: .second(0))
        sender.uPDURejected(drawn[1].ticket, reason, now: .second(100))
        #expect(sender.drawEvents() == [.failed(5, .rejected(reason))])
        #expect(sender.nextDeadline == nil && sender.unitCount == 0)
        // At once: the next one would fare no better.
        _ = sender.unitOffered(long, token: 6, connection: 0)
        let next = sender.drawAll(now: .second(101))
        sender.uPDURejected(next[0].ticket, reason, now: .second(102))
        #expect(sender.drawEvents() == [.failed(6, .rejected(reason))])
        #expect(sender.nextDeadline == .second(112))
    }

    @Test func `a peer that does not answer is left alone for a while`() {
        var sender = sender()
        _ = sender.unitOffered(ByteBuffer(string: "x"), token: 5, connection: 0)
        _ = sender.unitOffered(ByteBuffer(string: "y"), token: 6, connection: 1)
        let drawn = sender.drawAll(now: .second(100))
        sender.uPDURejected(drawn[1].ticket, .destinationNotResponding, now: .second(100))
        _ = sender.unitOffered(ByteBuffer(string: "z"), token: 7, connection: 1)
        #expect(sender.nextDeadline == .second(110))
        #expect(sender.drawAll(now: .second(109)).isEmpty)
        #expect(sender.drawAll(now: .second(110)).map(\.unit) == [7, 5])
        #expect(sender.nextDeadline == nil)
    }

    @Test func `after a bind with a smaller MTU, what is cut too large is cut anew; after a larger one it goes on`() {
        var sender = sender(mtu: 48)
        _ = sender.unitOffered(long, token: 5, connection: 0)
        _ = sender.unitOffered(ByteBuffer(string: "small"), token: 6, connection: 0)
        let drawn = sender.drawAll()
        sender.unbound()
        for uPDU in drawn[1...] { sender.uPDULost(uPDU.ticket) }
        sender.uPDUConfirmed(drawn[0].ticket)
        sender.bound(mtu: 100)
        let more = sender.drawAll()
        #expect(more.map(\.bytes) == drawn[1...].map(\.bytes))
        for uPDU in more { sender.uPDULost(uPDU.ticket) }
        sender.bound(mtu: 40)
        let less = sender.drawAll()
        #expect(less.map(\.unit) == [5, 5, 5, 5, 6])
        #expect(numbers(less) == [7, 7, 7, 7, 8] && segments(less) == [0, 1, 2, 3, 0])
        #expect(less.allSatisfy { $0.bytes.readableBytes <= 40 })
    }
}
