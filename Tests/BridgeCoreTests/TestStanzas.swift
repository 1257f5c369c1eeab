import NIOCore
import TestSupport
import XMPP

func stanza(_ xml: String) throws -> Stanza { try StanzaText.read(xml) }

/// The user of this side and the one of the other, in all tests.
let romeo = "romeo@ship.example/deck"
let juliet = "juliet@shore.example/balcony"

func message(
    _ body: String, from: String = romeo, to: String = juliet, type: String = "chat", id: String = "m"
) throws -> Stanza {
    try stanza("<message from='\(from)' to='\(to)' type='\(type)' id='\(id)'><body>\(body)</body></message>")
}

func presence(
    from: String = romeo, to: String = juliet, type: String? = nil, payload: String = ""
) throws -> Stanza {
    let type = type.map { " type='\($0)'" } ?? ""
    return try stanza("<presence from='\(from)' to='\(to)'\(type)>\(payload)</presence>")
}

func iq(_ type: String, id: String = "q", from: String = romeo, to: String = juliet) throws -> Stanza {
    try stanza("<iq from='\(from)' to='\(to)' type='\(type)' id='\(id)'><ping xmlns='urn:xmpp:ping'/></iq>")
}

func errorStanza(
    from: String, to: String, kind: String = "message", condition: String = "service-unavailable", id: String = "e"
) throws -> Stanza {
    try stanza(
        "<\(kind) from='\(from)' to='\(to)' type='error' id='\(id)'><error type='cancel'>"
            + "<\(condition) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></\(kind)>")
}

let mucUser = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>"

extension NIODeadline {
    /// A virtual time.
    static func milliseconds(_ milliseconds: Int) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000) + .milliseconds(Int64(milliseconds))
    }

    static func seconds(_ seconds: Int) -> NIODeadline { .milliseconds(seconds * 1_000) }
}
