import HFNode
import NIOCore
import STANAG5066
import SeededRandom
import Testing

struct HFNodePairTests {
    @Test func `a unit makes a link, arrives, is confirmed, and the idle link is broken`() throws {
        let run = PairRun(.short(1200), channel: ClearBurstChannel())
        let number = run.send(.first)
        run.run(for: .minutes(3))
        #expect(run.numbersArrived(.second) == [number])
        #expect(run.confirmed[.first] == [number])
        let made = run.notes[.first]?.first
        #expect(made == .linkMade(address("10.0.0.2"), asCaller: true))
        #expect(run.notes[.second]?.first == .linkMade(address("10.0.0.1"), asCaller: false))
        #expect(run.notes[.first]?.last == .linkBroken(address("10.0.0.2"), .idle))
        #expect(run.notes[.second]?.last == .linkBroken(address("10.0.0.1"), .brokenByPeer(CPDU.BreakReason.noMoreData)))
        // Request, accept, data, acknowledgement, break, confirmation.
        #expect(run.bursts.map(\.side) == [.first, .second, .first, .second, .first, .second])
        #expect(run.pair.nextDeadline == nil)
    }

    @Test func `a client confirmation crosses the air and comes back`() {
        let run = PairRun(.short(1200), channel: ClearBurstChannel())
        let delivery = ServiceType(.arq, confirmation: .client)
        let numbers = (0..<20).map { _ in run.send(.first, delivery: delivery) }
        let unbound = run.send(.first, delivery: delivery, sap: 9)
        run.run(for: .minutes(5))
        #expect(run.numbersArrived(.second) == numbers)
        #expect(run.confirmed[.first] == numbers)
        #expect(run.rejected[.first] == [unbound: .destinationSAPNotBound])
    }

    @Test func `a node that does not answer is called four times, then the units are rejected`() {
        var channel = LossyChannel(seed: 1)
        channel.burstLoss = 1
        let run = PairRun(.short(1200), channel: channel)
        let number = run.send(.first)
        run.run(for: .minutes(10))
        #expect(run.rejected[.first] == [number: .destinationNotResponding])
        #expect(run.bursts.count == 4)
    }
}
