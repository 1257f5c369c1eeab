import Glibc
import NIOCore

/// Measures at which SNR the channel model gives a coded bit error rate of 1e-5, as one would measure a modem on a
/// channel simulator, to be held against the published thresholds.
///
/// A measurement lasts a limited time, and on slow fading the result hangs on the few deepest fades in it: the longer
/// one measures, the higher it gets. So the length is part of the figure, and the median of several measurements is
/// taken.
///
/// White noise alone is measured otherwise: D_PDUs are sent through a channel, and those that arrive are counted. There
/// the error rate of a block is what the tables say, and all that could be wrong is what becomes of frames.
package struct ThresholdMeasurement: Sendable {
    /// How long one measurement lasts, in seconds of channel time.
    package let seconds: Int
    private let poor: [FadingRecord]
    private let good: [FadingRecord]

    /// Runs the fading; the waveforms are then put on it one by one.
    ///
    /// - Parameter runs: how many measurements, of which the median counts; an odd number.
    package init(seconds: Int, runs: Int, seed: UInt64) {
        self.seconds = seconds
        let noise = NoiseStream(seed: seed)
        func records(_ fading: FadingClass, _ label: UInt64) -> [FadingRecord] {
            (0..<runs).map { run in
                FadingRecord(
                    FadingProcess(
                        dopplerSpread: fading.dopplerSpread, noise: noise.derived(label &+ UInt64(run))),
                    seconds: seconds)
            }
        }
        poor = records(.middleDisturbed, 1_000)
        good = records(.middleQuiet, 2_000)
    }

    /// An hour of channel time each, 31 of them: 1.5 s of an optimised build.
    package static func standard() -> ThresholdMeasurement {
        ThresholdMeasurement(seconds: 3_600, runs: 31, seed: 5_066)
    }

    /// What was measured for one waveform, beside what is published. All in dB.
    package struct Row: Hashable, Sendable {
        package var waveform: Waveform
        package var measured: SNRThresholds
        package var published: SNRThresholds

        package init(waveform: Waveform, measured: SNRThresholds, published: SNRThresholds) {
            self.waveform = waveform
            self.measured = measured
            self.published = published
        }

        /// How far off the model may be, in dB. “Good” counts up to 4800 bit/s: above, two independent paths are more
        /// than such a channel has, and the model is too kind (by 4 to 9 dB).
        package static let awgnTolerance = 0.5
        package static let poorTolerance = 1.0
        package static let goodTolerance = 3.5
        package static let goodRates = 75...4_800

        /// Nil if model and tables agree, else what is wrong.
        package var disagreement: String? { disagreement(tolerated: 1) }

        /// - Parameter part: of the tolerances that may be used up, 0 or more.
        package func disagreement(tolerated part: Double) -> String? {
            if abs(measured.awgn - published.awgn) > part * Self.awgnTolerance { return "AWGN is off" }
            guard let poor = measured.poor, let publishedPoor = published.poor else { return nil }
            if abs(poor - publishedPoor) > part * Self.poorTolerance { return "Poor is off" }
            guard let good = measured.good, let publishedGood = published.good else { return nil }
            if Self.goodRates.contains(waveform.bitsPerSecond), abs(good - publishedGood) > part * Self.goodTolerance {
                return "Good is off"
            }
            return good > poor ? nil : "Good is not harder than Poor"
        }
    }

    /// The waveforms of the published tables: each rate with its longest interleaver, for which the thresholds hold.
    package static let waveforms: [Waveform] = {
        let families: [WaveformFamily] = [.stanag4539, .wideband(.narrow)]
        return families.flatMap { family in
            family.rates.compactMap { rate in
                family.interleavers(at: rate).last.flatMap {
                    Waveform(family, bitsPerSecond: rate, interleaver: $0)
                }
            }
        }.filter { $0.thresholds != nil }
    }()

    /// Measures a waveform on white noise and on the fading channels for which something is published. Nil for a
    /// waveform without published thresholds.
    package func row(_ waveform: Waveform) -> Row? {
        guard let published = waveform.thresholds else { return nil }
        let measured = SNRThresholds(
            awgn: Self.threshold(near: published.awgn) { Self.countedErrorRate(waveform, at: $0) },
            poor: published.poor.map { Self.median(of: waveform, in: poor, near: $0) },
            good: published.good.map { Self.median(of: waveform, in: good, near: $0) })
        return Row(waveform: waveform, measured: measured, published: published)
    }

    /// The mean bit error rate of a waveform over all measurements of a fading class, at a mean SNR in dB.
    package func errorRate(_ waveform: Waveform, _ channelClass: SNRThresholds.ChannelClass, at decibels: Double)
        -> Double
    {
        let records =
            switch channelClass {
            case .awgn: [FadingRecord]()
            case .poor: poor
            case .good: good
            }
        guard !records.isEmpty else { return Self.steadyErrorRate(waveform, at: decibels) }
        return records.reduce(0) { $0 + $1.errorRate(waveform, at: decibels) } / Double(records.count)
    }

    // MARK: Search

    private static func steadyErrorRate(_ waveform: Waveform, at decibels: Double) -> Double {
        var effective = EffectiveSNR(requiredDecibels: waveform.thresholds?.awgn ?? 0, kappa: waveform.kappa)
        effective.add(Decibels.ratio(decibels))
        return effective.bitErrorRate
    }

    /// The bit error rate that the D_PDUs which a channel with white noise damages stand for; bursts that are not heard do
    /// not count.
    private static func countedErrorRate(_ waveform: Waveform, at decibels: Double) -> Double {
        var waveform = waveform
        // What is published has none.
        waveform.implementationMargin = 0
        let origin = NIODeadline.uptimeNanoseconds(0)
        var channel = ChannelModel(
            ChannelConfiguration(mode: .fading, meanSNR: .constant(decibels)), seed: 5_066, direction: .forward, origin: origin)
        // 7 bytes of addresses, and segments as long as can be.
        let (header, segment) = (18, DPDU.maximumSegment + DPDU.segmentChecksumBytes)
        let length = header + segment
        let perBurst = max(1, min(128, 127 * waveform.bitsPerSecond / (8 * length)))
        let burst = (0..<perBurst).map { DPDUExtent(offset: $0 * length, headerBytes: header, segmentBytes: segment) }
        var (sent, damaged) = (0, 0)
        for number in 0..<countedFrames / perBurst {
            let reception = channel.fate(of: burst, sentWith: waveform, firstBlockAt: origin + .minutes(3 * Int64(number + 1)))
            guard reception.isHeard else { continue }
            sent += perBurst
            damaged += reception.dpdus.count { $0 != .intact }
        }
        guard sent > 0 else { return 0.5 }
        return -expm1(log1p(-Double(damaged) / Double(sent)) / Double(8 * length))
    }

    /// 8 % of them are damaged at the threshold, so it is found to within a tenth of a dB or two.
    private static let countedFrames = 512

    private static func median(of waveform: Waveform, in records: [FadingRecord], near guess: Double) -> Double {
        let found = records.map { record in threshold(near: guess) { record.errorRate(waveform, at: $0) } }.sorted()
        return found[found.count / 2]
    }

    /// Where a falling curve passes 1e-5, to a hundredth of a dB. Its logarithm is nearly straight, so few points are
    /// enough.
    private static func threshold(near guess: Double, _ errorRate: (Double) -> Double) -> Double {
        // Decades above 1e-5. Far up the curve nothing is wrong at all.
        func decades(_ decibels: Double) -> Double { log10(max(errorRate(decibels), 1e-30)) + 5 }
        var (low, high) = (guess - 1, guess + 1)
        var (above, below) = (decades(low), decades(high))
        while above < 0 { (low, high, below) = (low - 2, low, above); above = decades(low) }
        while below > 0 { (low, high, above) = (high, high + 2, below); below = decades(high) }
        for _ in 0..<20 where high - low > 0.01 {
            // Not too near an end, or the other one would never move.
            let part = min(0.95, max(0.05, above / (above - below)))
            let middle = low + part * (high - low)
            let found = decades(middle)
            if abs(found) < 0.002 { return middle }
            if found > 0 { (low, above) = (middle, found) } else { (high, below) = (middle, found) }
        }
        return (low + high) / 2
    }
}

