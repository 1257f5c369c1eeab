import Outbox
import TestSupport
import Testing
import XMPP

/// What waits for the local server.
@Suite struct InboxTests {
    private func numbered(_ number: Int, to domain: String = "ship.example", type: String = "chat") throws -> Stanza {
        try stanza("<message from='juliet@shore.example' to='romeo@\(domain)' type='\(type)' id='\(number)'><body>b</body></message>")
    }

    private func drain(_ inbox: inout Inbox, committed: UInt64 = .max) -> [String] {
        var given: [String] = []
        while let next = inbox.next(committed: committed) { given.append(next.stanza.id ?? "") }
        return given
    }

    @Test func `nothing is given out before its batch is durable, nor beyond the window, nor out of order`() throws {
        var inbox = Inbox(window: 2)
        var ids: [UInt64] = []
        for number in 0..<5 {
            ids.append(inbox.append(try message("\(number)"), isRecorded: true, batch: UInt64(number / 2 + 1), now: 7))
        }
        let tooEarly = inbox.next(committed: 0)
        #expect(tooEarly == nil)
        let first = [inbox.next(committed: 3)?.id, inbox.next(committed: 3)?.id, inbox.next(committed: 3)?.id]
        #expect(first == [ids[0], ids[1], nil])
        let removed = inbox.remove(ids[1])
        #expect(removed?.isRecorded == true)
        let again = inbox.remove(ids[1])
        #expect(again == nil)
        let third = inbox.next(committed: 2)?.id
        #expect(third == ids[2])
        _ = inbox.remove(ids[0])
        let fourth = inbox.next(committed: 2)?.id
        #expect(fourth == ids[3])
        // Given up before it was given out.
        _ = inbox.remove(ids[4])
        for id in ids { _ = inbox.remove(id) }
        let counts = (inbox.stanzaCount, inbox.byteCount, inbox.outstanding)
        #expect(counts == (0, 0, 0))
        let oldest = inbox.oldestArrival
        #expect(oldest == nil)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `random use gives everything out once and in order`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var inbox = Inbox(window: 5)
        let stanza = try message("x")
        var added: [UInt64] = []
        var given: [UInt64] = []
        var open: [UInt64] = []
        for _ in 0..<5_000 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0: added.append(inbox.append(stanza, isRecorded: false, batch: 0, now: 0))
            case 1:
                if let next = inbox.next(committed: 0) {
                    given.append(next.id)
                    open.append(next.id)
                }
            default:
                guard !open.isEmpty else { continue }
                let id = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                let removed = inbox.remove(id)
                #expect(removed != nil)
            }
            let state = (inbox.outstanding, inbox.stanzaCount)
            #expect(state == (open.count, added.count - given.count + open.count) && open.count <= 5)
        }
        #expect(given == Array(added.prefix(given.count)) && given.count > 1_000)
    }

    @Test func `each domain has its own window, and order among those with room is that of arrival`() throws {
        var inbox = Inbox(window: 2)
        for number in 1...8 {
            let domain = number % 2 == 0 ? "club.ship.example" : "ship.example"
            _ = inbox.append(try numbered(number, to: domain), isRecorded: true, batch: 0, now: 0)
        }
        #expect(drain(&inbox) == ["1", "2", "3", "4"])
        _ = inbox.remove(1)
        _ = inbox.remove(3)
        #expect(drain(&inbox) == ["5", "7"])
        #expect(inbox.stanzaCount == 6 && inbox.outstanding == 4)
        _ = inbox.remove(2)
        #expect(drain(&inbox) == ["6"])
    }

    @Test func `what is given out at once has no row until it gets one, and blocks nothing`() throws {
        var inbox = Inbox(window: 2)
        _ = inbox.append(try numbered(1), isRecorded: true, batch: 9, now: 0)
        let error = inbox.appendGiven(try numbered(2, type: "error"), now: 5)
        #expect(drain(&inbox, committed: 0) == [] && inbox.outstanding == 1)
        #expect(inbox.recorded(error)?.arrival == 5)
        #expect(inbox.remove(error)?.isRecorded == true)
        #expect(inbox.recorded(error)?.arrival == nil)
        #expect(drain(&inbox) == ["1"])
    }

    @Test func `removals that are not durable are bounded`() throws {
        var inbox = Inbox(window: 2)
        for number in 1...200 { _ = inbox.append(try numbered(number), isRecorded: true, batch: 0, now: 0) }
        var given: UInt64 = 0
        while let next = inbox.next(committed: 0) {
            given += 1
            _ = inbox.remove(next.id)
            inbox.removalRecorded(in: given)
        }
        #expect(given == UInt64(2 * Inbox.unrecordedWindows))
        inbox.batchCommitted(10)
        #expect(inbox.unrecorded == 2 * Inbox.unrecordedWindows - 10)
        #expect(inbox.next(committed: 0) != nil)
    }

    @Test func `what waited too long expires, but for what has to arrive and what was given out`() throws {
        var inbox = Inbox(window: 1)
        for number in 1...4 { _ = inbox.append(try numbered(number), isRecorded: true, batch: 0, now: UInt64(number)) }
        _ = inbox.append(try numbered(5, type: "error"), isRecorded: true, batch: 0, now: 2)
        #expect(drain(&inbox) == ["1"])
        #expect(inbox.oldestWaiting == 2)
        #expect(inbox.takeExpired(arrived: 3).map(\.stanza.id) == ["2", "3"])
        #expect(inbox.stanzaCount == 3)
        _ = inbox.remove(1)
        #expect(drain(&inbox) == ["4"])
        _ = inbox.remove(4)
        #expect(drain(&inbox) == ["5"])
    }

    @Test func `where all that waited has expired nothing waits, though the domain takes nothing`() throws {
        var inbox = Inbox(window: 1)
        for number in 1...100 { _ = inbox.append(try numbered(number), isRecorded: true, batch: 0, now: 1) }
        #expect(drain(&inbox) == ["1"])
        #expect(inbox.takeExpired(arrived: 3).count == 99)
        #expect(inbox.oldestWaiting == nil)
    }
}
