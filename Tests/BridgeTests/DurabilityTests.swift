import Bridge
import BridgeCore
import NIOCore
import TestSupport
import Testing
import Transports
import XMPP

@Suite("Two sites with journals", .timeLimit(.minutes(2)))
struct DurabilityTests {
    private static let romeo = "romeo@alpha.example/a"
    private static let juliet = "juliet@bravo.example"

    private static func messages(_ range: Range<Int>) -> [Stanza] {
        range.map { Stanzas.message(romeo, juliet, "text \($0)", id: "m\($0)") }
    }

    private static func ids(_ range: Range<Int>) -> [String] { range.map { "m\($0)" } }

    @Test(
        "What waits for the link survives the end of both bridges and arrives once, in order",
        arguments: ["skywave", "xep"])
    func outbox(dialect: String) async throws {
        try await DurableSites.with(dialect: dialect) { sites in
            for message in Self.messages(0..<5) { sites.alpha.send(message) }
            try await eventually("the first arrived") { sites.bravo.received.count == 5 }
            // What goes the other way acknowledges them; in dialect xep they would else be in doubt.
            sites.bravo.send(Stanzas.message(Self.juliet, Self.romeo, "back"))
            try await eventually("the answer arrived") { sites.alpha.received.count == 1 }
            await sites.stop(.bravo)
            // In dialect xep what is given to a dying link is in doubt and goes back.
            try await eventually("alpha noticed") { try await sites.peer(.alpha)?.link.state != .connected }
            for message in Self.messages(5..<60) { sites.alpha.send(message) }
            try await eventually("all are durable") {
                guard let status = try await sites.status(.alpha) else { return false }
                return status.peers.first?.core.queuedStanzas == 55 && !status.journal.isUnderWay
            }
            await sites.stop(.alpha)
            try await sites.start(.bravo)
            try await sites.start(.alpha)
            try await eventually("all arrived") { sites.bravo.received.count >= 60 }
            #expect(sites.bravo.received.compactMap(\.id) == Self.ids(0..<60))
            #expect(sites.alpha.received.count == 1, "\(sites.alpha.received.map(\.text))")
            let left = try await sites.peer(.alpha)?.core.queuedStanzas
            #expect(left == 0)
        }
    }

    @Test("What waits for the local server survives the end of its bridge; the link does not repeat it")
    func inbox() async throws {
        try await DurableSites.with(dialect: "skywave") { sites in
            await sites.stop(.bravo)
            try await sites.start(.bravo, isServerThere: false)
            for message in Self.messages(0..<40) { sites.alpha.send(message) }
            try await eventually("all were acknowledged") {
                guard let core = try await sites.peer(.alpha)?.core else { return false }
                return core.acknowledgedStanzas == 40 && core.queuedStanzas == 0
            }
            #expect(sites.bravo.received.isEmpty)
            let before = try await sites.peer(.alpha)?.core.sent
            await sites.stop(.bravo)
            try await sites.start(.bravo)
            try await eventually("all arrived") { sites.bravo.received.count >= 40 }
            #expect(sites.bravo.received.compactMap(\.id) == Self.ids(0..<40))
            #expect(sites.alpha.received.isEmpty)
            #expect(try await sites.peer(.alpha)?.core.sent == before)
        }
    }

    @Test("A full disk: senders are told to wait, what was taken before is kept, and service comes back by itself")
    func fullDisk() async throws {
        try await DurableSites.with(dialect: "skywave") { sites in
            for message in Self.messages(0..<1) { sites.alpha.send(message) }
            try await eventually("the first arrived") { sites.bravo.received.count == 1 }
            sites.journal(.alpha).set(.full)
            for message in Self.messages(1..<2) { sites.alpha.send(message) }
            try await eventually("the bridge noticed") { try await sites.status(.alpha)?.journal.stalledSince != nil }
            for message in Self.messages(2..<12) { sites.alpha.send(message) }
            try await eventually("the senders were told") { sites.alpha.received.count == 10 }
            #expect(sites.alpha.received.compactMap(\.id) == Self.ids(2..<12))
            for answer in sites.alpha.received {
                #expect(answer.text.contains("resource-constraint") && answer.text.contains("type='wait'"))
            }
            #expect(sites.bravo.received.count == 1)
            sites.journal(.alpha).set(.good)
            try await eventually("what was taken arrived") { sites.bravo.received.count == 2 }
            for message in Self.messages(12..<20) { sites.alpha.send(message) }
            try await eventually("service is back") { sites.bravo.received.count == 10 }
            #expect(sites.bravo.received.compactMap(\.id) == Self.ids(0..<2) + Self.ids(12..<20))
            #expect(sites.alpha.received.count == 10)
            #expect(try await sites.status(.alpha)?.journal.stalledSince == nil)
        }
    }

    @Test(
        "A journal that fails up to the end: what was not durable was not acknowledged, and arrives once all the same",
        arguments: ["skywave", "xep"])
    func cutOff(dialect: String) async throws {
        try await DurableSites.with(dialect: dialect) { sites in
            for message in Self.messages(0..<20) { sites.alpha.send(message) }
            try await eventually("they arrived") { sites.bravo.received.count == 20 }
            // From here on nothing becomes durable: neither at the sender nor at the receiver.
            sites.journal(.bravo).set(.silent)
            for message in Self.messages(20..<40) { sites.alpha.send(message) }
            if dialect == "skywave" {
                try await eventually("they were sent") {
                    try await sites.peer(.alpha)?.core.inFlightStanzas ?? 0 > 0
                }
                await sites.stop(.bravo)
                sites.journal(.bravo).set(.good)
                #expect(sites.bravo.received.count == 20)
                try await sites.start(.bravo)
            } else {
                try await eventually("bravo noticed") { try await sites.status(.bravo)?.journal.stalledSince != nil }
                sites.journal(.bravo).set(.good)
            }
            try await eventually("all arrived") { sites.bravo.received.count >= 40 }
            #expect(sites.bravo.received.compactMap(\.id) == Self.ids(0..<40))
            #expect(sites.alpha.received.isEmpty)
        }
    }
}
