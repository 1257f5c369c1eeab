/// A JSON value that is written with its members in the given order.
package indirect enum JSONText: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case string(String)
    case array([JSONText])
    case object([(String, JSONText)])

    package static func count(_ number: UInt64) -> JSONText { .integer(Int64(clamping: number)) }
    package static func count(_ number: Int) -> JSONText { .integer(Int64(number)) }
    package static func text(_ text: String?) -> JSONText { text.map { .string($0) } ?? .null }

    package static func == (left: JSONText, right: JSONText) -> Bool { left.text == right.text }

    /// On one line.
    package var text: String {
        switch self {
        case .null: return "null"
        case .boolean(let flag): return String(flag)
        case .integer(let number): return String(number)
        case .string(let string):
            var text = ""
            LogEscape.appendJSON(string, to: &text)
            return text
        case .array(let elements): return "[" + elements.map(\.text).joined(separator: ",") + "]"
        case .object(let members):
            return "{" + members.map { JSONText.string($0).text + ":" + $1.text }.joined(separator: ",") + "}"
        }
    }
}
