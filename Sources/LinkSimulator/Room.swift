import XMPP

/// A room of the model server: it tells everybody who is there, passes messages on, and throws out whoever's stanzas
/// come back as errors.
final class Room {
    let index: Int
    let jid: String
    unowned let site: SimulatedSite
    private let world: Simulation
    /// In the order of their coming.
    private(set) var occupants: [(nick: String, jid: String)] = []

    init(_ site: SimulatedSite, index: Int, jid: String) {
        self.site = site
        self.index = index
        self.jid = jid
        world = site.world
    }

    func contains(_ user: String) -> Bool { occupants.contains { $0.jid == user } }
    var nicks: [String] { occupants.map(\.nick).sorted() }

    func stanzaReceived(_ stanza: Stanza, from user: String, isFromBridge: Bool) {
        guard stanza.type != .error else { return errorReceived(from: user, isFromBridge: isFromBridge) }
        switch stanza.kind {
        case .presence:
            guard let nick = stanza.to?.resource else { return }
            stanza.type == .unavailable ? leave(user) : join(user, nick)
        case .message:
            guard stanza.type == .groupchat else { return }
            message(stanza, from: user)
        case .iq:
            if stanza.isIQRequest { answer(stanza, from: user) }
        case .other:
            break
        }
    }

    /// Says to an occupant who asks his own place whether he is there (XEP-0410); nothing else is asked here.
    private func answer(_ stanza: Stanza, from user: String) {
        guard let to = stanza.to, let id = stanza.id else { return }
        let isThere = occupants.contains { $0.jid == user && $0.nick == to.resource }
        let error =
            "<error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        send(
            "<iq from='\(to)' to='\(user)' type='\(isThere ? "result" : "error")' id='\(XMLEscape.attribute(id))'>"
                + "\(isThere ? "" : error)</iq>", to: user)
    }

    private func join(_ user: String, _ nick: String) {
        for occupant in occupants where occupant.jid != user { presence(of: occupant.nick, to: user) }
        if !contains(user) {
            occupants.append((nick, user))
            for occupant in occupants where occupant.jid != user { presence(of: nick, to: occupant.jid) }
        }
        presence(of: nick, to: user, codes: [110])
        send("<message from='\(jid)' to='\(user)' type='groupchat'><subject>\(jid)</subject></message>", to: user)
    }

    private func leave(_ user: String, codes: [Int] = []) {
        guard let place = occupants.firstIndex(where: { $0.jid == user }) else { return }
        let nick = occupants[place].nick
        occupants.remove(at: place)
        presence(of: nick, to: user, isLeaving: true, codes: [110] + codes)
        for occupant in occupants { presence(of: nick, to: occupant.jid, isLeaving: true, codes: codes) }
    }

    private func message(_ stanza: Stanza, from user: String) {
        guard let sender = occupants.first(where: { $0.jid == user }) else {
            if let key = world.oracle.key(of: stanza), case .forward(let number) = key { world.oracle.refusedByRoom(number) }
            if let error = stanza.errorReply(.notAcceptable) { send(error.text, to: user) }
            return
        }
        let body = stanza.root.children.first { $0.name == "body" }?.text ?? ""
        let id = stanza.id ?? ""
        for occupant in occupants {
            send(
                "<message from='\(jid)/\(sender.nick)' to='\(occupant.jid)' type='groupchat' id='\(id)'>"
                    + "<body>\(XMLEscape.text(body))</body></message>", to: occupant.jid)
        }
    }

    /// A stanza to or from this occupant came back: as every server does, the room throws him out.
    func errorReceived(from user: String, isFromBridge: Bool) {
        guard contains(user) else { return }
        if isFromBridge { world.oracle.fail("an error reached the room \(jid), which throws out \(user)") }
        world.trace.record(world.now, "room kick", site.index, index, 0, user)
        world.statistics.kicks += 1
        leave(user, codes: [307, 333])
    }

    /// The server was restarted: rooms are empty, and nobody is told.
    func restarted() { occupants = [] }

    private func presence(of nick: String, to user: String, isLeaving: Bool = false, codes: [Int] = []) {
        let type = isLeaving ? " type='unavailable'" : ""
        let status = codes.map { "<status code='\($0)'/>" }.joined()
        let role = isLeaving ? "none" : "participant"
        send(
            "<presence from='\(jid)/\(nick)' to='\(user)'\(type)><x xmlns='\(XMLNamespace.mucUser)'>"
                + "<item affiliation='none' role='\(role)'/>\(status)</x></presence>", to: user)
    }

    private func send(_ xml: String, to user: String) {
        world.roomSends(self, xml, to: user)
    }
}
