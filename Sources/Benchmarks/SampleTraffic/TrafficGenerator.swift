import SeededRandom

/// What a generated stanza is.
package enum SampleKind: Sendable, CaseIterable {
    case chat, receipt, chatMarker, chatState, groupchat, presence, unavailable, roomPresence, iq
}

/// One stanza as a server would write it on an s2s stream.
package struct SampleStanza: Sendable {
    package var kind: SampleKind
    package var xml: String
}

/// Seeded, endless server-to-server traffic between two sites, as real servers and clients write it.
///
/// The mix and the payloads follow recorded traffic between two Prosody servers: 1:1 chat with chat states, receipts,
/// markers and origin ids, a busy room whose messages carry stanza and occupant ids, presence with entity
/// capabilities and avatar hashes, room presence, a few IQs. Bodies and ids differ from stanza to stanza, and the
/// order of attributes varies, because a corpus that repeats itself makes parsing and above all DEFLATE look faster
/// than they are. About 305 bytes per stanza on average.
package struct TrafficGenerator: Sendable {
    private var random: SplitMix64
    private let local: String
    private let remote: String
    private let people: Int
    private var lastID = "start"
    /// What does not change from stanza to stanza in life either: the programs that people use (XEP-0115 node and
    /// verification string), the hash of each one's picture, each occupant's id.
    private var programs: [String] = []
    private var pictures: [String] = []
    private var occupants: [String] = []

    /// - Parameters:
    ///   - seed: equal seeds give equal traffic.
    ///   - local: the domain that sends; its room service is `conference.` below it.
    ///   - remote: the domain that receives.
    ///   - people: how many users each site has.
    package init(seed: UInt64, local: String = "ship.example", remote: String = "shore.example", people: Int = 40) {
        random = SplitMix64(seed: seed)
        self.local = local
        self.remote = remote
        self.people = max(people, 1)
        for name in ["chat", "desk-im", "movim", "pocket", "radio-chat", "terminal"] {
            programs.append("node='https://\(name).example/' ver='\(base64(27))='")
        }
        for _ in 0..<self.people { pictures.append(hex(40)) }
        for _ in Vocabulary.names { occupants.append(base64(43) + "=") }
    }

    /// The next stanza of the mix.
    package mutating func next() -> SampleStanza {
        switch random.below(100) {
        case ..<27: return SampleStanza(kind: .chat, xml: chat())
        case ..<33: return SampleStanza(kind: .receipt, xml: receipt())
        case ..<38: return SampleStanza(kind: .chatMarker, xml: chatMarker())
        case ..<45: return SampleStanza(kind: .chatState, xml: chatState())
        case ..<63: return SampleStanza(kind: .groupchat, xml: groupchat())
        case ..<83: return SampleStanza(kind: .presence, xml: presence())
        case ..<89: return SampleStanza(kind: .unavailable, xml: unavailable())
        case ..<94: return SampleStanza(kind: .roomPresence, xml: roomPresence())
        default: return SampleStanza(kind: .iq, xml: iq())
        }
    }

    /// The next `count` stanzas.
    package mutating func next(_ count: Int) -> [SampleStanza] {
        (0..<count).map { _ in next() }
    }

    /// A one-to-one message with a fresh body and the given addresses and id.
    package mutating func chat(from: String, to: String, id: String) -> String {
        open("message", from: from, to: to, type: "chat", id: id)
            + "<body>\(body())</body><active xmlns='http://jabber.org/protocol/chatstates'/>"
            + "<request xmlns='urn:xmpp:receipts'/></message>"
    }

    // MARK: Stanzas

    private mutating func chat() -> String {
        let id = uuid()
        var xml = open("message", from: sender(), to: recipient(), type: "chat", id: id)
        let text = body()
        xml += "<body>\(text)</body>"
        if random.chance(percent: 80) { xml += "<active xmlns='http://jabber.org/protocol/chatstates'/>" }
        if random.chance(percent: 60) { xml += "<request xmlns='urn:xmpp:receipts'/>" }
        if random.chance(percent: 40) { xml += "<markable xmlns='urn:xmpp:chat-markers:0'/>" }
        if random.chance(percent: 45) { xml += "<origin-id xmlns='urn:xmpp:sid:0' id='\(id)'/>" }
        if random.chance(percent: 8) {
            xml +=
                "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>"
                + "<p>\(text)</p></body></html>"
        }
        lastID = id
        return xml + "</message>"
    }

    private mutating func receipt() -> String {
        open("message", from: sender(), to: recipient(), type: "chat", id: uuid())
            + "<received xmlns='urn:xmpp:receipts' id='\(lastID)'/><store xmlns='urn:xmpp:hints'/></message>"
    }

    private mutating func chatMarker() -> String {
        open("message", from: sender(), to: recipient(), type: "chat", id: uuid())
            + "<displayed xmlns='urn:xmpp:chat-markers:0' id='\(lastID)'/><store xmlns='urn:xmpp:hints'/></message>"
    }

    private mutating func chatState() -> String {
        let state = random.chance(percent: 60) ? "composing" : "paused"
        return open("message", from: sender(), to: recipient(), type: "chat", id: hexID())
            + "<\(state) xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>"
    }

    private mutating func groupchat() -> String {
        let id = uuid()
        let room = "ops@conference.\(local)"
        let occupant = random.below(Vocabulary.names.count)
        var xml = open(
            "message", from: "\(room)/\(Vocabulary.names[occupant])", to: recipient(), type: "groupchat", id: id)
        xml += "<body>\(body())</body>"
        if random.chance(percent: 50) { xml += "<active xmlns='http://jabber.org/protocol/chatstates'/>" }
        if random.chance(percent: 50) { xml += "<origin-id id='\(id)' xmlns='urn:xmpp:sid:0'/>" }
        if random.chance(percent: 40) {
            xml += "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='\(occupants[occupant])'/>"
        }
        return xml + "<stanza-id xmlns='urn:xmpp:sid:0' by='\(room)' id='\(base64(24))'/></message>"
    }

    private mutating func presence() -> String {
        let number = random.below(people)
        let resource = random.below(Vocabulary.resources.count)
        var xml = open(
            "presence", from: "\(person(number))@\(local)/\(Vocabulary.resources[resource])", to: recipientBare(),
            type: nil,
            id: hexID())
        if random.chance(percent: 50) { xml += "<show>\(random.pick(["away", "xa", "dnd", "chat"]))</show>" }
        let status = random.pick(Vocabulary.statuses)
        if !status.isEmpty { xml += "<status>\(status)</status>" }
        if random.chance(percent: 30) { xml += "<priority>\(random.below(20))</priority>" }
        xml += capabilities(of: number + resource)
        if number % 5 > 1 {
            xml += "<x xmlns='vcard-temp:x:update'><photo>\(pictures[number])</photo></x>"
        }
        return xml + "</presence>"
    }

    private mutating func unavailable() -> String {
        let start = open("presence", from: sender(), to: recipientBare(), type: "unavailable", id: hexID())
        guard random.chance(percent: 40) else { return start.dropLast() + "/>" }
        return start + "<status>\(random.pick(Vocabulary.words))</status></presence>"
    }

    private mutating func roomPresence() -> String {
        let item =
            random.chance(percent: 80)
            ? "<item affiliation='member' role='participant'/>" : "<item affiliation='admin' role='moderator'/>"
        let occupant = random.below(Vocabulary.names.count)
        return open(
            "presence", from: "ops@conference.\(local)/\(Vocabulary.names[occupant])", to: recipient(), type: nil,
            id: hexID())
            + capabilities(of: occupant)
            + "<x xmlns='http://jabber.org/protocol/muc#user'>\(item)</x></presence>"
    }

    private mutating func iq() -> String {
        let id = uuid()
        switch random.below(4) {
        case 0:
            return open("iq", from: sender(), to: recipient(), type: "get", id: id)
                + "<ping xmlns='urn:xmpp:ping'/></iq>"
        case 1:
            return open("iq", from: sender(), to: recipient(), type: "get", id: id)
                + "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        case 2:
            return open("iq", from: sender(), to: recipient(), type: "result", id: id)
                + "<query xmlns='jabber:iq:version'><name>Sample</name><version>\(random.below(9)).\(random.below(40))"
                + "</version></query></iq>"
        default:
            return open("iq", from: sender(), to: recipient(), type: "error", id: id)
                + "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        }
    }

    // MARK: Parts

    /// A start tag whose attributes stand in one of the orders that servers use.
    private mutating func open(_ name: String, from: String, to: String, type: String?, id: String) -> String {
        let typed = type.map { " type='\($0)'" } ?? ""
        let language = random.chance(percent: 50) ? " xml:lang='en'" : ""
        switch random.below(3) {
        case 0: return "<\(name) from='\(from)' to='\(to)'\(language)\(typed) id='\(id)'>"
        case 1: return "<\(name)\(language) to='\(to)'\(typed) from='\(from)' id='\(id)'>"
        default: return "<\(name) id='\(id)'\(typed) to='\(to)'\(language) from='\(from)'>"
        }
    }

    private mutating func sender() -> String {
        "\(person())@\(local)/\(random.pick(Vocabulary.resources))"
    }

    private mutating func recipient() -> String {
        "\(person())@\(remote)/\(random.pick(Vocabulary.resources))"
    }

    private mutating func recipientBare() -> String {
        "\(person())@\(remote)"
    }

    private mutating func person() -> String {
        person(random.below(people))
    }

    private func capabilities(of program: Int) -> String {
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \(programs[program % programs.count])/>"
    }

    private func person(_ number: Int) -> String {
        let name = Vocabulary.names[number % Vocabulary.names.count]
        return number < Vocabulary.names.count ? name : "\(name)\(number / Vocabulary.names.count)"
    }

    /// One or two sentences, sometimes with characters that XML must escape or that are not ASCII.
    private mutating func body() -> String {
        var text = ""
        let count = 2 + min(random.below(14), random.below(20))
        for index in 0..<count {
            if index > 0 { text += random.chance(percent: 6) ? ", " : " " }
            text += word()
        }
        switch random.below(20) {
        case 0: text += " &lt;\(random.below(900))&gt;"
        case 1: text += " &amp; \(word())"
        case 2: text += " – 20 °C"
        case 3: text += " at \(random.below(24)):\(10 + random.below(50))"
        case 4...8: text += "."
        case 9, 10: text += "?"
        default: break
        }
        return text
    }

    /// The smaller of two draws: the first words of the list are the frequent ones.
    private mutating func word() -> String {
        let count = Vocabulary.words.count
        return Vocabulary.words[min(random.below(count), random.below(count), random.below(count))]
    }

    private mutating func uuid() -> String {
        let digits = Array(hex(32).utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (index, digit) in digits.enumerated() {
            if index == 8 || index == 12 || index == 16 || index == 20 { text.append(UInt8(ascii: "-")) }
            text.append(index == 12 ? UInt8(ascii: "4") : digit)
        }
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func hexID() -> String {
        hex(32)
    }

    private mutating func hex(_ count: Int) -> String {
        symbols(count, of: Array("0123456789abcdef".utf8))
    }

    private mutating func base64(_ count: Int) -> String {
        symbols(count, of: Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8))
    }

    private mutating func symbols(_ count: Int, of alphabet: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(count)
        for _ in 0..<count { text.append(random.pick(alphabet)) }
        return String(decoding: text, as: UTF8.self)
    }
}
