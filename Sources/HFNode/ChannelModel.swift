import Glibc
package import NIOCore

/// One direction of a radio channel: decides which D_PDUs of a burst arrive.
///
/// The signal is mean + variation over seconds + fading (``SNRSchedule``, ``IntermediateTermVariation``,
/// ``FadingProcess``). Each interleaver block gets an effective SNR and from it a bit error rate; a D_PDU survives with
/// the product over the blocks in which it lies. At low rates a frame spans many blocks, at high rates many frames
/// share one: burstiness comes out of that and of nothing else.
///
/// All of it follows from seed, direction and time: the same burst at the same time has the same fate, whatever else
/// was asked. The state is a cache.
package struct ChannelModel: Sendable {
    package let configuration: ChannelConfiguration
    private let origin: NIODeadline
    private let noise: NoiseStream
    private let blackoutNoise: NoiseStream
    private var fading: FadingProcess?
    private var variation: VariationProcess?

    /// Without an interleaver errors follow the signal as it is in spans of this length, in seconds.
    private static let uninterleavedSpan = 0.1
    /// What a receiver listens to when a waveform has no preamble, in seconds.
    private static let leastSynchronisation = 0.2

    /// - Parameters:
    ///   - seed: of the link; both directions of a link take the same.
    ///   - origin: when the channel began. Schedules count from here.
    package init(
        _ configuration: ChannelConfiguration, seed: UInt64, direction: ChannelDirection, origin: NIODeadline
    ) {
        self.configuration = configuration
        self.origin = origin
        let link = NoiseStream(seed: seed)
        // Absorption takes both directions at once; all else is independent.
        blackoutNoise = link.derived(0)
        noise = link.derived(direction.rawValue)
        if configuration.mode == .fading, let fading = configuration.fading {
            self.fading = FadingProcess(dopplerSpread: fading.dopplerSpread, noise: noise.derived(1))
        }
        variation = configuration.variation.map { VariationProcess($0, noise: noise.derived(2)) }
    }

    /// What the other side gets of a burst.
    ///
    /// - Parameters:
    ///   - dpdus: in the order of their bits.
    ///   - waveform: one with thresholds, unless the channel is clean.
    ///   - firstBlockAt: when the preamble is over and the first bit goes out (``TransmissionTiming/untilData``).
    package mutating func fate(
        of dpdus: [DPDUExtent], sentWith waveform: Waveform, firstBlockAt: NIODeadline
    ) -> BurstReception {
        guard configuration.mode != .clean else {
            return BurstReception(
                isHeard: true, dpdus: .init(repeating: .intact, count: dpdus.count),
                estimatedSNR: BurstReception.cableSNR)
        }
        let firstBlock = (firstBlockAt - origin).inSeconds
        let start = firstBlock - max(waveform.preamble.inSeconds, Self.leastSynchronisation)
        let draws = noise.derived(3).derived(UInt64(bitPattern: (firstBlockAt - origin).nanoseconds))
        guard isHeard(waveform, from: start, to: firstBlock, draws.uniform(at: 0)) else {
            return BurstReception(isHeard: false, dpdus: .init(repeating: .lost, count: dpdus.count), estimatedSNR: nil)
        }
        let end = dpdus.map { $0.segment?.upperBound ?? $0.header.upperBound }.max() ?? 0
        var blocks = BlockErrors(waveform, span: Self.uninterleavedSpan)
        let count = Int((Double(end) / blocks.bitsPerBlock).rounded(.up))
        if configuration.mode == .table {
            blocks.rates = tableErrorRates(of: count, blocks.duration, waveform, from: firstBlock, draws.derived(1))
            blocks.sumOfRatios = Double(count) * Decibels.ratio(meanDecibels(at: firstBlock))
        } else {
            for index in 0..<count {
                let from = firstBlock + Double(index) * blocks.duration
                blocks.append(block(from: from, to: from + blocks.duration, waveform))
            }
        }
        var fates: [DPDUFate] = []
        fates.reserveCapacity(dpdus.count)
        for (index, dpdu) in dpdus.enumerated() {
            if draws.uniform(at: 2 + 2 * index) >= blocks.survival(of: dpdu.header) {
                fates.append(.lost)
            } else if let segment = dpdu.segment, draws.uniform(at: 3 + 2 * index) >= blocks.survival(of: segment) {
                fates.append(.headerOnly)
            } else {
                fates.append(.intact)
            }
        }
        let mean = count == 0 ? meanDecibels(at: start) : Decibels.decibels(blocks.sumOfRatios / Double(count))
        return BurstReception(
            isHeard: true, dpdus: fates,
            estimatedSNR: max(mean, BurstReception.darkSNR) + draws.derived(2).gaussian(at: 0))
    }

    /// The bit error rate of one block from `start` to `end`, in seconds since the origin; in
    /// ``ChannelConfiguration/Mode/fading``.
    package mutating func bitErrorRate(from start: Double, to end: Double, _ waveform: Waveform) -> Double {
        block(from: start, to: end, waveform).bitErrorRate
    }

    // MARK: Signal

    /// Mean and variation at a time, in dB.
    private mutating func meanDecibels(at seconds: Double) -> Double {
        configuration.meanSNR.decibels(at: seconds) + (variation?.value(at: seconds) ?? 0)
    }

    /// The effective SNR of a stretch of time.
    private mutating func block(from start: Double, to end: Double, _ waveform: Waveform) -> BlockQuality {
        guard let required = waveform.requiredSNR(.awgn) else {
            preconditionFailure("no thresholds are known for \(waveform)")
        }
        if configuration.blackouts?.overlap(from: start, to: end, blackoutNoise) ?? false {
            return BlockQuality(bitErrorRate: 0.5, meanRatio: 0)
        }
        var effective = EffectiveSNR(requiredDecibels: required, kappa: waveform.kappa)
        let rate = fading?.sampleRate ?? 1
        let samples = max(1, Int(((end - start) * rate).rounded(.up)))
        let step = (end - start) / Double(samples)
        // Mean and variation move slowly: one value for about a second.
        let stride = max(1, Int(rate))
        var sample = 0
        while sample < samples {
            let next = min(sample + stride, samples)
            let ratio = Decibels.ratio(meanDecibels(at: start + step * Double(sample + next) / 2))
            while sample < next {
                effective.add(ratio * (fading?.power(at: start + step * (Double(sample) + 0.5)) ?? 1))
                sample += 1
            }
        }
        return BlockQuality(bitErrorRate: effective.bitErrorRate, meanRatio: effective.meanRatio)
    }

    /// Whether the receiver finds the preamble: a logistic curve, one half at 4 dB below what the data need
    /// (unverified; 110D leaves acquisition open).
    private mutating func isHeard(_ waveform: Waveform, from start: Double, to end: Double, _ draw: Double) -> Bool {
        if let fading = configuration.fading, !fading.permits(narrowbandRate: waveform.narrowbandRate) { return false }
        let decibels: Double
        let required: Double?
        if configuration.mode == .table {
            let isDark = configuration.blackouts?.overlap(from: start, to: end, blackoutNoise) ?? false
            decibels = isDark ? -.infinity : meanDecibels(at: (start + end) / 2)
            required = waveform.requiredSNR(configuration.channelClass)
        } else {
            decibels = Decibels.decibels(block(from: start, to: end, waveform).meanRatio)
            required = waveform.requiredSNR(.awgn)
        }
        guard let required else { preconditionFailure("no thresholds are known for \(waveform)") }
        return draw < 1 / (1 + exp(-(decibels - (required - 4))))
    }

    // MARK: Table mode

    /// Good and bad blocks: how many are bad follows from the published threshold for the class, 1 dB (white noise) or
    /// 2 dB (fading, unverified) to the decade; how they cluster from a chain whose bad spells last as long as a fade.
    private mutating func tableErrorRates(
        of count: Int, _ duration: Double, _ waveform: Waveform, from start: Double, _ draws: NoiseStream
    ) -> [Double] {
        guard let required = waveform.requiredSNR(configuration.channelClass) else {
            preconditionFailure("no thresholds are known for \(waveform)")
        }
        let bits = duration * Double(waveform.bitsPerSecond)
        let spell = max(duration, configuration.fading.map { 0.4 / $0.dopplerSpread } ?? 0)
        var wasBad: Bool?
        return (0..<count).map { index in
            let from = start + Double(index) * duration
            let isDark = configuration.blackouts?.overlap(from: from, to: from + duration, blackoutNoise) ?? false
            let margin = meanDecibels(at: from + duration / 2) - required
            let errorRate = EffectiveSNR.bitErrorRate(
                marginDecibels: margin, decibelsPerDecade: configuration.fading == nil ? 1 : 2)
            let share = 1 - exp(bits * log1p(-errorRate))
            let leaving = min(1, duration / spell)
            let chance: Double =
                switch wasBad {
                case nil: share
                case true?: max(1 - leaving, share)
                // So that the share of bad blocks is as given.
                case false?: share >= 1 ? 1 : min(1, share * min(leaving, 1 - share) / (1 - share))
                }
            let isBad = draws.uniform(at: index) < chance
            wasBad = isBad
            return isBad || isDark ? 0.5 : 0
        }
    }
}

