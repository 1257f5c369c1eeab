package import NIOCore
import Outbox
package import XMPP

extension RoomMemberships {
    // MARK: From the rooms

    /// A stanza of the local server for a user of the peer.
    package mutating func localStanzaReceived(_ stanza: Stanza, now: NIODeadline) -> RoomVerdict {
        guard count > 0 else { return .pass }
        switch (stanza.kind, stanza.type) {
        case (.message, .groupchat):
            guard let index = indexOfRecipient(stanza) else { return .pass }
            return messageReceived(stanza, index, now: now)
        case (.message, .error):
            guard let index = indexOfRecipient(stanza) else { return .pass }
            // The room takes nothing from somebody who is not in it (XEP-0045 §7.4).
            if stanza.errorCondition == .notAcceptable, entries[Int(index)]?.phase == .joined {
                doubt(index, at: now + .milliseconds(250), now: now)
            }
            return .pass
        case (.presence, .absent), (.presence, .unavailable), (.presence, .error):
            guard let index = indexOfRecipient(stanza) else { return .pass }
            return presenceReceived(stanza, index, now: now)
        case (.iq, .get):
            return pingCount > 0 ? pingReflected(stanza) : .pass
        case (.iq, .result), (.iq, .error):
            return pingCount > 0 ? pingAnswered(stanza, now: now) : .pass
        case (.message, _), (.presence, _), (.iq, _), (.other, _):
            return .pass
        }
    }

    private mutating func messageReceived(_ stanza: Stanza, _ index: Int32, now: NIODeadline) -> RoomVerdict {
        let place = Int(index)
        // While he is doubtful, the server may also send again what was on a broken stream, with a stamp.
        let isReplay = entries[place]?.phase != .joined || entries[place]?.replayUntil.map { now < $0 } ?? false
        let isReplayed = isReplay && stanza.hasChild(.delay)
        if !isReplayed, entries[place]?.undecided.isEmpty == false {
            // The replay is over: what is undecided was missed, and this comes after it.
            decide(index, areMissed: true, now: now)
            if messageReceived(stanza, index, now: now) == .pass { actions.append(.send(stanza)) }
            return .swallow
        }
        if stanza.hasChild(.subject), !stanza.hasChild(.body) {
            if let until = entries[place]?.subjectUntil, now < until { tellWhoLeft(index) }
            let subject = stanza.subjectFingerprint
            let isKnown = entries[place]?.subject == subject
            if isReplay, isKnown { return .swallow }
            entries[place]?.subject = subject
            mark(index, .seen)
            return .pass
        }
        let fingerprint = stanza.roomMessageFingerprint
        if isReplayed {
            if let replay = entries[place]?.replay(fingerprint), replay != .isNew {
                counts.replaysSwallowed &+= 1
                // Without an id it may be another message of the same words.
                if replay == .hadAllBefore, stanza.id != nil { decide(index, areMissed: false, now: now) }
                return .swallow
            }
            if keepUndecided(stanza, index, now: now) { return .swallow }
        }
        entries[place]?.record(fingerprint, at: clock.milliseconds(now))
        mark(index, .seen)
        return .pass
    }

    /// Keeps a message of the history until it is known whether he missed it; false where that would not tell.
    private mutating func keepUndecided(_ stanza: Stanza, _ index: Int32, now: NIODeadline) -> Bool {
        guard let entry = entries[Int(index)], let until = entry.subjectUntil, now < until, !entry.hasGaps,
            !entry.seen.isEmpty, entry.undecided.count < Self.maximumUndecided,
            byteCount + stanza.byteCount <= limits.bytes
        else {
            decide(index, areMissed: true, now: now)
            return false
        }
        if entry.undecided.isEmpty {
            undecided.append(index)
            wake(at: until)
        }
        entries[Int(index)]?.undecided.append(stanza)
        entries[Int(index)]?.undecidedBytes += stanza.byteCount
        addBytes(stanza.byteCount)
        return true
    }

    private static let maximumUndecided = 256

    /// Passes on what is undecided, or drops it.
    mutating func decide(_ index: Int32, areMissed: Bool, now: NIODeadline) {
        guard let entry = entries[Int(index)], !entry.undecided.isEmpty else { return }
        addBytes(-entry.undecidedBytes)
        entries[Int(index)]?.undecided = []
        entries[Int(index)]?.undecidedBytes = 0
        guard areMissed else {
            counts.replaysSwallowed &+= UInt64(entry.undecided.count)
            return
        }
        for stanza in entry.undecided {
            entries[Int(index)]?.record(stanza.roomMessageFingerprint, at: clock.milliseconds(now))
            actions.append(.send(stanza))
        }
        mark(index, .seen)
    }

