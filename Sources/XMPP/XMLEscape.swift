/// Escaping of text and attribute values in canonical form: single quotes, and no more escapes than XML needs.
package enum XMLEscape {
    /// An attribute's value between single quotes.
    package static func attribute(_ value: String) -> String {
        var buffer = CanonicalBuffer()
        buffer.appendAttributeValue(value)
        return buffer.takeText()
    }

    /// Character data.
    package static func text(_ value: String) -> String {
        var buffer = CanonicalBuffer()
        buffer.appendText(value)
        return buffer.takeText()
    }
}
