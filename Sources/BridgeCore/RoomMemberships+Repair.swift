package import NIOCore
import Outbox
package import XMPP

extension RoomMemberships {
    /// How long a room may take to answer a join or a ping.
    static let joinAnswerTime: TimeAmount = .seconds(30)
    private static let pingAnswerTime: TimeAmount = .seconds(10)
    /// How long what an occupant says is held back while he may be out.
    static let holdTime: TimeAmount = .seconds(60)
    /// How long after a join in his name delayed messages are held against what he has had.
    private static let replayTime: TimeAmount = .seconds(120)
    private static let quietTime: TimeAmount = .seconds(60)
    /// After so many pings without a clear answer a join is tried; after so many joins he is told that he left.
    private static let maximumAttempts: UInt8 = 4
    /// Kicks that are further apart are not counted together.
    private static let kickWindow: TimeAmount = .minutes(10)

    // MARK: Gaps

    /// A stream between the bridge and this domain of the site broke: what was in it may be lost, and its rooms may
    /// have thrown out whom it was for.
    package mutating func streamLost(_ domain: Domain, now: NIODeadline) {
        forEach(of: domain) { machine, index in
            machine.doubt(index, at: now + .seconds(3), now: now)
        }
    }

    /// A stream between the bridge and this domain is open (again).
    package mutating func streamOpened(_ domain: Domain, now: NIODeadline) {
        guard unsettledCount > 0 else { return }
        forEach(of: domain) { machine, index in
            guard machine.entries[Int(index)]?.phase == .doubtful else { return }
            machine.setPhase(index, .doubtful, due: now + .milliseconds(250))
        }
    }

    /// A stanza of a room for a user of the peer could not be kept.
    ///
    /// - Parameter taken: service time in milliseconds when it was taken from the local server.
    package mutating func roomStanzaLost(_ stanza: Stanza, taken: UInt64, now: NIODeadline) {
        guard count > 0, let index = indexOfRecipient(stanza) else { return }
        switch (stanza.kind, stanza.type) {
        case (.message, .groupchat):
            if stanza.hasChild(.subject), !stanza.hasChild(.body) {
                entries[Int(index)]?.subject = nil
            } else {
                entries[Int(index)]?.unsee(stanza.roomMessageFingerprint)
            }
            mark(index, .seen)
        case (.presence, .absent), (.presence, .unavailable):
            let from = stanza.fromText
            guard let slash = from.firstIndex(of: "/") else { return }
            // Known, so that his leave is told if he is gone, and as nobody has him, so that he is shown if he is not.
            entries[Int(index)]?.known[String(from[from.index(after: slash)...])] = 0
            mark(index, .known)
        case (.message, _), (.presence, _), (.iq, _), (.other, _):
            return
        }
        let lost = entries[Int(index)]?.lostSince ?? taken
        entries[Int(index)]?.lostSince = min(lost, taken)
        // While the link is down it would be lost again.
        if isLinkUp { doubt(index, at: now + .seconds(30), now: now) }
    }

    /// The link is up: what was lost meanwhile can be fetched.
    package mutating func linkConnected(now: NIODeadline) {
        isLinkUp = true
        guard count > 0 else { return }
        for place in entries.indices where entries[place]?.lostSince != nil {
            doubt(Int32(truncatingIfNeeded: place), at: now + .seconds(1), now: now)
        }
    }

    package mutating func linkDisconnected() { isLinkUp = false }

    private mutating func forEach(of domain: Domain, _ body: (inout RoomMemberships, Int32) -> Void) {
        guard count > 0 else { return }
        for place in entries.indices where entries[place]?.roomDomain == domain {
            body(&self, Int32(truncatingIfNeeded: place))
        }
    }

    /// From now on it is not certain that he is in the room and has everything.
    mutating func doubt(_ index: Int32, at due: NIODeadline, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        switch entry.phase {
        case .doubtful:
            if let old = entry.due, old <= due { return }
        case .joining, .joined, .pinging, .rejoining:
            break
        }
        if entry.phase == .joined {
            entries[Int(index)]?.attempts = 0
            entries[Int(index)]?.replayed = 0
            entries[Int(index)]?.afterGap = 0
        }
        if entry.holdUntil == nil, entry.phase == .joined {
            entries[Int(index)]?.holdUntil = now + Self.holdTime
            wake(at: now + Self.holdTime)
        }
        setPhase(index, .doubtful, due: due)
    }

    /// The room lost him: he is brought back soon, later the more often it happens.
    mutating func kicked(_ index: Int32, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        // The room's order: it says this of his last stay, before it has seen the join that is on its way.
        if entry.phase == .joining { return }
        entries[Int(index)]?.isOut = true
        if case .rejoining = entry.phase {
            entries[Int(index)]?.phase = .rejoining(isResync: false)
            return
        }
        var kicks = entry.kicks
        if kicks == 0 || now > entry.kicksSince + Self.kickWindow {
            kicks = 0
            entries[Int(index)]?.kicksSince = now
        }
        entries[Int(index)]?.kicks = kicks + 1
        let delay: TimeAmount = kicks == 0 ? .milliseconds(500) : Self.delay(UInt8(min(kicks, 6)))
        if entry.phase == .doubtful { entries[Int(index)]?.due = nil }
        doubt(index, at: now + delay, now: now)
    }

