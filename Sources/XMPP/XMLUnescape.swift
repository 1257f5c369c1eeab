/// Reads back what ``XMLEscape`` wrote. Only for bytes of our own writing.
enum XMLUnescape {
    static func text(_ escaped: String) -> String {
        guard escaped.utf8.contains(UInt8(ascii: "&")) else { return escaped }
        var result = ""
        result.reserveCapacity(escaped.utf8.count)
        var rest = Substring(escaped)
        while let ampersand = rest.utf8.firstIndex(of: UInt8(ascii: "&")) {
            result += rest[..<ampersand]
            rest = rest[ampersand...]
            guard let end = rest.utf8.firstIndex(of: UInt8(ascii: ";")) else { break }
            switch rest[...end] {
            case "&amp;": result += "&"
            case "&lt;": result += "<"
            case "&gt;": result += ">"
            case "&apos;": result += "'"
            case "&#9;": result += "\t"
            case "&#10;": result += "\n"
            case "&#13;": result += "\r"
            default: result += rest[...end]
            }
            rest = rest[rest.utf8.index(after: end)...]
        }
        return result + rest
    }
}
