/// Recorded server-to-server traffic: stanzas as they passed between two real servers.
///
/// A file is one XML document, root `traffic` in `urn:x-traffic:0` with default namespace `jabber:server`, with one
/// `at` element per stanza in order of arrival (attributes `t`, seconds since the first, and `from`, the site that
/// sent it).
package struct RecordedTraffic: Sendable {
    package struct Entry: Sendable {
        /// Seconds since the first stanza of the recording.
        package var seconds: Double
        /// The site that sent it, `a` or `b`.
        package var site: String
        /// The stanza's bytes as recorded.
        package var xml: String
    }

    /// The file's name without its ending.
    package var name: String
    package var entries: [Entry]

    /// Takes a document apart without a full XML parser: the stanza between an `at` element's tags is kept byte for
    /// byte. Returns nil where the text is no traffic document.
    package init?(name: String, document: [UInt8]) {
        let bytes = document[...]
        guard let root = Self.find(Array("urn:x-traffic:0".utf8), in: bytes) else { return nil }
        let opener = bytes[..<root].lastIndex(of: UInt8(ascii: "<")) ?? bytes.startIndex
        let rootName = bytes[opener..<root].dropFirst().prefix { $0 != UInt8(ascii: " ") }
        let prefix = rootName.firstIndex(of: UInt8(ascii: ":")).map { Array(rootName[...$0]) } ?? []
        let opening = Array("<".utf8) + prefix + Array("at ".utf8)
        let closing = Array("</".utf8) + prefix + Array("at>".utf8)
        var entries: [Entry] = []
        var rest = bytes[root...]
        while let start = Self.find(opening, in: rest), let tagEnd = rest[start...].firstIndex(of: UInt8(ascii: ">")),
            let end = Self.find(closing, in: rest[tagEnd...])
        {
            let tag = String(decoding: rest[start..<tagEnd], as: UTF8.self)
            entries.append(
                Entry(
                    seconds: Self.attribute("t", in: tag).flatMap(Double.init) ?? 0,
                    site: Self.attribute("from", in: tag) ?? "",
                    xml: String(decoding: rest[(tagEnd + 1)..<end], as: UTF8.self)))
            rest = rest[end...]
        }
        guard !entries.isEmpty else { return nil }
        self.name = name
        self.entries = entries
    }

    /// Where `pattern` begins first.
    private static func find(_ pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard let first = pattern.first else { return nil }
        var rest = bytes
        while let start = rest.firstIndex(of: first) {
            rest = rest[start...]
            if rest.starts(with: pattern) { return start }
            rest = rest.dropFirst()
        }
        return nil
    }

    private static func attribute(_ name: String, in tag: String) -> String? {
        for part in tag.split(separator: " ") where part.hasPrefix("\(name)=") {
            return String(part.dropFirst(name.count + 2).dropLast())
        }
        return nil
    }
}
