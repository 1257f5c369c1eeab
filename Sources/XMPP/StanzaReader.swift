package import NIOCore

/// Makes stanzas of canonical bytes that were stored or came over a link, each read by itself under an implicit root.
///
/// Nothing is believed: the bytes go through the same parser and limits as a stream, and what comes out is written anew.
package final class StanzaReader {
    private let limits: XMLLimits
    private var reader: StreamReader

    package init(limits: XMLLimits = .local) {
        self.limits = limits
        reader = StreamReader(limits: limits, root: .implicit(XMLNamespace.server))
    }

    /// - Throws: ``StreamError`` when the bytes are not exactly one stanza within the limits.
    package func read(_ bytes: ByteBuffer) throws(StreamError) -> Stanza {
        var unread = bytes
        reader.read(&unread)
        switch reader.nextEvent() {
        case .stanza(let stanza):
            let isAlone = reader.nextEvent() == nil
            // Anything but the stanza's own canonical bytes may have left the parser in the middle of something.
            if !isAlone || !stanza.hasBytes(bytes) { startAnew() }
            guard isAlone else { throw StreamError(.badFormat, text: "more than one stanza") }
            return stanza
        case .failed(let error):
            startAnew()
            throw error
        case .oversize(_, let limit):
            startAnew()
            throw StreamError(.policyViolation, text: "larger than \(limit) bytes")
        case .opened, .closed, nil:
            startAnew()
            throw StreamError(.notWellFormed, text: "not one whole stanza")
        }
    }

    private func startAnew() {
        reader = StreamReader(limits: limits, root: .implicit(XMLNamespace.server))
    }
}

extension Stanza {
    /// True when the canonical bytes are exactly these.
    package func hasBytes(_ bytes: ByteBuffer) -> Bool {
        guard byteCount == bytes.readableBytes else { return false }
        return unsafe withBytes { own in
            unsafe bytes.withUnsafeReadableBytes { unsafe own.elementsEqual($0) }
        }
    }
}
