package import NIOCore

/// Milliseconds that a site has been in service, down time included as far as it is known: never goes back, and does not
/// follow the wall clock when that is set.
///
/// What waits across a restart is measured by it. While the bridge runs it follows the monotonic clock. Across a restart
/// the wall clock bridges the gap, unless it says something that cannot be: a machine without a battery boots in 1970, and
/// an age of decades would expire everything.
package struct ServiceClock: Equatable, Sendable {
    /// Down time longer than this is taken for an error of the wall clock.
    package static let longestGap: Int64 = 400 * 86_400_000

    private let origin: UInt64
    private let start: NIODeadline

    /// - Parameters:
    ///   - last: the service time of the last commit; 0 for a new journal.
    ///   - wallGap: milliseconds of wall time since then; what is negative or longer than ``longestGap`` counts as none.
    package init(last: UInt64, wallGap: Int64, now: NIODeadline) {
        origin = last &+ (wallGap > 0 && wallGap <= Self.longestGap ? UInt64(wallGap) : 0)
        start = now
    }

    /// A clock that starts at zero.
    package init(now: NIODeadline) {
        self.init(last: 0, wallGap: 0, now: now)
    }

    /// Service time in milliseconds.
    package func milliseconds(_ now: NIODeadline) -> UInt64 {
        now > start ? origin &+ UInt64((now - start).nanoseconds / 1_000_000) : origin
    }

    /// The moment of a service time on the monotonic clock; moments before the process clock began are its beginning.
    package func deadline(_ milliseconds: UInt64) -> NIODeadline {
        let offset = Int64(clamping: milliseconds) - Int64(clamping: origin)
        return start + .milliseconds(offset)
    }
}
