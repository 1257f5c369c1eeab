import XMPP

/// Under which nick each local user is in which room of the peer, as the rooms said: for pings by which clients find out
/// whether they are still in (XEP-0410).
///
/// ```
///             join crosses              self-presence (110)
///  (none) ───────────────▶ uncertain ───────────────────────▶ present
///     ▲                        ▲        result of a self-ping    │
///     │  leave, kick, refusal  │ what was on the way may be lost │
///     └────────────────────────┴─────────────────────────────────┘
/// ```
///
/// Nothing is known of a user whose join did not cross here, as after a restart. Only the room itself can make him
/// present, and only under an address to which he sent a join.
struct RoomPlaces {
    private struct Key: Hashable {
        var occupant: String
        var room: String
    }

    private struct Place {
        var nick: String
        var isCertain: Bool
    }

    private var places: LeastRecentlyUsed<Key, Place>

    init(count: Int) { places = LeastRecentlyUsed(count: count) }

    var count: Int { places.count }

    /// A presence of a local user crosses.
    mutating func localPresence(_ presence: Stanza) {
        // Most presence is for no room, so an address is only made where it is looked for.
        var key: Key { Key(occupant: presence.fromText, room: presence.toBareText) }
        switch presence.type {
        case .absent:
            guard presence.hasChild(.muc), presence.toHasResource else { return }
            places.set(key, Place(nick: presence.toResourceText, isCertain: false))
        case .unavailable:
            if !places.isEmpty { places.remove(key) }
        case .error, .subscribe, .subscribed, .unsubscribe, .unsubscribed, .probe, .chat, .groupchat, .headline,
            .normal, .get,
            .set, .result, .unknown:
            break
        }
    }

    /// A presence of the peer came.
    mutating func remotePresence(_ presence: Stanza) {
        guard !places.isEmpty else { return }
        let key = Key(occupant: presence.toText, room: presence.fromBareText)
        guard let place = places[key] else { return }
        let nick = presence.fromResourceText
        switch presence.type {
        case .absent:
            let status = RoomStatus(presence)
            guard status.codes.contains(110), !nick.isEmpty else { return }
            places.set(key, Place(nick: nick, isCertain: true))
        case .unavailable:
            let status = RoomStatus(presence)
            guard nick == place.nick || status.codes.contains(110) else { return }
            guard status.codes.contains(303), let next = status.newNick else { return places.remove(key) }
            places.set(key, Place(nick: next, isCertain: place.isCertain))
        case .error:
            // Another nick that he may not have leaves him where he is (XEP-0045 §7.6).
            let isNickRefused = place.isCertain && [.conflict, .notAcceptable].contains(presence.errorCondition)
            if !isNickRefused { places.remove(key) }
        case .subscribe, .subscribed, .unsubscribe, .unsubscribed, .probe, .chat, .groupchat, .headline, .normal, .get,
            .set,
            .result, .unknown:
            break
        }
    }

    /// An error message of the peer came: a room takes nothing from who is not in it (XEP-0045 §7.4).
    mutating func remoteError(_ message: Stanza) {
        guard !places.isEmpty, message.errorCondition == .notAcceptable else { return }
        places.remove(Key(occupant: message.toText, room: message.fromBareText))
    }

    /// A ping to an occupant's address was answered.
    mutating func pingAnswered(_ answer: Stanza, _ request: Stanza) {
        guard !places.isEmpty, request.isRoomPing else { return }
        let key = Key(occupant: request.fromText, room: request.toBareText)
        guard var place = places[key], place.nick == request.toResourceText else { return }
        if answer.type == .result {
            place.isCertain = true
            places.set(key, place)
        } else if !Self.saysNothing.contains(answer.errorCondition) {
            places.remove(key)
        }
    }

    /// Errors after which a client stays in the room (XEP-0410 §3.2).
    private static let saysNothing: [StanzaErrorCondition?] = [
        .serviceUnavailable, .featureNotImplemented, .itemNotFound, .remoteServerNotFound, .remoteServerTimeout,
    ]

    /// What was on its way may be lost: rooms may have thrown out whomever they say nothing of now.
    mutating func becameUncertain() { places.mutateAll { $0.isCertain = false } }

    enum Finding: Equatable {
        case own
        /// He is in the room under another nick.
        case another
        case unknown
    }

    /// Whose place a ping is for.
    func finding(_ ping: Stanza) -> Finding {
        let key = Key(occupant: ping.fromText, room: ping.toBareText)
        guard !places.isEmpty, let place = places[key], place.isCertain else { return .unknown }
        return place.nick == ping.toResourceText ? .own : .another
    }
}

/// What a room says with a presence or message beside it (XEP-0045 §15.6).
struct RoomStatus {
    private(set) var codes: Set<Int> = []
    /// The nick that an occupant changes to, escaped as addresses are in canonical bytes.
    private(set) var newNick: String?

    init(_ stanza: Stanza) {
        guard stanza.hasChild(.mucUser) else { return }
        for child in stanza.root.children.filter({ $0.interned == .mucUser }).flatMap(\.children) {
            switch child.name {
            case "status": if let code = child.attribute("code").flatMap({ Int($0) }) { codes.insert(code) }
            case "item": newNick = child.attribute("nick").map { XMLEscape.attribute($0) } ?? newNick
            case _: break
            }
        }
    }
}

extension Stanza {
    /// A ping (XEP-0199) to a full address and nothing else, as clients send it to their own place in a room.
    var isRoomPing: Bool { kind == .iq && type == .get && elementCount == 2 && hasChild(.ping) && toHasResource }
}
