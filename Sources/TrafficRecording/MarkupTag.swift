/// The name and attributes of a tag, as they stand between `<` and `>`.
struct MarkupTag {
    var name: String
    private var attributes: [(name: String, value: String)] = []

    /// nil where the tag is not well-formed, an attribute stands twice, or a value holds a reference, of which the
    /// tags of this format have none.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        name = Self.take(&rest) { !MarkupScanner.isSpace($0) }
        guard !name.isEmpty else { return nil }
        while true {
            let spaces = rest.prefix(while: MarkupScanner.isSpace).count
            rest = rest.dropFirst(spaces)
            if rest.isEmpty { return }
            let key = Self.take(&rest) { $0 != UInt8(ascii: "=") && !MarkupScanner.isSpace($0) }
            rest = rest.drop(while: MarkupScanner.isSpace)
            guard spaces > 0, !key.isEmpty, self[key] == nil, rest.popFirst() == UInt8(ascii: "=") else { return nil }
            rest = rest.drop(while: MarkupScanner.isSpace)
            guard let quote = rest.popFirst(), quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
                return nil
            }
            let value = Self.take(&rest) { $0 != quote }
            guard rest.popFirst() == quote, !value.contains("&"), !value.contains("<") else { return nil }
            attributes.append((key, value))
        }
    }

    subscript(name: String) -> String? { attributes.first { $0.name == name }?.value }

    private static func take(_ rest: inout ArraySlice<UInt8>, _ isPart: (UInt8) -> Bool) -> String {
        let part = rest.prefix(while: isPart)
        rest = rest.dropFirst(part.count)
        return String(decoding: part, as: UTF8.self)
    }
}
