import BridgeCore
import HFNode
import NIOCore
import PresenceCache
import RadioSimulator
import TestSupport
import Testing
import XMPP

/// Bridges over the modelled radio: STANAG 5066 nodes, ARQ, turns.
@Suite struct RadioPairTests {
    private func message(_ side: Int, _ number: Int, bytes: Int = 60) throws -> Stanza {
        let from = side == 0 ? "romeo@ship.example/r" : "juliet@shore.example/j"
        let to = side == 0 ? "juliet@shore.example" : "romeo@ship.example"
        let words = ["contact", "bearing", "zero", "nine", "fuel", "state", "harbour", "relay", "steady", "weather"]
        var random = SeededGenerator(seed: UInt64(number))
        var body = ""
        while body.utf8.count < bytes { body += (words.randomElement(using: &random) ?? "") + " \(number) " }
        return try stanza("<message from='\(from)' to='\(to)' type='chat' id='\(side)-\(number)'><body>\(body)</body></message>")
    }

    @Test(arguments: ["hf-lab-1200S", "hf-skywave-poor-1200L"])
    func `messages of both sides arrive once and in order`(_ name: String) throws {
        let pair = RadioPair(try RadioPair.link(name), seed: 11)
        var sent: [[String]] = [[], []]
        for number in 0..<30 {
            for side in 0..<2 {
                pair.send(side, try message(side, number))
                sent[side].append("\(side)-\(number)")
            }
            pair.run(for: .seconds(20))
        }
        pair.run(for: .minutes(60)) { pair.received(0).count == 30 && pair.received(1).count == 30 }
        #expect(pair.received(1) == sent[0])
        #expect(pair.received(0) == sent[1])
        pair.run(for: .minutes(10))
        #expect(pair.peers.allSatisfy { $0.status.inFlightStanzas == 0 && $0.failures.isEmpty })
        #expect(pair.downs == 0)
    }

    @Test(arguments: ["hf-lab-1200S", "hf-skywave-poor-1200L"])
    func `a link that is cut for ten minutes loses nothing and changes no order`(_ name: String) throws {
        let pair = RadioPair(try RadioPair.link(name), seed: 12)
        var sent: [[String]] = [[], []]
        for number in 0..<40 {
            if number == 12 { pair.radio.act { nodes, now in nodes.linkCut(true, now: now) } }
            if number == 32 { pair.radio.act { nodes, now in nodes.linkCut(false, now: now) } }
            for side in 0..<2 {
                pair.send(side, try message(side, number))
                sent[side].append("\(side)-\(number)")
            }
            pair.run(for: .seconds(30))
        }
        pair.run(for: .hours(2)) { pair.received(0).count == 40 && pair.received(1).count == 40 }
        #expect(pair.received(1) == sent[0])
        #expect(pair.received(0) == sent[1])
    }

    @Test func `nodes and bridges that restart lose nothing`() throws {
        let pair = RadioPair(try RadioPair.link("hf-lab-1200S"), seed: 13)
        var sent: [[String]] = [[], []]
        for number in 0..<40 {
            for side in 0..<2 {
                pair.send(side, try message(side, number))
                sent[side].append("\(side)-\(number)")
            }
            pair.run(for: .seconds(15))
            if number % 10 == 5 {
                let side = HFNodeSide.allCases[number / 10 % 2]
                pair.radio.act { nodes, now in nodes.nodeStopped(side, now: now) }
                pair.run(for: .seconds(20))
                pair.radio.act { nodes, now in nodes.nodeStarted(side, now: now) }
            }
        }
        pair.run(for: .hours(4)) { pair.received(0).count == 40 && pair.received(1).count == 40 }
        #expect(pair.received(1) == sent[0])
        #expect(pair.received(0) == sent[1])
    }

    @Test func `who is behind a radio that is silent for long is shown as gone until he is heard again`() throws {
        let pair = RadioPair(try RadioPair.link("hf-lab-1200S"), seed: 15) {
            $0.cachesPresence = true
            $0.presence.unavailableAfter = .minutes(5)
        }
        func shown() -> [StanzaType] { pair.peers[0].delivered.filter { $0.kind == .presence }.map(\.type) }
        pair.send(1, try stanza("<presence from='juliet@shore.example/j' to='romeo@ship.example'><show>away</show></presence>"))
        pair.run(for: .minutes(5)) { !shown().isEmpty }
        #expect(shown() == [.absent])
        pair.radio.act { nodes, now in nodes.linkCut(true, now: now) }
        pair.send(0, try message(0, 1))
        pair.run(for: .hours(5))
        // The node takes the bridge back again and again; that says nothing of the peer.
        #expect(pair.downs > 1)
        #expect(shown() == [.absent, .unavailable])
        pair.radio.act { nodes, now in nodes.linkCut(false, now: now) }
        pair.run(for: .hours(2)) { shown().count > 2 && pair.received(1).count == 1 }
        #expect(shown() == [.absent, .unavailable, .absent])
        #expect(pair.received(1) == ["0-1"])
    }

    @Test func `what waits while the radio works on something leaves in one block`() throws {
        let pair = RadioPair(try RadioPair.link("hf-lab-1200S"), seed: 14)
        pair.send(0, try message(0, 0))
        let first = pair.blocks[0]
        // While the first is called for, sent and acknowledged.
        for number in 1..<12 {
            pair.send(0, try message(0, number))
            pair.run(for: .milliseconds(300))
        }
        pair.run(for: .minutes(5)) { pair.received(1).count == 12 }
        #expect(pair.received(1).count == 12)
        #expect(pair.blocks[0] - first <= 3)
    }
}
