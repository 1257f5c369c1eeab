import NIOCore
import Testing
import XMPP

@testable import ServerStreams

/// The books of XEP-0198 by themselves.
@Suite struct LedgerTests {
    private func delivery(_ number: Int, isSuspect: Bool = false) -> Delivery {
        Delivery(
            stanza: message(from: "b@hq.example", to: "a@ship.example", "\(number)"),
            ticket: DeliveryTicket(peer: 0, id: UInt64(number)), expires: .distantFuture, isSuspect: isSuspect)
    }

    private func ledger(_ count: Int, counter: UInt32 = 0) -> OutboundLedger {
        var ledger = OutboundLedger(counter: counter)
        ledger.enableSent()
        ledger.enabled()
        for number in 1...count { ledger.append(self.delivery(number)) }
        return ledger
    }

    private func ids(_ deliveries: [Delivery]) -> [UInt64] { deliveries.compactMap { $0.ticket?.id } }

    @Test("peers d21: the server's count wraps at 2^32 and nothing is lost or skipped")
    func outboundWrap() throws {
        for start in [UInt32.max - 2, .max - 1, .max, 0] as [UInt32] {
            var ledger = self.ledger(6, counter: start)
            #expect(try self.ids(ledger.acknowledged(start &+ 2, now: .at(0))) == [1, 2])
            #expect(try self.ids(ledger.acknowledged(start &+ 2, now: .at(0))) == [])
            #expect(try self.ids(ledger.acknowledged(start &+ 6, now: .at(0))) == [3, 4, 5, 6])
            #expect(ledger.isEmpty && ledger.bytes == 0)
        }
    }

    @Test("What was refused is remembered as such")
    func refusedStanzas() {
        var ledger = InboundLedger()
        ledger.enable()
        for number in UInt64(1)...4 { _ = ledger.received(number, now: .at(0)) }
        ledger.handled(1, now: .at(0))
        ledger.handled(2, isRefused: true, now: .at(0))
        ledger.tell(now: .at(0))
        ledger.handled(3, isRefused: true, now: .at(0))
        let suspects = ledger.close()
        #expect(suspects.map(\.isRefused) == [false, true, true, false])
        #expect(suspects.map(\.isHandled) == [true, true, true, false])
    }

    @Test("peers d21: the first stanza has the number 1, so a count of 0 acknowledges nothing")
    func zero() throws {
        var ledger = self.ledger(2)
        #expect(try ledger.acknowledged(0, now: .at(0)).isEmpty)
        #expect(try self.ids(ledger.acknowledged(1, now: .at(0))) == [1])
    }

