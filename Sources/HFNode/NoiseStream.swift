import Glibc
import SeededRandom

/// White noise that can be read at any index: SplitMix64 with its counter set. What stands at an index depends on seed
/// and index alone, so a channel is the same whoever looks at it, in which order, and with what gaps.
struct NoiseStream: Hashable, Sendable {
    let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    /// An independent stream for another use of the same seed.
    func derived(_ label: UInt64) -> NoiseStream {
        var mixer = SplitMix64(seed: seed ^ (label &* 0xD1B5_4A32_D192_ED03))
        return NoiseStream(seed: mixer.next())
    }

    func word(at index: Int) -> UInt64 {
        var generator = SplitMix64(seed: seed &+ UInt64(bitPattern: Int64(index)) &* 0x9E37_79B9_7F4A_7C15)
        return generator.next()
    }

    /// Evenly spread in (0, 1).
    func uniform(at index: Int) -> Double { (Double(word(at: index) >> 11) + 0.5) * 0x1p-53 }

    /// A complex Gaussian value with mean square 1 (Box and Muller).
    func complexGaussian(at index: Int) -> (real: Double, imaginary: Double) {
        let radius = (-log(uniform(at: 2 * index))).squareRoot()
        let angle = 2 * Double.pi * uniform(at: 2 * index + 1)
        return (radius * cos(angle), radius * sin(angle))
    }

    /// A Gaussian value with variance 1.
    func gaussian(at index: Int) -> Double { complexGaussian(at: index).real * 2.0.squareRoot() }
}
