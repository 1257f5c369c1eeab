import NIOCore
package import XMPP

/// Stanzas as tests write them.
package enum StanzaText {
    package struct NoStanza: Error {
        package var xml: String
    }

    /// Reads one stanza from XML text, as it comes on a server-to-server stream.
    package static func read(_ xml: String) throws -> Stanza {
        let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
        var bytes = ByteBuffer(string: xml)
        reader.read(&bytes)
        guard case .stanza(let stanza)? = reader.nextEvent() else { throw NoStanza(xml: xml) }
        return stanza
    }
}
