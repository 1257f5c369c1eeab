import HFNode
import NIOCore
import STANAG5066
import Testing

@Suite("Nodes on the air")
struct RadioChannelTests {
    /// A run of two nodes whose rates follow a policy.
    private final class RadioRun {
        let run: PairRun<RadioChannel>
        private var controls: [RateControl]
        private let timings: [Waveform: TransmissionTiming]

        init(
            _ channel: ChannelConfiguration, policy: RatePolicy, ladder: RateLadder, start: Waveform, seed: UInt64 = 1,
            change: (inout HFNodeConfiguration) -> Void = { _ in }
        ) {
            timings = Dictionary(uniqueKeysWithValues: ladder.waveforms.map { ($0, $0.timing()) })
            let modes = Dictionary(uniqueKeysWithValues: timings.map { ($1, $0) })
            let control = RateControl(
                policy: policy, ladder: ladder, channelClass: channel.channelClass, start: start)
            controls = [control, control]
            run = PairRun(
                start.timing(),
                channel: RadioChannel(
                    forward: channel, reverse: channel, seed: seed, origin: .uptimeNanoseconds(0), modes: modes),
                change: change)
            run.onEvent = { [unowned self] _, event in observe(event) }
        }

        private func observe(_ event: HFNodePair<RadioChannel>.Event) {
            switch event {
            case .node(let side, .noted(let note), _): noted(note, side)
            case .received(let side, _, _, _):
                if let waveform = run.bursts.last(where: { $0.side == side.other }).flatMap({
                    run.pair.channel.waveform(of: $0.burst.timing)
                }) {
                    set(side) { $0.burstHeard(waveform) }
                }
            case .node, .transmitted: break
            }
        }

        private func noted(_ note: HFNodeNote, _ side: HFNodeSide) {
            let estimate = run.pair.channel.lastEstimate(from: side)
            set(side) { control in
                switch note {
                case .burstAssessed(_, let frames, let acknowledged):
                    control.burstAssessed(
                        .init(framesSent: frames, framesLost: frames - acknowledged, estimatedSNR: estimate))
                case .burstUnanswered:
                    control.burstAssessed(.init(framesSent: 1, framesLost: 1, estimatedSNR: nil))
                case .linkBroken: control.linkEnded()
                case .callFailed: control.callFailed()
                case .linkMade, .orderwireReceived, .windowsReset: break
                }
            }
        }

        private func set(_ side: HFNodeSide, _ body: (inout RateControl) -> Void) {
            let before = controls[side.rawValue].current
            body(&controls[side.rawValue])
            let after = controls[side.rawValue].current
            guard before != after, let timing = timings[after] else { return }
            run.pair.withNode(side, now: run.now) { $0.timingChanged(timing) }
        }
    }

    private static func waveform(_ family: WaveformFamily, _ rate: Int, _ interleaver: Interleaver) throws -> Waveform {
        try #require(Waveform(family, bitsPerSecond: rate, interleaver: interleaver))
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `units cross a disturbed sky wave in order, once, at a rate that fits`(seed: UInt64) throws {
        let start = try Self.waveform(.serialTone, 1_200, .long)
        let radio = RadioRun(
            ChannelConfiguration(
                mode: .fading, fading: .middleDisturbed, meanSNR: .constant(13),
                variation: IntermediateTermVariation()),
            policy: .trinder, ladder: RateLadder(.serialTone, interleaver: .long, rates: 75...2_400), start: start,
            seed: seed)
        var sent: [HFNodeSide: [UInt64]] = [.first: [], .second: []]
        for _ in 0..<12 {
            for side in HFNodeSide.allCases { sent[side]?.append(radio.run.send(side, size: 400)) }
            radio.run.run(for: .minutes(10))
        }
        radio.run.run(for: .hours(2))
        for side in HFNodeSide.allCases {
            let rejected = Set((radio.run.rejected[side] ?? [:]).keys)
            let arrived = radio.run.numbersArrived(side.other)
            #expect(arrived == arrived.sorted())
            #expect(Set(arrived).count == arrived.count)
            // A unit that a lost link gave back may have arrived all the same, but none vanishes.
            #expect(Set(arrived).union(rejected).isSuperset(of: sent[side] ?? []))
            #expect(arrived.count >= 10, "\(arrived.count) of 12 arrived")
        }
    }
}
