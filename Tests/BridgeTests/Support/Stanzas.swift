import NIOCore
import XMPP

/// Stanzas from text, by the reader that the bridge uses itself.
enum Stanzas {
    static func make(_ text: String) -> Stanza {
        let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
        var bytes = ByteBuffer(string: text)
        reader.read(&bytes)
        guard case .stanza(let stanza) = reader.nextEvent() else { preconditionFailure("no stanza: \(text)") }
        return stanza
    }

    static func message(_ from: String, _ to: String, _ body: String, id: String = "m") -> Stanza {
        make("<message from='\(from)' to='\(to)' type='chat' id='\(id)'><body>\(body)</body></message>")
    }

    static func ping(_ from: String, _ to: String, id: String) -> Stanza {
        make("<iq from='\(from)' to='\(to)' type='get' id='\(id)'><ping xmlns='urn:xmpp:ping'/></iq>")
    }

    /// The result of an IQ request.
    static func result(of request: Stanza) -> Stanza {
        make(
            "<iq from='\(request.to?.description ?? "")' to='\(request.from?.description ?? "")' type='result' "
                + "id='\(request.id ?? "")'/>")
    }
}
