import Bridge
import BridgeCore
import Logging
import NIOCore
import TestSupport
import Testing
import Transports
import XMPP

@Suite("Reloading the configuration", .timeLimit(.minutes(5)))
struct ReloadTests {
    private static func logger(_ lines: LoggingTests.Lines) -> Logger {
        Logger(label: "test") { StderrLogHandler(label: $0, level: .info, format: .text, sink: lines.sink) }
    }

    @Test("Quotas change without dropping the link; what needs a restart is named; a bad file changes nothing")
    func reload() async throws {
        let lines = LoggingTests.Lines()
        let logger = Self.logger(lines)
        try await TwoSites.with(dialect: "skywave") { sites in
            let file = "\(sites.directory)/alpha.toml"
            try await sites.linked()
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "one"))
            try await eventually("it is acknowledged") {
                try await sites.alphaBridge.status().peers.first?.core.acknowledgedStanzas == 1
            }
            let since = try await sites.alphaBridge.status().peers.first?.link.since

            try TemporaryDirectory.write(file, sites.alphaText + "\n[peer.outbox]\nmax-stanzas = 1\n")
            await sites.alphaBridge.reload(file, logger: logger)
            #expect(lines.all.contains { $0.contains("max-stanzas") && $0.contains("out of range") })
            #expect(lines.all.contains { $0.contains("nothing has changed") })

            let changed = sites.alphaText.replacing("rooms = [\"conference.alpha.example\"]", with: "rooms = []")
            try TemporaryDirectory.write(file, changed + "\n[peer.outbox]\nmax-stanzas = 16\n")
            await sites.alphaBridge.reload(file, logger: logger)
            #expect(lines.all.contains { $0.contains("only a restart") && $0.contains("site.rooms") })
            #expect(lines.all.contains { $0.contains("configuration reloaded") && $0.contains("bravo") })
            let link = try #require(try await sites.alphaBridge.status().peers.first?.link)
            #expect(link.state == .connected)
            #expect(link.since == since)

            await sites.bravoBridge.stop(within: .seconds(1))
            try await eventually("alpha noticed") {
                try await sites.alphaBridge.status().peers.first?.link.state != .connected
            }
            for number in 0..<30 {
                sites.alpha.send(
                    Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "x", id: "n\(number)"))
            }
            try await eventually("the new quota holds") { sites.alpha.received.count == 14 }
            #expect(sites.alpha.received.allSatisfy { $0.isError && $0.text.contains("resource-constraint") })
        }
    }

    @Test("A profile is taken on without dropping the link; a bad one changes nothing and is named with file and line")
    func profiles() async throws {
        let lines = LoggingTests.Lines()
        let logger = Self.logger(lines)
        try await TwoSites.with(dialect: "skywave") { sites in
            let file = "\(sites.directory)/alpha.toml"
            let named = sites.alphaText.replacing("name = \"bravo\"", with: "name = \"bravo\"\nprofile = \"own\"")
            #expect(named != sites.alphaText)
            try TemporaryDirectory.write(file, named)
            try Files.makeDirectory("\(sites.directory)/profiles", isPrivate: false)
            try TemporaryDirectory.write("\(sites.directory)/profiles/own.toml", "name = \"own\"\n[message]\nstrip = [\"body\"]\n")
            try await sites.linked()
            let since = try await sites.alphaBridge.status().peers.first?.link.since
            let refused = await sites.alphaBridge.reload(file, logger: logger)
            #expect(!refused.isDone && refused.text.contains("profiles/own.toml:3") && refused.text.contains("it is what was written"))

            try TemporaryDirectory.write(
                "\(sites.directory)/profiles/own.toml",
                "name = \"own\"\n[message]\ndrop-when-only = [\"chat-states\"]\nmax-body-bytes = 16\n[outbox]\nclass.iq = { expires = \"7m\" }\n")
            let done = await sites.alphaBridge.reload(file, logger: logger)
            #expect(done.isDone && done.text == "changed: bravo", "\(done.text)")
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "a text of more than sixteen bytes", id: "long"))
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "short", id: "short"))
            try await eventually("the long one came back, the short one arrived") {
                sites.alpha.received.contains { $0.id == "long" && $0.isError } && sites.bravo.received.contains { $0.id == "short" }
            }
            #expect(!sites.bravo.received.contains { $0.id == "long" })
            #expect(try await sites.alphaBridge.status().peers.first?.link.since == since)
        }
    }
}
