import BridgeCore
import HFNode
import NIOCore
import Outbox
import PresenceCache
import RadioSimulator
import TestSupport
import Testing
import XMPP

/// Dialect `xep` over the modelled radio: processes that are killed while stanzas are inside their nodes.
@Suite struct StanzaRadioPairTests {
    private func message(_ side: Int, _ number: Int, bytes: Int) throws -> Stanza {
        let from = side == 0 ? "romeo@ship.example/r" : "juliet@shore.example/j"
        let to = side == 0 ? "juliet@shore.example" : "romeo@ship.example"
        let body = String(repeating: "bearing ", count: bytes / 8)
        return try stanza("<message from='\(from)' to='\(to)' type='chat' id='\(side)-\(number)'><body>\(body)</body></message>")
    }

    /// What came for the first time, in order.
    private func firsts(_ ids: [String]) -> [String] {
        var seen: Set<String> = []
        return ids.filter { seen.insert($0).inserted }
    }

    /// How often what came came again, by id.
    private func repeats(_ ids: [String]) -> [String: Int] {
        Dictionary(ids.map { ($0, 1) }, uniquingKeysWith: +).filter { $0.value > 1 }
    }

    @Test(arguments: ["hf-lab-1200S", "hf-skywave-poor-1200L"])
    func `messages of both sides arrive once and in order`(_ name: String) throws {
        let pair = StanzaRadioPair(try RadioPair.link(name), seed: 21)
        var sent: [[String]] = [[], []]
        for number in 0..<20 {
            for side in 0..<2 {
                pair.send(side, try message(side, number, bytes: 120))
                sent[side].append("\(side)-\(number)")
            }
            pair.run(for: .seconds(10))
        }
        pair.run(for: .hours(1)) { pair.confirmed == [20, 20] }
        #expect(pair.received(1) == sent[0] && pair.received(0) == sent[1])
        #expect(pair.peers.allSatisfy { $0.journal.peer[.outbox].isEmpty && $0.status.inFlightStanzas == 0 })
    }

