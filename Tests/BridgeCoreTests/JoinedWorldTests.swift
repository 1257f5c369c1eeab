import BridgeCore
import Testing

/// Everything at once, from a seed: cuts, expiry, reloads of profiles and of id folding, stops and crashes.
@Suite struct JoinedWorldTests {
    @Test(arguments: 1...24)
    func `nothing is lost, doubled, left without an answer or seen as it is not`(seed: Int) throws {
        let world = try JoinedWorld(seed: UInt64(seed))
        world.stops = seed % 3 != 0
        world.crashes = seed % 3 == 1
        world.check("seed \(seed), start")
        for _ in 0..<1_500 { try world.step() }
        try world.settle()
        world.check("seed \(seed)")
        #expect(world.pair.foldedStanzas > 0 && !world.receipts.isEmpty)
    }
}
