import Blocks
import BridgeCore
import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import TestSupport
import Testing
import XMPP

/// A saturated link of blocks uses what the nodes can carry: batching, the filling of U_PDUs and credit leave no turn unused.
@Suite struct RadioUtilisationTests {
    /// Keeps so many bytes of stanzas waiting.
    private func fill(_ pair: RadioPair, _ number: inout Int, _ random: inout SeededGenerator, bytes: Int) throws {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        while pair.peers[0].status.queuedBytes < bytes {
            number += 1
            let noise = String((0..<600).map { _ in letters.randomElement(using: &random) ?? "A" })
            pair.send(
                0,
                try stanza(
                    "<message from='romeo@ship.example/r' to='juliet@shore.example' type='chat' id='\(number)'><body>\(noise)</body></message>"
                ))
        }
    }

    @Test(arguments: [("hf-lab-1200S", 4_096), ("hf-lab-9600VL", 16 << 10)])
    func `a saturated link carries what raw bulk does`(_ name: String, _ blockBytes: Int) throws {
        let link = try RadioPair.link(name)
        let duration = TimeAmount.minutes(30)
        let settling = TimeAmount.minutes(15)
        let bulk = BulkMeasurement.run(
            link: link, confirmation: .node, bytesInNode: 256 << 10, settling: settling, duration: duration, seed: 5)
        let pair = RadioPair(link, seed: 5) {
            $0.blockBytes = blockBytes
            $0.linkSession.level = 6
        }
        var random = SeededGenerator(seed: 5)
        var number = 0
        func run(_ duration: TimeAmount) throws {
            let end = pair.now + duration
            while pair.now < end {
                try fill(pair, &number, &random, bytes: 400_000)
                pair.run(for: .seconds(10))
            }
        }
        try run(settling)
        let before = pair.radio.nodes.statistics.second.bytesDelivered
        try run(duration)
        let carried = pair.radio.nodes.statistics.second.bytesDelivered - before
        print("utilisation on \(name): \(carried) bytes of U_PDUs, raw bulk \(bulk.bytes), \(Double(carried) / Double(bulk.bytes))")
        #expect(Double(carried) >= 0.97 * Double(bulk.bytes))
    }
}
