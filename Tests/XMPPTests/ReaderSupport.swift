import NIOCore
import XMPP

/// Feeds a reader and collects what it finds.
func events(
    of chunks: [[UInt8]], limits: XMLLimits = .local, root: StreamReader.Root = .implicit(XMLNamespace.server)
) -> [StreamEvent] {
    let reader = StreamReader(limits: limits, root: root)
    return feed(reader, chunks)
}

func feed(_ reader: StreamReader, _ chunks: [[UInt8]]) -> [StreamEvent] {
    var found: [StreamEvent] = []
    for chunk in chunks {
        var buffer = ByteBuffer(bytes: chunk)
        reader.read(&buffer)
        while let event = reader.nextEvent() { found.append(event) }
    }
    return found
}

func events(
    of xml: String, limits: XMLLimits = .local, root: StreamReader.Root = .implicit(XMLNamespace.server)
) -> [StreamEvent] {
    events(of: [Array(xml.utf8)], limits: limits, root: root)
}

/// The canonical text of the stanzas in `xml`, read as the content of an implicit stream.
func canonical(_ xml: String) -> [String] {
    events(of: xml).compactMap { event in
        if case .stanza(let stanza) = event { stanza.text } else { nil }
    }
}

func read(_ xml: String) -> Stanza? {
    guard case .stanza(let stanza)? = events(of: xml).first else { return nil }
    return stanza
}

func condition(_ events: [StreamEvent]) -> StreamErrorCondition? {
    guard case .failed(let error)? = events.last else { return nil }
    return error.condition
}

/// The opening tag of an ordinary stream.
let header =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'"
    + " xmlns:db='jabber:server:dialback' from='a.example' to='b.example' version='1.0' xml:lang='de'>"
