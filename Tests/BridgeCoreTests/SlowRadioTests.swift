import BridgeCore
import NIOCore
import RadioSimulator
import TestSupport
import Testing
import XMPP

/// The slowest radios: what waits at both ends takes hours, and nothing may be taken for dead or lost meanwhile.
@Suite struct SlowRadioTests {
    private func message(_ id: String, from: String, to: String, bytes: Int) throws -> Stanza {
        return try stanza("<message from='\(from)' to='\(to)' type='chat' id='\(id)'><body>\(RadioPair.noise(id, bytes: bytes))</body></message>")
    }

    @Test(
        arguments: [("hf-lab-75S", 16 << 10), ("hf-highlat-75L", 8 << 10), ("hf-lab-75S", 1 << 10)], [1, 2] as [UInt64])
    func `what waits at both ends crosses, without an end of the link and without vain repeats`(
        _ link: (name: String, blockBytes: Int), _ seed: UInt64
    ) throws {
        let pair = RadioPair(try RadioPair.link(link.name), seed: seed) { $0.blockBytes = link.blockBytes }
        let ends = ["romeo@ship.example/r", "juliet@shore.example/j"]
        let ids = (0..<27).map { "m\($0)" }
        for id in ids {
            for side in 0..<2 {
                pair.send(side, try message("\(id)", from: ends[side], to: ends[1 - side], bytes: 1_000))
            }
        }
        let start = pair.now
        pair.run(for: .hours(12)) {
            (0..<2).allSatisfy { pair.received($0).count >= ids.count && pair.peers[$0].status.inFlightStanzas == 0 }
        }
        let minutes = (pair.now - start).nanoseconds / 60_000_000_000
        let repeats = pair.peers.map { $0.status.events.first { $0.event == .linkBlockRepeated }?.count ?? 0 }
        print("\(link.name), blocks of \(link.blockBytes) bytes, seed \(seed): \(minutes) min, \(pair.blocks) blocks of "
            + "\(pair.blockBytes) bytes, repeated \(repeats)")
        for side in 0..<2 { #expect(pair.received(side) == ids) }
        #expect(pair.downs == 0)
        // With the long interleaver an acknowledgement that just misses a turn takes half an hour, after which a block goes again.
        #expect(repeats.reduce(0, +) <= (link.name == "hf-highlat-75L" ? 1 : 0))
        // 20.9 kB each way are 75 minutes of the air at 75 bit/s.
        #expect(minutes < 120)
    }
}
