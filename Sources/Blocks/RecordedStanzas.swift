import NIOCore
package import XMPP

/// The stanzas in a recording: a file of XML in which `message`, `presence` and `iq` elements stand one after the other, bare or
/// inside other elements (`skywave-bench --sample`, a log of a stream, a document with an element around each stanza).
package struct RecordedStanzas {
    package private(set) var stanzas: [Stanza] = []
    /// Elements that looked like stanzas and could not be read.
    package private(set) var unreadable = 0

    package init(_ bytes: [UInt8]) {
        var reader = StanzaText(bytes)
        var xml = StanzaReader(limits: .local)
        while let element = reader.next() {
            do throws(StreamError) {
                let stanza = try xml.read(ByteBuffer(bytes: element))
                stanzas.append(stanza)
            } catch {
                unreadable += 1
                xml = StanzaReader(limits: .local)
            }
        }
    }
}

/// Finds where stanzas begin and end, without understanding more.
private struct StanzaText {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The next stanza's text.
    mutating func next() -> ArraySlice<UInt8>? {
        var start: Int?
        var depth = 0
        while let open = bytes[position...].firstIndex(of: UInt8(ascii: "<")) {
            position = open + 1
            if skipped(from: open) { continue }
            guard let end = tagEnd(from: open) else { return nil }
            position = end + 1
            let isClosing = bytes[open + 1] == UInt8(ascii: "/")
            let isEmpty = bytes[end - 1] == UInt8(ascii: "/")
            if start == nil {
                guard !isClosing, isStanza(open + 1) else { continue }
                start = open
            }
            if isClosing { depth -= 1 } else if !isEmpty { depth += 1 }
            if depth <= 0, let start { return bytes[start...end] }
        }
        return nil
    }

    private func isStanza(_ name: Int) -> Bool {
        ["message", "presence", "iq"].contains { word in
            let end = name + word.utf8.count
            guard end < bytes.count, bytes[name..<end].elementsEqual(word.utf8) else { return false }
            return [0x20, 0x09, 0x0A, 0x0D, 0x2F, 0x3E].contains(bytes[end])
        }
    }

    /// Passes over what is no tag.
    private mutating func skipped(from open: Int) -> Bool {
        for (start, end) in [("<?", "?>"), ("<!--", "-->"), ("<![CDATA[", "]]>"), ("<!", ">")]
        where bytes[open...].starts(with: start.utf8) {
            let end = Array(end.utf8)
            position = open + start.utf8.count
            while position < bytes.count, !bytes[position...].starts(with: end) { position += 1 }
            position = min(position + end.count, bytes.count)
            return true
        }
        return false
    }

    /// Where the tag's `>` stands, which may also stand in values.
    private func tagEnd(from open: Int) -> Int? {
        var quote: UInt8?
        var index = open + 1
        while index < bytes.count {
            let byte = bytes[index]
            if let current = quote {
                if byte == current { quote = nil }
            } else if byte == UInt8(ascii: ">") {
                return index
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = byte
            }
            index += 1
        }
        return nil
    }
}
