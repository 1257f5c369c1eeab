import Blocks
import NIOCore
import TestSupport
import Testing
import XMPP

/// One stanza for many: what the list says, and only that.
@Suite struct RecipientListTests {
    private let presence = "<presence to='x@y.example' from='c@d.example/r'><show>away</show></presence>"

    private func addresses(_ numbers: some Sequence<Int>) -> [JID] {
        numbers.compactMap { JID("user\($0)@far.example/desk & 'more'") }
    }

    private func expected(_ recipients: [JID]) throws -> [Stanza] {
        try recipients.map {
            try stanza(presence.replacing("x@y.example", with: XMLEscape.attribute($0.description)))
        }
    }

    @Test func `a list is expanded in its order, then named, then changed`() throws {
        let pair = CodecPair(level: 6)
        let template = try stanza(presence)
        var sizes: [Int] = []
        var order = Array(0..<40)
        for (removed, added) in [([], []), ([], []), ([3, 4, 39], [100]), ([], [101, 102]), ([0], [])] as [([Int], [Int])] {
            order = order.filter { !removed.contains($0) } + added
            let before = pair.bodyBytes
            #expect(pair.fold(template, addresses(order)))
            #expect(pair.encoder.stanzas == order.count)
            let records = try pair.finish()
            #expect(records == [.stanzas(try expected(addresses(order)), ageSeconds: 0)])
            sizes.append(pair.bodyBytes - before)
        }
        // Named: hardly more than a stanza. Changed: the change.
        #expect(sizes[1] < 35)
        #expect(sizes[2] < sizes[0] / 2 && sizes[3] < sizes[0] / 2)
        #expect(sizes[4] < 30)
    }

    @Test func `the same people in another order are the same list`() throws {
        let pair = CodecPair(level: 6)
        let template = try stanza(presence)
        #expect(pair.fold(template, addresses(0..<10)))
        #expect(pair.fold(template, addresses((0..<10).reversed()), age: 90))
        let all = try expected(addresses(0..<10))
        #expect(try pair.finish() == [.stanzas(all, ageSeconds: 0), .stanzas(all, ageSeconds: 90)])
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func `lists of all kinds, more than the table has`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pair = CodecPair(level: 1)
        let template = try stanza(presence)
        var groups = (0..<90).map { _ in (0..<Int.random(in: 1..<30, using: &random)).map { _ in Int.random(in: 0..<500, using: &random) } }
        for _ in 0..<200 {
            let index = Int.random(in: 0..<groups.count, using: &random)
            if Bool.random(using: &random) { groups[index].append(Int.random(in: 0..<500, using: &random)) }
            if Bool.random(using: &random), groups[index].count > 1 { groups[index].removeFirst() }
            let wanted = addresses(Set(groups[index]).sorted())
            #expect(pair.fold(template, wanted))
            guard case .stanzas(let got, 0)? = try pair.finish().first else {
                Issue.record("nothing came")
                return
            }
            #expect(got.count == wanted.count)
            #expect(Set(got.compactMap(\.to)) == Set(wanted))
        }
    }

    @Test func `what cannot be folded is refused, and nothing is written`() throws {
        let pair = CodecPair(level: 6)
        let template = try stanza(presence)
        #expect(!pair.fold(template, []))
        #expect(!pair.fold(template, addresses(0..<513)))
        #expect(!pair.fold(template, addresses([1, 2, 1])))
        #expect(!pair.fold(try stanza("<presence from='c@d.example/r'/>"), addresses(0..<3)))
        let long = (0..<40).compactMap { JID("user\($0)@far.example/" + String(repeating: "r", count: 900)) }
        #expect(!pair.fold(template, long))
        let bulk = try stanza("<message to='x@y.example'><body>\(String(repeating: "x", count: 100_000))</body></message>")
        #expect(!pair.fold(bulk, addresses(0..<100)))
        #expect(pair.encoder.textBytes == 0)
        #expect(pair.encoder.stanzas == 0)
    }

    @Test(arguments: ["no@@address", "", "/r", "A@b.example", "a@b.example&#x3C;", "&lt;"])
    func `a recipient that is no canonical address sets the record aside`(recipient: String) throws {
        let text = [0x02, 0x19, 0x00, 0x02] + Array("a@b.example\u{5}\(recipient)\u{5}<presence to='\u{6}'/>\u{0}<iq/>\u{0}".utf8)
        let records = try BodyHostilityTests.decode(text)
        #expect(records.count == 2)
        guard case .poison = records[0] else {
            Issue.record("\(recipient) was taken")
            return
        }
    }

    @Test func `a recipient outside of to sets the record aside or harms nobody`() throws {
        // The authenticated peer may write any stanza; the place of the mark gives it nothing more.
        let text = [0x02, 0x19, 0x00, 0x01] + Array("a@b.example\u{5}<presence to='x@y.example' from='\u{6}'/>\u{0}".utf8)
        let records = try BodyHostilityTests.decode(text)
        #expect(records == [.stanzas([try stanza("<presence to='x@y.example' from='a@b.example'/>")], ageSeconds: 0)])
    }
}
