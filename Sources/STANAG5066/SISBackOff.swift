import NIOCore
import SeededRandom

/// How long to wait before the node is tried again: doubled with each failure, between a minimum and a maximum, and drawn from
/// the upper half of the step, so that many clients of one node do not come back at the same moment.
struct SISBackOff: Equatable {
    private let minimum: Int64
    private let maximum: Int64
    private var random: SplitMix64
    /// In a row.
    private(set) var failures = 0

    init(minimum: TimeAmount, maximum: TimeAmount, seed: UInt64) {
        self.minimum = max(minimum.nanoseconds, 1)
        self.maximum = max(maximum.nanoseconds, self.minimum)
        random = SplitMix64(seed: seed)
    }

    /// The node has worked.
    mutating func succeeded() {
        failures = 0
    }

    /// The wait after one more failure; twice the minimum at most after the first.
    mutating func delayAfterFailure() -> TimeAmount {
        failures = min(failures + 1, 62)
        var step = minimum
        for _ in 0..<failures where step < maximum { step = step > maximum / 2 ? maximum : step * 2 }
        let low = max(minimum, step / 2)
        return .nanoseconds(low + Int64(random.next() % UInt64(step - low + 1)))
    }
}