    /// 2, 4, 8 … 60 seconds.
    private static func delay(_ attempts: UInt8) -> TimeAmount { .seconds(min(60, 1 << Int64(min(attempts, 6)))) }

    // MARK: Steps

    mutating func dueReached(_ index: Int32, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        switch entry.phase {
        case .joined:
            break
        case .joining:
            ping(index, now: now)
        case .doubtful:
            if entry.isOut || entry.attempts >= Self.maximumAttempts {
                rejoin(index, isResync: false, now: now)
            } else {
                ping(index, now: now)
            }
        case .pinging:
            tryAgain(index, now: now)
        case .rejoining(isResync: true):
            // A room that was asked by somebody who is in it need not answer.
            settled(index, now: now)
        case .rejoining(isResync: false):
            joinFailed(index, now: now)
        }
    }

    private mutating func ping(_ index: Int32, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        let id = makeID()
        guard
            let ping = stanza(
                "<iq to='\(entry.occupantAddress)' from='\(entry.occupant)' type='get' id='\(id)'>"
                    + "<ping xmlns='\(XMLNamespace.ping)'/></iq>")
        else { return tell(index) }
        setPhase(index, .pinging, due: now + Self.pingAnswerTime)
        entries[Int(index)]?.pingID = id
        pingCount += 1
        actions.append(.deliver(ping))
    }

    /// XEP-0410 §3.2.
    mutating func pingAnswered(_ answer: Stanza, now: NIODeadline) -> RoomVerdict {
        guard let index = indexOfRecipient(answer), let id = entries[Int(index)]?.pingID, answer.id == id else {
            return .pass
        }
        guard answer.isError else {
            rejoin(index, isResync: true, now: now)
            return .swallow
        }
        switch answer.errorCondition {
        case .serviceUnavailable, .featureNotImplemented:
            rejoin(index, isResync: true, now: now)
        case .remoteServerNotFound, .remoteServerTimeout, .resourceConstraint, .internalServerError:
            tryAgain(index, now: now)
        case _:
            entries[Int(index)]?.isOut = true
            rejoin(index, isResync: false, now: now)
        }
        return .swallow
    }

    /// A room that does not know XEP-0410 passes the ping on to the client itself. It is answered here.
    mutating func pingReflected(_ request: Stanza) -> RoomVerdict {
        let from = request.fromText
        guard let slash = from.firstIndex(of: "/"), request.hasChild(.ping), let id = request.id else { return .pass }
        let nick = from[from.index(after: slash)...]
        // To any session of that nick: the room chooses one.
        guard isForSession(request, nick: String(nick)),
            entries.contains(where: { $0?.pingID != nil && $0?.occupantAddress == from }),
            let answer = stanza(
                "<iq to='\(from)' from='\(request.toText)' type='result' id='\(XMLEscape.attribute(id))'/>")
        else { return .pass }
        actions.append(.deliver(answer))
        return .swallow
    }

    private mutating func tryAgain(_ index: Int32, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        entries[Int(index)]?.attempts = entry.attempts &+ 1
        setPhase(index, .doubtful, due: now + Self.delay(entry.attempts + 1))
    }

    /// A ping or join in somebody's name could not be given to the local server, which is down. True when it was one.
    package mutating func deliveryFailed(_ stanza: Stanza, now: NIODeadline) -> Bool {
        guard unsettledCount > 0, let index = indexOfSender(stanza), let entry = entries[Int(index)] else {
            return false
        }
        switch (stanza.kind, entry.phase) {
        case (.iq, .pinging) where stanza.id == entry.pingID, (.presence, .rejoining):
            // Not counted: it says nothing about the room.
            setPhase(index, .doubtful, due: now + .seconds(10))
            return true
        case (.iq, _), (.presence, _), (.message, _), (.other, _):
            return false
        }
    }

    private mutating func rejoin(_ index: Int32, isResync: Bool, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        let time = clock.milliseconds(now)
        let from = min(entry.lostSince ?? entry.lastSeen, entry.lastSeen)
        let wall = wallTime(now)
        let history = RoomHistory(
            age: time > from ? time - from : 0, longestAge: time > entry.joinedAt ? time - entry.joinedAt : 0,
            wall: wall,
            isAgeKnown: !entry.isRecovered || wall != nil)
        guard let join = stanza(joinText(entry, history)) else { return tell(index) }
        setPhase(index, .rejoining(isResync: isResync), due: now + Self.joinAnswerTime)
        entries[Int(index)]?.present.removeAll()
        entries[Int(index)]?.replayed = 0
        entries[Int(index)]?.replayUntil = now + Self.replayTime
        entries[Int(index)]?.subjectUntil = now + Self.joinAnswerTime
        entries[Int(index)]?.hasGaps = entry.lostSince != nil
        decide(index, areMissed: true, now: now)
        quietUntil = now + Self.quietTime
        counts.rejoins &+= 1
        actions.append(.deliver(join))
    }

