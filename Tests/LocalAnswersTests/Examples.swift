@testable import LocalAnswers
import NIOCore
import TestSupport
import XMPP

/// Entities and texts of the examples in XEP-0115 §5.2 and §5.3.
enum Examples {
    static let romeo = "romeo@ship.example/deck"
    static let mercutio = "mercutio@ship.example/mast"
    static let juliet = "juliet@shore.example/balcony"
    static let room = "ops@conference.shore.example"

    static let features = [
        "http://jabber.org/protocol/caps", "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/muc",
    ]
    static var featureXML: String { features.map { "<feature var='\($0)'/>" }.joined() }

    static let exodus = "<identity category='client' name='Exodus 0.9.1' type='pc'/>" + featureXML
    static let exodusHash = "QgayPKawpkPSDYmwT/WM94uAlu0="
    static let exodusHash256 = "Wr6IGEKhx6b9627gBmi/cCmpxXBc/GYq5zWuYfWGWoc="
    static let exodusNode = "http://code.google.com/p/exodus"

    static let psiForm =
        "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>"
        + "<field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>"
        + "<field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>"
        + "<field var='software'><value>Psi</value></field><field var='software_version'><value>0.11</value></field></x>"
    static let psiIdentities =
        "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/><identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>"
    static let psi = psiIdentities + featureXML + psiForm
    static let psiHash = "q07IKJEyjvHSyhy//CH0CxmKi8w="
    static let psiNode = "http://psi-im.org"

    static func stanza(_ xml: String) throws -> Stanza { try StanzaText.read(xml) }

    static func caps(_ hash: String = exodusHash, node: String = exodusNode, algorithm: String = "sha-1") -> String {
        "<c xmlns='http://jabber.org/protocol/caps' hash='\(algorithm)' node='\(node)' ver='\(hash)'/>"
    }

    static func presence(
        _ payload: String = "", from: String = juliet, to: String = "romeo@ship.example", type: String? = nil
    ) throws -> Stanza {
        try stanza("<presence from='\(from)' to='\(to)'\(type.map { " type='\($0)'" } ?? "")>\(payload)</presence>")
    }

    static func discoRequest(node: String? = nil, from: String = romeo, to: String = juliet, id: String = "d1") throws
        -> Stanza
    {
        let node = node.map { " node='\($0)'" } ?? ""
        return try stanza(
            "<iq from='\(from)' to='\(to)' type='get' id='\(id)'><query xmlns='http://jabber.org/protocol/disco#info'\(node)/></iq>"
        )
    }

    static func discoResult(
        _ content: String, node: String? = nil, from: String = juliet, to: String = romeo, id: String = "d1"
    ) throws -> Stanza {
        let node = node.map { " node='\($0)'" } ?? ""
        return try stanza(
            "<iq from='\(from)' to='\(to)' type='result' id='\(id)'><query xmlns='http://jabber.org/protocol/disco#info'\(node)>\(content)</query></iq>"
        )
    }

    static func vCardRequest(
        from: String = romeo, to: String = "juliet@shore.example", id: String = "v1", type: String = "get"
    ) throws -> Stanza {
        try stanza("<iq from='\(from)' to='\(to)' type='\(type)' id='\(id)'><vCard xmlns='vcard-temp'/></iq>")
    }

    static func vCardResult(
        _ content: String = "<FN>Juliet</FN>", from: String = "juliet@shore.example", to: String = romeo
    ) throws -> Stanza {
        try stanza(
            "<iq from='\(from)' to='\(to)' type='result' id='v1'><vCard xmlns='vcard-temp'>\(content)</vCard></iq>")
    }

    /// A photo of twenty bytes and its SHA-1.
    static let photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>AAECAwQFBgcI CQoLDA0ODxAREhM=</BINVAL></PHOTO>"
    static let photoHash = "602c63d2f3d13ca3206cdf204cde24e7d8f4266c"

    static func photoUpdate(_ hash: String?) -> String {
        "<x xmlns='vcard-temp:x:update'>\(hash.map { "<photo>\($0)</photo>" } ?? "")</x>"
    }
}

/// The machine behind a reference.
final class TestAnswers {
    private var machine: LocalAnswers

    init(subjects: LocalAnswers.Subjects = [], limits: LocalAnswerLimits = LocalAnswerLimits()) {
        machine = LocalAnswers(subjects: subjects, limits: limits)
    }

    var status: LocalAnswerStatus { machine.status }
    func remote(_ stanza: Stanza) { machine.remoteStanzaReceived(stanza) }
    func local(_ stanza: Stanza) { machine.localStanzaCrossed(stanza) }
    func linkLostStanzas() { machine.linkLostStanzas() }
    func rulesChanged(_ subjects: LocalAnswers.Subjects) { machine.rulesChanged(subjects) }

    func answered(
        _ answer: Stanza, to request: Stanza, keepsVCard: Bool = false, now: NIODeadline = .uptimeNanoseconds(0)
    ) {
        machine.answerCrossed(answer, to: request, keepsVCard: keepsVCard, now: now)
    }

    /// A request crosses and is answered.
    func exchange(_ request: Stanza, _ answer: Stanza, now: NIODeadline = .uptimeNanoseconds(0)) {
        local(request)
        answered(answer, to: request, keepsVCard: true, now: now)
    }

    func discoInfo(for request: Stanza) -> Stanza? { machine.discoInfo(for: request) }
    func roomPing(_ request: Stanza) -> LocalAnswers.RoomPing? { machine.roomPing(request) }

    func vCard(for request: Stanza, lifetime: TimeAmount?, now: NIODeadline) -> Stanza? {
        machine.vCard(for: request, lifetime: lifetime, now: now)
    }
}
