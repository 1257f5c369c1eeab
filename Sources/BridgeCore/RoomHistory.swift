/// From where on a join asks for the room's history (XEP-0045 §7.2.13). Only one limit is given: a room applies all.
enum RoomHistory: Equatable {
    /// Unix time in milliseconds.
    case since(UInt64)
    case seconds(UInt64)
    case stanzas(Int)

    /// Clocks of bridge and server differ, and rooms count in whole seconds; what comes twice for that is swallowed.
    static let margin: UInt64 = 30_000

    /// What was said less than this long before his join may come to him as well.
    static let joinMargin: UInt64 = 2_000

    /// - Parameters:
    ///   - age: milliseconds of service since the last message that he has had.
    ///   - longestAge: milliseconds of service since his join.
    ///   - wall: the wall clock in Unix milliseconds.
    ///   - isAgeKnown: false when time passed that service time does not know of.
    init(age: UInt64, longestAge: UInt64, wall: UInt64?, isAgeKnown: Bool) {
        let reach = min(age &+ Self.margin, longestAge &+ Self.joinMargin)
        if let wall, Self.isBelievable(wall), wall > reach {
            self = .since(wall - reach)
        } else if isAgeKnown {
            self = .seconds((reach &+ 999) / 1_000)
        } else {
            self = .stanzas(RoomMembership.seenMessages)
        }
    }

    /// A machine without a battery boots in 1970.
    static func isBelievable(_ wall: UInt64) -> Bool {
        (1_704_067_200_000..<4_102_444_800_000).contains(wall)
    }

    var xml: String {
        switch self {
        case .since(let wall): "<history since='\(Self.stamp(wall))'/>"
        case .seconds(let seconds): "<history seconds='\(seconds)'/>"
        case .stanzas(let count): "<history maxstanzas='\(count)'/>"
        }
    }

    /// A moment as XEP-0082 writes it, in whole seconds.
    static func stamp(_ wall: UInt64) -> String {
        let seconds = Int(wall / 1_000)
        // Days from the civil calendar, counted in eras of 400 years that begin on the first of March.
        let days = seconds / 86_400 + 719_468
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + days / 146_097 * 400 + (month <= 2 ? 1 : 0)
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let second = seconds % 86_400
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(year)-\(two(month))-\(two(day))T\(two(second / 3_600)):\(two(second / 60 % 60)):\(two(second % 60))Z"
    }
}
