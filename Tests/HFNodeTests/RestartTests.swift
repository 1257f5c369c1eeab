import HFNode
import NIOCore
import STANAG5066
import SeededRandom
import Testing

/// Loses bursts by their number, counted from 1.
private struct ForgetfulChannel: BurstChannel {
    let lost: Set<Int>
    var count = 0

    mutating func fate(of burst: Burst, from side: HFNodeSide, at start: NIODeadline) -> BurstFate {
        count += 1
        return lost.contains(count) ? .unheard : .intact(burst)
    }
}

struct RestartTests {
    /// The shorter segments are, the better they fill a transmission; at some of these lengths an acceptance finds no room behind them.
    @Test(arguments: 20...45)
    func `a call is answered before data that fill the transmission`(_ segment: Int) {
        let run = PairRun(.short(75), channel: ForgetfulChannel(lost: [])) { $0.segmentBytes = segment }
        let call = run.send(.first, size: 100)
        run.run(for: .seconds(6))
        #expect(run.bursts.map(\.side) == [.first])
        // The called side has data before it can answer.
        let numbers = (0..<3).map { _ in run.send(.second, size: 2_000) }
        run.run(for: .hours(2))
        let peer = PairRun<ForgetfulChannel>.addresses[.second] ?? .broadcast
        #expect(run.notes[.first]?.first == .linkMade(peer, asCaller: true))
        #expect(run.numbersArrived(.first) == numbers)
        #expect(run.numbersArrived(.second) == [call])
    }

    @Test func `an acceptance that is lost with the data behind it costs no data`() {
        // The second burst is the acceptance: the called side has a link and data, the caller has neither.
        let run = PairRun(.short(75), channel: ForgetfulChannel(lost: [2]))
        let call = run.send(.first, size: 100)
        run.run(for: .seconds(6))
        let numbers = (0..<3).map { _ in run.send(.second, size: 2_000) }
        run.run(for: .hours(2))
        #expect(run.numbersArrived(.first) == numbers)
        // The caller may have given up before, but then it says so.
        #expect(run.numbersArrived(.second) == [call] || run.rejected[.first] == [call: .destinationNotResponding])
    }

    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func `units of two lives of a node are never mixed`(_ seed: UInt64) {
        var channel = LossyChannel(seed: seed)
        channel.elementLoss = 0.4
        let run = PairRun(.short(1200), channel: channel) { $0.lossPolicy = .keep }
        var random = SplitMix64(seed: seed)
        for life in 0..<6 {
            for _ in 0..<4 { run.send(.first, size: 300 + 100 * life + Int.random(in: 0..<50, using: &random)) }
            run.run(for: .seconds(Int64.random(in: 1...60, using: &random)))
            var configuration = HFNodeConfiguration(address: PairRun<LossyChannel>.addresses[.first] ?? .broadcast)
            configuration.lossPolicy = .keep
            configuration.seed = UInt64(life) + 7
            let now = run.now
            run.pair.nodeReplaced(
                .first, with: HFNodeMachine(configuration: configuration, timing: .short(1200)), now: now)
            run.pair.withNode(.first, now: now) { $0.clientBound(sap: 6) }
        }
        let last = (0..<4).map { _ in run.send(.first, size: 1_500) }
        run.run(for: .hours(3))
        for arrival in run.arrived[.second] ?? [] {
            let fill = UInt8(truncatingIfNeeded: arrival.unit &* 31)
            let bytes = arrival.indication.uPDU.readableBytesView
            #expect(bytes.dropFirst(8).allSatisfy { $0 == fill }, "unit \(arrival.unit)")
            #expect(last.contains(arrival.unit) == (bytes.count == 1_500), "unit \(arrival.unit): \(bytes.count) bytes")
        }
        #expect(Set(run.numbersArrived(.second)).isSuperset(of: last))
    }
}
