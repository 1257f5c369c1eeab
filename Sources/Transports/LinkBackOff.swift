package import NIOCore
import SeededRandom

/// How long to wait before dialling again: doubled after each failure, with jitter, between a minimum and a maximum.
///
/// The wait is drawn evenly from the upper half of the step, never below the minimum, so that two sites which lost the
/// same bearer at the same moment do not dial at the same moment for ever.
package struct LinkBackOff: Equatable, Sendable {
    private let minimum: Int64
    private let maximum: Int64
    private var random: SplitMix64

    /// - Parameter seed: start of the sequence of random numbers; equal seeds give equal waits.
    package init(minimum: TimeAmount, maximum: TimeAmount, seed: UInt64) {
        self.minimum = max(minimum.nanoseconds, 1)
        self.maximum = max(maximum.nanoseconds, self.minimum)
        random = SplitMix64(seed: seed)
    }

    /// The wait after `failures` failures in a row, 0 after a connection that had worked: at most twice the minimum at
    /// first, doubled with each further failure.
    package mutating func delay(failures: Int) -> TimeAmount {
        var step = minimum
        for _ in 0..<min(max(failures, 1), 62) where step < maximum {
            let doubled = step.multipliedReportingOverflow(by: 2)
            step = doubled.overflow ? maximum : min(doubled.partialValue, maximum)
        }
        let low = max(minimum, step / 2)
        let width = UInt64(step - low) + 1
        return .nanoseconds(low + Int64(random.next() % width))
    }
}
