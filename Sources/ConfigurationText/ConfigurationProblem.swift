/// One thing that is wrong in a configuration file, with its place and what would be right.
///
/// Problems are collected, never thrown one by one: an operator sees all of them in one run.
package struct ConfigurationProblem: Error, Equatable, Sendable, CustomStringConvertible {
    package var file: String
    /// Counted from 1; for a missing key the line of the table in which it is missing.
    package var line: Int
    /// As in `peer[0].transport.connect`; empty for a problem of the whole file.
    package var key: String
    /// The value as written, `nil` when there is none or when it is a secret.
    package var value: String?
    /// What is wrong, one clause without a full stop.
    package var message: String
    /// What may stand there, or what to do.
    package var allowed: String?

    package init(file: String, line: Int, key: String, value: String?, message: String, allowed: String?) {
        self.file = file
        self.line = line
        self.key = key
        self.value = value
        self.message = message
        self.allowed = allowed
    }

    /// `FILE:LINE: KEY = VALUE: MESSAGE (allowed: …)`, the form that editors can jump to.
    package var description: String {
        var text = "\(file):\(line): "
        if !key.isEmpty {
            text += key
            if let value { text += " = \(value)" }
            text += ": "
        }
        text += message
        if let allowed { text += " (\(allowed))" }
        return text
    }
}

/// All that is wrong in one or more configuration files, file by file in the order of their lines.
package struct ConfigurationProblems: Error, Equatable, Sendable, CustomStringConvertible {
    package let problems: [ConfigurationProblem]

    package init(_ problems: [ConfigurationProblem]) {
        // A stable order whatever order the tables were walked in: Swift seeds its hashing per process.
        self.problems = problems.sorted {
            ($0.file, $0.line, $0.key, $0.message, $0.value ?? "")
                < ($1.file, $1.line, $1.key, $1.message, $1.value ?? "")
        }
    }

    package var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}
