import NIOCore
import XMPP

// Users, rooms, and what they do.
extension Simulation {
    func makePeople() {
        for (index, site) in scenario.sites.enumerated() {
            for number in 0..<site.users {
                let manners: SimulatedUser.Manners = random.pick([.answers, .answers, .answers, .refuses, .isSilent])
                users.append(SimulatedUser(sites[index], index: users.count, number: number, manners: manners))
            }
            for number in 0..<site.rooms {
                let room = Room(sites[index], index: rooms.count, jid: "r\(number)@\(sites[index].domains[1])")
                rooms.append(room)
                sites[index].server.rooms.append(room)
            }
        }
    }

    private func makeID() -> String {
        nextID += 1
        let bits = random.next()
        switch random.below(4) {
        case 0: return "m\(nextID)"
        case 1:
            let hex = String(bits, radix: 16)
            let digits = String(repeating: "0", count: 16 - hex.count) + hex
            let parts = Array(digits)
            let tail = String(1_000_000_000_000 + nextID)
            return String(parts[0..<8]) + "-" + String(parts[8..<12]) + "-4" + String(parts[12..<15]) + "-a111-"
                + tail.suffix(12)
        case 2: return String(bits, radix: 16) + String(nextID, radix: 16)
        default: return String(bits, radix: 36) + "_" + String(nextID)
        }
    }

    private func text(_ number: Int, bytes: Int) -> String {
        let words = ["radio", "over", "the", "hill", "convoy", "moves", "at", "dawn", "<roger>", "grid & bearing", "ünder"]
        var text = "#\(nextID):\(number)"
        while text.utf8.count < bytes { text += " " + random.pick(words) }
        return text
    }

    /// A user of another site than this one's.
    private func far(from user: SimulatedUser) -> SimulatedUser? {
        let others = users.filter { $0.site !== user.site }
        return others.isEmpty ? nil : random.pick(others)
    }

    // MARK: Acts

    func perform(_ act: Scenario.Act) {
        guard !users.isEmpty else { return }
        let user = random.pick(users)
        guard user.site.server.isUp else { return }
        switch act {
        case .message: message(user, bytes: random.spread(8, 400))
        case .large: message(user, bytes: random.spread(4_000, 60_000))
        case .burst:
            for _ in 0..<random.spread(3, 30) { message(user, bytes: random.spread(8, 200)) }
        case .request: request(user)
        case .presence: presence(user)
        case .join: join(user)
        case .leave: leave(user)
        case .roomMessage: roomMessage(user)
        case .broadcast: broadcast(user)
        }
    }

    private func number(_ user: SimulatedUser, pair: Int) -> Int {
        defer { user.sentToPair[pair, default: 0] += 1 }
        return user.sentToPair[pair, default: 0]
    }

    private func message(_ user: SimulatedUser, bytes: Int) {
        guard let other = far(from: user) else { return }
        let pair = user.index << 16 | other.index
        let number = number(user, pair: pair)
        let id = makeID()
        let text = text(number, bytes: bytes)
        let record = oracle.sent(
            .message, id: id, text: text, origin: user.site.index, destination: other.site.index, pair: pair,
            number: number, at: now)
        trace.record(now, "message", record, pair, number)
        let to = random.chance(perMille: 500) ? other.bare : other.full
        let xml =
            "<message from='\(user.full)' to='\(to)' type='chat' id='\(id)'><body>\(XMLEscape.text(text))</body>"
            + "\(SimulatedOrigin.xml(id))\(marks())</message>"
        user.site.server.send(
            ServerItem(xml: xml, key: .forward(record)), from: user.site.domains[0], to: other.site.domains[0])
    }

    /// One message to many, as a list or a program sends it: the copies differ in `to` alone. Now and then several at once.
    private func broadcast(_ user: SimulatedUser) {
        guard let site = far(from: user)?.site else { return }
        let goesToBare = random.chance(perMille: 500)
        for _ in 0..<random.pick([1, 1, 2, 5]) {
            let id = makeID()
            let text = text(0, bytes: random.spread(8, 400))
            let marks = marks()
            for other in users where other.site === site && random.chance(perMille: 900) {
                let pair = user.index << 16 | other.index
                let number = number(user, pair: pair)
                let record = oracle.sent(
                    .message, id: id, copyFor: other.bare, text: text, origin: user.site.index, destination: site.index,
                    pair: pair, number: number, at: now)
                trace.record(now, "broadcast", record, pair, number)
                let to = goesToBare ? other.bare : other.full
                let xml =
                    "<message from='\(user.full)' to='\(to)' type='chat' id='\(id)'><body>\(XMLEscape.text(text))</body>"
                    + "\(SimulatedOrigin.xml(id))\(marks)</message>"
                user.site.server.send(
                    ServerItem(xml: xml, key: .forward(record)), from: user.site.domains[0], to: site.domains[0])
            }
        }
    }

