package import NIOCore
package import XMPP

/// What a unit of dialect `xep` holds.
package enum XMPPUnitContent: Equatable, Sendable {
    case stanza(Stanza)
    /// A stanza over the limit: its start tag as an empty stanza, enough to bounce it, and the limit in bytes.
    case oversize(Stanza, limit: Int)
}

/// Stanzas as RCOP units, and back (XEP-0365 0.2.1 §4.2).
///
/// Both directions are as inside the implicit stream of XEP-0361 §4.1: no stream header crosses, the default namespace
/// is `jabber:server`. We send one stanza in a unit, as the XEP says, and take several. A closing tag of the stream is
/// no stanza, so it has no unit; it is never sent, and ignored when it comes.
package struct XMPPUnitReader {
    private let limits: XMLLimits

    package init(limits: XMLLimits = .link) {
        self.limits = limits
    }

    /// Reads the bytes of one whole unit. Nothing of it is believed: see ``StreamReader``.
    ///
    /// - Throws: ``StreamError`` when they are not whole stanzas. What is right in such a unit is not used either.
    package func read(_ unit: ByteBuffer) throws(StreamError) -> [XMPPUnitContent] {
        var scanner = XMLDepthScanner(maximumDepth: limits.depth)
        scanner.scan(unit.readableBytesView)
        var content: [XMPPUnitContent] = []
        // Units are apart by seconds at least, and one that is refused leaves no parser in the middle of something.
        let reader = StreamReader(limits: limits, root: .implicit(XMLNamespace.server))
        var bytes = unit
        reader.read(&bytes)
        while let event = reader.nextEvent() {
            switch event {
            case .stanza(let stanza): content.append(.stanza(stanza))
            case .oversize(let stub, let limit): content.append(.oversize(stub, limit: limit))
            case .failed(let error): throw error
            case .opened, .closed: break
            }
        }
        guard scanner.isAtRest else { throw StreamError(.notWellFormed, text: "not one whole unit") }
        return content
    }
}

extension Stanza {
    /// The stanza as a unit of its own.
    package var rcopUnit: ByteBuffer {
        var bytes = ByteBuffer()
        write(to: &bytes)
        return bytes
    }
}
