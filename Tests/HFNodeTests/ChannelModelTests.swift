import HFNode
import NIOCore
import Testing

@Suite("Fate of D_PDUs")
struct ChannelModelTests {
    /// So many D_PDUs one behind the other, with address fields of 7 bytes.
    private func burst(_ count: Int, segment: Int) -> [DPDUExtent] {
        let length = 22 + segment
        return (0..<count).map { DPDUExtent(offset: $0 * length, headerBytes: 18, segmentBytes: segment + 4) }
    }

    private func model(
        _ configuration: ChannelConfiguration, seed: UInt64 = 1, _ direction: ChannelDirection = .forward
    ) -> ChannelModel {
        ChannelModel(configuration, seed: seed, direction: direction, origin: .uptimeNanoseconds(1_000))
    }

    private func waveform(_ rate: Int, _ interleaver: Interleaver) throws -> Waveform {
        try #require(Waveform(.stanag4539, bitsPerSecond: rate, interleaver: interleaver))
    }

    private func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(1_000) + .seconds(seconds) }

    /// The share of D_PDUs that are not intact, over bursts of a virtual day.
    private func lossRate(
        _ configuration: ChannelConfiguration, _ waveform: Waveform, segment: Int, bursts: Int = 120, perBurst: Int
    ) -> Double {
        var model = model(configuration)
        var lost = 0
        for index in 0..<bursts {
            let fate = model.fate(
                of: burst(perBurst, segment: segment), sentWith: waveform, firstBlockAt: time(Int64(index) * 700))
            lost += fate.dpdus.count { $0 != .intact }
        }
        return Double(lost) / Double(bursts * perBurst)
    }

    @Test func `nothing is lost on a cable`() throws {
        var model = model(.clean)
        let fate = model.fate(of: burst(128, segment: 200), sentWith: try waveform(75, .short), firstBlockAt: time(0))
        #expect(fate.isHeard)
        #expect(fate.dpdus == Array(repeating: .intact, count: 128))
        #expect(fate.estimatedSNR == BurstReception.cableSNR)
    }

    @Test(arguments: [ChannelConfiguration.Mode.fading, .table])
    func `far above the threshold all arrives, far below nothing is heard`(mode: ChannelConfiguration.Mode) throws {
        let waveform = try waveform(6_400, .medium)
        var strong = model(ChannelConfiguration(mode: mode, meanSNR: .constant(25)))
        #expect(
            strong.fate(of: burst(100, segment: 200), sentWith: waveform, firstBlockAt: time(5)).dpdus.allSatisfy {
                $0 == .intact
            })
        var weak = model(ChannelConfiguration(mode: mode, meanSNR: .constant(0)))
        let fate = weak.fate(of: burst(3, segment: 200), sentWith: waveform, firstBlockAt: time(5))
        #expect(!fate.isHeard)
        #expect(fate.dpdus == [.lost, .lost, .lost])
        #expect(fate.estimatedSNR == nil)
    }

    /// The rows of the model's table of frame errors (7 bytes of addresses, dB from the “Poor” threshold).
    struct FrameErrors: Sendable, CustomTestStringConvertible {
        var rate: Int
        var segment: Int
        var margin: Double
        var withVariation: Bool
        var expected: Double
        var testDescription: String { "\(rate), \(segment) bytes, \(margin) dB, variation \(withVariation)" }
    }

    @Test(arguments: [
        FrameErrors(rate: 1_200, segment: 200, margin: -3, withVariation: false, expected: 0.24),
        FrameErrors(rate: 1_200, segment: 200, margin: -3, withVariation: true, expected: 0.41),
        FrameErrors(rate: 1_200, segment: 684, margin: -3, withVariation: false, expected: 0.40),
        FrameErrors(rate: 1_200, segment: 684, margin: 0, withVariation: true, expected: 0.23),
        FrameErrors(rate: 1_200, segment: 200, margin: 3, withVariation: false, expected: 0.001),
        FrameErrors(rate: 9_600, segment: 200, margin: -6, withVariation: false, expected: 0.47),
        FrameErrors(rate: 9_600, segment: 684, margin: -3, withVariation: true, expected: 0.38),
        FrameErrors(rate: 75, segment: 200, margin: -3, withVariation: true, expected: 0.70)
    ])
    func `frame errors on Poor are as predicted`(row: FrameErrors) throws {
        let waveform = try waveform(row.rate, row.rate == 9_600 ? .veryLong : .long)
        let threshold = try #require(waveform.requiredSNR(.poor))
        let configuration = ChannelConfiguration(
            mode: .fading, fading: .middleDisturbed, meanSNR: .constant(threshold + row.margin),
            variation: row.withVariation ? IntermediateTermVariation() : nil)
        let perBurst = max(2, min(128, 60 * row.rate / 8 / (row.segment + 22)))
        let rate = lossRate(configuration, waveform, segment: row.segment, perBurst: perBurst)
        #expect(abs(rate - row.expected) < 0.09, "\(rate)")
    }

    @Test func `table mode loses about as many blocks as the threshold says`() throws {
        let waveform = try waveform(1_200, .long)
        let threshold = try #require(waveform.requiredSNR(.poor))
        func rate(_ margin: Double) -> Double {
            lossRate(
                ChannelConfiguration(mode: .table, fading: .middleDisturbed, meanSNR: .constant(threshold + margin)),
                waveform, segment: 200, perBurst: 25)
        }
        // A block has 5760 bits: 5.6 % bad at the threshold; a frame may lie in two blocks.
        #expect((0.03...0.12).contains(rate(0)), "\(rate(0))")
        #expect(rate(-6) > 0.9)
        #expect(rate(6) < 0.01)
    }

    @Test(arguments: [ChannelConfiguration.Mode.fading, .table])
    func `the same seed gives the same fate, whatever was asked before`(mode: ChannelConfiguration.Mode) throws {
        let waveform = try waveform(1_200, .long)
        let configuration = ChannelConfiguration(
            mode: mode, fading: .middleDisturbed, meanSNR: .constant(8), variation: IntermediateTermVariation(),
            blackouts: Blackouts(duration: .minutes(10), meanInterval: .hours(2)))
        func fates(_ seed: UInt64, _ direction: ChannelDirection, _ times: [Int64]) -> [BurstReception] {
            var model = model(configuration, seed: seed, direction)
            return times.map {
                model.fate(of: burst(20, segment: 200), sentWith: waveform, firstBlockAt: time($0))
            }
        }
        let times = (1...40).map { Int64($0) * 611 }
        let once = fates(1, .forward, times)
        #expect(once == fates(1, .forward, times))
        #expect(once == fates(1, .forward, times.reversed()).reversed())
        #expect(once != fates(2, .forward, times))
        #expect(once != fates(1, .reverse, times))
    }

    @Test func `blackouts take both directions at once`() throws {
        let waveform = try waveform(75, .long)
        let configuration = ChannelConfiguration(
            mode: .fading, meanSNR: .constant(40),
            blackouts: Blackouts(duration: .minutes(10), meanInterval: .hours(2)))
        var forward = model(configuration, .forward)
        var reverse = model(configuration, .reverse)
        var dark = 0
        for minute in 0..<2_000 {
            let at = time(Int64(minute) * 60)
            let one = forward.fate(of: burst(1, segment: 1), sentWith: waveform, firstBlockAt: at)
            let two = reverse.fate(of: burst(1, segment: 1), sentWith: waveform, firstBlockAt: at)
            #expect(one.isHeard == two.isHeard)
            if !one.isHeard { dark += 1 }
        }
        #expect((80...250).contains(dark), "\(dark) of 2000 minutes")
    }

    @Test func `fast fading lets only slow waveforms through`() throws {
        let configuration = ChannelConfiguration(mode: .fading, fading: .highModerate, meanSNR: .constant(60))
        var model = model(configuration)
        #expect(
            model.fate(of: burst(1, segment: 9), sentWith: try waveform(1_200, .long), firstBlockAt: time(9)).isHeard)
        #expect(
            !model.fate(of: burst(1, segment: 9), sentWith: try waveform(2_400, .long), firstBlockAt: time(9)).isHeard)
    }

    @Test func `a good header with a bad segment is told apart`() throws {
        let waveform = try waveform(1_200, .long)
        var model = model(
            ChannelConfiguration(mode: .fading, fading: .middleDisturbed, meanSNR: .constant(7)))
        var seen: [DPDUFate: Int] = [:]
        for index in 0..<60 {
            let fate = model.fate(
                of: burst(8, segment: 1_023), sentWith: waveform, firstBlockAt: time(Int64(index) * 500))
            for dpdu in fate.dpdus { seen[dpdu, default: 0] += 1 }
        }
        // A segment is 57 times as long as its header.
        #expect(seen[.headerOnly, default: 0] > seen[.lost, default: 0])
        #expect(seen[.intact, default: 0] > 0)
    }

    @Test func `losses come in bursts where frames share a block`() throws {
        let waveform = try waveform(9_600, .veryLong)
        var model = model(
            ChannelConfiguration(mode: .fading, fading: .middleDisturbed, meanSNR: .constant(26)))
        var (lost, pairs, frames) = (0, 0, 0)
        for index in 0..<40 {
            let fate = model.fate(
                of: burst(128, segment: 684), sentWith: waveform, firstBlockAt: time(Int64(index) * 300))
            let isLost = fate.dpdus.map { $0 != .intact }
            frames += isLost.count
            lost += isLost.count { $0 }
            pairs += zip(isLost, isLost.dropFirst()).count { $0 && $1 }
        }
        let rate = Double(lost) / Double(frames)
        #expect((0.1...0.7).contains(rate), "\(rate)")
        #expect(Double(pairs) / Double(lost) > rate + 0.15)
    }

    @Test func `without an interleaver the signal counts as it is`() throws {
        let waveform = try waveform(1_200, .none)
        let rate = lossRate(
            ChannelConfiguration(mode: .fading, fading: .middleDisturbed, meanSNR: .constant(10.1)), waveform,
            segment: 200, bursts: 60, perBurst: 25)
        #expect(rate > 0.3)
        #expect(
            lossRate(
                ChannelConfiguration(mode: .fading, meanSNR: .constant(10)), waveform, segment: 200, bursts: 10,
                perBurst: 25) == 0)
    }

    @Test func `the modem's estimate is near the mean`() throws {
        var model = model(ChannelConfiguration(mode: .fading, meanSNR: .constant(20)))
        let waveform = try waveform(1_200, .short)
        var (sum, square) = (0.0, 0.0)
        for index in 0..<400 {
            let fate = model.fate(of: burst(2, segment: 100), sentWith: waveform, firstBlockAt: time(Int64(index) * 10))
            let error = try #require(fate.estimatedSNR) - 20
            sum += error
            square += error * error
        }
        #expect(abs(sum / 400) < 0.2)
        #expect(abs((square / 400).squareRoot() - 1) < 0.15)
    }
}
