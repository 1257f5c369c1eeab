import Glibc

/// Two independent paths of equal mean strength, each a complex Gaussian process with a Gaussian Doppler spectrum
/// (Watterson; ITU-R F.1487).
///
/// White noise runs through a Gaussian filter at *nodes*, some sixteen of them to a Doppler period; in between the
/// process is interpolated. Above 2.5 Hz of spread nodes are 25 ms apart, and it holds its value. Any stretch can be
/// asked for at any time: it depends on the seed alone, and quiet hours cost nothing.
struct FadingProcess: Sendable {
    /// Samples per second of which a block is made: 10 to 40 (above 2.5 Hz of spread neighbours are nearly
    /// independent).
    let sampleRate: Double
    private let nodeRate: Double
    /// Between nodes that know little of each other a straight line would take power away.
    private let interpolates: Bool
    private var first: FadingPath
    private var second: FadingPath

    /// - Parameter dopplerSpread: in hertz, twice the standard deviation of the spectrum; above zero.
    init(dopplerSpread: Double, noise: NoiseStream) {
        nodeRate = min(16 * dopplerSpread, 40)
        interpolates = 16 * dopplerSpread <= 40
        sampleRate = max(nodeRate, 10)
        let taps = Self.taps(dopplerSpread: dopplerSpread, nodeRate: nodeRate)
        first = FadingPath(noise: noise.derived(1), taps: taps)
        second = FadingPath(noise: noise.derived(2), taps: taps)
    }

    /// The filter whose power response is the Doppler spectrum: a Gaussian as well, with unit energy.
    private static func taps(dopplerSpread: Double, nodeRate: Double) -> [Double] {
        let deviation = nodeRate / (2.0.squareRoot() * Double.pi * dopplerSpread)
        let reach = max(1, Int((4 * deviation).rounded(.up)))
        var taps = (-reach...reach).map { exp(-Double($0 * $0) / (2 * deviation * deviation)) }
        let energy = taps.reduce(0) { $0 + $1 * $1 }
        for index in taps.indices { taps[index] /= energy.squareRoot() }
        return taps
    }

    /// The power of both paths together at a time in seconds, with mean 1.
    mutating func power(at seconds: Double) -> Double {
        let place = seconds * nodeRate
        let node = Int(place.rounded(.down))
        let part = interpolates ? place - Double(node) : 0
        let (one, two) = (first.value(at: node, part), second.value(at: node, part))
        return
            (one.real * one.real + one.imaginary * one.imaginary + two.real * two.real
            + two.imaginary * two.imaginary) / 2
    }
}

/// One path, with the nodes last used.
private struct FadingPath: Sendable {
    private static let chunk = 64

    private let noise: NoiseStream
    private let taps: [Double]
    /// The chunk whose nodes are kept.
    private var kept = Int.min
    /// The nodes of the chunk and one more.
    private var real = [Double](repeating: 0, count: chunk + 1)
    private var imaginary = [Double](repeating: 0, count: chunk + 1)

    init(noise: NoiseStream, taps: [Double]) {
        self.noise = noise
        self.taps = taps
    }

    mutating func value(at node: Int, _ part: Double) -> (real: Double, imaginary: Double) {
        // Shifts round down for nodes before zero, too.
        let chunk = node >> 6
        if chunk != kept { fill(chunk) }
        let index = node & (Self.chunk - 1)
        return (
            real[index] + part * (real[index + 1] - real[index]),
            imaginary[index] + part * (imaginary[index + 1] - imaginary[index])
        )
    }

    private mutating func fill(_ chunk: Int) {
        let start = chunk * Self.chunk
        let count = Self.chunk + taps.count
        var whiteReal = [Double](repeating: 0, count: count)
        var whiteImaginary = whiteReal
        for index in 0..<count {
            (whiteReal[index], whiteImaginary[index]) = noise.complexGaussian(at: start + index)
        }
        // Plain loops: in a debug build iterators would make this ten times slower, and tests run minutes of fading.
        var node = 0
        while node <= Self.chunk {
            var (sumReal, sumImaginary) = (0.0, 0.0)
            var tap = 0
            while tap < taps.count {
                let weight = taps[tap]
                sumReal += weight * whiteReal[node + tap]
                sumImaginary += weight * whiteImaginary[node + tap]
                tap += 1
            }
            real[node] = sumReal
            imaginary[node] = sumImaginary
            node += 1
        }
        kept = chunk
    }
}
