import BridgeCore
import NIOCore
import Outbox
import RadioSimulator
import TestSupport
import Testing
import XMPP

/// On a slow radio what is urgent waits for what the node is sending, not for what waits to be handed to the node.
@Suite struct RadioUrgencyTests {
    /// A turn of the longest transmission (STANAG 5066 Ed. 3 §C.3.2.3: 127.5 s), its acknowledgement, and turning round twice.
    private static let turn = TimeAmount.seconds(180)

    private func message(_ id: String, from: String = "romeo", bytes: Int, _ more: String = "") throws -> Stanza {
        return try stanza(
            "<message from='\(from)@ship.example/r' to='juliet@shore.example' type='chat' id='\(id)'>"
                + "<body>\(RadioPair.noise(id, bytes: bytes))</body>\(more)</message>")
    }

    private func urgent(_ id: String) throws -> Stanza {
        try message(
            id, from: "captain", bytes: 40,
            "<headers xmlns='http://jabber.org/protocol/shim'><header name='Urgency'>emergency</header></headers>")
    }

    private func arrival(_ pair: RadioPair, _ id: String) -> NIODeadline? {
        pair.arrivals[1].first { $0.id == id }?.at
    }

    @Test(
        arguments: [("hf-lab-75S", 12_000, 1), ("hf-lab-75S", 800, 15), ("hf-nvis-300S", 40_000, 1), ("hf-lab-1200S", 2_000, 80)],
        [1, 2] as [UInt64])
    func `an urgent message arrives within two turns, long before the block it overtakes`(
        _ load: (link: String, bytes: Int, count: Int), _ seed: UInt64
    ) throws {
        let pair = RadioPair(try RadioPair.link(load.link), seed: seed)
        pair.send(0, try message("first", bytes: 40))
        pair.run(for: .minutes(30)) { arrival(pair, "first") != nil && pair.peers[0].status.inFlightStanzas == 0 }
        for number in 0..<load.count { pair.send(0, try message("bulk \(number)", bytes: load.bytes)) }
        // The window has opened as far as it does, and the node sends.
        pair.run(for: .seconds(100))
        for number in 0..<3 {
            let start = pair.now
            pair.send(0, try urgent("urgent \(number)"))
            pair.run(for: .hours(1)) { arrival(pair, "urgent \(number)") != nil }
            let took = try #require(arrival(pair, "urgent \(number)")) - start
            let seconds = took.nanoseconds / 1_000_000_000
            print("\(load.link), \(load.count) of \(load.bytes) bytes, seed \(seed): urgent \(number) after \(seconds) s")
            #expect(took <= Self.turn * 2)
        }
        let last = "bulk \(load.count - 1)"
        #expect(arrival(pair, last) == nil)
        pair.run(for: .hours(6)) { arrival(pair, last) != nil }
        let bulk = (0..<load.count).map { "bulk \($0)" }
        #expect(pair.received(1).filter { $0.hasPrefix("bulk") } == bulk)
        #expect(pair.received(1).count == load.count + 4 && pair.downs == 0)
    }

    @Test(arguments: [("hf-lab-75S", 400, 30), ("hf-lab-1200S", 1_500, 80)], [1, 2] as [UInt64])
    func `in dialect xep an urgent stanza arrives within two turns, long before the batch it overtakes`(
        _ load: (link: String, bytes: Int, count: Int), _ seed: UInt64
    ) throws {
        // Batches as large as any: what matters is not how small they are.
        let pair = StanzaRadioPair(try RadioPair.link(load.link), seed: seed) {
            $0.batchBytes = 1 << 20
            $0.batchStanzas = 1_000
        }
        func isThere(_ id: String) -> Bool { pair.received(1).contains(id) }
        pair.send(0, try message("first", bytes: 40))
        pair.run(for: .minutes(30)) { isThere("first") && pair.peers[0].status.inFlightStanzas == 0 }
        for number in 0..<load.count { pair.send(0, try message("bulk \(number)", bytes: load.bytes)) }
        pair.run(for: .seconds(100))
        for number in 0..<3 {
            let start = pair.now
            pair.send(0, try urgent("urgent \(number)"))
            pair.run(for: .hours(1)) { isThere("urgent \(number)") }
            let seconds = (pair.now - start).nanoseconds / 1_000_000_000
            print("xep, \(load.link), \(load.count) of \(load.bytes) bytes, seed \(seed): urgent \(number) after \(seconds) s")
            #expect(pair.now - start <= Self.turn * 2)
        }
        #expect(!isThere("bulk \(load.count - 1)"))
        pair.run(for: .hours(12)) { pair.peers[0].journal.peer[.outbox].isEmpty }
        #expect(pair.received(1).filter { $0.hasPrefix("bulk") } == (0..<load.count).map { "bulk \($0)" })
        #expect(pair.received(1).count == load.count + 4)
    }
}