    private mutating func presenceReceived(_ stanza: Stanza, _ index: Int32, now: NIODeadline) -> RoomVerdict {
        guard let entry = entries[Int(index)] else { return .pass }
        let from = stanza.fromText
        guard let slash = from.firstIndex(of: "/") else {
            // Some services refuse a join in the room's own name.
            return stanza.isError ? joinRefused(stanza, index, now: now) : .pass
        }
        let nick = String(from[from.index(after: slash)...])
        switch stanza.type {
        case .error:
            return joinRefused(stanza, index, now: now)
        case .unavailable:
            guard nick == entry.nick else {
                // Whoever has gone while nobody looked was never told of; now it is said.
                if entries[Int(index)]?.known.removeValue(forKey: nick) != nil { mark(index, .known) }
                entries[Int(index)]?.present.remove(nick)
                return .pass
            }
            return ownLeaveReceived(RoomPresence(stanza), index, now: now)
        case _:
            return availableReceived(stanza, nick: nick, index, now: now)
        }
    }

    private mutating func availableReceived(
        _ stanza: Stanza, nick: String, _ index: Int32, now: NIODeadline
    ) -> RoomVerdict {
        guard let entry = entries[Int(index)] else { return .pass }
        let presence = RoomPresence(stanza)
        let fingerprint = stanza.roomPresenceFingerprint
        let isQuiet = quietUntil.map { now < $0 } ?? false
        let isKnown = entry.known[nick] == fingerprint
        if !isKnown { learn(nick, fingerprint, index) }
        if entry.subjectUntil != nil { entries[Int(index)]?.present.insert(nick) }
        // Another session may have the same nick; services that do not send 110 are left to his own first join.
        let isOwn = presence.isSelf || entry.phase == .joining && nick == entry.nick
        if isOwn {
            if nick != entry.nick {
                entries[Int(index)]?.nick = nick
                mark(index, .join)
            }
            if presence.isNewRoom, entry.phase == .rejoining(isResync: false) {
                // The room that he was in is gone. To be the owner of a new one is not what he asked for.
                if let leave = leave(entry) { actions.append(.deliver(leave)) }
                tell(index)
                return .swallow
            }
            arrived(index, now: now)
        }
        return isKnown && isQuiet ? .swallow : .pass
    }

    private mutating func learn(_ nick: String, _ fingerprint: UInt64, _ index: Int32) {
        guard let entry = entries[Int(index)] else { return }
        guard entry.known[nick] != nil || entry.known.count < limits.nicks && byteCount + nick.utf8.count < limits.bytes
        else {
            entries[Int(index)]?.isKnownIncomplete = true
            return
        }
        entries[Int(index)]?.known[nick] = fingerprint
        mark(index, .known)
    }

    /// The room says that he is out of it, or takes another nick.
    private mutating func ownLeaveReceived(_ presence: RoomPresence, _ index: Int32, now: NIODeadline) -> RoomVerdict {
        guard let entry = entries[Int(index)] else { return .pass }
        if presence.codes.contains(303), let nick = presence.newNick {
            entries[Int(index)]?.known.removeValue(forKey: entry.nick)
            entries[Int(index)]?.nick = nick
            mark(index, [.join, .known])
            return .pass
        }
        guard presence.isTechnical else {
            forget(index)
            return .pass
        }
        counts.kicksRepaired &+= 1
        kicked(index, now: now)
        return .swallow
    }

    // MARK: From the occupants

    /// A stanza from the link for the local server, with its id in the inbox.
    package mutating func linkStanzaReceived(_ stanza: Stanza, id: UInt64?, now: NIODeadline) -> RoomVerdict {
        switch (stanza.kind, stanza.type) {
        case (.presence, .absent):
            if stanza.hasChild(.muc) { return joinReceived(stanza, id: id, now: now) }
            guard count > 0, let index = indexOfSender(stanza), let entry = entries[Int(index)] else { return .pass }
            guard stanza.toEquals(entry.occupantAddress) else {
                // Another nick: the room answers when he is in.
                return isHolding(entry) ? hold(stanza, id, index, now: now) : .pass
            }
            entries[Int(index)]?.update = stanza.byteCount <= limits.joinBytes ? stanza : nil
            mark(index, .join)
            // The join in his name says it.
            return isHolding(entry) ? .swallow : .pass
        case (.presence, .unavailable):
            guard count > 0, let index = indexOfSender(stanza) else { return .pass }
            return leaveReceived(stanza, id, index)
        case (.message, .groupchat), (.message, .chat), (.message, .normal), (.message, .absent):
            guard unsettledCount > 0, let index = indexOfSender(stanza), let entry = entries[Int(index)],
                isHolding(entry)
            else { return .pass }
            return hold(stanza, id, index, now: now)
        case (.message, _), (.presence, _), (.iq, _), (.other, _):
            return .pass
        }
    }

