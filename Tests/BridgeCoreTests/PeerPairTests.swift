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

    /// One scenario, ended at every batch: just before it is durable and just after.
    @Test(arguments: [0, 1], [false, true])
    func `a restart at any batch boundary loses nothing`(side: Int, isDurable: Bool) throws {
        var boundary = 1
        while try restartsAt(boundary, side: side, isDurable: isDurable) { boundary += 1 }
        #expect(boundary > 15)
    }

    /// False when the scenario has fewer batches.
    private func restartsAt(_ boundary: Int, side: Int, isDurable: Bool) throws -> Bool {
        let pair = PeerPair(seed: 77)
        var hasRestarted = false
        func settle() {
            for _ in 0..<12 {
                for number in 0..<2 {
                    let peer = pair.sides[number]
                    peer.take()
                    if number == side, !hasRestarted, peer.pending.first?.number == UInt64(boundary) {
                        hasRestarted = true
                        if isDurable { peer.commit() }
                        pair.restart(number)
                    } else {
                        peer.commit()
                    }
                    pair.transmit(number)
                    pair.arrive(number)
                    peer.confirm(2)
                }
                pair.advance(.milliseconds(30))
            }
            pair.connect()
        }
        pair.connect()
        for _ in 0..<6 {
            for number in 0..<4 { try pair.sendSomething(number % 2, largest: 2_000) }
            settle()
        }
        pair.quiesce()
        _ = pair.check("side \(side), batch \(boundary), durable \(isDurable)")
        return hasRestarted
    }
}
