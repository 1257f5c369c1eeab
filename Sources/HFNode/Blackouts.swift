import Glibc
package import NIOCore

/// Times without any signal, both ways at once: an absorption event, or an antenna behind a funnel.
///
/// They begin at random, independently of each other, so many apart on average; two that overlap are one longer one.
package struct Blackouts: Hashable, Sendable {
    package var duration: TimeAmount
    /// From one beginning to the next.
    package var meanInterval: TimeAmount

    package init(duration: TimeAmount, meanInterval: TimeAmount) {
        self.duration = duration
        self.meanInterval = meanInterval
    }

    /// Whether any of the time from `start` to `end`, in seconds, is dark. Time is cut into cells of one mean interval,
    /// and the number of beginnings in each (Poisson, mean 1) and their places follow from seed and cell.
    func overlap(from start: Double, to end: Double, _ noise: NoiseStream) -> Bool {
        let (length, cell) = (duration.inSeconds, meanInterval.inSeconds)
        // The first beginning that still matters. Before the channel began there was none.
        let earliest = max(start - length, 0)
        guard end > earliest else { return false }
        for index in Int(earliest / cell)...Int(end / cell) {
            for place in Self.beginnings(noise, cell: index) {
                let beginning = (Double(index) + place) * cell
                if beginning < end, beginning + length > start { return true }
            }
        }
        return false
    }

    /// Where in a cell blackouts begin, in parts of it.
    private static func beginnings(_ noise: NoiseStream, cell: Int) -> [Double] {
        let noise = noise.derived(UInt64(bitPattern: Int64(cell)) &+ 1)
        // As many evenly spread factors as keep the product above 1/e (Knuth).
        var (count, product) = (0, noise.uniform(at: 0))
        while product > exp(-1.0), count < 32 {
            count += 1
            product *= noise.uniform(at: count)
        }
        return (0..<count).map { noise.uniform(at: 100 + $0) }
    }
}
