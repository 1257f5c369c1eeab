import BridgeCore
import NIOCore
import Outbox
import ServerStreams
import Testing
import XMPP

@Suite("The machine of a site")
struct SiteTests {
    private static func toShore(_ id: String) throws -> Stanza { try message("x", id: id) }
    private static func toPort(_ id: String) throws -> Stanza { try message("x", to: "pilot@port.example", id: id) }

    private static func isStreamXML(_ action: SiteAction) -> Bool {
        guard case .local(.write(_, _)) = action else { return false }
        return true
    }

    @Test("Stanzas of the server go to the peer that has their domain; others are answered")
    func routing() throws {
        let site = TestSite { for peer in $0.peers.indices { $0.peers[peer].isJournaled = false } }
        site.linkUp(0)
        site.linkUp(1)
        _ = site.take()
        site.local(try Self.toShore("a"))
        site.local(try Self.toPort("b"), peer: 1)
        #expect(site.sent == ["0:a", "1:b"])
        #expect(site.commits == 0)
        _ = site.take()
        site.oversize(try Self.toShore("big"))
        let answer = try #require(site.written.first)
        #expect(answer.id == "big" && answer.isError && answer.text.contains("policy-violation"))
    }

    @Test("A lone stanza has a commit of its own; what comes in meanwhile shares the next one, of all peers")
    func groupCommit() throws {
        let site = TestSite()
        site.linkUp(0)
        site.commitAll()
        let before = site.commits
        site.local(try Self.toShore("a"))
        let first = try #require(site.commit)
        #expect(first.batches.map(\.peer) == [0])
        for number in 0..<10 {
            site.local(try Self.toShore("s\(number)"))
            site.local(try Self.toPort("p\(number)"), peer: 1)
        }
        #expect(site.commit?.number == first.number)
        site.committed(first.number)
        let second = try #require(site.commit)
        #expect(second.number == first.number + 1)
        #expect(second.batches.map(\.peer) == [0, 1])
        site.commitAll()
        #expect(site.commits >= before + 2)
        #expect(site.status(0).queuedStanzas + Int(site.status(0).sent.messages) == 11)
        #expect(site.status(1).queuedStanzas == 10)
        #expect(!site.journal.isUnderWay)
    }

    @Test("A failed commit comes again with growing pauses; meanwhile senders are told to wait, and links are held")
    func fullDisk() throws {
        let site = TestSite {
            $0.commitRetryMinimum = .milliseconds(100)
            $0.commitRetryMaximum = .milliseconds(400)
        }
        site.linkUp(0)
        site.commitAll()
        _ = site.take()
        site.local(try Self.toShore("kept"))
        let failing = try #require(site.commit)
        site.commitFailed()
        #expect(site.holds == ["0:true", "1:true"])
        #expect(site.notes == [.journalStalled])
        #expect(site.journal.stalledSince == site.now)
        site.local(try Self.toShore("refused"))
        let answer = try #require(site.written.last)
        #expect(answer.id == "refused" && answer.text.contains("resource-constraint"))
        // The same commit, later and later.
        var pauses: [Int64] = []
        for _ in 0..<4 {
            let since = site.now
            let due = try #require(site.armed)
            site.advance(to: due)
            let again = try #require(site.commit)
            #expect(again.number == failing.number)
            #expect(again.batches == failing.batches)
            pauses.append((site.now - since).nanoseconds / 1_000_000)
            site.commitFailed()
        }
        #expect(pauses == [100, 200, 400, 400])
        site.advance(to: site.now + .milliseconds(400))
        _ = site.take()
        let stalledSince = try #require(site.journal.stalledSince)
        site.commitAll()
        #expect(site.holds == ["0:false", "1:false"])
        #expect(site.notes == [.journalRecovered(after: site.now - stalledSince)])
        #expect(site.journal.stalledSince == nil)
        #expect(site.journal.failedCommits == 5)
        _ = site.take()
        site.local(try Self.toShore("again"))
        #expect(site.written.isEmpty)
    }

    @Test("Low space refuses what is new and leaves links alone")
    func lowSpace() throws {
        let site = TestSite { $0.commitRetryMaximum = .seconds(5) }
        site.commitAll()
        _ = site.take()
        site.local(try Self.toShore("kept"))
        let commit = try #require(site.commit)
        site.committed(commit.number, isSpaceLow: true)
        #expect(site.notes == [.journalStalled])
        #expect(site.holds.isEmpty)
        site.local(try Self.toShore("refused"))
        #expect(site.written.map(\.id) == ["refused"])
    }

    @Test("A probe without batches finds out that there is space again")
    func probe() throws {
        let site = TestSite { $0.commitRetryMaximum = .seconds(5) }
        site.commitAll()
        site.local(try Self.toShore("kept"))
        let commit = try #require(site.commit)
        site.committed(commit.number, isSpaceLow: true)
        if let next = site.commit { site.committed(next.number, isSpaceLow: true) }
        #expect(site.commit == nil)
        site.advance(to: site.now + .seconds(5))
        let probe = try #require(site.commit)
        #expect(probe.batches.isEmpty)
        site.committed(probe.number, isSpaceLow: true)
        site.advance(to: site.now + .seconds(5))
        _ = site.take()
        site.commitAll()
        #expect(site.journal.stalledSince == nil)
        site.local(try Self.toShore("again"))
        #expect(site.written.isEmpty)
    }

    @Test("A server that reads too slowly holds up links without a journal for a while, and never those with one")
    func backPressure() throws {
        let site = TestSite {
            $0.peers[1].isJournaled = false
            $0.backPressure = .seconds(10)
        }
        site.commitAll()
        _ = site.take()
        site.writability(false)
        #expect(site.holds == ["1:true"])
        site.advance(to: site.now + .seconds(11))
        #expect(site.holds == ["1:true", "1:false"])
        #expect(site.notes == [.serverReadsSlowly])
        site.writability(true)
        site.writability(false)
        site.writability(true)
        #expect(site.holds == ["1:true", "1:false", "1:true", "1:false"])
        // What came over the link waits in the inbox meanwhile.
        site.writability(false)
        _ = site.take()
        for number in 0..<20 {
            site.link(try message("x", from: juliet, to: romeo, id: "i\(number)"))
        }
        site.commitAll()
        #expect(site.written.isEmpty)
        #expect(site.status(0).inboxStanzas == 20)
        site.writability(true)
        site.commitAll()
        #expect(site.written.compactMap(\.id) == (0..<20).map { "i\($0)" })
    }

    @Test("The end waits for the commit under way, and for the streams")
    func shutdown() throws {
        let site = TestSite()
        site.commitAll()
        site.local(try Self.toShore("last"))
        let commit = try #require(site.commit)
        _ = site.take()
        site.shutdown()
        #expect(!site.isShutDown)
        let early = site.take().contains(where: Self.isStreamXML)
        #expect(!early, "streams are closed before their stanzas are durable")
        site.committed(commit.number)
        site.commitAll()
        let closing = site.take().contains(where: Self.isStreamXML)
        #expect(closing)
        site.closeStreams()
        site.commitAll()
        #expect(site.isShutDown)
        #expect(site.status(0).queuedStanzas == 1)
    }

    @Test("A journal that does not recover does not hold up the end")
    func shutdownOnFullDisk() throws {
        let site = TestSite()
        site.commitAll()
        site.local(try Self.toShore("last"))
        site.commitFailed()
        _ = site.take()
        site.shutdown()
        let closing = site.take().contains(where: Self.isStreamXML)
        #expect(closing)
    }
}
