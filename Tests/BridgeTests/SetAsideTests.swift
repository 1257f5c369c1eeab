import Bridge
import NIOCore
import Outbox
import Store
import TestSupport
import Testing
import XMPP

@testable import BridgeCore

/// `skywave queue aside`, from a running bridge and from the journal of a stopped one.
@Suite(.timeLimit(.minutes(5))) struct SetAsideTests {
    /// A stanza over a limit of an earlier version, say: it can be read after all.
    private static let whole =
        "<message to='romeo@alpha.example' from='juliet@bravo.example/b' type='chat' id='m1'>"
        + "<body>secret</body></message>"
    /// A row of the outbox that a disk has damaged: the end tag of the body is another.
    private static let damaged =
        "<message to='juliet@bravo.example' from='romeo@alpha.example/a' type='chat' id='m2' label='hidden'>"
        + "<body>secret &lt;b&gt; words</bodi></message>"

    private static let rows: [JournalRecord] = [
        .put(
            .poison, id: 4, .bytes(PoisonList.row(Array(whole.utf8), reason: "a recipient that is no address")),
            time: 1_000),
        .put(.outbox, id: 7, .bytes(Array(damaged.utf8)), time: 2_000),
    ]

    @Test func `what was set aside is listed, shown without its text, and dropped for good`() async throws {
        try await LonelySite.with(rows: Self.rows) { site, _, configuration in
            let list = try await site.setAside(peer: nil)
            let entries = try #require(list.peers.first?.entries)
            #expect(entries.map(\.status.id) == [4, 5], "the damaged row is set aside at the start")
            #expect(entries.map(\.status.bytes) == [Self.whole.utf8.count, Self.damaged.utf8.count])
            #expect(entries[0].age >= 59_000)
            #expect(list.text.contains("2 stanzas set aside") && list.text.contains("a recipient that is no address"))
            #expect(list.text.contains("row 7 of outbox: not-well-formed"))
            #expect(list.json.text.contains("\"running\":true"))
            let status = try await site.status()
            #expect(status.text.contains("skywave queue aside --peer bravo shows it"))

            let readable = try #require(try await site.setAside(peer: "bravo", id: 4))
            #expect(readable.text(withBody: false).contains("juliet@bravo.example/b"))
            #expect(readable.text(withBody: false).contains("body (jabber:server)"))
            for text in [readable.text(withBody: false), readable.json(withBody: false).text] {
                #expect(!text.contains("secret") && text.contains("a recipient that is no address"))
            }
            #expect(readable.text(withBody: true).contains("<body>secret</body>"))
            #expect(readable.json(withBody: true).text.contains("secret"))

            #expect(try await site.setAside(peer: "bravo", id: 6) == nil)
            #expect(try await site.setAside(peer: "elsewhere", id: 4) == nil)
            #expect(try await site.dropSetAside(peer: "elsewhere", id: 4) == .unknownPeer)
            #expect(try await site.dropSetAside(peer: "bravo", id: 6) == .notThere)
            #expect(try await site.dropSetAside(peer: "bravo", id: 4) == .dropped)
            #expect(try await site.dropSetAside(peer: "bravo", id: 4) == .notThere)
            let core = try #require(try await site.status().peers.first?.core)
            #expect(core.poison.map(\.id) == [5])
            #expect(core.events.first { $0.event == .setAsideDropped }?.count == 1)

            await site.stop(within: .seconds(3))
            let stored = try StoredQueues(configuration)
            #expect(stored.setAside(peer: "bravo").peers.first?.entries.map(\.status.id) == [5])
            #expect(stored.setAside(peer: nil).text.hasPrefix("The bridge is not running"))
            #expect(stored.setAside(peer: "bravo", id: 5)?.entry.content == Array(Self.damaged.utf8))
            #expect(stored.setAside(peer: "bravo", id: 4) == nil && stored.setAside(peer: "x").peers.isEmpty)
        }
    }

    private func report(_ content: [UInt8], bytes: Int? = nil) -> SetAsideReport {
        SetAsideReport(
            peer: "bravo",
            entry: SetAside(
                status: .init(id: 1, bytes: bytes ?? content.count, reason: "x", since: 0), content: content,
                age: 90_000))
    }

    /// The last column of a dump, as one string.
    private func shown(_ report: SetAsideReport, withBody: Bool = false) -> String {
        report.text(withBody: withBody).split(separator: "\n").filter { $0.hasPrefix("  0") }
            .map { $0.dropFirst(59) }.joined()
    }

    @Test func `of what is no stanza the tags are shown, and the rest only when it is asked for`() {
        let report = report(Array(Self.damaged.utf8))
        let hidden =
            "<message to='juliet@bravo.example' from='romeo@alpha.example/a' type='chat' id='m2' label='......'>"
        #expect(shown(report) == hidden + "<body>......................</bodi></message>")
        #expect(shown(report, withBody: true) == Self.damaged)
        #expect(report.text(withBody: false).contains("  000000  3c 6d 65 73 73 61 67 65  20 74 6f 3d 27 6a 75 6c"))
        #expect(report.text(withBody: false).contains("1 min 30 s ago"))
        let json = report.json(withBody: false).text
        #expect(json.contains("\"hex\":\"3c6d657373616765") && json.contains("...."))
        #expect(!report.json(withBody: true).text.contains(".."))
    }

    @Test(arguments: [
        "words", "a < b and c > d", "<", "<>", "</", "<!--words-->", "<![CDATA[words]]>", "<?words?>", "<a b>",
        "<a b=c>", "<a b='", "<a b='words", "<a b='x<y'>",
    ])
    func `what only looks like a tag is text`(_ text: String) {
        #expect(shown(report(Array(text.utf8))).allSatisfy { $0 == "." })
    }

    @Test func `any bytes have a report, which shows nothing by accident and disturbs no terminal`() {
        var random = SeededGenerator(seed: 41)
        for round in 0..<300 {
            var bytes = Array(Self.damaged.utf8)
            for _ in 0...round % 7 {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            let report = report(Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random))), bytes: 9_999)
            for text in [report.text(withBody: false), report.text(withBody: true)] {
                #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || (0x20...0x7e).contains($0.value) })
                #expect(text.contains("9999, of which \(report.entry.content.count) were kept"))
            }
            #expect(!report.text(withBody: false).contains("words"))
        }
    }

    @Test func `the newest are kept, each up to a bound`() {
        var list = PoisonList()
        for id in 1...UInt64(PoisonList.maximum) + 3 {
            let old = list.add(.init(id: id, bytes: 1, reason: "", since: 0), content: [UInt8(id)])
            #expect(old == (id > UInt64(PoisonList.maximum) ? id - UInt64(PoisonList.maximum) : nil))
        }
        #expect(list.entries.count == PoisonList.maximum && list.content(of: 3).isEmpty && list.content(of: 4) == [4])
        let large = [UInt8](repeating: 1, count: 1 << 20)
        _ = list.add(.init(id: 99, bytes: large.count, reason: "", since: 0), content: large)
        #expect(list.content(of: 99).count == PoisonList.keptBytes)
        #expect(list.remove(99) && !list.remove(99) && list.content(of: 99).isEmpty)
    }

    @Test func `every outcome of dropping is a sentence`() {
        for outcome in SetAsideDrop.allCases {
            #expect(outcome.sentence.hasSuffix(".") && (outcome.status == 200) == (outcome == .dropped))
        }
    }
}
