import XMPP

/// A room by the book of XEP-0045 as Prosody 0.12 keeps it, and as strict: it answers nobody who is not in it, sends
/// the whole sequence at a join (others, self, history, subject), and throws out whoever returns an error.
struct ModelRoom {
    struct Occupant {
        var jid: String
        var nick: String
        var payload: String
    }

    var address = "bridge@club.ship.example"
    var password: String?
    /// Answers a ping to oneself itself; otherwise it is passed on to the client (XEP-0410 §4).
    var knowsSelfPing = true
    /// Takes a second join for a change of presence, as ejabberd does.
    var ignoresSecondJoin = false
    /// What is sent to an occupant at his join at most.
    var historyLength = 20
    /// Sends no subject after the history.
    var leavesOutSubject = false
    /// Unix seconds.
    var time: UInt64 = 1_800_000_000
    private(set) var occupants: [Occupant] = []
    private(set) var history: [(at: UInt64, nick: String, body: String, id: String?)] = []
    private(set) var subject = ""
    private(set) var exists = true
    /// Joins that were taken, rejoins included.
    private(set) var joins = 0
    /// The `history` element of the last join.
    private(set) var askedHistory = ""
    private var isNew = false
    private var reflected: [String: (from: String, id: String)] = [:]

    func nicks() -> [String] { Array(Set(occupants.map(\.nick))).sorted() }
    func nick(of jid: String) -> String? { occupants.first { $0.jid == jid }?.nick }

    /// Takes a stanza of an occupant or of somebody who is none; gives what the room sends for it, to whomever.
    mutating func take(_ stanza: Stanza) throws -> [Stanza] {
        let from = stanza.from?.description ?? ""
        let nick = stanza.to?.resource
        switch (stanza.kind, stanza.type) {
        case (.presence, .absent): return try presence(stanza, from: from, nick: nick ?? "")
        case (.presence, .unavailable): return try leave(from)
        case (.presence, .error), (.message, .error): return try kick(from)
        case (.message, _):
            guard let own = self.nick(of: from) else {
                return [
                    try BridgeCoreTests.stanza(
                        "<message to='\(from)' from='\(address)' type='error' id='\(stanza.id ?? "")'><error type='modify'>"
                            + "<not-acceptable xmlns='\(XMLNamespace.stanzaErrors)'/></error></message>")
                ]
            }
            let body = stanza.root.children.first { $0.name == "body" }?.text ?? ""
            if let subject = stanza.root.children.first(where: { $0.name == "subject" })?.text, body.isEmpty {
                self.subject = subject
                return try occupants.map { try subjectStanza($0.jid) }
            }
            return try say(body, nick: own, id: stanza.id)
        case (.iq, .get): return try ping(stanza, from: from, nick: nick)
        case (.iq, _):
            guard let id = stanza.id, let asked = reflected.removeValue(forKey: id), let own = self.nick(of: asked.from)
            else { return [] }
            return [
                try BridgeCoreTests.stanza(
                    "<iq to='\(asked.from)' from='\(address)/\(XMLEscape.attribute(own))' type='result' id='\(asked.id)'/>"
                )
            ]
        case (.presence, _), (.other, _): return []
        }
    }

    private mutating func presence(_ stanza: Stanza, from: String, nick: String) throws -> [Stanza] {
        let x = stanza.root.children.first { $0.namespace == XMLNamespace.muc }
        let payload = stanza.root.children.filter { $0.namespace != XMLNamespace.muc }.map(\.xml).joined()
        let index = occupants.firstIndex { $0.jid == from }
        guard index != nil || x != nil else { return [try error(to: from, nick: nick, "item-not-found")] }
        if index == nil, let password, x?.firstChild("password", XMLNamespace.muc)?.text != password {
            return [try error(to: from, nick: nick, "not-authorized")]
        }
        if occupants.contains(where: { $0.nick == nick && JID($0.jid)?.bare != JID(from)?.bare }) {
            return [try error(to: from, nick: nick, "conflict")]
        }
        var sent: [Stanza] = []
        if let index {
            let old = occupants[index].nick
            occupants[index].payload = payload
            if old != nick {
                occupants[index].nick = nick
                for other in occupants {
                    sent.append(
                        try gone(old, to: other.jid, codes: other.jid == from ? [303, 110] : [303], newNick: nick))
                }
            }
        } else {
            isNew = !exists
            exists = true
            joins += 1
            occupants.append(Occupant(jid: from, nick: nick, payload: payload))
        }
        let isFull = index == nil || x != nil && !ignoresSecondJoin
        if isFull {
            for nick in nicks() where nick != self.nick(of: from) {
                if let other = occupants.first(where: { $0.nick == nick }) { sent.append(try shown(other, to: from)) }
            }
        }
        if let own = occupants.first(where: { $0.jid == from }) {
            for other in occupants where other.jid != from { sent.append(try shown(own, to: other.jid)) }
            sent.append(try shown(own, to: from, codes: isNew && index == nil ? [110, 201] : [110]))
        }
        if isFull, let x {
            sent += try historyStanzas(x, to: from)
            if !leavesOutSubject { sent.append(try subjectStanza(from)) }
        }
        return sent
    }

    private mutating func historyStanzas(_ x: Element, to: String) throws -> [Stanza] {
        let limit = x.firstChild("history", XMLNamespace.muc)
        askedHistory = limit?.xml ?? ""
        var wanted = history.suffix(historyLength)
        if let seconds = limit?.attribute("seconds").flatMap({ UInt64($0) }) {
            wanted = wanted.filter { $0.at + seconds >= time }[...]
        }
        if let since = limit?.attribute("since") { wanted = wanted.filter { Self.stamp($0.at) >= since }[...] }
        if let count = limit?.attribute("maxstanzas").flatMap({ Int($0) }) { wanted = wanted.suffix(count) }
        return try wanted.map { try message($0, to: to, isDelayed: true) }
    }

