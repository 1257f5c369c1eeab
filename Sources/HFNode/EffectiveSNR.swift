import Glibc

/// From the signal within one interleaver block to the error rate of its bits: the exponential effective-SNR map.
///
/// With the signal-to-noise ratios γᵢ at times within the block, γ_eff = −β ln mean exp(−γᵢ/β), where β = κ ·
/// γ_required. What comes out is the steady ratio that would do as much harm. The coded bit error rate then falls by
/// one decade per dB and is 1e-5 at the required ratio. One constant per waveform, fitted to one channel, so explains
/// how much a fade costs in others.
package struct EffectiveSNR: Hashable, Sendable {
    /// At the required SNR.
    package static let referenceErrorRate = 1e-5

    /// On a steady channel with white noise, in dB.
    let requiredDecibels: Double
    private let beta: Double
    private var sum = 0.0
    private var power = 0.0
    private(set) var samples = 0

    package init(requiredDecibels: Double, kappa: Double) {
        self.requiredDecibels = requiredDecibels
        beta = kappa * Decibels.ratio(requiredDecibels)
    }

    /// Adds the ratio (not in dB) at one time of the block.
    package mutating func add(_ ratio: Double) {
        sum += exp(-ratio / beta)
        power += ratio
        samples += 1
    }

    /// The mean of what was added, not in dB.
    package var meanRatio: Double { samples == 0 ? 0 : power / Double(samples) }

    /// γ_eff in dB; infinite when no sample was near the limit.
    package var decibels: Double {
        samples == 0 ? .infinity : Decibels.decibels(-beta * log(sum / Double(samples)))
    }

    /// The probability that a bit of the block is wrong behind the decoder, at most one half.
    package var bitErrorRate: Double {
        Self.bitErrorRate(marginDecibels: decibels - requiredDecibels, decibelsPerDecade: 1)
    }

    static func bitErrorRate(marginDecibels: Double, decibelsPerDecade: Double) -> Double {
        min(0.5, referenceErrorRate * exp(-marginDecibels / decibelsPerDecade * log(10.0)))
    }
}

/// Power ratios and decibels.
enum Decibels {
    static func ratio(_ decibels: Double) -> Double { exp(decibels * (log(10.0) / 10)) }

    /// Minus infinity for a ratio of zero.
    static func decibels(_ ratio: Double) -> Double { 10 * log10(ratio) }
}
