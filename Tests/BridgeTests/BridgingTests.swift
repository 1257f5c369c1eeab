import Bridge
import BridgeCore
import Logging
import NIOCore
import NIOPosix
import ServerStreams
import Synchronization
import TestSupport
import Testing
import Transports
import XMPP

@Suite("Two bridges between two servers", .timeLimit(.minutes(2)))
struct BridgingTests {
    @Test(
        "Messages and requests cross in both directions, in order",
        arguments: [("xep", "off"), ("xep", "durable"), ("skywave", "off"), ("skywave", "durable")])
    func bothWays(dialect: String, journal: String) async throws {
        try await TwoSites.with(dialect: dialect, journal: journal) { sites in
            for server in [sites.alpha, sites.bravo] {
                server.respond { $0.isIQRequest ? [Stanzas.result(of: $0)] : [] }
            }
            for number in 0..<50 {
                sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "a\(number)"))
                sites.bravo.send(Stanzas.message("juliet@bravo.example/b", "romeo@alpha.example", "b\(number)"))
            }
            sites.alpha.send(Stanzas.ping("romeo@alpha.example/a", "bravo.example", id: "p1"))
            sites.bravo.send(Stanzas.ping("juliet@bravo.example/b", "talk.alpha.example", id: "p2"))
            sites.bravo.send(Stanzas.ping("juliet@bravo.example/b", "conference.alpha.example", id: "p3"))
            try await eventually("everything arrived") {
                sites.alpha.received.count >= 52 && sites.bravo.received.count >= 52
            }
            let atBravo = sites.bravo.received.filter { $0.kind == .message }.map { $0.root.children.first?.text ?? "" }
            #expect(atBravo == (0..<50).map { "a\($0)" })
            let atAlpha = sites.alpha.received.filter { $0.kind == .message }.map { $0.root.children.first?.text ?? "" }
            #expect(atAlpha == (0..<50).map { "b\($0)" })
            #expect(sites.alpha.received.contains { $0.id == "p1" && $0.type == .result })
            // talk.alpha.example is covered by bravo's wildcard and not served by alpha: refused and counted there.
            try await eventually("the foreign recipient is counted") {
                try await sites.alphaBridge.status().peers.first?.core.count(of: .foreignRecipient) == 1
            }
            #expect(sites.bravo.received.contains { $0.id == "p3" && $0.type == .result })
        }
    }

    @Test("A stanza over the limit is bounced and the stream lives on")
    func oversize() async throws {
        try await TwoSites.with(site: "limits = { stanza-bytes = 20000 }") { sites in
            sites.alpha.send(
                Stanzas.message(
                    "romeo@alpha.example/a", "juliet@bravo.example", String(repeating: "x", count: 30_000), id: "big"))
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "small"))
            try await eventually("the small one arrived and the big one came back") {
                sites.bravo.received.contains { $0.text.contains("small") }
                    && sites.alpha.received.contains { $0.id == "big" && $0.isError }
            }
            let error = try #require(sites.alpha.received.first { $0.id == "big" })
            #expect(error.text.contains("policy-violation"))
            #expect(!error.text.contains("xxxx"))
            #expect(sites.bravo.received.count == 1)
            #expect(!sites.alpha.log.contains("unreadable"), "\(sites.alpha.log)")
        }
    }

    @Test("Logs show no bodies, whatever the level")
    func logs() async throws {
        let lines = LoggingTests.Lines()
        let logger = Logger(label: "test") { label in
            StderrLogHandler(label: label, level: .trace, format: .json, sink: lines.sink)
        }
        try await TwoSites.with(logger: logger) { sites in
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "wherefore-art-thou"))
            sites.alpha.send(
                Stanzas.message("romeo@alpha.example/a", "nobody@nowhere.bravo.example", "wherefore-art-thou"))
            try await eventually("it arrived") { sites.bravo.received.count == 1 }
            await sites.bravo.cut()
        }
        #expect(lines.all.contains { $0.contains("PLAIN, insecure") })
        #expect(!lines.all.joined().contains("wherefore"))
        #expect(lines.all.count > 4)
    }

    @Test("The local server's streams may break: what follows arrives on new ones")
    func restart() async throws {
        try await TwoSites.with { sites in
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "one"))
            try await eventually("the first arrived") { sites.bravo.received.count == 1 }
            await sites.alpha.cut()
            await sites.bravo.cut()
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "two"))
            try await eventually("the second arrived") { sites.bravo.received.count == 2 }
        }
    }

    @Test("A server that reads slowly holds up the link, and afterwards everything arrives in order")
    func backPressure() async throws {
        try await TwoSites.with { sites in
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "first"))
            try await eventually("the streams are there") { sites.bravo.received.count == 1 }
            try await sites.bravo.setReading(false)
            let body = String(repeating: "x", count: 16_000)
            let count = 1_500
            for number in 0..<count {
                sites.alpha.send(
                    Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", body, id: "n\(number)"))
            }
            try await eventually(within: .seconds(20), "the link was held up") {
                try await sites.bravoBridge.status().linkPauses > 0
            }
            // What has not left waits at the far end of the link, not in this bridge.
            let queued = try await sites.bravoBridge.status().local.queuedBytes
            #expect(queued < 8 << 20, "\(queued)")
            try await sites.bravo.setReading(true)
            try await eventually(within: .seconds(30), "everything arrived") { sites.bravo.received.count == count + 1 }
            #expect(sites.bravo.received.dropFirst().compactMap(\.id) == (0..<count).map { "n\($0)" })
            #expect(sites.alpha.received.isEmpty)
        }
    }

    @Test("A server that does not read at all: what it cannot take is queued within bounds, then given back")
    func stuckServer() async throws {
        let limits = "limits = { back-pressure = \"100ms\", queue-bytes = \"1MiB\" }"
        try await TwoSites.with(site: limits) { sites in
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "first"))
            try await eventually("the streams are there") { sites.bravo.received.count == 1 }
            try await sites.bravo.setReading(false)
            let body = String(repeating: "x", count: 16_000)
            for number in 0..<1_500 {
                sites.alpha.send(
                    Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", body, id: "n\(number)"))
            }
            try await eventually(within: .seconds(20), "senders are told") {
                sites.alpha.received.contains { $0.isError && $0.text.contains("resource-constraint") }
            }
            #expect(try await sites.bravoBridge.status().local.queuedBytes <= 1 << 20)
            try await sites.bravo.setReading(true)
            try await eventually(within: .seconds(30), "each message arrived or came back") {
                sites.bravo.received.count + sites.alpha.received.count >= 1_501
            }
            #expect(sites.bravo.received.count + sites.alpha.received.count == 1_501)
        }
    }

    @Test("Shutting down answers requests, gives queued messages back and closes streams and link with their tags")
    func shutdown() async throws {
        try await TwoSites.with { sites in
            sites.bravo.respond { _ in [] }
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "one"))
            sites.bravo.send(Stanzas.message("juliet@bravo.example/b", "romeo@alpha.example", "two"))
            try await eventually("both arrived") {
                sites.bravo.received.count == 1 && sites.alpha.received.count == 1
            }
            // Crosses and is never answered.
            sites.alpha.send(Stanzas.ping("romeo@alpha.example/a", "juliet@bravo.example", id: "pending"))
            try await eventually("the request crossed") { sites.bravo.received.contains { $0.id == "pending" } }
            await sites.bravoBridge.stop()
            // No link any more: this one waits in alpha's outbox.
            try await eventually("alpha noticed") {
                try await sites.alphaBridge.status().peers.first?.link.state != .connected
            }
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "three", id: "queued"))
            try await eventually("the message waits") {
                try await sites.alphaBridge.status().peers.first?.core.queuedStanzas == 1
            }
            let bravosEnd = try await sites.alphaBridge.status().peers.first?.link.lastError
            #expect(bravosEnd?.contains("without the closing tag") != true, "\(bravosEnd ?? "")")
            await sites.alphaBridge.stop()
            #expect(sites.alpha.received.contains { $0.id == "queued" && $0.isError })
            #expect(sites.alpha.received.contains { $0.id == "pending" && $0.isError })
            // Every stream that was open saw the closing tag: one per direction and pair at each server.
            #expect(sites.alpha.log.filter { $0 == "closed in good order" }.count >= 2, "\(sites.alpha.log)")
            #expect(sites.bravo.log.filter { $0 == "closed in good order" }.count >= 2, "\(sites.bravo.log)")
            #expect(!sites.alpha.log.contains("unreadable"))
        }
    }

    @Test("The dialback secret is kept between starts, for its owner only")
    func secret() async throws {
        try await TemporaryDirectory.with { directory in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let configuration = try TwoSites.configuration(
                "alpha", "bravo", 1, directory, "journal = { mode = \"off\" }", "xep", "connect = \"127.0.0.1:1\"")
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            var contents: [String] = []
            for _ in 0..<2 {
                let site = try await RunningSite.start(configuration, on: group.next(), logger: logger)
                await site.stop(within: .seconds(1))
                contents.append(try Files.readText("\(directory)/alpha/dialback.secret"))
            }
            #expect(contents[0] == contents[1])
            #expect(contents[0].count == 65)
            #expect(Files.permissions("\(directory)/alpha/dialback.secret") == 0o600)
            #expect(Files.permissions("\(directory)/alpha") == 0o700)
            try TemporaryDirectory.write("\(directory)/alpha/dialback.secret", contents[0], mode: 0o644)
            let error = await #expect(throws: BridgeError.self) {
                _ = try await RunningSite.start(configuration, on: group.next(), logger: logger)
            }
            #expect(error?.code == .state)
            #expect(error?.description.contains(contents[0].prefix(8)) == false)
            try await group.shutdownGracefully()
        }
    }
}
