import Foundation

/// Recorded server-to-server traffic: stanzas as they passed between two real servers.
///
/// A file is one XML document, root `traffic` in `urn:x-traffic:0` with default namespace `jabber:server`, with one `at`
/// element per stanza in order of arrival (attributes `t`, seconds since the first, and `from`, the site that sent it). The
/// files are for measuring only and not part of this project: they are used when they stand in `../shared/traffic` beside
/// the package, and their absence is no fault.
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

    /// All recordings beside the package, in the order of their names; empty when there are none.
    package static func besidePackage(file: String = #filePath) -> [RecordedTraffic] {
        // Sources/Benchmarks/SampleTraffic/<this file>
        let package = (0..<4).reduce(URL(fileURLWithPath: file)) { url, _ in url.deletingLastPathComponent() }
        let directory = package.deletingLastPathComponent().appendingPathComponent("shared/traffic")
        let files = (try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "xml" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .compactMap { url in
                guard let data = try? Data(contentsOf: url) else { return nil }
                return RecordedTraffic(
                    name: url.deletingPathExtension().lastPathComponent, document: String(decoding: data, as: UTF8.self))
            }
    }

    /// Takes a document apart without a full XML parser: the stanza between an `at` element's tags is kept byte for byte.
    /// Returns nil where the text is no traffic document.
    package init?(name: String, document: String) {
        guard let root = document.range(of: "urn:x-traffic:0"),
            let prefixStart = document[..<root.lowerBound].range(of: "<", options: .backwards)
        else { return nil }
        let rootName = document[prefixStart.upperBound...].prefix { $0 != " " && $0 != ">" }
        let prefix = rootName.split(separator: ":").count == 2 ? rootName.split(separator: ":")[0] + ":" : ""
        let opening = "<\(prefix)at "
        let closing = "</\(prefix)at>"
        var entries: [Entry] = []
        var rest = document[root.upperBound...]
        while let start = rest.range(of: opening), let tagEnd = rest[start.upperBound...].range(of: ">"),
            let end = rest[tagEnd.upperBound...].range(of: closing)
        {
            let tag = rest[start.upperBound..<tagEnd.lowerBound]
            entries.append(
                Entry(
                    seconds: Self.attribute("t", in: tag).flatMap(Double.init) ?? 0,
                    site: Self.attribute("from", in: tag) ?? "", xml: String(rest[tagEnd.upperBound..<end.lowerBound])))
            rest = rest[end.upperBound...]
        }
        guard !entries.isEmpty else { return nil }
        self.name = name
        self.entries = entries
    }

    private static func attribute(_ name: String, in tag: Substring) -> String? {
        guard let start = (" " + tag).range(of: " \(name)=") else { return nil }
        let value = (" " + tag)[start.upperBound...]
        guard let quote = value.first, quote == "\"" || quote == "'" else { return nil }
        return String(value.dropFirst().prefix { $0 != quote })
    }
}