    private mutating func joinReceived(_ stanza: Stanza, id: UInt64?, now: NIODeadline) -> RoomVerdict {
        let to = stanza.toText
        guard let slash = to.firstIndex(of: "/") else { return .pass }
        var had: RoomMembership?
        if let index = indexOfSender(stanza) {
            // He starts anew and knows nothing but what he has read.
            had = entries[Int(index)]
            release(index, keepsHolding: false)
            remove(index)
        }
        guard let kept = kept(stanza) else {
            counts.notRemembered &+= 1
            return .pass
        }
        var membership = RoomMembership(
            key: takeKey(), pair: Self.pairHash(room: stanza.bareToHash, occupant: stanza.bareFromHash),
            occupant: stanza.fromText, room: String(to[..<slash]), roomDomain: stanza.toDomain,
            nick: String(to[to.index(after: slash)...]), join: kept, phase: .joining,
            due: now + Self.joinAnswerTime, lastSeen: clock.milliseconds(now))
        membership.joinedAt = membership.lastSeen
        membership.seen = had?.orderedSeen ?? []
        if let index = insert(membership) {
            mark(index, .all)
            wake(at: now + Self.joinAnswerTime)
        }
        return .pass
    }

    /// A join presence without what is too large to keep; nil when what is needed to join is.
    private func kept(_ join: Stanza) -> Stanza? {
        guard join.byteCount > limits.joinBytes else { return join }
        let x = join.root.children.first { $0.interned == .muc }?.xml ?? ""
        guard x.utf8.count <= limits.joinBytes else { return nil }
        return stanza("<presence to='\(join.toText)' from='\(join.fromText)'>\(x)</presence>")
    }

    private mutating func leaveReceived(_ stanza: Stanza, _ id: UInt64?, _ index: Int32) -> RoomVerdict {
        guard let entry = entries[Int(index)] else { return .pass }
        if entry.isOut, entry.phase == .doubtful {
            // The room would not answer somebody who is not in it.
            release(index, keepsHolding: false)
            if let left = unavailable(entry, codes: [110]) { actions.append(.send(left)) }
            remove(index)
            return .swallow
        }
        let hasHeld = !entry.held.isEmpty
        release(index, keepsHolding: false)
        remove(index)
        // To the bare address of the room: from a bridge that knew of his going but not of his nick.
        let isBare = stanza.toEquals(entry.room)
        guard isBare || hasHeld else { return .pass }
        actions.append(.release(isBare ? leave(entry) ?? stanza : stanza, id: id))
        return .swallow
    }

    // MARK: Holding

    private func isHolding(_ entry: RoomMembership) -> Bool {
        switch entry.phase {
        case .joining, .joined: false
        case .doubtful, .pinging, .rejoining: entry.holdUntil != nil
        }
    }

    private mutating func hold(_ stanza: Stanza, _ id: UInt64?, _ index: Int32, now: NIODeadline) -> RoomVerdict {
        guard let entry = entries[Int(index)], entry.held.count < limits.held,
            byteCount + stanza.byteCount <= limits.bytes
        else {
            // In order: what is held goes first, and this one behind it.
            release(index, keepsHolding: false)
            actions.append(.release(stanza, id: id))
            return .swallow
        }
        entries[Int(index)]?.held.append((stanza, id))
        entries[Int(index)]?.heldBytes += stanza.byteCount
        addBytes(stanza.byteCount)
        return .hold
    }

    /// Lets what is held go on.
    mutating func release(_ index: Int32, keepsHolding: Bool) {
        guard let entry = entries[Int(index)] else { return }
        for held in entry.held { actions.append(.release(held.stanza, id: held.id)) }
        addBytes(-entry.heldBytes)
        entries[Int(index)]?.held.removeAll()
        entries[Int(index)]?.heldBytes = 0
        if !keepsHolding { entries[Int(index)]?.holdUntil = nil }
    }
}
