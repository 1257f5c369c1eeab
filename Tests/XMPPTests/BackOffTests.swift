import NIOCore
import SeededRandom
import Testing

@Suite struct BackOffTests {
    private static func waits(_ seed: UInt64, failures: Int = 12) -> [TimeAmount] {
        var backOff = BackOff(minimum: .seconds(2), maximum: .seconds(100), seed: seed)
        return (0..<failures).map { _ in backOff.delayAfterFailure() }
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `waits double with each failure, in the upper half of the step, up to the maximum`(_ seed: UInt64) {
        let steps: [Int64] = [4, 8, 16, 32, 64, 100, 100, 100, 100, 100, 100, 100]
        for (wait, step) in zip(Self.waits(seed), steps) {
            #expect(wait >= .seconds(max(2, step / 2)) && wait <= .seconds(step), "\(wait) of \(step) s")
        }
    }

    @Test func `equal seeds wait alike, others do not`() {
        #expect(Self.waits(7) == Self.waits(7))
        #expect(Self.waits(7) != Self.waits(8))
        #expect(Set(Self.waits(7).suffix(6).map(\.nanoseconds)).count == 6)
    }

    @Test func `what has worked begins at the bottom again`() {
        var backOff = BackOff(minimum: .seconds(2), maximum: .seconds(100), seed: 3)
        for _ in 0..<9 { _ = backOff.delayAfterFailure() }
        #expect(backOff.failures == 9)
        backOff.succeeded()
        #expect(backOff.failures == 0)
        #expect(backOff.delay() <= .seconds(4))
        #expect(backOff.failures == 0 && backOff.delayAfterFailure() <= .seconds(4))
        #expect(backOff.delayAfterFailure() >= .seconds(4))
    }

    @Test func `no minimum, maximum or number of failures is out of bounds`() {
        let extremes: [TimeAmount] = [.nanoseconds(.min), .nanoseconds(-1), .zero, .seconds(1), .nanoseconds(.max)]
        for minimum in extremes {
            for maximum in extremes {
                var backOff = BackOff(minimum: minimum, maximum: maximum, seed: 1)
                for _ in 0..<1_100 { #expect(backOff.delayAfterFailure() >= max(minimum, .nanoseconds(1))) }
                #expect(backOff.failures == 1_000)
            }
        }
    }
}
