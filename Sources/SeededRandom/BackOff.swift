package import NIOCore

/// How long to wait before something is tried again: doubled with each failure, with jitter, between a minimum and a maximum.
///
/// The wait is drawn evenly from the upper half of the step, never below the minimum, so that two sites which lost the
/// same bearer, or many clients of one node, do not come back at the same moment for ever.
package struct BackOff: Equatable, Sendable {
    private let minimum: Int64
    private let maximum: Int64
    private var random: SplitMix64
    /// In a row, at most 1000.
    package private(set) var failures = 0

    /// - Parameter seed: start of the sequence of random numbers; equal seeds give equal waits.
    package init(minimum: TimeAmount, maximum: TimeAmount, seed: UInt64) {
        self.minimum = max(minimum.nanoseconds, 1)
        self.maximum = max(maximum.nanoseconds, self.minimum)
        random = SplitMix64(seed: seed)
    }

    /// What was tried has worked.
    package mutating func succeeded() {
        failures = 0
    }

    /// The wait after one more failure.
    package mutating func delayAfterFailure() -> TimeAmount {
        failures = min(failures + 1, 1_000)
        return delay()
    }

    /// The wait as things are: at most twice the minimum after a success or one failure, doubled with each further one.
    package mutating func delay() -> TimeAmount {
        var step = minimum
        for _ in 0..<max(failures, 1) where step < maximum { step = step > maximum / 2 ? maximum : step * 2 }
        let low = max(minimum, step / 2)
        return .nanoseconds(low + Int64(random.next() % (UInt64(step - low) + 1)))
    }
}
