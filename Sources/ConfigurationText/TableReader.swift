package import NIOCore

/// Reads the keys of one table. Every key that is asked for becomes a known key; `finish()` reports all others.
package final class TableReader {
    package let reader: ConfigurationReader
    package let path: TOMLPath
    private let entries: [String: TOMLNode]
    private var known: Set<String> = []
    /// Keys that are never right, with a reason of their own.
    private var forbidden: Set<String> = []

    package init(_ reader: ConfigurationReader, _ path: TOMLPath, _ entries: [String: TOMLNode]) {
        self.reader = reader
        self.path = path
        self.entries = entries
    }

    /// A value with its place.
    package struct Located<Value> {
        package var value: Value
        package var path: TOMLPath

        package init(value: Value, path: TOMLPath) {
            self.value = value
            self.path = path
        }
    }

    /// The keys that the table has, in a fixed order.
    package var presentKeys: [String] { entries.keys.sorted() }

    package func has(_ key: String) -> Bool {
        known.insert(key)
        return entries[key] != nil
    }

    /// Whether the table has a key that is never right, for which the caller has a reason. No message offers it.
    package func hasForbidden(_ key: String) -> Bool {
        forbidden.insert(key)
        return entries[key] != nil
    }

    package func isZero(_ key: String) -> Bool {
        entries[key] == .integer(0)
    }

    package func isEmptyArray(_ key: String) -> Bool {
        entries[key] == .array([])
    }

    package func report(_ key: String, _ message: String, allowed: String? = nil, showsValue: Bool = true) {
        reader.report(
            path.key(key), value: showsValue ? entries[key]?.shown : nil, message, allowed: allowed)
    }

    /// Reports a key that must be there.
    package func reportMissing(_ key: String, allowed: String) {
        reader.report(path.key(key), "this key is missing", allowed: allowed)
    }

    /// Reports every key that nobody asked for.
    package func finish() {
        for key in entries.keys.sorted() where !known.contains(key) && !forbidden.contains(key) {
            let choices = known.sorted().joined(separator: ", ")
            if let meant = Spelling.suggestion(for: key, among: known) {
                report(key, "unknown key; did you mean \"\(meant)\"?", allowed: "allowed: \(choices)")
            } else {
                report(key, "unknown key", allowed: "allowed: \(choices)")
            }
        }
    }

    // MARK: Values

    package func string(_ key: String, isSecret: Bool = false, allowed: String = "a string") -> String? {
        known.insert(key)
        switch entries[key] {
        case nil: return nil
        case .string(let text): return text
        case let other?:
            reader.report(
                path.key(key), value: isSecret ? nil : other.shown, "this is \(other.kind)", allowed: allowed)
            return nil
        }
    }

    package func boolean(_ key: String) -> Bool? {
        known.insert(key)
        switch entries[key] {
        case nil: return nil
        case .boolean(let flag): return flag
        case let other?:
            report(key, "this is \(other.kind)", allowed: "true or false, without quotes")
            return nil
        }
    }

    package func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        known.insert(key)
        let allowed = "an integer from \(range.lowerBound) to \(range.upperBound)"
        switch entries[key] {
        case nil: return nil
        case .integer(let number) where range.contains(number): return number
        case .integer:
            report(key, "out of range", allowed: allowed)
            return nil
        case let other?:
            report(key, "this is \(other.kind)", allowed: allowed)
            return nil
        }
    }

    /// A number with or without a fraction.
    package func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
        known.insert(key)
        let allowed = "a number from \(Self.format(range.lowerBound)) to \(Self.format(range.upperBound))"
        let number: Double
        switch entries[key] {
        case nil: return nil
        case .integer(let whole): number = Double(whole)
        case .float(let fraction): number = fraction
        case let other?:
            report(key, "this is \(other.kind)", allowed: allowed)
            return nil
        }
        // Not a number is in no range.
        guard range.contains(number) else {
            report(key, "out of range", allowed: allowed)
            return nil
        }
        return number
    }

    private static func format(_ number: Double) -> String {
        Int(exactly: number).map(String.init) ?? String(number)
    }

    /// Whether the value is a table; asks for nothing else.
    package func isTable(_ key: String) -> Bool {
        known.insert(key)
        if case .table = entries[key] { return true }
        return false
    }

    package func duration(_ key: String, in range: ClosedRange<TimeAmount>) -> TimeAmount? {
        known.insert(key)
        let allowed = """
            \(ConfigurationUnits.durationForm), from \(ConfigurationUnits.format(range.lowerBound)) \
            to \(ConfigurationUnits.format(range.upperBound))
            """
        switch entries[key] {
        case nil: return nil
        case .string(let text):
            guard let duration = ConfigurationUnits.duration(text) else {
                report(key, "not a duration", allowed: allowed)
                return nil
            }
            guard range.contains(duration) else {
                report(key, "out of range", allowed: allowed)
                return nil
            }
            return duration
        case let other?:
            report(key, "this is \(other.kind), without a unit", allowed: allowed)
            return nil
        }
    }

    package func size(_ key: String, in range: ClosedRange<Int>) -> Int? {
        known.insert(key)
        let allowed = """
            \(ConfigurationUnits.sizeForm), from \(ConfigurationUnits.format(bytes: range.lowerBound)) \
            to \(ConfigurationUnits.format(bytes: range.upperBound))
            """
        let bytes: Int?
        switch entries[key] {
        case nil: return nil
        case .integer(let number): bytes = number
        case .string(let text): bytes = ConfigurationUnits.size(text)
        case let other?:
            report(key, "this is \(other.kind)", allowed: allowed)
            return nil
        }
        guard let bytes else {
            report(key, "not a size", allowed: allowed)
            return nil
        }
        guard range.contains(bytes) else {
            report(key, "out of range", allowed: allowed)
            return nil
        }
        return bytes
    }

    /// One of a few words. Words of `unavailable` are known but not offered by this version.
    package func choice<Value>(
        _ key: String, _ words: [(String, Value)], unavailable: [String] = []
    ) -> Value? {
        let names = words.map(\.0)
        let allowed = "allowed: " + names.map { "\"\($0)\"" }.joined(separator: ", ")
        guard let text = string(key, allowed: allowed) else { return nil }
        if let match = words.first(where: { $0.0 == text }) { return match.1 }
        if unavailable.contains(text) {
            report(key, "not available in this version", allowed: allowed)
        } else if let meant = Spelling.suggestion(for: text, among: names + unavailable) {
            report(key, "unknown value; did you mean \"\(meant)\"?", allowed: allowed)
        } else {
            report(key, "unknown value", allowed: allowed)
        }
        return nil
    }

    /// An array of strings, each with its place; a single string is not taken for an array of one.
    package func strings(_ key: String, allowed: String) -> [Located<String>]? {
        known.insert(key)
        switch entries[key] {
        case nil: return nil
        case .array(let elements):
            var located: [Located<String>] = []
            for (index, element) in elements.enumerated() {
                let place = path.key(key).index(index)
                if case .string(let text) = element {
                    located.append(Located(value: text, path: place))
                } else {
                    reader.report(place, value: element.shown, "this is \(element.kind)", allowed: allowed)
                }
            }
            return located
        case let other?:
            report(key, "this is \(other.kind)", allowed: "an array: \(allowed)")
            return nil
        }
    }

    /// The elements of an array, whatever they are, each with its place.
    package func elements(_ key: String, allowed: String) -> [Located<TOMLNode>]? {
        known.insert(key)
        switch entries[key] {
        case nil: return nil
        case .array(let elements):
            return elements.enumerated().map { Located(value: $1, path: path.key(key).index($0)) }
        case let other?:
            report(key, "this is \(other.kind)", allowed: "an array: \(allowed)")
            return nil
        }
    }

    /// Whether the value is exactly this word; asks for nothing else.
    package func isWord(_ key: String, _ word: String) -> Bool {
        known.insert(key)
        return entries[key] == .string(word)
    }

    /// One string, or an array of them.
    package func stringOrStrings(_ key: String, allowed: String) -> [Located<String>]? {
        if case .string(let text) = entries[key] {
            known.insert(key)
            return [Located(value: text, path: path.key(key))]
        }
        return strings(key, allowed: allowed)
    }

    package func table(_ key: String, allowed: String = "a table") -> TableReader? {
        known.insert(key)
        switch entries[key] {
        case nil: return nil
        case .table(let entries): return TableReader(reader, path.key(key), entries)
        case let other?:
            report(key, "this is \(other.kind)", allowed: allowed)
            return nil
        }
    }

    /// An array of tables, as `[[peer]]` makes it.
    package func tables(_ key: String) -> [TableReader] {
        known.insert(key)
        switch entries[key] {
        case nil: return []
        case .array(let elements):
            var tables: [TableReader] = []
            for (index, element) in elements.enumerated() {
                let place = path.key(key).index(index)
                if case .table(let entries) = element {
                    tables.append(TableReader(reader, place, entries))
                } else {
                    reader.report(place, value: element.shown, "this is \(element.kind)", allowed: "a table")
                }
            }
            return tables
        case let other?:
            report(key, "this is \(other.kind)", allowed: "an array of tables, written [[\(key)]]")
            return []
        }
    }
}
