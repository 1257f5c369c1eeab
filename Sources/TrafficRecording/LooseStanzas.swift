package import NIOCore
package import XMPP

/// Finds stanzas wherever they stand in XML: a traffic file, `skywave-bench --sample`, a log of a stream.
///
/// For those who want stanzas and neither times nor sites. What stands around them is passed over, and one that
/// cannot be read is counted.
package struct LooseStanzas {
    private var scanner: MarkupScanner
    private var reader: StanzaReader
    /// Elements that looked like stanzas and could not be read.
    package private(set) var unreadable = 0

    package init(limits: XMLLimits = .local) {
        scanner = MarkupScanner(limits: limits)
        reader = StanzaReader(limits: limits)
    }

    /// Takes all readable bytes.
    package mutating func read(_ bytes: inout ByteBuffer) {
        scanner.append(&bytes)
    }

    /// The next stanza, or nil until more is read.
    ///
    /// - Throws: where a tag or a stanza does not end within the limits; nothing can be found after it.
    package mutating func next() throws(TrafficError) -> Stanza? {
        while let piece = try scanner.next() {
            guard piece.kind == .stanza else { continue }
            do throws(StreamError) {
                return try reader.read(ByteBuffer(bytes: piece.bytes))
            } catch {
                unreadable += 1
            }
        }
        return nil
    }
}
