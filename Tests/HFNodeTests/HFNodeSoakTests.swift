import HFNode
import NIOCore
import STANAG5066
import SeededRandom
import Testing

/// Two nodes over a channel that fails in every way it can.
struct HFNodeSoakTests {
    private func timing(_ random: inout SplitMix64) -> TransmissionTiming {
        let rate = [75, 300, 1200, 2400, 9600].randomElement(using: &random) ?? 1200
        return Bool.random(using: &random) ? .short(rate) : .long(rate)
    }

    @Test(arguments: Array(0..<10) + [21, 37]) func `what is kept over losses arrives once and in order`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var channel = LossyChannel(seed: UInt64(seed) + 1000)
        channel.burstLoss = [0, 0.05, 0.3].randomElement(using: &random) ?? 0
        channel.elementLoss = [0, 0.05, 0.3].randomElement(using: &random) ?? 0
        channel.segmentDamage = [0, 0.1, 0.4].randomElement(using: &random) ?? 0
        let start = NIODeadline.uptimeNanoseconds(0)
        if Bool.random(using: &random) {
            channel.cuts = [start + .minutes(3)..<start + .minutes(13), start + .minutes(20)..<start + .minutes(21)]
        }
        let segment = [50, 200, 1023].randomElement(using: &random) ?? 200
        let window = [1, 7, 128].randomElement(using: &random) ?? 128
        let copies = Int.random(in: 1...3, using: &random)
        let run = PairRun(timing(&random), channel: channel) { configuration in
            configuration.lossPolicy = .keep
            configuration.segmentBytes = segment
            configuration.window = window
            configuration.acknowledgementCopies = copies
            configuration.turnaround = .milliseconds(300)
            // At 75 bit/s with losses, a confirmation takes its time.
            configuration.clientConfirmationTime = .hours(300)
        }
        var sent: [HFNodeSide: [UInt64]] = [.first: [], .second: []]
        for _ in 0..<25 {
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let side: HFNodeSide = Int.random(in: 0..<3, using: &random) == 0 ? .second : .first
                let isClient = Int.random(in: 0..<4, using: &random) == 0
                let delivery = ServiceType(.arq, confirmation: isClient ? .client : .node)
                sent[side]?.append(run.send(side, size: Int.random(in: 8...1200, using: &random), delivery: delivery))
            }
            run.run(for: .seconds(Int64.random(in: 0...90, using: &random)))
        }
        run.run(for: .hours(200)) {
            run.confirmed.allSatisfy { $0.value.count == sent[$0.key]?.count }
        }
        for side in HFNodeSide.allCases {
            #expect(run.numbersArrived(side.other) == sent[side], "seed \(seed)")
            #expect(run.confirmed[side]?.sorted() == sent[side], "seed \(seed)")
            #expect(run.rejected[side] == [:], "seed \(seed)")
        }
        run.run(for: .hours(1))
        #expect(run.pair.nextDeadline == nil, "seed \(seed): nothing is left to do")
    }

    @Test(arguments: Array(0..<8) + [21]) func `what is rejected and sent again arrives, and without long cuts once`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var channel = LossyChannel(seed: UInt64(seed) + 2000)
        channel.elementLoss = 0.1
        channel.segmentDamage = 0.2
        let start = NIODeadline.uptimeNanoseconds(0)
        let isCut = seed % 2 == 0
        if isCut { channel.cuts = [start + .minutes(2)..<start + .minutes(12)] }
        let run = PairRun(timing(&random), channel: channel)
        // A client as patient as they get: what is rejected is asked for again after a while.
        var again: [(at: NIODeadline, side: HFNodeSide, unit: UInt64)] = []
        run.onEvent = { run, event in
            if case .node(let side, .rejected(let unit, let reason), let at) = event {
                #expect(reason == .destinationNotResponding)
                again.append((at + .seconds(30), side, unit))
            }
        }
        var sent: [UInt64] = []
        for _ in 0..<20 {
            sent.append(run.send(.first, size: Int.random(in: 8...900, using: &random)))
            run.run(for: .seconds(20))
        }
        for _ in 0..<2000 where Set(run.confirmed[.first] ?? []).count < sent.count {
            while let first = again.first, first.at <= run.now {
                again.removeFirst()
                run.send(first.side, size: 100, id: first.unit)
            }
            run.run(for: .seconds(30))
        }
        #expect(Set(run.confirmed[.first] ?? []) == Set(sent), "seed \(seed)")
        #expect(Set(run.numbersArrived(.second)) == Set(sent), "seed \(seed)")
        if run.rejected[.first]?.isEmpty == true { #expect(run.numbersArrived(.second) == sent, "seed \(seed)") }
    }

    @Test func `after a cut of ten minutes everything arrives in order`() {
        var channel = LossyChannel(seed: 5)
        let start = NIODeadline.uptimeNanoseconds(0)
        channel.cuts = [start + .seconds(100)..<start + .seconds(700)]
        let run = PairRun(.short(1200), channel: channel) { $0.lossPolicy = .keep }
        let sent = (0..<60).map { _ in run.send(.first, size: 1000) }
        run.run(for: .minutes(30))
        #expect(run.numbersArrived(.second) == sent)
        #expect(run.confirmed[.first] == sent)
        let during = run.bursts.filter { $0.at > start + .seconds(100) && $0.at < start + .seconds(700) }
        #expect(during.count < 40, "calls are made at intervals")
    }

    @Test func `the same seed makes the same exchange`() {
        func exchange() -> [Burst] {
            var channel = LossyChannel(seed: 7)
            channel.burstLoss = 0.3
            channel.segmentDamage = 0.2
            let run = PairRun(.short(600), channel: channel) { $0.lossPolicy = .keep }
            for side in HFNodeSide.allCases { for _ in 0..<10 { run.send(side, size: 500) } }
            run.run(for: .hours(2))
            return run.bursts.map(\.burst)
        }
        #expect(exchange() == exchange())
    }
}
