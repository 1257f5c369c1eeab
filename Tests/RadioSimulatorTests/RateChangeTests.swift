import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import Testing

/// The rate of the next burst follows from what became of the last one, through nodes, modems and air.
@Suite("Rate change of two nodes")
struct RateChangeTests {
    private struct Transmission {
        let side: HFNodeSide
        let burst: Burst
        let at: TimeAmount
        /// What was said of the rate of the side before.
        let mode: Waveform
    }

    /// What happened, in order.
    private final class Log {
        let talk: Conversation
        let link: RadioLink
        private(set) var transmissions: [Transmission] = []
        private(set) var changes: [(side: HFNodeSide, mode: Waveform, at: TimeAmount)] = []
        /// What the policy was told of the bursts of the first node, and the mode of its next burst.
        private(set) var assessed: [(frames: Int, acknowledged: Int, mode: Waveform, next: Waveform?)] = []
        /// D_PDUs that arrived at another time than their burst's mode says.
        private(set) var late = 0
        private(set) var received: [HFNodeSide: Int] = [:]
        /// Of bursts of which the other side got something.
        private(set) var heard: [HFNodeSide: Waveform] = [:]
        /// Answers of the second node in another mode than that which it heard last.
        private(set) var contrary = 0
        private var modes: [HFNodeSide: Waveform]

        init(_ link: RadioLink, unitBytes: Int = 1_500) {
            self.link = link
            talk = Conversation(link, unitBytes: unitBytes)
            modes = [.first: link.modem.waveform, .second: link.modem.waveform]
            talk.radio.onEvent = { [unowned self] event, at in observe(event, at - VirtualRadio.standardStart) }
        }

        private func mode(_ side: HFNodeSide) -> Waveform { modes[side] ?? link.modem.waveform }

        private func observe(_ event: RadioNodesEvent, _ at: TimeAmount) {
            switch event {
            case .rateChanged(let side, let mode):
                #expect(mode != self.mode(side))
                changes.append((side, mode, at))
                modes[side] = mode
            case .transmitted(let side, let burst):
                let mode = mode(side)
                transmissions.append(Transmission(side: side, burst: burst, at: at, mode: mode))
                if side == .first, let last = assessed.indices.last, assessed[last].next == nil { assessed[last].next = mode }
                if side == .second, let heard = heard[.first], heard != mode { contrary += 1 }
            case .received(let side, let element, _):
                received[side, default: 0] += 1
                guard let last = transmissions.last(where: { $0.side == side.other }) else { return }
                heard[side.other] = last.mode
                let timing = link.timing(of: last.mode)
                if at != last.at + timing.availability(afterBytes: element.end) { late += 1 }
            case .noted(.first, .burstAssessed(_, let frames, let acknowledged)):
                assessed.append((frames, acknowledged, mode(.first), nil))
            default: break
            }
        }

        func rates(_ side: HFNodeSide, from: TimeAmount, to: TimeAmount) -> [Int] {
            transmissions.filter { $0.side == side && $0.at >= from && $0.at < to }.map(\.burst.timing.bitsPerSecond)
        }
    }

    /// White noise, strong for five minutes, weak for five, strong again; transmissions of 20 s, from 300 bit/s.
    private static func link(_ policy: RatePolicy) throws -> RadioLink {
        let start = try #require(Waveform(.stanag4539, bitsPerSecond: 300, interleaver: .short))
        var link = RadioLink(name: "swinging", waveform: start)
        #expect(start.family.isAutobaud)
        link.rateChange = RadioLink.RateChange(policy: policy, rates: 75...9_600)
        let points: [(Int64, Double)] = [(0, 26), (300, 26), (301, 10.4), (600, 10.4), (601, 26)]
        let channel = ChannelConfiguration(
            mode: .fading, meanSNR: .points(points.map { .init(time: .seconds($0), decibels: $1) }, period: nil))
        (link.forward, link.reverse) = (channel, channel)
        link.node.maximumTransmission = .seconds(20)
        link.node.loss = .keep
        link.node.callPause = .seconds(1)
        return link
    }