    /// What makes some messages urgent, so that they may take the express lane, and puts some under a security label, so that
    /// they have a compression context of their own.
    private func marks() -> String {
        var marks = ""
        if random.chance(perMille: 60) {
            marks += "<headers xmlns='http://jabber.org/protocol/shim'><header name='Urgency'>high</header></headers>"
        }
        if random.chance(perMille: 80) {
            marks += "<securitylabel xmlns='urn:xmpp:sec-label:0'><label><level xmlns='urn:x'>\(random.below(3))</level></label>"
                + "</securitylabel>"
        }
        return marks
    }

    private func request(_ user: SimulatedUser) {
        guard let other = far(from: user) else { return }
        let pair = user.index << 16 | other.index
        let number = number(user, pair: pair)
        let id = makeID()
        let record = oracle.sent(
            .request, id: id, text: "", origin: user.site.index, destination: other.site.index, pair: pair,
            number: number, at: now)
        trace.record(now, "request", record, pair, number)
        let xml =
            "<iq from='\(user.full)' to='\(other.full)' type='get' id='\(id)'><query xmlns='jabber:iq:version'>"
            + "\(SimulatedOrigin.xml(id))</query></iq>"
        user.site.server.send(
            ServerItem(xml: xml, key: .forward(record)), from: user.site.domains[0], to: other.site.domains[0])
    }

    private func presence(_ user: SimulatedUser) {
        guard let other = far(from: user) else { return }
        let type = random.chance(perMille: 300) ? " type='unavailable'" : ""
        let show = random.pick(["", "<show>away</show>", "<status>busy \(random.below(9))</status>"])
        let xml = "<presence from='\(user.full)' to='\(other.bare)'\(type)>\(show)</presence>"
        user.site.server.send(ServerItem(xml: xml), from: user.site.domains[0], to: other.site.domains[0])
    }

    // MARK: Rooms

    private func join(_ user: SimulatedUser) {
        guard !rooms.isEmpty else { return }
        let room = random.pick(rooms)
        guard user.views[room.index]?.isWanted != true else { return }
        join(user, room)
    }

    func join(_ user: SimulatedUser, _ room: Room) {
        user.views[room.index, default: .init()].isWanted = true
        trace.record(now, "join", user.index, room.index)
        say(
            "<presence from='\(user.full)' to='\(room.jid)/\(user.nick)'><x xmlns='\(XMLNamespace.muc)'/></presence>",
            from: user, to: room, key: .room(user: user.index, room: room.index))
    }

    private func leave(_ user: SimulatedUser) {
        guard let room = rooms.first(where: { user.views[$0.index]?.isJoined == true }) else { return }
        trace.record(now, "leave", user.index, room.index)
        user.views[room.index] = .init()
        say(
            "<presence from='\(user.full)' to='\(room.jid)/\(user.nick)' type='unavailable'/>", from: user, to: room,
            key: .room(user: user.index, room: room.index))
    }

    private func roomMessage(_ user: SimulatedUser) {
        guard let room = rooms.first(where: { user.views[$0.index]?.isJoined == true }) else { return }
        let pair = user.index << 16 | 0x8000 | room.index
        let number = number(user, pair: pair)
        let id = makeID()
        let text = text(number, bytes: random.spread(8, 200))
        let isLocal = user.site === room.site
        var key: DeliveryKey?
        if !isLocal {
            let record = oracle.sent(
                .roomMessage, id: id, text: text, origin: user.site.index, destination: room.site.index, pair: pair,
                number: number, at: now)
            trace.record(now, "room message", record, pair, number)
            key = .forward(record)
        }
        say(
            "<message from='\(user.full)' to='\(room.jid)' type='groupchat' id='\(id)'>"
                + "<body>\(XMLEscape.text(text))</body>\(SimulatedOrigin.xml(id))</message>", from: user, to: room, key: key)
    }