    /// The join in his name: what he last showed of himself, the password of his own join, and from where on he wants
    /// history.
    private func joinText(_ entry: RoomMembership, _ history: RoomHistory) -> String {
        let shown = entry.update ?? entry.join
        var text = "<presence to='\(entry.occupantAddress)' from='\(entry.occupant)'"
        if let language = shown.language { text += " xml:lang='\(XMLEscape.attribute(language))'" }
        text += ">"
        for child in shown.root.children where child.interned != .muc { text += child.xml }
        text += "<x xmlns='\(XMLNamespace.muc)'>\(history.xml)"
        for x in entry.join.root.children where x.interned == .muc {
            for child in x.children where child.name == "password" { text += child.xml }
        }
        return text + "</x></presence>"
    }

    // MARK: Ends of a repair

    /// The room shows him to himself: he is in.
    mutating func arrived(_ index: Int32, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        switch entry.phase {
        case .joined, .doubtful, .pinging:
            break
        case .joining, .rejoining:
            settled(index, now: now)
        }
    }

    private mutating func settled(_ index: Int32, now: NIODeadline) {
        entries[Int(index)]?.isOut = false
        entries[Int(index)]?.attempts = 0
        entries[Int(index)]?.isRecovered = false
        if let entry = entries[Int(index)], entry.phase == .joining {
            entries[Int(index)]?.lastSeen = clock.milliseconds(now)
        }
        entries[Int(index)]?.lostSince = nil
        setPhase(index, .joined, due: nil)
        release(index, keepsHolding: false)
        mark(index, .seen)
    }

    /// Says of those whom he knows and the room did not show that they are gone. Only after the subject, which ends
    /// the answer to a join: his own presence comes earlier when another session of his joins, and a room that takes
    /// a second join for a change of presence shows him nobody else.
    mutating func tellWhoLeft(_ index: Int32) {
        guard let entry = entries[Int(index)] else { return }
        entries[Int(index)]?.subjectUntil = nil
        guard !entry.isKnownIncomplete else { return }
        for nick in entry.known.keys.filter({ !entry.present.contains($0) && $0 != entry.nick }).sorted() {
            entries[Int(index)]?.known.removeValue(forKey: nick)
            if let gone = unavailable(entry, nick: nick, codes: []) { actions.append(.send(gone)) }
            mark(index, .known)
        }
    }

    /// The room refused a join.
    mutating func joinRefused(_ error: Stanza, _ index: Int32, now: NIODeadline) -> RoomVerdict {
        guard let entry = entries[Int(index)] else { return .pass }
        switch entry.phase {
        case .joining:
            forget(index)
            return .pass
        case .joined:
            // A nick that he may not have, most likely; if he is out, the ping shows it.
            if error.errorCondition == .itemNotFound { doubt(index, at: now + .milliseconds(250), now: now) }
            return .pass
        case .doubtful, .pinging:
            return .pass
        case .rejoining(let isResync):
            switch error.errorCondition {
            case .remoteServerNotFound, .remoteServerTimeout, .resourceConstraint, .internalServerError:
                joinFailed(index, now: now)
            case _ where isResync:
                settled(index, now: now)
            case _:
                tell(index)
            }
            return .swallow
        }
    }

    private mutating func joinFailed(_ index: Int32, now: NIODeadline) {
        guard let entry = entries[Int(index)] else { return }
        // One attempt more than for pings, which may have used them up.
        guard entry.attempts < 2 * Self.maximumAttempts else { return tell(index) }
        tryAgain(index, now: now)
    }

    /// He cannot be brought back: he is told once that he left, for technical reasons.
    mutating func tell(_ index: Int32) {
        guard let entry = entries[Int(index)] else { return }
        release(index, keepsHolding: false)
        counts.told &+= 1
        if let left = unavailable(entry, codes: [110, 333]) { actions.append(.send(left)) }
        remove(index)
    }

    /// He left, or a person saw to it, or he never came in.
    mutating func forget(_ index: Int32) {
        release(index, keepsHolding: false)
        remove(index)
    }

    // MARK: Stanzas

    func stanza(_ text: String) -> Stanza? { try? reader.read(ByteBuffer(string: text)) }

    func leave(_ entry: RoomMembership) -> Stanza? {
        stanza("<presence to='\(entry.occupantAddress)' from='\(entry.occupant)' type='unavailable'/>")
    }

    /// What a room tells its occupant of somebody who left, by default of himself (XEP-0045 §7.14, §9.1).
    func unavailable(_ entry: RoomMembership, nick: String? = nil, codes: [Int]) -> Stanza? {
        let status = codes.map { "<status code='\($0)'/>" }.joined()
        return stanza(
            "<presence to='\(entry.occupant)' from='\(entry.room)/\(nick ?? entry.nick)' type='unavailable'>"
                + "<x xmlns='\(XMLNamespace.mucUser)'><item affiliation='none' role='none'/>\(status)</x></presence>")
    }
}
