import TOMLKit

/// A TOML value, copied out of the parsing library: plain data that can be kept, compared and walked in order.
package indirect enum TOMLNode: Sendable, Equatable {
    case string(String)
    case integer(Int)
    case float(Double)
    case boolean(Bool)
    /// A date, a time or both; nothing in this configuration is one, so the value is not kept.
    case dateOrTime
    case array([TOMLNode])
    case table([String: TOMLNode])

    /// What the value is, in the words of the TOML specification.
    package var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "an integer"
        case .float: "a float"
        case .boolean: "a boolean"
        case .dateOrTime: "a date or time"
        case .array: "an array"
        case .table: "a table"
        }
    }

    /// The value as one would write it, cut to a readable length; tables and arrays are summed up.
    package var shown: String {
        switch self {
        case .string(let text): TOMLPath.quoted(text.count > 80 ? text.prefix(77) + "…" : text[...])
        case .integer(let number): String(number)
        case .float(let number): String(number)
        case .boolean(let flag): String(flag)
        case .dateOrTime: "a date or time"
        case .array(let elements): "an array of \(elements.count)"
        case .table(let entries): "a table of \(entries.count)"
        }
    }
}

extension TOMLNode {
    /// A syntax error with its place.
    package struct SyntaxError: Error, Equatable {
        package var line: Int
        package var column: Int
        package var message: String
    }

    /// Reads a document; the result is always a table.
    package static func parse(_ text: String) throws(SyntaxError) -> TOMLNode {
        // The library takes a C string: a NUL would silently end the document.
        if let nul = text.utf8.firstIndex(of: 0) {
            let line = text.utf8[..<nul].count { $0 == UInt8(ascii: "\n") } + 1
            throw SyntaxError(line: line, column: 1, message: "a NUL byte is not allowed in TOML")
        }
        do {
            return copy(try TOMLTable(string: text))
        } catch let error as TOMLParseError {
            let place = error.source.begin
            throw SyntaxError(line: place.line, column: place.column, message: error.description)
        } catch {
            throw SyntaxError(line: 1, column: 1, message: "the document could not be read")
        }
    }

    private static func copy(_ table: TOMLTable) -> TOMLNode {
        var entries: [String: TOMLNode] = [:]
        for key in table.keys {
            if let value = table[key] { entries[key] = copy(value) }
        }
        return .table(entries)
    }

    private static func copy(_ value: any TOMLValueConvertible) -> TOMLNode {
        switch value.type {
        case .table:
            guard let table = value.table else { return .table([:]) }
            return copy(table)
        case .array:
            guard let array = value.array else { return .array([]) }
            return .array(array.map { copy($0) })
        case .string:
            return .string(value.string ?? "")
        case .int:
            return .integer(value.int ?? 0)
        case .double:
            return .float(value.double ?? 0)
        case .bool:
            return .boolean(value.bool ?? false)
        case .date, .time, .dateTime:
            return .dateOrTime
        }
    }
}
