/// Shortens what people wrote.
enum TextCut {
    /// Says that something was cut.
    static let mark = "…"

    /// The text cut to at most `limit` bytes of UTF-8, the mark included, between two graphemes; `nil` where it is not
    /// longer.
    static func cut(_ text: String, toBytes limit: Int) -> String? {
        guard text.utf8.count > limit else { return nil }
        let room = limit - mark.utf8.count
        guard room >= 0 else { return "" }
        var end = text.startIndex
        var bytes = 0
        while end < text.endIndex {
            let next = text.index(after: end)
            bytes += text.utf8.distance(from: end, to: next)
            if bytes > room { break }
            end = next
        }
        return text[..<end] + mark
    }
}
