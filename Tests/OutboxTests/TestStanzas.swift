import TestSupport
import XMPP

func stanza(_ xml: String) throws -> Stanza { try StanzaText.read(xml) }

func message(_ body: String, from: String = "romeo@montague.example/1", to: String = "juliet@capulet.example") throws
    -> Stanza
{
    try stanza("<message from='\(from)' to='\(to)' type='chat'><body>\(body)</body></message>")
}

func presence(
    _ show: String, from: String = "romeo@montague.example/1", to: String = "juliet@capulet.example", type: String? = nil,
    payload: String = ""
) throws -> Stanza {
    let type = type.map { " type='\($0)'" } ?? ""
    return try stanza("<presence from='\(from)' to='\(to)'\(type)><show>\(show)</show>\(payload)</presence>")
}

func iq(_ type: String, id: String, from: String = "romeo@montague.example/1", to: String = "juliet@capulet.example")
    throws -> Stanza
{
    try stanza("<iq from='\(from)' to='\(to)' type='\(type)' id='\(id)'><ping xmlns='urn:xmpp:ping'/></iq>")
}

extension UInt64 {
    /// A virtual service time.
    static func seconds(_ seconds: Int) -> UInt64 { UInt64(1_000 + seconds * 1_000) }
}
