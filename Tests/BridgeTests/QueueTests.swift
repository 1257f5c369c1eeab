import Bridge
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

@testable import BridgeCore

/// `skywave queue`, from a running bridge and from the journal of a stopped one.
@Suite(.timeLimit(.minutes(5))) struct QueueTests {
    @Test func `what waits is listed and shown, and a cancelled stanza comes back to its sender`() async throws {
        try await LonelySite.with { site, server, configuration in
            for number in 0..<3 {
                server.send(
                    Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "secret", id: "m\(number)"))
            }
            try await eventually("three stanzas wait") {
                try await site.queue(peer: nil, limit: 10).peers.first?.entries.count == 3
            }
            let report = try await site.queue(peer: "bravo", limit: 2)
            let entries = try #require(report.peers.first)
            #expect(entries.entries.count == 2 && entries.isCut)
            #expect(report.text.contains("romeo@alpha.example/a") && !report.text.contains("secret"))
            let id = try #require(entries.entries.first?.id)

            let shown = try #require(try await site.queuedStanza(peer: "bravo", id: id))
            #expect(shown.text(withBody: false).contains("body (jabber:server)"))
            #expect(!shown.text(withBody: false).contains("secret"))
            #expect(!shown.json(withBody: false).text.contains("secret"))
            #expect(shown.text(withBody: true).contains("secret") && shown.json(withBody: true).text.contains("secret"))

            #expect(try await site.cancel(peer: "bravo", id: id) == .cancelled)
            try await eventually("the bounce") { server.received.contains { $0.id == "m0" && $0.isError } }
            #expect(try await site.cancel(peer: "bravo", id: id) == .notThere)
            #expect(try await site.cancel(peer: "elsewhere", id: id) == .unknownPeer)
            #expect(try await site.queuedStanza(peer: "bravo", id: id) == nil)

            // Beside the running daemon, and after it.
            let beside = try StoredQueues(configuration).report(peer: nil, limit: 10)
            #expect(beside.peers.first?.entries.map(\.from).count == 2 && beside.isStopped)
            await site.stop(within: .seconds(3))
            let stored = try StoredQueues(configuration)
            let after = stored.report(peer: "bravo", limit: 1)
            #expect(after.peers.first?.entries.count == 1 && after.peers.first?.isCut == true)
            #expect(after.text.hasPrefix("The bridge is not running"))
            let left = try #require(after.peers.first?.entries.first)
            #expect(left.to == "juliet@bravo.example" && left.state == .waiting)
            #expect(stored.stanza(peer: "bravo", id: left.id)?.stanza.id == "m1")
            #expect(stored.stanza(peer: "bravo", id: 999) == nil && stored.report(peer: "x", limit: 1).peers.isEmpty)
        }
    }

    @Test func `addresses of users cannot disturb a terminal`() {
        let hostile = "a\u{1B}[2J\n\u{202E}b@x.example/" + String(repeating: "r", count: 3_000)
        let entry = QueueEntry(
            id: 7, stanzaClass: .message, from: hostile, to: hostile, kind: .message, type: .chat, bytes: 123,
            age: 61_000, state: .inFlight)
        let report = QueueReport(peers: [.init(name: "shore", entries: [entry], isCut: false)], isStopped: false)
        let text = report.text
        #expect(text.split(separator: "\n").count == 3)
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 0x20 && $0 != "\u{202E}" })
        #expect(text.utf8.count < 1_000)
        #expect(text.contains("1 min 1 s") && text.contains("message/chat") && text.contains("in flight"))
        #expect(!report.json.text.contains("\n"))
    }

    @Test func `every outcome of a cancellation is a sentence with a status of its own`() {
        for outcome in QueueCancellation.allCases {
            #expect(outcome.sentence.hasSuffix("."))
            #expect((outcome.status == 200) == (outcome == .cancelled))
        }
        #expect(QueueCancellation.inFlight.sentence.contains("may be with the peer already"))
    }
}
