/// Finds the line on which each key and each array element of a TOML document stands.
///
/// The TOML library tells the position of a syntax error but not that of a value, and an operator needs the line of a
/// wrong value. The locator follows the grammar (TOML 1.0) only as far as positions need it: headers, arrays of
/// tables, dotted and quoted keys, strings of all four kinds, arrays and inline tables. It is run on documents that the
/// library has accepted; on anything else it stops where it no longer understands and keeps what it found.
package struct TOMLLineLocator: Sendable {
    private var lines: [TOMLPath: Int] = [:]

    /// Reads a whole document.
    package init(_ text: String) {
        var scanner = Scanner(text: Array(text.utf8))
        scanner.scanDocument()
        self.lines = scanner.lines
    }

    /// The line, counted from 1, of the key or element itself, or `nil` when the document has none.
    package func line(of path: TOMLPath) -> Int? {
        lines[path]
    }

    /// The line of the path or of the nearest table around it that the document writes down; 1 when there is none.
    package func nearestLine(of path: TOMLPath) -> Int {
        var candidate = path
        while !candidate.components.isEmpty {
            if let line = lines[candidate] { return line }
            candidate = candidate.parent
        }
        return 1
    }
}

extension TOMLLineLocator {
    private struct Scanner {
        let text: [UInt8]
        var position = 0
        var line = 1
        var lines: [TOMLPath: Int] = [:]
        /// How many tables each array of tables has so far.
        var tableCounts: [TOMLPath: Int] = [:]
        /// Values nest no deeper than this; the TOML library has a limit of its own.
        let maximumDepth = 256

        init(text: [UInt8]) {
            self.text = text
            // A byte order mark, as some editors write, is nothing to the library either.
            if text.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        }

        var current: UInt8? {
            position < text.count ? text[position] : nil
        }

        func peek(_ offset: Int) -> UInt8? {
            position + offset < text.count ? text[position + offset] : nil
        }

        mutating func advance() {
            if current == UInt8(ascii: "\n") { line += 1 }
            position += 1
        }

        mutating func record(_ path: TOMLPath, line: Int) {
            if lines[path] == nil { lines[path] = line }
        }

        mutating func skipSpaces() {
            while let byte = current, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { advance() }
        }

        mutating func skipComment() {
            while let byte = current, byte != UInt8(ascii: "\n") { advance() }
        }

        /// Spaces, line ends and comments: what may stand between elements of an array.
        mutating func skipBlank() {
            while let byte = current {
                switch byte {
                case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): advance()
                case UInt8(ascii: "#"): skipComment()
                default: return
                }
            }
        }

        mutating func scanDocument() {
            var table = TOMLPath.root
            while true {
                skipBlank()
                guard let byte = current else { return }
                if byte == UInt8(ascii: "[") {
                    guard let header = scanHeader() else { return }
                    table = header
                } else {
                    guard scanKeyAndValue(in: table, depth: 0) else { return }
                }
            }
        }

        /// `[a.b]` or `[[a.b]]`; returns the table that the following keys belong to.
        mutating func scanHeader() -> TOMLPath? {
            let start = line
            advance()
            let isArray = current == UInt8(ascii: "[")
            if isArray { advance() }
            guard let keys = scanDottedKey(), current == UInt8(ascii: "]") else { return nil }
            advance()
            if isArray {
                guard current == UInt8(ascii: "]") else { return nil }
                advance()
            }
            var path = TOMLPath.root
            for (offset, key) in keys.enumerated() {
                path = path.key(key)
                record(path, line: start)
                let isLast = offset == keys.count - 1
                if isLast, isArray {
                    let index = tableCounts[path] ?? 0
                    tableCounts[path] = index + 1
                    path = path.index(index)
                    record(path, line: start)
                } else if let count = tableCounts[path] {
                    // A header names tables inside the latest element of an array of tables.
                    path = path.index(count - 1)
                }
            }
            return path
        }

