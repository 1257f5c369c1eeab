/// A JSON value that is written with its members in the given order.
package indirect enum JSONText: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// Written with two decimals.
    case number(Double)
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
        case .number(let number):
            guard number.isFinite, abs(number) < 1e15 else { return "null" }
            let hundredths = Int64((number * 100).rounded())
            let rest = String(abs(hundredths % 100))
            return (hundredths < 0 ? "-" : "") + "\(abs(hundredths / 100))." + (rest.count < 2 ? "0" : "") + rest
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
