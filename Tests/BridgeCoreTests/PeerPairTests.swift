import BridgeCore
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// Two peers on a link that speaks blocks: nothing lost, nothing twice, order kept.
@Suite struct PeerPairTests {
    @Test(arguments: Array(1...16) as [UInt64])
    func `random cuts and restarts lose nothing`(seed: UInt64) throws {
        let pair = PeerPair(seed: seed)
        for _ in 0..<900 { try pair.step(restarts: true) }
        pair.connect()
        pair.quiesce()
        pair.cut()
        pair.connect()
        pair.quiesce()
        _ = pair.check("seed \(seed)")
        #expect(pair.ship.restarts + pair.shore.restarts > 2)
    }

    @Test(arguments: Array(1...5) as [UInt64])
    func `without restarts nothing is ever in doubt`(seed: UInt64) throws {
        let pair = PeerPair(seed: seed)
        for _ in 0..<1_000 { try pair.step(restarts: false) }
        pair.connect()
        pair.quiesce()
        #expect(pair.check("seed \(seed)") == 0)
    }
}
