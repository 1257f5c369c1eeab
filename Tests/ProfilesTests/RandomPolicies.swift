import NIOCore
import Profiles
import TestSupport
import XMPP

/// Makes profiles and stanzas that nobody would write, from a seed.
struct RandomPolicies {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }

    // MARK: Profiles

    private let origin = RuleOrigin(profile: "p", file: "p.toml", line: 1, key: "k")

    /// Any list, also such as no file may hold: the hard rules must hold without the check of files.
    private mutating func list(_ most: Int) -> PayloadList {
        (0..<Int.random(in: 0...most, using: &random)).map { _ in
            if chance(15) {
                let namespaces = ["urn:example:new", "urn:example:a&b", "urn:xmpp:sec-label:0", "urn:xmpp:reply:0"]
                return Sourced(
                    .element(
                        namespace: pick(namespaces), local: chance(50) ? pick(["new", "reply", "securitylabel"]) : nil),
                    origin)
            }
            let name = pick(PayloadVocabulary.names)
            return Sourced(.short(name, payloads: PayloadVocabulary.payloads(named: name) ?? []), origin)
        }
    }

    private mutating func folding() -> Folding? {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: .strip(list(30))
        case 1: .keepOnly(list(15), origin)
        default: nil
        }
    }

    private mutating func limit(_ range: ClosedRange<Int>) -> Sourced<Int?>? {
        chance(40) ? Sourced(chance(80) ? Int.random(in: range, using: &random) : nil, origin) : nil
    }

    private mutating func message() -> MessageSettings {
        var settings = MessageSettings()
        settings.folding = folding()
        if chance(50) { settings.dropWhenOnly = list(15) }
        if chance(40) { settings.stripInChat = list(5) }
        if chance(40) { settings.refuse = list(6) }
        if chance(20) { settings.keep = list(5) }
        settings.maximumBodyBytes = limit(0...40)
        settings.maximumBytes = limit(50...600)
        return settings
    }

    private mutating func presence() -> PresenceSettings {
        var settings = PresenceSettings()
        if chance(80) { settings.mode = Sourced(pick(PresenceMode.allCases), origin) }
        settings.folding = folding()
        settings.maximumStatusBytes = limit(0...40)
        if chance(50) {
            settings.roomHistory = Sourced(
                RoomHistoryLimit(stanzas: pick([0, 5]), characters: chance(50) ? 100 : nil), origin)
        }
        return settings
    }

    private mutating func iq() -> IQSettings {
        var settings = IQSettings()
        if chance(60) { settings.fallback = Sourced(pick(IQDefault.allCases), origin) }
        if chance(60) { settings.allow = list(10) }
        if chance(60) { settings.refuse = list(10) }
        if chance(40) { settings.answerLocally = list(5) }
        if chance(40) { settings.strip = list(10) }
        settings.maximumBytes = limit(50...400)
        return settings
    }

    private mutating func when(_ shapes: [StanzaShape]) -> RuleCondition {
        var when = RuleCondition()
        if chance(50) { when.shapes = [pick(shapes)] }
        when.directions = pick([[.out], [.in], [.in, .out]])
        if chance(50) { when.domains = ["*.example", "hq.example"].compactMap { DomainPattern($0) } }
        return when
    }

    mutating func profile() -> Profile {
        var profile = Profile(name: "p")
        profile.message = message()
        profile.presence = presence()
        profile.iq = iq()
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            profile.messageRules.append(.init(when: when([.chat, .groupchat]), settings: message(), origin: origin))
            profile.presenceRules.append(
                .init(when: when([.available, .unavailable]), settings: presence(), origin: origin))
            profile.iqRules.append(.init(when: when([.get, .set, .result]), settings: iq(), origin: origin))
        }
        return profile
    }

    // MARK: Stanzas

    static let label =
        "<s:securitylabel xmlns:s='urn:xmpp:sec-label:0' xmlns:t='urn:t'><s:label><t:v xmlns:u='urn:u' u:k='t:q'>1</t:v></s:label></s:securitylabel>"

    mutating func stanza() -> String {
        let kind = pick(["message", "message", "presence", "iq"])
        let types: [String?] =
            switch kind {
            case "message": [nil, "chat", "groupchat", "headline", "normal", "error", "odd"]
            case "presence":
                [nil, nil, "unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "error"]
            default: ["get", "set", "result", "error"]
            }
        let from = pick(["ann@ship.example/r", "ops@conference.ship.example/ann", "ship.example"])
        let to = pick(["bob@hq.example", "bob@hq.example/r", "ops@conference.hq.example/bob"])
        var xml = "<\(kind) to='\(to)' from='\(from)' id='\(Int.random(in: 0..<1_000, using: &random))'"
        if let type = pick(types) { xml += " type='\(type)'" }
        xml += ">"
        for _ in 0..<(kind == "iq" ? 1 : Int.random(in: 0...6, using: &random)) { xml += gap() + element(depth: 0) }
        return xml + gap() + "</\(kind)>"
    }

    private mutating func gap() -> String { chance(90) ? "" : pick(["]", "]]", "&gt;", " ", "é", "]]&gt;"]) }

    private mutating func element(depth: Int) -> String {
        if chance(10) { return Self.label }
        if chance(10) { return "<body>\(words())</body>" }
        if chance(5) {
            return
                "<x xmlns='http://jabber.org/protocol/muc'>\(pick(["", "<history seconds='9'/>", "<history/><history/>"]))</x>"
        }
        if chance(10) {
            return "<n:new xmlns:n='\(pick(["urn:example:new", "urn:example:a&amp;b", "urn:other"]))' n:k='v'/>"
        }
        let payload = pick(PayloadVocabulary.all)
        guard !payload.elements.isEmpty else {
            return
                "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='\(pick(payload.nodes))'/></event>"
        }
        let name = pick(payload.elements)
        let prefix = chance(30) ? "p:" : ""
        let space = prefix.isEmpty ? "xmlns" : "xmlns:p"
        let content = depth < 2 && chance(30) ? gap() + element(depth: depth + 1) + gap() : chance(30) ? words() : ""
        let isOwn = name.namespace == XMLNamespace.server
        return
            "<\(isOwn ? "" : prefix)\(name.local)\(isOwn ? "" : " \(space)='\(XMLEscape.attribute(name.namespace))'")>\(content)</\(isOwn ? "" : prefix)\(name.local)>"
    }

    private mutating func words() -> String {
        (0..<Int.random(in: 0...12, using: &random)).map { _ in
            pick(["alpha ", "👩‍👩‍👧", "é", "e\u{301}", "&amp;", "🇬🇧", "]]&gt;", "x"])
        }.joined()
    }
}