    /// The nodes go on trying: a unit's time to live is longer.
    @Test(arguments: ["hf-lab-1200S", "hf-skywave-poor-1200L"])
    func `a link that is cut for ten minutes loses nothing and changes no order`(_ name: String) throws {
        let pair = StanzaRadioPair(try RadioPair.link(name), seed: 22)
        var sent: [[String]] = [[], []]
        for number in 0..<40 {
            if number == 12 { pair.radio.act { nodes, now in nodes.linkCut(true, now: now) } }
            if number == 32 { pair.radio.act { nodes, now in nodes.linkCut(false, now: now) } }
            for side in 0..<2 {
                pair.send(side, try message(side, number, bytes: 120))
                sent[side].append("\(side)-\(number)")
            }
            pair.run(for: .seconds(30))
        }
        pair.run(for: .hours(3)) { pair.confirmed == [40, 40] }
        #expect(firsts(pair.received(1)) == sent[0] && firsts(pair.received(0)) == sent[1])
        #expect(pair.peers.allSatisfy { $0.journal.peer[.outbox].isEmpty && $0.status.inFlightStanzas == 0 })
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `a bridge that is killed at any moment loses nothing and changes no order`(_ seed: UInt64) throws {
        let pair = StanzaRadioPair(try RadioPair.link("hf-lab-1200S"), seed: 100 + seed)
        var random = SeededGenerator(seed: seed)
        var sent: [String] = []
        var kills = 0
        for number in 0..<40 {
            // The units of one stanza in four are several U_PDUs.
            pair.send(0, try message(0, number, bytes: number % 4 == 3 ? 2_600 : 200))
            sent.append("0-\(number)")
            pair.run(for: .milliseconds(.random(in: 1...8_000, using: &random)))
            guard Int.random(in: 0..<8, using: &random) == 0 else { continue }
            kills += 1
            try pair.kill(0)
            pair.run(for: .milliseconds(.random(in: 1...30_000, using: &random)))
            pair.start(0)
        }
        pair.run(for: .hours(6)) { pair.peers[0].journal.peer[.outbox].isEmpty }
        let received = pair.received(1)
        #expect(kills > 0)
        #expect(firsts(received) == sent)
        // Twice came only what was in doubt when a process ended, and once more for each time at most.
        for (id, times) in repeats(received) { #expect(pair.doubtful[0].contains(id) && times <= kills + 1) }
        #expect(pair.peers[0].journal.peer[.outbox].isEmpty && pair.peers[0].status.inFlightStanzas == 0)
        #expect(pair.peers[0].delivered.isEmpty)
    }

    @Test func `a bridge and its node that end together lose nothing`() throws {
        let pair = StanzaRadioPair(try RadioPair.link("hf-lab-1200S"), seed: 31)
        var sent: [String] = []
        for number in 0..<24 {
            pair.send(0, try message(0, number, bytes: 200))
            sent.append("0-\(number)")
            pair.run(for: .seconds(1))
        }
        #expect(pair.peers[0].status.inFlightStanzas > 0)
        try pair.kill(0)
        pair.radio.act { nodes, now in nodes.nodeStopped(.first, now: now) }
        pair.run(for: .seconds(30))
        pair.radio.act { nodes, now in nodes.nodeStarted(.first, now: now) }
        pair.start(0)
        pair.run(for: .hours(6)) { pair.peers[0].journal.peer[.outbox].isEmpty }
        #expect(firsts(pair.received(1)) == sent)
        #expect(Set(repeats(pair.received(1)).keys).isSubset(of: pair.doubtful[0]))
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `while the peer's bridge is down its messages wait, and none is lost`(_ seed: UInt64) throws {
        let pair = StanzaRadioPair(try RadioPair.link("hf-lab-1200S"), seed: 200 + seed)
        var random = SeededGenerator(seed: seed)
        var sent: [String] = []
        for number in 0..<30 {
            pair.send(0, try message(0, number, bytes: 120))
            sent.append("0-\(number)")
            pair.run(for: .milliseconds(.random(in: 1...8_000, using: &random)))
            guard number % 10 == 5 else { continue }
            try pair.kill(1)
            pair.run(for: .milliseconds(.random(in: 1...120_000, using: &random)))
            #expect(!pair.peers[0].journal.peer[.outbox].isEmpty)
            pair.start(1)
        }
        pair.run(for: .hours(12)) { pair.peers[0].journal.peer[.outbox].isEmpty }
        #expect(pair.peers[0].journal.peer[.outbox].isEmpty)
        // What the peer's node could not hand over comes behind what it could.
        #expect(Set(pair.received(1)) == Set(sent))
    }

    @Test func `who is behind a radio that does not answer is shown as gone until something of the peer is heard`() throws {
        let pair = StanzaRadioPair(try RadioPair.link("hf-lab-1200S"), seed: 41) {
            $0.cachesPresence = true
            $0.presence.unavailableAfter = .minutes(5)
        }
        func shown() -> [StanzaType] { pair.peers[0].delivered.filter { $0.kind == .presence }.map(\.type) }
        pair.send(1, try stanza("<presence from='juliet@shore.example/j' to='romeo@ship.example'><show>away</show></presence>"))
        pair.run(for: .minutes(5)) { !shown().isEmpty }
        #expect(shown() == [.absent])
        pair.radio.act { nodes, now in nodes.linkCut(true, now: now) }
        pair.send(0, try BridgeCoreTests.message("1", id: "1"))
        pair.run(for: .hours(5))
        // The bind was there all the time.
        #expect(shown() == [.absent, .unavailable])
        pair.radio.act { nodes, now in nodes.linkCut(false, now: now) }
        pair.run(for: .hours(2)) { shown().count > 2 && !pair.received(1).isEmpty }
        #expect(shown() == [.absent, .unavailable, .absent])
        #expect(Set(pair.received(1)) == ["1"])
    }
}
