import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

@Suite struct OutboxTests {
    private let start = UInt64.seconds(0)
    /// Late enough for everything that waits to be sorted.
    private let later = UInt64.seconds(10)

    @Test func `what leaves at once leaves in the order of arrival`() throws {
        let outbox = TestOutbox()
        let stanzas = [
            try presence("away"), try message("one"), try iq("get", id: "1"), try presence("dnd"), try iq("result", id: "2"),
        ]
        for stanza in stanzas { #expect(outbox.append(stanza, now: start) == .accepted) }
        #expect(outbox.stanzaCount == 5)
        let batch = outbox.takeAll(now: start)
        #expect(batch == stanzas)
        #expect(outbox.isEmpty)
        #expect(outbox.byteCount == 0)
    }

    @Test func `a batch holds no more than the limits allow, and at least one stanza`() throws {
        let outbox = TestOutbox()
        for number in 0..<10 { _ = outbox.append(try message("body \(number)"), now: start) }
        let size = try message("body 0").byteCount
        #expect(outbox.nextBatch(maximumBytes: 3 * size + 1, maximumStanzas: 64, now: start).count == 3)
        #expect(outbox.nextBatch(maximumBytes: 1 << 20, maximumStanzas: 2, now: start).count == 2)
        #expect(outbox.nextBatch(maximumBytes: 1, maximumStanzas: 64, now: start).count == 1)
        #expect(outbox.takeAll(now: start).count == 4)
        #expect(outbox.takeAll(now: start).isEmpty)
    }

    @Test func `on a slow link the most urgent pair goes first, and inside a pair nothing overtakes`() throws {
        let outbox = TestOutbox()
        let slow = try presence("away", from: "a@m.example/1")
        let asking = try iq("get", id: "7", from: "b@m.example/1")
        let chat = try message("chat", from: "c@m.example/1")
        let mixed = [try presence("xa", from: "d@m.example/1"), try iq("result", id: "8", from: "d@m.example/1")]
        for stanza in [slow, asking, chat] + mixed { _ = outbox.append(stanza, now: start) }
        let order = outbox.takeEach(now: later)
        #expect(order == mixed + [chat, asking, slow])
    }

    @Test func `who asks for what is urgent is not shown everything else that waits`() throws {
        var outbox = Outbox()
        for number in 0..<500 { _ = outbox.append(try message("x", from: "u\(number)@m.example/1"), now: start) }
        var shown = 0
        let least = OutboxClasses().priority(.urgent)
        let none = outbox.take(atLeast: least) { _, _ in
            shown += 1
            return .passOver
        }
        #expect(none.isEmpty && shown == 0)
        let urgent = try iq("result", id: "1", from: "a@m.example/1")
        _ = outbox.append(urgent, now: start)
        let one = outbox.take(atLeast: least) { _, _ in
            shown += 1
            return .take
        }
        #expect(one.map(\.stanza) == [urgent] && shown == 1)
        #expect(outbox.stanzaCount == 500)
    }

    @Test func `a pair loses its urgency with its most urgent stanza`() throws {
        let outbox = TestOutbox()
        let urgent = try iq("result", id: "1", from: "a@m.example/1")
        let after = try presence("away", from: "a@m.example/1")
        let chat = try message("chat", from: "b@m.example/1")
        for stanza in [chat, urgent, after] { _ = outbox.append(stanza, now: start) }
        let order = outbox.takeEach(now: later)
        #expect(order == [urgent, chat, after])
    }

    @Test func `classes and lifetimes cover every kind and type`() throws {
        #expect(StanzaClass(try message("x")) == .message)
        #expect(StanzaClass(try iq("set", id: "1")) == .request)
        #expect(StanzaClass(try iq("error", id: "1")) == .urgent)
        #expect(StanzaClass(try presence("", type: "subscribe")) == .urgent)
        #expect(StanzaClass(try presence("", type: "unavailable")) == .presence)
        #expect(StanzaClass(try stanza("<message from='a@b.example' to='c@d.example' type='error'/>")) == .urgent)
        #expect(StanzaLifetime(try message("x")) == .message)
        #expect(StanzaLifetime(try iq("get", id: "1")) == .request)
        #expect(StanzaLifetime(try presence("away")) == .presence)
        #expect(StanzaLifetime(try presence("", type: "probe")) == .presence)
        for type in ["unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "error"] {
            #expect(StanzaLifetime(try presence("", type: type)) == .unlimited)
        }
        #expect(StanzaLifetime(try iq("result", id: "1")) == .unlimited)
    }

    // MARK: Limits

    @Test func `a full outbox refuses, but keeps room for what must arrive`() throws {
        let outbox = TestOutbox(limits: OutboxLimits(maximumBytes: 1 << 20, maximumStanzas: 3))
        for number in 0..<3 { #expect(outbox.append(try message("\(number)"), now: start) == .accepted) }
        #expect(outbox.append(try message("too many"), now: start) == .full)
        #expect(outbox.append(try presence("away"), now: start) == .full)
        #expect(outbox.append(try presence("", type: "unavailable"), now: start) == .accepted)
        var reserved = 1
        while outbox.append(try presence("", type: "subscribe"), now: start) == .accepted { reserved += 1 }
        #expect(reserved == 64)
        #expect(outbox.stanzaCount == 67)
    }

    @Test func `bytes are bounded as well`() throws {
        let size = try message("0").byteCount
        let outbox = TestOutbox(limits: OutboxLimits(maximumBytes: 2 * size + 1, maximumStanzas: 100))
        #expect(outbox.append(try message("0"), now: start) == .accepted)
        #expect(outbox.append(try message("1"), now: start) == .accepted)
        #expect(outbox.append(try message("2"), now: start) == .full)
        _ = outbox.nextBatch(maximumBytes: 1, maximumStanzas: 1, now: later)
        #expect(outbox.append(try message("2"), now: start) == .accepted)
    }

    @Test func `a full outbox makes room by dropping presence that was replaced`() throws {
        let outbox = TestOutbox(limits: OutboxLimits(maximumBytes: 1 << 20, maximumStanzas: 5))
        for number in 0..<50 { #expect(outbox.append(try presence("\(number)"), now: start) == .accepted) }
        #expect(outbox.takeAll(now: later) == [try presence("49")])
        #expect(outbox.supersededCount == 49)
    }

    // MARK: Superseding

    @Test func `a newer presence replaces a waiting one and takes its place at the end`() throws {
        let outbox = TestOutbox()
        for stanza in [try presence("away"), try message("hello"), try presence("dnd")] {
            _ = outbox.append(stanza, now: start)
        }
        #expect(outbox.takeAll(now: later) == [try message("hello"), try presence("dnd")])
        #expect(outbox.supersededCount == 1)
    }

    @Test(arguments: ["unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "error"])
    func `never across another kind of presence`(type: String) throws {
        let outbox = TestOutbox()
        let stanzas = [try presence("away"), try presence("", type: type), try presence("dnd")]
        for stanza in stanzas { _ = outbox.append(stanza, now: start) }
        let order = outbox.takeEach(now: later)
        #expect(order == stanzas)
        #expect(outbox.supersededCount == 0)
    }

    @Test(arguments: [
        "<x xmlns='http://jabber.org/protocol/muc'/>",
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>",
        "<fmuc xmlns='http://isode.com/protocol/fmuc' from='a@b.example/c'/>",
    ])
    func `never presence of a room`(payload: String) throws {
        let outbox = TestOutbox()
        let stanzas = [
            try presence("1", payload: payload), try presence("2", payload: payload), try presence("3"),
            try presence("4", payload: payload),
        ]
        for stanza in stanzas { _ = outbox.append(stanza, now: start) }
        #expect(outbox.takeAll(now: later) == stanzas)
    }

    @Test func `only between the same full addresses`() throws {
        let outbox = TestOutbox()
        let stanzas = [
            try presence("1", from: "romeo@montague.example/1"), try presence("2", from: "romeo@montague.example/2"),
            try presence("3", to: "juliet@capulet.example/balcony"),
        ]
        for stanza in stanzas { _ = outbox.append(stanza, now: start) }
        #expect(outbox.takeAll(now: later) == stanzas)
    }

    // MARK: Expiry

    @Test func `messages and requests come back, presence goes, the rest stays`() throws {
        let outbox = TestOutbox(
            limits: OutboxLimits(
                messageLifetime: .seconds(100), requestLifetime: .seconds(10), presenceLifetime: .seconds(50)))
        let kept = [
            try presence("", type: "unavailable"), try presence("", type: "subscribe"), try iq("result", id: "r"),
        ]
        let chat = try message("hello", from: "x@montague.example")
        let asking = try iq("get", id: "q", from: "y@montague.example")
        for stanza in kept + [chat, asking, try presence("away", from: "z@montague.example")] {
            _ = outbox.append(stanza, now: start)
        }
        #expect(outbox.nextExpiry == .seconds(10))
        var returned: [Stanza] = []
        outbox.expire(now: .seconds(9), into: &returned)
        #expect(returned.isEmpty)
        outbox.expire(now: .seconds(10), into: &returned)
        #expect(returned == [asking])
        #expect(outbox.nextExpiry == .seconds(50))
        outbox.expire(now: .seconds(50), into: &returned)
        #expect(returned == [asking] && outbox.silentlyExpiredCount == 1)
        outbox.expire(now: .seconds(100), into: &returned)
        #expect(returned == [asking, chat])
        #expect(outbox.nextExpiry == nil)
        outbox.expire(now: .seconds(1_000_000), into: &returned)
        #expect(returned.count == 2)
        #expect(outbox.takeAll(now: .seconds(1_000_000)) == kept)
    }

    @Test func `expiry from the middle of a pair keeps the order of the rest`() throws {
        let outbox = TestOutbox(limits: OutboxLimits(messageLifetime: .seconds(100), requestLifetime: .seconds(10)))
        let stanzas = [try message("1"), try iq("get", id: "2"), try message("3"), try iq("get", id: "4"), try message("5")]
        for stanza in stanzas { _ = outbox.append(stanza, now: start) }
        var returned: [Stanza] = []
        outbox.expire(now: .seconds(20), into: &returned)
        #expect(returned == [stanzas[1], stanzas[3]])
        #expect(outbox.takeAll(now: .seconds(20)) == [stanzas[0], stanzas[2], stanzas[4]])
    }

    // MARK: What comes back

    @Test func `what is put back goes first, in its order, with its age`() throws {
        let outbox = TestOutbox(limits: OutboxLimits(messageLifetime: .seconds(100)))
        let first = try (0..<4).map { try message("\($0)") }
        for stanza in first { _ = outbox.append(stanza, now: .seconds(1)) }
        #expect(outbox.takeAll(now: .seconds(1)) == first)
        let after = try message("after")
        _ = outbox.append(after, now: .seconds(60))
        outbox.putBack(Array(first[1...]), now: .seconds(70))
        #expect(outbox.nextExpiry == .seconds(101))
        #expect(outbox.oldestArrival == .seconds(1))
        #expect(outbox.takeAll(now: .seconds(80)) == Array(first[1...]) + [after])
    }

    @Test func `what comes back one by one takes its place by age`() throws {
        let outbox = TestOutbox(limits: OutboxLimits(messageLifetime: .seconds(100)))
        let stanzas = try (0..<6).map { try message("\($0)") }
        for (place, stanza) in stanzas.enumerated() { _ = outbox.append(stanza, now: .seconds(place)) }
        _ = outbox.takeAll(now: .seconds(6))
        let sent = outbox.takeSent()
        #expect(sent.map(\.stanza) == stanzas)
        let newer = try message("newer")
        _ = outbox.append(newer, now: .seconds(7))
        // The link names what it has not brought in an order of its own, and keeps the one it has.
        for place in [2, 0, 5, 1, 4] { outbox.putBack(byAge: [sent[place]]) }
        #expect(outbox.nextExpiry == .seconds(100))
        var returned: [Stanza] = []
        outbox.expire(now: .seconds(101), into: &returned)
        #expect(returned == [stanzas[0], stanzas[1]])
        #expect(outbox.takeEach(now: .seconds(101)) == [stanzas[2], stanzas[4], stanzas[5], newer])
    }

    @Test func `presence that comes back behind an older stanza gives way to a newer one`() throws {
        let outbox = TestOutbox()
        let stanzas = [try message("before"), try presence("old")]
        for stanza in stanzas { _ = outbox.append(stanza, now: start) }
        _ = outbox.takeAll(now: start)
        let sent = outbox.takeSent()
        let newest = try presence("new")
        _ = outbox.append(newest, now: start)
        outbox.putBack(byAge: [sent[0]])
        outbox.putBack(byAge: [sent[1]])
        #expect(outbox.supersededCount == 1)
        #expect(outbox.takeEach(now: later) == [stanzas[0], newest])
    }

    @Test func `presence that is put back gives way to a newer one`() throws {
        let outbox = TestOutbox()
        let old = try presence("old")
        _ = outbox.append(old, now: start)
        #expect(outbox.takeAll(now: start) == [old])
        let new = try presence("new")
        _ = outbox.append(new, now: start)
        outbox.putBack([old], now: start)
        #expect(outbox.takeAll(now: later) == [new])
        #expect(outbox.supersededCount == 1)
    }

    @Test func `what is in doubt is sent again only a few times`() throws {
        let outbox = TestOutbox()
        let poison = try presence("", type: "unavailable")
        let innocent = try message("after")
        _ = outbox.append(poison, now: start)
        _ = outbox.append(innocent, now: start)
        var sent = 0
        while true {
            let batch = outbox.nextBatch(maximumBytes: 1, maximumStanzas: 1, now: later)
            guard batch == [poison] else { break }
            sent += 1
            let tooOften = outbox.putBackInDoubt(batch, now: later)
            #expect(tooOften == (sent == 3 ? [poison] : []))
        }
        #expect(sent == 3)
        #expect(outbox.isEmpty)
    }

    @Test func `everything can be taken at once, in the order in which it would have left`() throws {
        let outbox = TestOutbox()
        let chat = try message("x", from: "a@m.example")
        let answer = try iq("result", id: "1", from: "b@m.example")
        _ = outbox.append(chat, now: start)
        _ = outbox.append(answer, now: start)
        #expect(outbox.removeAll() == [answer, chat])
        #expect(outbox.isEmpty && outbox.byteCount == 0)
    }
}
