import Blocks
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// Which stanzas may share a record, and that exactly these come out of it.
@Suite struct FoldedRecordTests {
    private func copy(_ to: String, _ rest: String = "<body>all hands</body>", id: String = "1", from: String = "nick")
        throws -> Stanza
    {
        try stanza("<message to='\(to)' from='room@d.example/\(from)' type='groupchat' id='\(id)'>\(rest)</message>")
    }

    @Test func `what differs in more than its address shares no record`() throws {
        let first = try copy("a@y.example")
        for (other, isLike) in [
            (try copy("b@y.example"), true), (try copy("a@y.example/desk &amp; &apos;more&apos;"), true),
            (try copy("b@y.example", id: "2"), false), (try copy("b@y.example", "<body>all handS</body>"), false),
            (try copy("b@y.example", "<body>all hands</body><x xmlns='u:x'/>"), false),
            (try stanza("<message to='b@y.example' from='room@d.example/nick' id='1'><body>all hands</body></message>"), false),
            (try copy("b@y.example", from: "nicK"), false),
            // The same address twice would be one stanza too few.
            (first, false),
        ] {
            var record = FoldedRecord(first)
            let isAdded = record.addIfLike(other)
            #expect(isAdded == isLike, "\(other)")
            #expect(record.stanzas == (isLike ? 2 : 1))
            let (one, another) = (try #require(FoldableStanza(first)), try #require(FoldableStanza(other)))
            #expect(one.isAlike(another) == one.differsOnlyInRecipient(from: another))
            guard one.differsOnlyInRecipient(from: another) else { continue }
            #expect(one.likeness == another.likeness && one.quickKey == another.quickKey)
        }
    }

    @Test func `requests and what has no address never share one`() throws {
        let requests = try ["a", "b"].map {
            try stanza("<iq to='\($0)@y.example' from='c@d.example' type='get' id='1'><q xmlns='u:q'/></iq>")
        }
        #expect(requests.allSatisfy { FoldableStanza($0) == nil })
        var record = FoldedRecord(requests[0])
        let isAdded = record.addIfLike(requests[1])
        #expect(!isAdded)
        #expect(FoldableStanza(try stanza("<message from='c@d.example'><body>x</body></message>")) == nil)
    }

    @Test func `a record holds what one list may hold, in addresses and in bytes`() throws {
        var record = FoldedRecord(try copy("u0@y.example"))
        var count = 1
        while count < 2_000, record.addIfLike(try copy("u\(count)@y.example")) { count += 1 }
        #expect(count == 512)
        let long = String(repeating: "n", count: 1_000)
        record = FoldedRecord(try copy("u0@y.example/\(long)"))
        count = 1
        while count < 2_000, record.addIfLike(try copy("u\(count)@y.example/\(long)")) { count += 1 }
        #expect(count == 16)
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func `a session gives each the stanza that was for him, in the order of one user's addresses`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var near = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 1)
        var far = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 2)
        let now = NIODeadline.uptimeNanoseconds(1_000_000_000)
        near.connected(now: now)
        far.connected(now: now)
        for round in 0..<40 {
            var sent: [Stanza] = []
            var outgoing: [OutgoingStanza] = []
            for number in 0..<Int.random(in: 1..<4, using: &random) {
                var addresses: [String] = []
                for user in 0..<12 where Bool.random(using: &random) {
                    let desks = ["a", "b"].shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random))
                    addresses += desks.map { "u\(user)@y.example/\($0)" }
                }
                addresses.shuffle(using: &random)
                guard !addresses.isEmpty else { continue }
                let copies = try addresses.map { try copy($0, id: "\(round)-\(number)") }
                sent += copies
                let values = copies.count > 1 ? copies.compactMap { FoldableStanza($0)?.value } : []
                outgoing.append(OutgoingStanza(stanza: copies[0], recipients: values, ageSeconds: 0))
            }
            let block = near.cut(outgoing, lane: .normal, firstNumber: near.nextNumber(.normal), now: now)
            far.blockReceived(block, now: now)
            var came: [Stanza] = []
            while let event = far.nextEvent() {
                guard case .received(let items, let ordinal) = event else { continue }
                for case .stanza(let stanza, _) in items { came.append(stanza) }
                far.committed(ordinal, now: now)
            }
            #expect(came.count == sent.count && sent.allSatisfy(came.contains))
            func byUser(_ stanzas: [Stanza]) -> [String: [String]] {
                Dictionary(grouping: stanzas) { "\($0.to?.bare.description ?? "") \($0.id ?? "")" }
                    .mapValues { $0.map(\.toText) }
            }
            #expect(byUser(came) == byUser(sent))
        }
    }
}
