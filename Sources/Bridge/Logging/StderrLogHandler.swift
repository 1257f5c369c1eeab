import Glibc
package import Logging

/// Writes one line per event to standard error, as text for people or as JSON for collectors. systemd adds the time to
/// what it collects, so a text line carries one only when standard error is a terminal or a file.
package struct StderrLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: LogConfiguration.Format
    private let sink: LogSink

    package init(label: String, level: Logger.Level, format: LogConfiguration.Format, sink: LogSink = .standardError) {
        self.label = label
        self.logLevel = level
        self.format = format
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata
        if let extra = event.metadata { fields.merge(extra) { _, new in new } }
        switch format {
        case .text: sink.write(textLine(event.level, "\(event.message)", fields))
        case .json: sink.write(jsonLine(event.level, "\(event.message)", fields))
        }
    }

    private func textLine(_ level: Logger.Level, _ message: String, _ fields: Logger.Metadata) -> String {
        var line = sink.wantsTime ? "\(LogTime.now()) " : ""
        line += "\(level) \(label): "
        LogEscape.appendText(message, to: &line)
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line += " "
            LogEscape.appendText(key, to: &line)
            line += "="
            LogEscape.appendField("\(value)", to: &line)
        }
        line += "\n"
        return line
    }

    private func jsonLine(_ level: Logger.Level, _ message: String, _ fields: Logger.Metadata) -> String {
        var line = "{\"time\":\"\(LogTime.now())\",\"level\":\"\(level)\",\"logger\":"
        LogEscape.appendJSON(label, to: &line)
        line += ",\"message\":"
        LogEscape.appendJSON(message, to: &line)
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line += ","
            // A field must not shadow one of the four above.
            LogEscape.appendJSON(["time", "level", "logger", "message"].contains(key) ? "_\(key)" : key, to: &line)
            line += ":"
            LogEscape.appendJSON("\(value)", to: &line)
        }
        line += "}\n"
        return line
    }
}

/// Where lines go: standard error, or a closure in tests.
package struct LogSink: Sendable {
    package let wantsTime: Bool
    private let body: @Sendable (String) -> Void

    package init(wantsTime: Bool, _ body: @escaping @Sendable (String) -> Void) {
        self.wantsTime = wantsTime
        self.body = body
    }

    package func write(_ line: String) {
        body(line)
    }

    package static let standardError = LogSink(
        // systemd says by this variable that standard error is its journal, which stamps each line itself.
        wantsTime: unsafe getenv("JOURNAL_STREAM") == nil
    ) { line in
        var line = line
        line.withUTF8 { bytes in
            // One write call, so lines of several threads do not mix. A full pipe must not stop the daemon: what does
            // not go out is lost.
            _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
        }
    }
}

/// The time of day as RFC 3339 in UTC with milliseconds.
package enum LogTime {
    package static func now() -> String {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return format(seconds: Int(time.tv_sec), milliseconds: Int(time.tv_nsec) / 1_000_000)
    }

    package static func format(seconds: Int, milliseconds: Int) -> String {
        var seconds = time_t(seconds)
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        let (year, month, day) = unsafe (Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday))
        let (hour, minute, second) = unsafe (Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec))
        let date = "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))"
        let time = "\(pad(hour, 2)):\(pad(minute, 2)):\(pad(second, 2))"
        return "\(date)T\(time).\(pad(milliseconds, 3))Z"
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// Keeps text from the network from ending a line or imitating a field (log forging).
enum LogEscape {
    static func appendText(_ text: String, to line: inout String) {
        for scalar in text.unicodeScalars {
            if isPlain(scalar) { line.unicodeScalars.append(scalar) } else { appendEscape(scalar, to: &line) }
        }
    }

    static func appendField(_ text: String, to line: inout String) {
        let isBare =
            !text.isEmpty && text.unicodeScalars.allSatisfy { isPlain($0) && $0 != " " && $0 != "\"" && $0 != "=" }
        guard !isBare else {
            line += text
            return
        }
        line += "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" {
                line += "\\\""
            } else if isPlain(scalar) {
                line.unicodeScalars.append(scalar)
            } else {
                appendEscape(scalar, to: &line)
            }
        }
        line += "\""
    }

    static func appendJSON(_ text: String, to line: inout String) {
        line += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            case _ where isPlain(scalar): line.unicodeScalars.append(scalar)
            default:
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    line += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        line += "\""
    }

    /// Neither a control character nor one that reorders text on a terminal.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: false
        default: scalar != "\\"
        }
    }

    private static func appendEscape(_ scalar: Unicode.Scalar, to line: inout String) {
        switch scalar {
        case "\n": line += "\\n"
        case "\r": line += "\\r"
        case "\t": line += "\\t"
        case "\\": line += "\\\\"
        default: line += "\\u{\(String(scalar.value, radix: 16))}"
        }
    }
}
