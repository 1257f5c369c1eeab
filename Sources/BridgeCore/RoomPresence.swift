import XMPP

/// What a room says about an occupant beside his presence (XEP-0045 §15.6).
struct RoomPresence {
    var codes: Set<Int> = []
    var isDestroyed = false
    /// The nick that he changes to, escaped.
    var newNick: String?

    init(_ stanza: Stanza) {
        guard stanza.hasChild(.mucUser) else { return }
        for x in stanza.root.children where x.interned == .mucUser {
            for child in x.children {
                switch child.name {
                case "status": if let code = child.attribute("code").flatMap({ Int($0) }) { codes.insert(code) }
                case "destroy": isDestroyed = true
                case "item": newNick = child.attribute("nick").map { XMLEscape.attribute($0) } ?? newNick
                case _: break
                }
            }
        }
    }

    /// About the occupant who receives it.
    var isSelf: Bool { codes.contains(110) }
    /// The room was made by the join that this answers.
    var isNewRoom: Bool { codes.contains(201) }

    /// An unavailable presence about its recipient that nobody meant: the room or its server lost him (333, or 332
    /// when the service goes down), or says no reason at all, as Prosody 0.12 does for one of several sessions of a
    /// nick. Somebody meant a kick (307), a ban (301), an affiliation or a room that changed (321, 322), and a room
    /// that was destroyed.
    var isTechnical: Bool {
        if isDestroyed || codes.contains(301) { return false }
        if codes.contains(333) || codes.contains(332) { return true }
        return codes.isDisjoint(with: [307, 321, 322, 303])
    }
}
