import NIOCore
import XMPP

/// Pauses between failed attempts: doubling, bounded, with jitter that follows from a seed.
struct Backoff: Equatable {
    private(set) var failures = 0
    /// No attempt before this time.
    private(set) var notBefore: NIODeadline?

    /// - Parameter key: tells apart those who fail at the same moment.
    mutating func failed(now: NIODeadline, key: UInt64, configuration: LocalSideConfiguration) {
        self.failures = min(self.failures + 1, 1_000_000)
        self.notBefore = now + Self.pause(failures: self.failures, key: key, configuration: configuration)
    }

    mutating func succeeded() {
        self = Backoff()
    }

    func allows(_ now: NIODeadline) -> Bool {
        self.notBefore.map { $0 <= now } ?? true
    }

    /// Half to all of the doubled minimum, at most the maximum.
    static func pause(failures: Int, key: UInt64, configuration: LocalSideConfiguration) -> TimeAmount {
        let minimum = max(configuration.dialBackoffMinimum.nanoseconds, 1)
        let maximum = max(configuration.dialBackoffMaximum.nanoseconds, minimum)
        let doublings = min(max(failures - 1, 0), 62)
        let (product, overflow) = minimum.multipliedReportingOverflow(by: 1 << doublings)
        let whole = overflow ? maximum : min(product, maximum)
        var hash = StableHash()
        hash.combine(configuration.jitterSeed)
        hash.combine(key)
        hash.combine(UInt64(failures))
        let half = whole / 2
        return .nanoseconds(whole - half + (half == 0 ? 0 : Int64(hash.value % UInt64(half + 1))))
    }
}
