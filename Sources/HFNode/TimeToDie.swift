/// The time of day after which a U_PDU is not delivered any more (STANAG 5066 Ed. 3 §A.3.1.1): the day of the year
/// modulo 16 and the seconds of the day in GMT, halved. Since it comes again every 16 days and a time to live is up to
/// 15 days, a time counts as past for one day only after it has come.
package struct TimeToDie: Hashable, Sendable {
    /// Day modulo 16.
    package let day: UInt8
    /// Seconds of the day divided by two, 0 to 43 199.
    package let halfSeconds: UInt16

    private static let secondsOfDay: Int64 = 86400
    private static let cycle = 16 * secondsOfDay

    /// - Parameter field: 20 bits, the day first.
    package init(field: UInt32) {
        day = UInt8(truncatingIfNeeded: field >> 16 & 0x0F)
        halfSeconds = UInt16(truncatingIfNeeded: field)
    }

    /// - Parameter seconds: since midnight GMT of a day whose number is 0 modulo 16.
    package init(seconds: Int64) {
        let within = (seconds % Self.cycle + Self.cycle) % Self.cycle
        day = UInt8(within / Self.secondsOfDay)
        halfSeconds = UInt16(within % Self.secondsOfDay / 2)
    }

    package var field: UInt32 { UInt32(day & 0x0F) << 16 | UInt32(halfSeconds) }

    /// Whether it has passed.
    ///
    /// - Parameter seconds: now, as in ``init(seconds:)``. Clocks of nodes differ: what is less than `tolerance` seconds past has
    ///   not passed.
    package func isPast(at seconds: Int64, tolerance: Int64 = 2) -> Bool {
        let own = Int64(day) * Self.secondsOfDay + Int64(halfSeconds) * 2
        let late = ((seconds - own) % Self.cycle + Self.cycle) % Self.cycle
        return late > tolerance && late < Self.secondsOfDay
    }
}