    /// In the first node there is always something to send; the second only answers.
    private static func run(_ policy: RatePolicy) throws -> Log {
        let log = Log(try link(policy))
        log.talk.send(.first, 1...1_500)
        log.talk.radio.run(for: .minutes(15))
        #expect(!log.talk.isQuiet)
        return log
    }

    /// What is told of the rate is what goes on the air, for as long as the mode needs, and what the other side reads.
    private func checkAir(_ log: Log) {
        for sent in log.transmissions {
            let (mode, burst) = (sent.mode, sent.burst)
            #expect(burst.timing.bitsPerSecond == mode.bitsPerSecond && burst.timing.interleaver == mode.blockDuration)
            let seconds = Double(mode.blockDuration.nanoseconds) / 1e9
            let blocks = (Double(8 * burst.byteCount + mode.tailBits) / (seconds * Double(mode.bitsPerSecond))).rounded(.up)
            let duration = 0.2 + Double(mode.preamble.nanoseconds) / 1e9 + blocks * seconds
            #expect(abs(Double(burst.duration.nanoseconds) / 1e9 - duration) < 0.001, "\(mode), \(burst.byteCount) bytes")
        }
        #expect(log.late == 0)
        for side in HFNodeSide.allCases { #expect(log.received[side, default: 0] > 20) }
    }

    @Test func `by lost frames, the next burst goes a step up or down, and the other side follows`() throws {
        let log = try Self.run(.trinder)
        checkAir(log)
        #expect(log.assessed.count > 20)
        var (up, down) = (0, 0)
        for (frames, acknowledged, mode, next) in log.assessed {
            guard let next else { continue }
            let due = RatePolicy.trinder.next(
                after: mode, .init(framesSent: frames, framesLost: frames - acknowledged, estimatedSNR: nil), in: log.link.ladder,
                channelClass: .awgn)
            #expect(next == due, "\(acknowledged) of \(frames) at \(mode)")
            if next.bitsPerSecond > mode.bitsPerSecond { up += 1 }
            if next.bitsPerSecond < mode.bitsPerSecond { down += 1 }
        }
        #expect(up > 8 && down > 1, "\(up) up, \(down) down")
        // Of 4800 bit/s three quarters of the frames are lost then, and of 3200 hardly any: it goes to and fro.
        checkPhases(log, weakest: 4_800)
    }

    @Test func `by the signal, the next burst goes at what it carries, and the other side follows`() throws {
        let log = try Self.run(.snr(margin: 3))
        checkAir(log)
        // 300 bit/s until something is known, and what 26 dB carry with the next burst.
        let data = log.transmissions.filter { $0.side == .first && $0.burst.byteCount > 100 }
        #expect(data.prefix(2).map(\.burst.timing.bitsPerSecond) == [300, 9_600])
        checkPhases(log, weakest: 3_200)
    }

    private func checkPhases(_ log: Log, weakest: Int) {
        let strong = log.rates(.first, from: .minutes(4), to: .minutes(5))
        let weak = log.rates(.first, from: .minutes(7), to: .minutes(10))
        let again = log.rates(.first, from: .minutes(14), to: .minutes(15))
        #expect(!strong.isEmpty && strong.allSatisfy { $0 >= 8_000 }, "\(strong)")
        #expect(!weak.isEmpty && weak.allSatisfy { $0 <= weakest }, "\(weak)")
        #expect(!again.isEmpty && again.allSatisfy { $0 >= 8_000 }, "\(again)")
        #expect(log.contrary == 0)
        let answers = log.changes.filter { $0.side == .second }.map(\.mode.bitsPerSecond)
        #expect(answers.contains(9_600) && answers.contains { $0 <= 3_200 }, "\(answers)")
    }

    @Test func `without a policy no rate changes, whatever becomes of the frames`() throws {
        let log = try Self.run(.off)
        checkAir(log)
        #expect(log.changes.isEmpty)
        #expect(log.transmissions.allSatisfy { $0.mode == log.link.modem.waveform })
        // At 9600 bit/s the weak minutes lose everything, and still nothing changes.
        var link = try Self.link(.off)
        link.modem.waveform = try #require(Waveform(.stanag4539, bitsPerSecond: 9_600, interleaver: .short))
        let fast = Log(link)
        fast.talk.send(.first, 1...1_500)
        fast.talk.radio.run(for: .minutes(15))
        #expect(fast.changes.isEmpty)
        #expect(fast.transmissions.contains { $0.at > .minutes(6) && $0.at < .minutes(10) })
        #expect(fast.transmissions.allSatisfy { $0.burst.timing.bitsPerSecond == 9_600 })
    }

    /// A burst of the other side is one burst, however many D_PDUs there are in it.
    @Test func `where both have data, each goes by its own direction`() throws {
        var link = try Self.link(.snr(margin: 3))
        link.forward.meanSNR = .constant(26)
        link.reverse.meanSNR = .constant(10)
        let log = Log(link)
        for side in HFNodeSide.allCases { log.talk.send(side, 1...1_500) }
        log.talk.radio.run(for: .minutes(15))
        checkAir(log)
        let (first, second) = (
            log.rates(.first, from: .minutes(2), to: .minutes(15)), log.rates(.second, from: .minutes(2), to: .minutes(15)))
        #expect(first.count > 10 && first.allSatisfy { $0 >= 8_000 }, "\(first)")
        #expect(second.count > 10 && second.allSatisfy { $0 <= 3_200 }, "\(second)")
    }

    /// What arrives within an hour, and how often the rate changed. The signal swings by 20 dB within ten minutes.
    private static func swing(_ policy: RatePolicy, transmission: TimeAmount, seed: UInt64) throws -> (bytes: Int, changes: Int) {
        var link = try RadioLink.shipped("hf-diurnal-adaptive")
        link.rateChange.policy = policy
        link.forward.meanSNR = .sinusoid(mean: 15, amplitude: 10, period: .minutes(10))
        link.forward.variation = nil
        link.reverse = link.forward
        link.node.maximumTransmission = transmission
        let talk = Conversation(link, seed: seed, unitBytes: 2_000)
        var changes = 0
        talk.radio.onEvent = { event, _ in
            if case .rateChanged(.first, _) = event { changes += 1 }
        }
        talk.send(.first, 1...2_000)
        talk.radio.run(for: .hours(1))
        return (2_000 * talk[.second].received.count, changes)
    }

    /// Row V4 of the validation. A transmission lasts two minutes: frames tell of the signal when it is too late.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `with long transmissions a policy by signal carries more with fewer changes`(_ seed: UInt64) throws {
        let bySignal = try Self.swing(.snr(margin: 3), transmission: .milliseconds(127_500), seed: seed)
        let byFrames = try Self.swing(.trinder, transmission: .milliseconds(127_500), seed: seed)
        #expect(Double(bySignal.bytes) > 1.2 * Double(byFrames.bytes), "\(bySignal), \(byFrames)")
        #expect(bySignal.changes < byFrames.changes, "\(bySignal), \(byFrames)")
    }

    @Test func `with short transmissions lost frames tell early enough, and carry more`() throws {
        let bySignal = try Self.swing(.snr(margin: 3), transmission: .seconds(30), seed: 1)
        let byFrames = try Self.swing(.trinder, transmission: .seconds(30), seed: 1)
        #expect(byFrames.bytes > bySignal.bytes, "\(bySignal), \(byFrames)")
        #expect(bySignal.changes < byFrames.changes, "\(bySignal), \(byFrames)")
    }
}
