package import NIOCore
package import XMPP

/// Writes a traffic file piece by piece: what has been written at any time is a file that ``TrafficReader`` reads, up
/// to its missing end.
package struct TrafficWriter {
    private var first: NIODeadline?
    private let isRedacted: Bool

    /// What ends the file.
    package static let closing = "</t:\(TrafficFormat.root)>\n"

    /// - Parameter isRedacted: whether the file shall say that its stanzas are redacted.
    package init(isRedacted: Bool = false) {
        self.isRedacted = isRedacted
    }

    /// What begins the file.
    package var opening: String {
        "<t:\(TrafficFormat.root) xmlns:t=\"\(TrafficFormat.namespace)\" xmlns=\"\(XMLNamespace.server)\""
            + (isRedacted ? " \(TrafficFormat.redacted)=\"yes\">\n" : ">\n")
    }

    /// Appends a stanza.
    ///
    /// - Parameter now: when it passed, not before the one before it; the first one's time is the file's zero.
    package mutating func write(_ stanza: Stanza, from site: TrafficSite, now: NIODeadline, to buffer: inout ByteBuffer)
    {
        let start = first ?? now
        first = start
        let milliseconds = max(0, (now - start).nanoseconds / 1_000_000)
        let fraction = String(milliseconds % 1_000)
        let seconds = "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
        buffer.writeString(
            "<t:\(TrafficFormat.entry) \(TrafficFormat.time)=\"\(seconds)\" \(TrafficFormat.site)=\"\(site.rawValue)\">"
        )
        stanza.write(to: &buffer)
        buffer.writeString("</t:\(TrafficFormat.entry)>\n")
    }
}
