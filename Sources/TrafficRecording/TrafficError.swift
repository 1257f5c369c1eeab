/// Why a traffic file cannot be read on, and where.
package struct TrafficError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A plain phrase, without anything of the file's content.
    package var reason: String
    /// Bytes before the piece that is wrong.
    package var offset: Int
    /// The line of that piece, the first is 1.
    package var line: Int

    package init(_ reason: String, offset: Int, line: Int) {
        self.reason = reason
        self.offset = offset
        self.line = line
    }

    package var description: String { "line \(line), byte \(offset): \(reason)" }
}