    @Test("peers d21: a count above what was sent, and one that goes back, are faults and change nothing")
    func faults() throws {
        for start in [0, UInt32.max - 1] as [UInt32] {
            var ledger = self.ledger(4, counter: start)
            _ = try ledger.acknowledged(start &+ 2, now: .at(0))
            #expect(throws: OutboundLedger.Fault.tooHigh(sent: start &+ 4)) {
                try ledger.acknowledged(start &+ 5, now: .at(0))
            }
            #expect(throws: OutboundLedger.Fault.backwards) { try ledger.acknowledged(start &+ 1, now: .at(0)) }
            #expect(throws: OutboundLedger.Fault.backwards) { try ledger.acknowledged(start &- 1, now: .at(0)) }
            #expect(try self.ids(ledger.acknowledged(start &+ 4, now: .at(0))) == [3, 4])
        }
    }

    @Test("Without acknowledgements a stanza is settled when the kernel has taken it, with them it is not")
    func kernel() {
        var plain = OutboundLedger()
        for number in 1...3 { plain.append(self.delivery(number)) }
        #expect(self.ids(plain.written(2, now: .at(0))) == [1, 2])
        #expect(self.ids(plain.close(now: .at(0)).unsettled) == [3])
        var managed = self.ledger(3)
        #expect(managed.written(2, now: .at(0)).isEmpty)
        let remains = managed.close(now: .at(0))
        #expect(self.ids(remains.unsettled) == [1, 2, 3])
        #expect(remains.taken == 2)
        #expect(remains.unprotected == 0)
    }

    @Test("A server that refuses after all leaves what the kernel took settled")
    func refused() {
        var ledger = OutboundLedger()
        ledger.enableSent()
        for number in 1...3 { ledger.append(self.delivery(number)) }
        #expect(ledger.written(2, now: .at(0)).isEmpty)
        #expect(self.ids(ledger.refused(now: .at(0))) == [1, 2])
        #expect(self.ids(ledger.written(1, now: .at(0))) == [3])
    }

    @Test("Only what the kernel took in the last seconds is in doubt where nothing is acknowledged")
    func doubt() {
        var ledger = OutboundLedger()
        for number in 1...6 { ledger.append(self.delivery(number)) }
        _ = ledger.written(2, now: .at(0))
        _ = ledger.written(3, now: .at(8))
        #expect(ledger.close(now: .at(10)).unprotected == 3)
        #expect(ledger.close(now: .at(10)).unprotected == 0)
    }

    @Test("The server is asked at the end of a burst, once, and within a long one")
    func requests() throws {
        var ledger = self.ledger(1)
        #expect(ledger.wantsRequest(isAtRest: true))
        #expect(!ledger.wantsRequest(isAtRest: false))
        ledger.requested(now: .at(0))
        #expect(!ledger.wantsRequest(isAtRest: true))
        for number in 2...32 { ledger.append(self.delivery(number)) }
        #expect(!ledger.wantsRequest(isAtRest: true), "one question is open")
        ledger.append(self.delivery(33))
        #expect(ledger.wantsRequest(isAtRest: false))
        ledger.requested(now: .at(3))
        #expect(ledger.owesSince == .at(0))
        _ = try ledger.acknowledged(20, now: .at(5))
        #expect(ledger.owesSince == .at(5))
        #expect(ledger.asksAgainAt == .at(6))
        _ = try ledger.acknowledged(20, now: .at(7))
        #expect(ledger.owesSince == .at(5), "an answer without progress is no progress")
        _ = try ledger.acknowledged(33, now: .at(8))
        #expect(ledger.owesSince == nil && ledger.asksAgainAt == nil)
    }

    @Test("What the server may not bear travels alone")
    func alone() {
        let configuration = LocalSideConfiguration.site()
        var ledger = self.ledger(1)
        #expect(ledger.takes(self.delivery(2), configuration))
        #expect(!ledger.takes(self.delivery(2, isSuspect: true), configuration))
        _ = ledger.close(now: .at(0))
        ledger.enableSent()
        #expect(ledger.takes(self.delivery(2, isSuspect: true), configuration))
        ledger.append(self.delivery(2, isSuspect: true))
        #expect(!ledger.takes(self.delivery(3), configuration))
    }

    // MARK: From the server

    @Test("peers d21: the bridge's count covers what was handled without a gap, and wraps")
    func inboundCount() {
        for start in [0, UInt32.max - 1] as [UInt32] {
            var ledger = InboundLedger()
            #expect(ledger.received(nil, now: .at(0)) == 1)
            ledger.enable(counter: start)
            for number in 2...6 as ClosedRange<UInt64> { #expect(ledger.received(number, now: .at(0)) == number) }
            ledger.handled(1, now: .at(0))
            ledger.handled(3, now: .at(0))
            ledger.handled(99, now: .at(0))
            #expect(ledger.h == start)
            ledger.handled(2, now: .at(0))
            #expect(ledger.h == start &+ 2)
            for number in [6, 5, 4, 4] as [UInt64] { ledger.handled(number, now: .at(0)) }
            #expect(ledger.h == start &+ 5)
        }
    }

    @Test("The server is told after 16 stanzas at once and of fewer after a moment")
    func telling() {
        var ledger = InboundLedger()
        ledger.enable()
        for number in 1...40 as ClosedRange<UInt64> { _ = ledger.received(number, now: .at(0)) }
        ledger.handled(1, now: .at(0))
        #expect(!ledger.wantsTelling(now: .at(0)))
        #expect(ledger.tellsAt == .at(0) + .milliseconds(150))
        #expect(ledger.wantsTelling(now: .at(1)))
        for number in 2...16 as ClosedRange<UInt64> { ledger.handled(number, now: .at(0)) }
        #expect(ledger.wantsTelling(now: .at(0)))
        ledger.tell(now: .at(0))
        #expect(!ledger.wantsTelling(now: .at(9)) && ledger.tellsAt == nil && ledger.untold == 24)
    }

    @Test("What was told is remembered however long the server goes on sending; never without bound")
    func memory() {
        var ledger = InboundLedger()
        ledger.enable()
        for number in 1...3 as ClosedRange<UInt64> {
            _ = ledger.received(number, now: .at(0))
            ledger.handled(number, now: .at(0))
        }
        ledger.tell(now: .at(0))
        var silent = ledger
        #expect(silent.close().map(\.number) == [1, 2, 3])
        _ = ledger.received(4, now: .at(3_600))
        let suspects = ledger.close()
        #expect(suspects.map(\.number) == [1, 2, 3, 4])
        #expect(suspects.map(\.isHandled) == [true, true, true, false])
        ledger.enable()
        for number in 1...2_000 as ClosedRange<UInt64> {
            _ = ledger.received(number, now: .at(20))
            ledger.handled(number, now: .at(20))
            ledger.tell(now: .at(20))
        }
        #expect(ledger.close().count <= InboundLedger.remembered + 1)
    }

    @Test("A repetition is known once, within its time, and waits for its original")
    func repeats() {
        var repeats = RepeatedStanzas()
        let origin = LocalReceipt(connection: 1, number: 7)
        let receipt = LocalReceipt(connection: 2, number: 1)
        #expect(repeats.received(5, receipt, now: .at(0)) == .new)
        repeats.remember(5, now: .at(0))
        repeats.remember(5, now: .at(0))
        #expect(repeats.received(nil, receipt, now: .at(0)) == .new)
        #expect(repeats.received(5, receipt, now: .at(899)) == .handled)
        #expect(repeats.received(5, receipt, now: .at(900)) == .new, "too late")
        repeats.expect(origin)
        repeats.remember(6, unhandled: origin, now: .at(900))
        #expect(repeats.isEmpty == false)
        #expect(repeats.received(6, receipt, now: .at(901)) == .pending)
        #expect(repeats.received(6, receipt, now: .at(901)) == .new, "used up")
        #expect(repeats.handled(origin) == [receipt])
        #expect(repeats.handled(origin) == [])
        repeats.expect(origin)
        repeats.remember(7, unhandled: origin, now: .at(902))
        _ = repeats.handled(origin)
        #expect(repeats.received(7, receipt, now: .at(903)) == .handled)
        for fingerprint in 0..<40_000 as Range<UInt64> { repeats.remember(fingerprint, now: .at(904)) }
        #expect(repeats.received(0, receipt, now: .at(904)) == .new, "bounded: the oldest are forgotten")
        #expect(repeats.received(39_999, receipt, now: .at(904)) == .handled)
    }

    @Test("A fingerprint does not see delay stamps, and nothing else escapes it")
    func fingerprints() {
        func print(_ inner: String, id: String = "id='1'") -> UInt64? {
            element("<message to='b@hq.example' from='a@ship.example' \(id)>\(inner)</message>").fingerprint
        }
        let delay = "<delay xmlns='urn:xmpp:delay' from='ship.example' stamp='2026-11-21T05:00:00Z'/>"
        let body = "<body>the words</body>"
        #expect(print(body, id: "") == nil)
        #expect(print(body) != nil)
        for inner in [body + delay, delay + body, delay + body + delay] { #expect(print(inner) == print(body)) }
        #expect(print(delay) == print(""))
        #expect(print("") != print(body))
        #expect(print(body) != print(body, id: "id='2'"))
        #expect(print(body + "<x xmlns='urn:x'>\(delay)</x>") != print(body + "<x xmlns='urn:x'/>"))
        #expect(print("<body>the word</body>") != print(body))
        #expect(print(body + "<x xmlns='urn:x'/>" + delay + "<y xmlns='urn:y'/>") == print(body + "<x xmlns='urn:x'/><y xmlns='urn:y'/>"))
    }
}
