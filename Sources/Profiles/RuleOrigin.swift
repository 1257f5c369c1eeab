/// Where a rule of a profile was written.
package struct RuleOrigin: Hashable, Sendable, CustomStringConvertible {
    /// The profile's name.
    package var profile: String
    package var file: String
    /// Counted from 1.
    package var line: Int
    /// As in `message.strip[2]`.
    package var key: String

    package init(profile: String, file: String, line: Int, key: String) {
        self.profile = profile
        self.file = file
        self.line = line
        self.key = key
    }

    package var description: String { "\(file):\(line) (\(key))" }
}

/// A value that a profile gives, with its place.
package struct Sourced<Value: Sendable>: Sendable {
    package var value: Value
    package var origin: RuleOrigin

    package init(_ value: Value, _ origin: RuleOrigin) {
        self.value = value
        self.origin = origin
    }
}

extension Sourced: Equatable where Value: Equatable {}
