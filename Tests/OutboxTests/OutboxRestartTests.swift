import Outbox
import TestSupport
import Testing
import XMPP

/// The outbox and its numbered lane against plain lists that do the same slowly, with restarts.
@Suite struct OutboxRestartTests {
    @Test(arguments: Array(1...8) as [UInt64])
    func `random use and restarts keep ids, order, numbers and ages`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var outbox = Outbox(watchesUrgency: true)
        var lane = SentLane()
        /// What the rows would say: waiting stanzas in order of id, numbered ones in order of number.
        var waiting: [OutboxEntry] = []
        var numbered: [NumberedEntry] = []
        var rows: [(first: UInt64, ids: [UInt64], shares: [Bool])] = []
        var nextNumber: UInt64 = 1
        var now: UInt64 = 5_000
        for step in 0..<2_000 {
            now += UInt64.random(in: 0..<50, using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<6:
                let stanza = try message(
                    "\(step)", from: "u\(Int.random(in: 0..<4, using: &random))@a.example/r",
                    to: "v\(Int.random(in: 0..<4, using: &random))@b.example")
                let admission = outbox.append(stanza, isRecorded: true, now: now)
                #expect(admission == .accepted)
                waiting.append(OutboxEntry(id: outbox.lastID, stanza: stanza, arrival: now, isRecorded: true))
            case 6, 7:
                guard !lane.hasUncut else { continue }
                var left = Int.random(in: 1..<6, using: &random)
                let bodies = Int.random(in: 0..<4, using: &random)
                let taken = outbox.take { entry, _ in
                    if entry.stanza.text.contains("v\(bodies)@") { return .passOver }
                    left -= 1
                    return left >= 0 ? .take : .stop
                }
                guard !taken.isEmpty else { continue }
                for entry in taken {
                    let place = try #require(waiting.firstIndex { $0.stanza.pairHash == entry.stanza.pairHash })
                    #expect(waiting.remove(at: place) == entry, "seed \(seed): order of a pair")
                }
                // Some share the number of the one before them.
                var sizes: [Int] = []
                var shares: [Bool] = []
                for entry in taken {
                    let isShared = !sizes.isEmpty && Int.random(in: 0..<3, using: &random) == 0
                    if isShared { sizes[sizes.count - 1] += 1 } else { sizes.append(1) }
                    shares.append(isShared)
                    var known = SentLane()
                    known.restore(row: [.init(entry)], from: nextNumber + UInt64(sizes.count - 1))
                    numbered.append(known[0])
                }
                lane.number(OutboxRecords(taken, sizes: sizes), from: nextNumber, areCut: true)
                rows.append((nextNumber, taken.map(\.id), shares))
                nextNumber += UInt64(sizes.count)
            case 8:
                guard let last = numbered.last?.number, let first = numbered.first?.number else { continue }
                let through = UInt64.random(in: first...last, using: &random)
                let (done, gone) = lane.acknowledged(through: through)
                #expect(done == numbered.prefix { $0.number <= through }.map(\.entry))
                numbered.removeAll { $0.number <= through }
                if let gone { rows.removeAll { $0.first <= gone } }
            case 9:
                lane.sessionStarted()
                var again: [NumberedEntry] = []
                while lane.hasUncut { again += lane.recut { _ in true } }
                #expect(again == numbered)
            case 10:
                let lastID = outbox.lastID
                outbox = Outbox(watchesUrgency: true)
                outbox.idsUsed(through: lastID)
                lane = SentLane()
                for entry in waiting.sorted(by: { $0.id < $1.id }) { outbox.restore(entry) }
                for row in rows {
                    lane.restore(
                        row: zip(row.ids, row.shares).map { id, isShared in
                            .init(numbered.first { $0.entry.id == id }?.entry, sharesNumber: isShared)
                        }, from: row.first)
                }
                lane.sessionStarted()
                while lane.hasUncut { _ = lane.recut { _ in true } }
            default:
                let listed = outbox.inOrder().map(\.entry)
                #expect(listed.sorted { $0.id < $1.id } == waiting)
            }
            let counts = (outbox.stanzaCount, outbox.byteCount, lane.count)
            #expect(counts == (waiting.count, waiting.reduce(0) { $0 + $1.stanza.byteCount }, numbered.count))
        }
        #expect(nextNumber > 200)
    }

    @Test func `messages marked urgent, or of urgent addresses, are of the urgent class and still expire`() throws {
        var classes = OutboxClasses()
        classes.urgentAddresses = [JID("watch@b.example")].compactMap(\.self)
        func marked(_ urgency: String) throws -> Stanza {
            try stanza(
                "<message from='a@a.example/1' to='b@b.example' type='chat'><body>x</body>"
                    + "<headers xmlns='http://jabber.org/protocol/shim'><header name='Urgency'>\(urgency)</header></headers>"
                    + "</message>")
        }
        #expect(classes.stanzaClass(try marked("high")) == .urgent)
        #expect(classes.stanzaClass(try marked("emergency")) == .urgent)
        #expect(classes.stanzaClass(try marked("low")) == .message)
        #expect(classes.stanzaClass(try message("x", to: "watch@b.example/1")) == .urgent)
        #expect(classes.stanzaClass(try message("x", from: "watch@b.example/1")) == .urgent)
        #expect(classes.stanzaClass(try presence("away", to: "watch@b.example/1")) == .presence)
        #expect(StanzaLifetime(try marked("high")) == .message)
    }

    @Test func `priorities can be set, and set anew for what waits`() throws {
        var limits = OutboxLimits()
        limits.classes.presence = 14
        var outbox = Outbox(limits: limits)
        let chat = try message("x", from: "a@a.example")
        let away = try presence("away", from: "b@a.example")
        _ = outbox.append(chat, now: 0)
        _ = outbox.append(away, now: 0)
        let first = outbox.inOrder().map(\.entry.stanza)
        #expect(first == [away, chat])
        limits.classes.presence = 1
        outbox.limitsChanged(limits)
        let second = outbox.take { _, _ in .take }.map(\.stanza)
        #expect(second == [chat, away])
    }
}
