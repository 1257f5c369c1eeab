import NIOCore
import Testing

@testable import Transports

/// The machine against itself, over thousands of orders of events.
@Suite(.timeLimit(.minutes(2))) struct LinkSimulationTests {
    private static let dialBoth = TCPLinkPolicy(dial: .whenNeeded(atStart: true))

    private func policies(_ seed: UInt64) -> (TCPLinkPolicy, TCPLinkPolicy) {
        switch seed % 4 {
        case 0: (TCPLinkPolicy(dial: .always), TCPLinkPolicy(dial: .never))
        case 1: (Self.dialBoth, Self.dialBoth)
        case 2: (TCPLinkPolicy(dial: .always), TCPLinkPolicy(dial: .always))
        default: (TCPLinkPolicy(dial: .whenNeeded(atStart: false)), TCPLinkPolicy(dial: .always))
        }
    }

    @Test func `d25: without faults everything arrives once and in order, whoever dials and whenever`() throws {
        var oneWay = 0
        for seed in 0..<2_000 as Range<UInt64> {
            let (left, right) = policies(seed)
            let simulation = LinkSimulation(left, right, batches: 30, faults: 0, seed: seed)
            try simulation.run(seconds: 300, closeAtEnd: false)
            for end in 0...1 {
                let sender = simulation.ends[end]
                let receiver = simulation.ends[1 - end]
                #expect(receiver.received == Array(0..<30), "seed \(seed)")
                #expect(sender.written == Array(0..<30), "seed \(seed)")
                #expect(sender.inDoubt.isEmpty && sender.returned.isEmpty, "seed \(seed)")
                #expect(sender.dials <= 1, "seed \(seed)")
                #expect(simulation.openConnections(of: end) <= 2, "seed \(seed)")
            }
            if simulation.ends.allSatisfy({ $0.usedOwn && !$0.usedPeers }) { oneWay += 1 }
        }
        // Both dial in half of the runs; where one call is so much slower that the other side's comes first, the
        // connection that is already in use stays in use.
        #expect(oneWay > 300, "both sides dialled at once in many runs, and then each connection was one-way")
    }

    @Test func `with faults no batch is forgotten, none that came back arrives, and the link always comes back`() throws {
        var doubts = 0
        for seed in 0..<2_000 as Range<UInt64> {
            let (left, right) = policies(seed)
            let simulation = LinkSimulation(left, right, batches: 60, faults: 30, seed: seed)
            try simulation.run(seconds: 3_600, closeAtEnd: false)
            for end in 0...1 {
                let sender = simulation.ends[end]
                let received = simulation.ends[1 - end].received
                let accounted = sender.written + sender.inDoubt + sender.returned
                #expect(Set(received).count == received.count, "seed \(seed): twice")
                #expect(accounted.sorted() == Array(0..<accounted.count), "seed \(seed): \(accounted)")
                #expect(Set(sender.returned).isDisjoint(with: received), "seed \(seed)")
                doubts += sender.inDoubt.count
                if seed % 4 == 0 || seed % 4 == 2 {
                    #expect(sender.isConnected, "seed \(seed): \(sender.machine.debugState)")
                    #expect(accounted.count == 60, "seed \(seed)")
                }
                #expect(simulation.openConnections(of: end) <= 3, "seed \(seed)")
            }
        }
        #expect(doubts > 1_000)
    }

    @Test func `a close at both ends, at any moment, ends with nothing open`() throws {
        for seed in 0..<1_000 as Range<UInt64> {
            let (left, right) = policies(seed)
            let simulation = LinkSimulation(left, right, batches: 100, faults: seed % 2 == 0 ? 10 : 0, seed: seed)
            try simulation.run(seconds: 90, closeAtEnd: true)
            for end in 0...1 {
                #expect(simulation.ends[end].isClosed, "seed \(seed): \(simulation.ends[end].machine.debugState)")
                #expect(!simulation.ends[end].isConnected, "seed \(seed)")
                #expect(simulation.openConnections(of: end) == 0, "seed \(seed)")
            }
        }
    }
}
