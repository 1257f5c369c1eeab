package import NIOCore

/// Durations and sizes as an operator writes them.
package enum ConfigurationUnits {
    /// `20ms`, `90s`, `5m`, `24h`, `7d`; a whole number and one unit.
    package static let durationForm = "a whole number and a unit: ms, s, m, h or d, as in \"90s\""
    /// `65536`, `"64KiB"`, `"64MiB"`, `"1GiB"`.
    package static let sizeForm =
        "bytes as an integer, or a whole number and a unit: B, KiB, MiB or GiB, as in \"64MiB\""

    package static func duration(_ text: String) -> TimeAmount? {
        guard let (number, unit) = split(text) else { return nil }
        let nanosecondsPerUnit: Int64
        switch unit {
        case "ms": nanosecondsPerUnit = 1_000_000
        case "s": nanosecondsPerUnit = 1_000_000_000
        case "m": nanosecondsPerUnit = 60 * 1_000_000_000
        case "h": nanosecondsPerUnit = 3_600 * 1_000_000_000
        case "d": nanosecondsPerUnit = 86_400 * 1_000_000_000
        default: return nil
        }
        let (nanoseconds, overflow) = number.multipliedReportingOverflow(by: nanosecondsPerUnit)
        return overflow ? nil : .nanoseconds(nanoseconds)
    }

    package static func size(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let bytesPerUnit: Int64
        switch unit {
        case "", "B": bytesPerUnit = 1
        case "KiB": bytesPerUnit = 1 << 10
        case "MiB": bytesPerUnit = 1 << 20
        case "GiB": bytesPerUnit = 1 << 30
        default: return nil
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: bytesPerUnit)
        return overflow ? nil : Int(bytes)
    }

    /// A duration in the largest unit that leaves a whole number.
    package static func format(_ duration: TimeAmount) -> String {
        let milliseconds = duration.nanoseconds / 1_000_000
        for (unit, size) in [("d", Int64(86_400_000)), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        where milliseconds != 0 && milliseconds.isMultiple(of: size) {
            return "\(milliseconds / size)\(unit)"
        }
        return "\(milliseconds)ms"
    }

    /// A size in the largest unit that leaves a whole number.
    package static func format(bytes: Int) -> String {
        for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        where bytes != 0 && bytes.isMultiple(of: size) {
            return "\(bytes / size)\(unit)"
        }
        return "\(bytes)B"
    }

    private static func split(_ text: String) -> (number: Int64, unit: Substring)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        return (number, text[digits.endIndex...].drop { $0 == " " })
    }
}