        mutating func scanDottedKey() -> [String]? {
            var keys: [String] = []
            while true {
                skipSpaces()
                guard let key = scanSimpleKey() else { return nil }
                keys.append(key)
                skipSpaces()
                guard current == UInt8(ascii: ".") else { return keys }
                advance()
            }
        }

        mutating func scanSimpleKey() -> String? {
            guard let byte = current else { return nil }
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return scanString() }
            let start = position
            while let byte = current, TOMLPath.isBare(byte) { advance() }
            return start == position ? nil : String(decoding: text[start..<position], as: UTF8.self)
        }

        mutating func scanKeyAndValue(in table: TOMLPath, depth: Int) -> Bool {
            let start = line
            guard let keys = scanDottedKey(), current == UInt8(ascii: "=") else { return false }
            advance()
            var path = table
            for key in keys {
                path = path.key(key)
                record(path, line: start)
            }
            skipSpaces()
            return scanValue(at: path, depth: depth)
        }

        mutating func scanValue(at path: TOMLPath, depth: Int) -> Bool {
            guard depth < maximumDepth, let byte = current else { return false }
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                return scanString() != nil
            case UInt8(ascii: "["):
                return scanArray(at: path, depth: depth)
            case UInt8(ascii: "{"):
                return scanInlineTable(at: path, depth: depth)
            default:
                while let byte = current, !endsScalar(byte) { advance() }
                return true
            }
        }

        func endsScalar(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "\n"), UInt8(ascii: "#"): true
            default: false
            }
        }

        mutating func scanArray(at path: TOMLPath, depth: Int) -> Bool {
            advance()
            var index = 0
            while true {
                skipBlank()
                guard let byte = current else { return false }
                switch byte {
                case UInt8(ascii: "]"):
                    advance()
                    return true
                case UInt8(ascii: ","):
                    advance()
                default:
                    let element = path.index(index)
                    record(element, line: line)
                    index += 1
                    guard scanValue(at: element, depth: depth + 1) else { return false }
                }
            }
        }

        mutating func scanInlineTable(at path: TOMLPath, depth: Int) -> Bool {
            advance()
            while true {
                skipBlank()
                guard let byte = current else { return false }
                switch byte {
                case UInt8(ascii: "}"):
                    advance()
                    return true
                case UInt8(ascii: ","):
                    advance()
                default:
                    guard scanKeyAndValue(in: path, depth: depth + 1) else { return false }
                }
            }
        }

        /// Any of the four kinds of string; the text is needed for quoted keys only, so of the escapes only those are
        /// resolved that can stand in a key without being a curiosity.
        mutating func scanString() -> String? {
            guard let quote = current else { return nil }
            let isBasic = quote == UInt8(ascii: "\"")
            let isMultiLine = peek(1) == quote && peek(2) == quote
            for _ in 0..<(isMultiLine ? 3 : 1) { advance() }
            var bytes: [UInt8] = []
            while let byte = current {
                if byte == quote {
                    if !isMultiLine {
                        advance()
                        return String(decoding: bytes, as: UTF8.self)
                    }
                    var run = 0
                    while peek(run) == quote { run += 1 }
                    // Up to two quotes may stand directly before the closing three (TOML 1.0, String).
                    for _ in 0..<min(run, 5) {
                        bytes.append(quote)
                        advance()
                    }
                    if run >= 3 { return String(decoding: bytes.dropLast(3), as: UTF8.self) }
                    continue
                }
                if isBasic, byte == UInt8(ascii: "\\") {
                    advance()
                    guard let escaped = current else { return nil }
                    bytes.append(contentsOf: resolveEscape(escaped))
                    advance()
                    continue
                }
                if !isMultiLine, byte == UInt8(ascii: "\n") { return nil }
                bytes.append(byte)
                advance()
            }
            return nil
        }

        func resolveEscape(_ byte: UInt8) -> [UInt8] {
            switch byte {
            case UInt8(ascii: "n"): [0x0A]
            case UInt8(ascii: "t"): [0x09]
            case UInt8(ascii: "r"): [0x0D]
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): [byte]
            default: [UInt8(ascii: "\\"), byte]
            }
        }
    }
}
