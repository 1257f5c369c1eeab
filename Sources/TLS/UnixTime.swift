import Glibc

/// Calendar time of the machine, which the dates in certificates are compared with.
package enum UnixTime {
    /// Seconds since 1970 (UTC).
    package static var now: Int64 {
        Int64(time(nil))
    }

    /// An instant as people write it in UTC: `2026-11-21 04:10 UTC`.
    package static func text(_ seconds: Int64) -> String {
        let (days, rest) = Self.floorDivided(seconds, 86_400)
        let date = Self.date(days: days)
        let day = [date.year, date.month, date.day].map(Self.twoDigits).joined(separator: "-")
        return "\(day) \(Self.twoDigits(rest / 3600)):\(Self.twoDigits(rest / 60 % 60)) UTC"
    }

    /// The Gregorian date of a day counted from 1970-01-01.
    ///
    /// Counted in years that begin with March, so that the leap day is the last of its year; 146 097 days are 400 years.
    private static func date(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = Self.floorDivided(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floorDivided(_ number: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func twoDigits(_ number: Int64) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
