/// Columns for people, as wide as their widest cell.
enum TextTable {
    /// Longer cells are cut: an address may have three thousand characters.
    static let widestCell = 60

    /// A cell with text from outside, without anything that could disturb a terminal.
    static func cell(_ text: String) -> String {
        var shown = ""
        LogEscape.appendText(String(text.prefix(widestCell * 4)), to: &shown)
        return shown.count > widestCell ? shown.prefix(widestCell - 1) + "…" : shown
    }

    /// - Parameter right: columns of numbers.
    static func lines(_ rows: [[String]], alignedRight right: Set<Int> = []) -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, text) in row.enumerated() {
                let space = String(repeating: " ", count: widths[column] - text.count)
                line += (column == 0 ? "" : "  ") + (right.contains(column) ? space + text : text + space)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