/// What one block came to.
private struct BlockQuality {
    var bitErrorRate: Double
    /// Mean SNR, not in dB.
    var meanRatio: Double
}

/// The blocks of one burst.
private struct BlockErrors {
    /// In seconds.
    let duration: Double
    let bitsPerBlock: Double
    var rates: [Double] = []
    var sumOfRatios = 0.0

    init(_ waveform: Waveform, span: Double) {
        let block = waveform.blockDuration.inSeconds
        duration = block > 0 ? block : span
        bitsPerBlock = duration * Double(waveform.bitsPerSecond)
    }

    mutating func append(_ block: BlockQuality) {
        rates.append(block.bitErrorRate)
        sumOfRatios += block.meanRatio
    }

    /// The probability that all these bits are right.
    func survival(of bits: Range<Int>) -> Double {
        guard !bits.isEmpty else { return 1 }
        var logarithm = 0.0
        var place = Double(bits.lowerBound)
        var index = Int(place / bitsPerBlock)
        while place < Double(bits.upperBound), index < rates.count {
            let end = min(Double(bits.upperBound), Double(index + 1) * bitsPerBlock)
            logarithm += max(0, end - place) * log1p(-rates[index])
            place = max(place, end)
            index += 1
        }
        return exp(logarithm)
    }
}
