import Blocks
import BridgeCore
import NIOCore
import TestSupport
import Testing
import XMPP

@Suite struct LinkSimulationTests {
    private static let compressions: [LinkCompression?] = [nil, .deflate(level: 6)]

    @Test(arguments: Array(1...6) as [UInt64], compressions)
    func `two bridges over a link that breaks keep their promises`(seed: UInt64, compression: LinkCompression?) throws {
        let simulation = LinkSimulation(seed: seed, compression: compression) { policy in
            policy.iqTimeout = .seconds(60)
            policy.messageLifetime = .minutes(3)
            policy.outboxStanzas = 200
        }
        try simulation.play(steps: 3_000, meanGap: 150, cutsEvery: 60)
        simulation.drain()

        #expect(simulation.cuts > 20)
        for side in [simulation.ship, simulation.shore] {
            let lost = side.sentMessages.subtracting(side.arrivedMessages).subtracting(side.returnedMessages)
            #expect(
                lost.isSubset(of: side.lostMessages),
                "seed \(seed), \(side.name): messages \(lost.subtracting(side.lostMessages).sorted()) vanished")
            #expect(side.arrivedMessages.count > 300)
            let wrong = side.answers.filter { $0.value != 1 }
            #expect(side.answers.count > 150)
            #expect(wrong.isEmpty, "seed \(seed), \(side.name): requests with other than one answer: \(wrong)")
            #expect(side.roomErrorsArrived == 0)
            let status = side.peer.status
            #expect(status.queuedStanzas == 0 && status.queuedBytes == 0)
            #expect(status.pendingLocalRequests == 0 && status.pendingRemoteRequests == 0)
            #expect(status.count(of: .foreignSender) == 0 && status.count(of: .notAStanza) == 0)
            #expect(status.count(of: .roomErrorSuppressed) > 0)
        }
        // The limit, its reserve and a batch that came back.
        #expect(simulation.peakQueued <= 200 + 89 + 64)
    }

    @Test func `a link slower than its traffic fills the outbox to its limit and no further`() throws {
        let simulation = LinkSimulation(seed: 77, compression: nil) { policy in
            policy.iqTimeout = .seconds(30)
            policy.messageLifetime = .minutes(1)
            policy.outboxStanzas = 100
        }
        try simulation.play(steps: 3_000, meanGap: 2, cutsEvery: 400)
        simulation.drain()
        #expect(simulation.peakQueued > 100)
        #expect(simulation.peakQueued <= 100 + 76 + 64)
        for side in [simulation.ship, simulation.shore] {
            #expect(side.peer.status.count(of: .outboxFull) > 0)
            let lost = side.sentMessages.subtracting(side.arrivedMessages).subtracting(side.returnedMessages)
            #expect(lost.isSubset(of: side.lostMessages))
            #expect(side.answers.allSatisfy { $0.value == 1 })
            #expect(side.peer.status.queuedStanzas == 0)
        }
    }

    @Test func `the same seed gives the same run`() throws {
        func run() throws -> [PeerStatus] {
            let simulation = LinkSimulation(seed: 5, compression: .deflate(level: 6)) { $0.iqTimeout = .seconds(60) }
            try simulation.play(steps: 500, meanGap: 100, cutsEvery: 40)
            return [simulation.ship.peer.status, simulation.shore.peer.status]
        }
        #expect(try run() == run())
    }
}
