import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import SeededRandom
import Testing

/// Everything that can happen to nodes, by chance.
struct RadioSoakTests {
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `cuts, restarts and silence delay units, and a client hears of each what became of it`(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var link = try RadioLink.shipped(seed.isMultiple(of: 3) ? "hf-skywave-poor-1200L" : "hf-lab-1200S")
        link.clients.flowControl = seed.isMultiple(of: 2) ? .primitives : .backPressure
        link.clients.queueBytes = 8_192
        link.node.loss = Bool.random(using: &random) ? .reject : .keep
        let talk = Conversation(link, seed: seed, unitBytes: 600, confirmation: .client)
        var sent: UInt32 = 0
        for _ in 0..<20 {
            let count = UInt32.random(in: 1...12, using: &random)
            for side in HFNodeSide.allCases { talk.send(side, sent + 1...sent + count) }
            sent += count
            let side: HFNodeSide = Bool.random(using: &random) ? .first : .second
            switch Int.random(in: 0..<6, using: &random) {
            case 0: talk.radio.act { $0.nodes.linkCut(true, now: $1) }
            case 1: talk.radio.act { $0.nodes.nodeStopped(side, now: $1) }
            case 2: talk.radio.act { $0.nodes.emissionControlOrdered(side, isSilent: true, now: $1) }
            case 3:
                talk.radio.act {
                    $0.nodes.nodeStopped(side, now: $1)
                    $0.nodes.nodeStarted(side, now: $1)
                }
            default: break
            }
            talk.radio.run(for: .seconds(Int64.random(in: 1...900, using: &random)))
            talk.radio.act { radio, now in
                radio.nodes.linkCut(false, now: now)
                for side in HFNodeSide.allCases {
                    radio.nodes.nodeStarted(side, now: now)
                    radio.nodes.emissionControlOrdered(side, isSilent: false, now: now)
                }
            }
            talk.radio.run(for: .seconds(Int64.random(in: 0...300, using: &random)))
        }
        // A unit that a restart took may be waited for as long as units live.
        talk.radio.run(for: .hours(60)) { talk.isQuiet }
        #expect(talk.isQuiet)
        for side in HFNodeSide.allCases {
            #expect(talk[side].confirmed == Set(1...sent))
            #expect(talk[side].received.allSatisfy { (1...sent).contains($0) })
            #expect(Set(talk[side].received) == Set(1...sent))
            #expect(talk[side].inNode.isEmpty)
        }
    }
}