    private func say(_ xml: String, from user: SimulatedUser, to room: Room, key: DeliveryKey?) {
        if user.site === room.site {
            guard let stanza = stanza(xml) else { return }
            room.stanzaReceived(stanza, from: user.full, isFromBridge: false)
        } else {
            user.site.server.send(
                ServerItem(xml: xml, key: key), from: user.site.domains[0], to: room.site.domains[1])
        }
    }

    func roomSends(_ room: Room, _ xml: String, to jid: String) {
        guard let user = users.first(where: { $0.full == jid }) else { return }
        if user.site === room.site {
            guard let stanza = stanza(xml) else { return }
            if stanza.kind == .presence { user.presenceReceived(stanza, room: room) }
            return
        }
        // Only presence decides who is where.
        let key = xml.hasPrefix("<presence") ? DeliveryKey.room(user: user.index, room: room.index) : nil
        room.site.server.send(
            ServerItem(xml: xml, key: key, sender: .room(room, occupant: jid)), from: room.site.domains[1],
            to: user.site.domains[0])
    }

    private func stanza(_ xml: String) -> Stanza? {
        let stanza = try? reader.read(.init(string: xml))
        if stanza == nil { oracle.fail("the model wrote what cannot be read: \(xml.prefix(120))") }
        return stanza
    }

    /// What presence between a user and a room is to the checks.
    func roomKey(of stanza: Stanza) -> DeliveryKey? {
        guard stanza.kind == .presence, let from = stanza.from, let to = stanza.to else { return nil }
        guard let room = rooms.first(where: { $0.jid == from.bare.description || $0.jid == to.bare.description }),
            let user = users.first(where: { $0.bare == from.bare.description || $0.bare == to.bare.description })
        else { return nil }
        return .room(user: user.index, room: room.index)
    }

    // MARK: Arrivals

    /// A bridge gave a stanza to a site's server.
    func stanzaArrived(_ stanza: Stanza, at site: SimulatedSite, on stream: ServerStream) {
        statistics.stanzas += 1
        guard let to = stanza.to, let from = stanza.from else {
            return oracle.fail("the bridge wrote a stanza without addresses")
        }
        let key = oracle.key(of: stanza)
        var isNew = true
        if let key { isNew = oracle.arrived(key, stanza, on: stream) }
        traceArrival(stanza, key, at: site)
        if to.domain.string == site.domains[1] {
            guard let room = site.server.rooms.first(where: { $0.jid == to.bare.description }) else { return }
            if isNew || stanza.kind == .presence { room.stanzaReceived(stanza, from: from.description, isFromBridge: true) }
            return
        }
        guard let user = users.first(where: { $0.site === site && $0.bare == to.bare.description }) else {
            return oracle.fail("the bridge wrote a stanza to nobody")
        }
        switch stanza.kind {
        case .presence:
            guard let room = rooms.first(where: { $0.jid == from.bare.description }) else { return }
            user.presenceReceived(stanza, room: room)
        case .iq:
            if stanza.isIQRequest { answer(stanza, user, key) }
        case .message, .other:
            break
        }
    }

    private func traceArrival(_ stanza: Stanza, _ key: DeliveryKey?, at site: SimulatedSite) {
        let what =
            switch key {
            case .forward(let number): number
            case .back(let number): -1 - number
            case .room, nil: -1_000_000
            }
        trace.record(now, "arrived", site.index, what, stanza.byteCount, String(stanza.text.prefix(160)))
    }

    private func answer(_ stanza: Stanza, _ user: SimulatedUser, _ key: DeliveryKey?) {
        guard user.manners != .isSilent, let from = stanza.from, let to = stanza.to, let id = stanza.id else { return }
        let isRefusal = user.manners == .refuses
        let error =
            "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        let xml =
            "<iq from='\(to)' to='\(from)' type='\(isRefusal ? "error" : "result")' id='\(id)'>"
            + "\(isRefusal ? error : "<query xmlns='jabber:iq:version'><name>model</name></query>")</iq>"
        var back: DeliveryKey?
        if case .forward(let number) = key { back = .back(number) }
        after(Int64(random.spread(1, 4_000)) * 1_000_000) {
            user.site.server.send(
                ServerItem(xml: xml, key: back), from: user.site.domains[0], to: from.domain.string)
        }
    }
}
