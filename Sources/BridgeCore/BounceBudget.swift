import NIOCore

/// How many errors may be made up per time: a store that fills at a steady rate.
///
/// No error is ever answered, so errors alone cannot go round; but programs exist that answer an error with a new message.
struct BounceBudget {
    private let capacity: Int64
    private let perSecond: Int64
    /// In billionths of an error, so that no time is lost to rounding.
    private var store: Int64
    private var filledAt: NIODeadline?

    /// At most a million errors at once and per second.
    init(capacity: Int, perSecond: Int) {
        self.capacity = Int64(min(max(capacity, 1), 1_000_000))
        self.perSecond = Int64(min(max(perSecond, 1), 1_000_000))
        store = self.capacity * 1_000_000_000
    }

    /// Takes one error from the store; false when there is none.
    mutating func spend(now: NIODeadline) -> Bool {
        let full = capacity * 1_000_000_000
        if let filledAt, now > filledAt {
            let elapsed = (now - filledAt).nanoseconds.multipliedReportingOverflow(by: perSecond)
            let sum = store.addingReportingOverflow(elapsed.partialValue)
            store = elapsed.overflow || sum.overflow ? full : min(sum.partialValue, full)
        }
        filledAt = max(filledAt ?? now, now)
        guard store >= 1_000_000_000 else { return false }
        store -= 1_000_000_000
        return true
    }
}
