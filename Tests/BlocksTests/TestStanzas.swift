import Blocks
import NIOCore
import TestSupport
import XMPP

/// Reads stanzas from XML text, as they come on a server-to-server stream.
func stanzas(_ xml: String) -> [Stanza] {
    let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
    var bytes = ByteBuffer(string: xml)
    reader.read(&bytes)
    var found: [Stanza] = []
    while let event = reader.nextEvent() {
        if case .stanza(let stanza) = event { found.append(stanza) }
    }
    return found
}

func stanza(_ xml: String) throws -> Stanza {
    guard let first = stanzas(xml).first else { throw NoStanza() }
    return first
}

struct NoStanza: Error {}

/// Varied traffic from a seed.
func traffic(_ count: Int, seed: UInt64) -> [Stanza] {
    var random = SeededGenerator(seed: seed)
    let words = ["contact", "bearing", "zero", "nine", "fuel", "state", "harbour", "relay", "<&'\">", "Grüße", "🚢"]
    var xml = ""
    for number in 0..<count {
        let from = "u\(Int.random(in: 0..<9, using: &random))@alpha.example/r\(Int.random(in: 0..<3, using: &random))"
        let to = "u\(Int.random(in: 0..<9, using: &random))@bravo.example"
        let id = String(random.next(), radix: 36)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: xml += "<presence from='\(from)' to='\(to)'><show>away</show><priority>\(number % 9)</priority></presence>"
        case 1: xml += "<iq from='\(from)' to='\(to)' type='get' id='\(id)'><ping xmlns='urn:xmpp:ping'/></iq>"
        default:
            let body = (0..<Int.random(in: 1..<30, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }
            xml += "<message from='\(from)' to='\(to)' type='chat' id='\(id)'><body>"
            xml += XMLEscape.text(body.joined(separator: " ")) + "</body><active xmlns='http://jabber.org/protocol/chatstates'/>"
            xml += "</message>"
        }
    }
    return stanzas(xml)
}

/// Feeds `bytes` to `decoder` in pieces of the given sizes, drawing all events after each.
func events(
    of decoder: LinkStreamDecoder, reading bytes: [UInt8], largestPiece: Int, random: inout SeededGenerator
) -> [StreamEvent] {
    var found: [StreamEvent] = []
    for piece in random.pieces(of: bytes, largest: largestPiece) {
        var buffer = ByteBuffer(bytes: piece)
        decoder.read(&buffer)
        while let event = decoder.nextEvent() { found.append(event) }
    }
    return found
}

extension Array<StreamEvent> {
    var stanzas: [Stanza] {
        compactMap { event in
            guard case .stanza(let stanza) = event else { return nil }
            return stanza
        }
    }

    var failure: StreamError? {
        for case .failed(let error) in self { return error }
        return nil
    }
}