/// The power of a fading channel, sampled through one measurement.
private struct FadingRecord: Sendable {
    private let powers: [Double]
    private let sampleRate: Double

    init(_ process: FadingProcess, seconds: Int) {
        var process = process
        sampleRate = process.sampleRate
        let count = Int(Double(seconds) * sampleRate)
        var powers: [Double] = []
        powers.reserveCapacity(count)
        for sample in 0..<count { powers.append(process.power(at: (Double(sample) + 0.5) / sampleRate)) }
        self.powers = powers
    }

    /// The mean bit error rate at a mean SNR in dB. The waveform's own margin does not count: what is published has
    /// none.
    func errorRate(_ waveform: Waveform, at decibels: Double) -> Double {
        let required = waveform.thresholds?.awgn ?? 0
        let length = max(1, Int((waveform.blockDuration.inSeconds * sampleRate).rounded()))
        let blocks = powers.count / length
        let ratio = Decibels.ratio(decibels)
        // The effective SNR is never below the least: a block that stays 3 dB above the limit adds less than a
        // thousandth.
        let harmless = Decibels.ratio(required + 3) / ratio
        var sum = 0.0
        var sample = 0
        while sample < blocks * length {
            let end = sample + length
            var first = sample
            while first < end, powers[first] >= harmless { first += 1 }
            if first < end {
                var effective = EffectiveSNR(requiredDecibels: required, kappa: waveform.kappa)
                for index in sample..<end { effective.add(ratio * powers[index]) }
                sum += effective.bitErrorRate
            }
            sample = end
        }
        return sum / Double(blocks)
    }
}