    /// Somebody of this site, or from anywhere else, says something.
    mutating func say(_ body: String, nick: String, id: String?) throws -> [Stanza] {
        history.append((time, nick, body, id))
        return try occupants.map { try message(history[history.count - 1], to: $0.jid, isDelayed: false) }
    }

    /// Somebody whom the bridge does not know comes in.
    mutating func enter(_ jid: String, _ nick: String, show: String = "") throws -> [Stanza] {
        let secret = password.map { "<password>\(XMLEscape.text($0))</password>" } ?? ""
        return try take(
            BridgeCoreTests.stanza(
                "<presence from='\(jid)' to='\(address)/\(XMLEscape.attribute(nick))'>\(show)"
                    + "<x xmlns='\(XMLNamespace.muc)'>\(secret)</x></presence>"))
    }

    mutating func leave(_ jid: String, codes: [Int] = []) throws -> [Stanza] {
        guard let index = occupants.firstIndex(where: { $0.jid == jid }) else { return [] }
        let nick = occupants.remove(at: index).nick
        var sent = [try gone(nick, to: jid, codes: [110] + codes)]
        guard self.nicks().contains(nick) == false else { return sent }
        for other in occupants { sent.append(try gone(nick, to: other.jid, codes: codes)) }
        return sent
    }

    /// What Prosody does to somebody who returned an error.
    mutating func kick(_ jid: String) throws -> [Stanza] { try leave(jid, codes: [333]) }

    /// The server ends without a word and starts again: nobody is in.
    mutating func restart(keepsRoom: Bool = true) {
        occupants = []
        if !keepsRoom {
            exists = false
            history = []
        }
    }

    private mutating func ping(_ stanza: Stanza, from: String, nick: String?) throws -> [Stanza] {
        let own = self.nick(of: from)
        guard exists, let own else {
            return [try iqError(stanza, exists ? "not-acceptable" : "item-not-found")]
        }
        guard own == nick else { return [try iqError(stanza, "item-not-found")] }
        if knowsSelfPing {
            return [
                try BridgeCoreTests.stanza(
                    "<iq to='\(from)' from='\(address)/\(XMLEscape.attribute(own))' type='result' id='\(stanza.id ?? "")'/>"
                )
            ]
        }
        reflected["r-\(reflected.count)"] = (from, stanza.id ?? "")
        let target = occupants.first { $0.nick == own }?.jid ?? from
        return [
            try BridgeCoreTests.stanza(
                "<iq to='\(target)' from='\(address)/\(XMLEscape.attribute(own))' type='get' id='r-\(reflected.count - 1)'>"
                    + "<ping xmlns='urn:xmpp:ping'/></iq>")
        ]
    }

    // MARK: Stanzas

    private func shown(_ occupant: Occupant, to: String, codes: [Int] = []) throws -> Stanza {
        let status = codes.map { "<status code='\($0)'/>" }.joined()
        return try BridgeCoreTests.stanza(
            "<presence to='\(to)' from='\(address)/\(XMLEscape.attribute(occupant.nick))'>\(occupant.payload)"
                + "<x xmlns='\(XMLNamespace.mucUser)'><item affiliation='none' role='participant'/>\(status)</x></presence>"
        )
    }

    private func gone(_ nick: String, to: String, codes: [Int], newNick: String? = nil) throws -> Stanza {
        let status = codes.map { "<status code='\($0)'/>" }.joined()
        let new = newNick.map { " nick='\(XMLEscape.attribute($0))'" } ?? ""
        return try BridgeCoreTests.stanza(
            "<presence to='\(to)' from='\(address)/\(XMLEscape.attribute(nick))' type='unavailable'><x xmlns='\(XMLNamespace.mucUser)'>"
                + "<item affiliation='none' role='\(newNick == nil ? "none" : "participant")'\(new)/>\(status)</x></presence>"
        )
    }

    private func message(
        _ entry: (at: UInt64, nick: String, body: String, id: String?), to: String, isDelayed: Bool
    ) throws -> Stanza {
        let id = entry.id.map { " id='\($0)'" } ?? ""
        let delay = isDelayed ? "<delay xmlns='urn:xmpp:delay' from='\(address)' stamp='\(Self.stamp(entry.at))'/>" : ""
        return try BridgeCoreTests.stanza(
            "<message to='\(to)' from='\(address)/\(XMLEscape.attribute(entry.nick))' type='groupchat'\(id)><body>\(entry.body)</body>\(delay)"
                + "</message>")
    }

    private func subjectStanza(_ to: String) throws -> Stanza {
        try BridgeCoreTests.stanza(
            "<message to='\(to)' from='\(address)' type='groupchat'><subject>\(subject)</subject></message>")
    }

    private func error(to: String, nick: String, _ condition: String) throws -> Stanza {
        try errorStanza(from: "\(address)/\(XMLEscape.attribute(nick))", to: to, kind: "presence", condition: condition)
    }

    private func iqError(_ request: Stanza, _ condition: String) throws -> Stanza {
        try errorStanza(
            from: XMLEscape.attribute(request.to?.description ?? ""), to: request.from?.description ?? "", kind: "iq",
            condition: condition,
            id: request.id ?? "")
    }

    /// 1 800 000 000 is 2027-01-15T08:00:00Z; tests stay within the hours after it.
    static func stamp(_ time: UInt64) -> String {
        let seconds = time - 1_800_000_000 + 8 * 3_600
        func two(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "2027-01-15T\(two(seconds / 3_600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))Z"
    }
}
