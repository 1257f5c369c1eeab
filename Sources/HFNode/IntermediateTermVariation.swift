import Glibc
package import NIOCore

/// Variation of the SNR over seconds to minutes on sky-wave paths, which fading models leave out: Gaussian in dB,
/// autocorrelation falling exponentially (a 2009 model by Harris; 4 dB and 10 s).
package struct IntermediateTermVariation: Hashable, Sendable {
    /// Standard deviation in dB.
    package var deviation: Double
    /// Time after which the autocorrelation is 1/e.
    package var correlation: TimeAmount

    package init(deviation: Double = 4, correlation: TimeAmount = .seconds(10)) {
        self.deviation = deviation
        self.correlation = correlation
    }
}

/// The process that ``IntermediateTermVariation`` describes: first-order autoregressive on a grid of seconds.
///
/// Each stretch of 64 s begins anew from the noise of the fifteen correlation times before it. So a value depends on
/// seed and time alone, and what the longer past would have added is below a millionth.
struct VariationProcess: Sendable {
    private static let chunk = 64

    private let deviation: Double
    /// Factor from one second to the next.
    private let memory: Double
    private let history: Int
    private let noise: NoiseStream
    private var kept = Int.min
    private var values = [Double](repeating: 0, count: chunk + 1)

    init(_ variation: IntermediateTermVariation, noise: NoiseStream) {
        let seconds = Double(variation.correlation.nanoseconds) / 1e9
        deviation = variation.deviation
        memory = exp(-1 / seconds)
        history = Int((15 * seconds).rounded(.up))
        self.noise = noise
    }

    /// In dB at a time in seconds.
    mutating func value(at seconds: Double) -> Double {
        let node = Int(seconds.rounded(.down))
        let chunk = node >> 6
        if chunk != kept { fill(chunk) }
        let index = node & (Self.chunk - 1)
        return values[index] + (seconds - Double(node)) * (values[index + 1] - values[index])
    }

    private mutating func fill(_ chunk: Int) {
        let start = chunk * Self.chunk
        let innovation = deviation * (1 - memory * memory).squareRoot()
        var value = 0.0
        for index in -history...Self.chunk {
            value = memory * value + innovation * noise.gaussian(at: start + index)
            if index >= 0 { values[index] = value }
        }
        kept = chunk
    }
}
