import IdentifierFolding
import XMPP

/// Sites with a server each, linked in pairs by bridges that fold ids, and rooms that send what they get to everybody.
final class TestWorld {
    /// What an occupant's or user's client got.
    struct Receipt {
        var user: String
        var stanza: Stanza
        /// Whether it came over a link.
        var crossed: Bool
    }

    static let sites = ["a", "b", "c"]
    private var ends: [String: FolderEnd] = [:]
    /// Bare addresses of occupants with their nicks, by room.
    private var rooms: [String: [(user: String, nick: String)]] = [:]
    /// How many messages rooms have sent out.
    private var stanzaIDs = 0
    /// Called with everything that is on a link.
    var onLink: (_ from: String, _ to: String, Stanza) -> Void = { _, _, _ in }

    /// The id that a room gave to the last groupchat message, as the room knows it.
    var lastStanzaID: String { "archive-of-the-room-\(stanzaIDs)" }

    /// - Parameter folding: the sites whose bridges fold.
    init(folding: Set<String> = ["a", "b", "c"], foldsStanzaIDs: Bool = false, limits: IdentifierLimits = .standard) {
        for (index, from) in Self.sites.enumerated() {
            for (peer, to) in Self.sites.enumerated() where to != from {
                ends[from + to] = FolderEnd(
                    isHighSide: from > to, folds: folding.contains(from), foldsStanzaIDs: foldsStanzaIDs,
                    limits: limits, seed: UInt64(index * Self.sites.count + peer) &* 0x1357_9BDF_0246)
            }
        }
    }

    func end(_ site: String, to peer: String) -> FolderEnd {
        guard let end = ends[site + peer] else { preconditionFailure("no link from \(site) to \(peer)") }
        return end
    }

    func restart(_ site: String) {
        for peer in Self.sites where peer != site { end(site, to: peer).restart() }
    }

    /// The site of `user@x.example` or `room@rooms.x.example`.
    static func site(_ address: String) -> String {
        let domain = address.prefix { $0 != "/" }.split(separator: "@").last ?? ""
        return String(domain.hasPrefix("rooms.") ? domain.dropFirst(6).prefix(1) : domain.prefix(1))
    }

    func makeRoom(_ room: String, occupants: [String]) {
        rooms[room] = occupants.map { ($0, String($0.prefix { $0 != "@" })) }
    }

    /// Takes a stanza from its sender's server to its recipient's.
    private func carry(_ xml: String, from: String, to: String) throws -> (Stanza, crossed: Bool) {
        let (near, far) = (Self.site(from), Self.site(to))
        let sent = try stanza(xml)
        guard near != far else { return (sent, false) }
        let onLink = try end(near, to: far).outbound(sent)
        self.onLink(near, far, onLink)
        return (try end(far, to: near).inbound(onLink), true)
    }

    /// - Parameter content: what stands in the message, its own attributes aside.
    /// - Returns: what each client got.
    func message(from user: String, to: String, type: String, id: String, _ content: String) throws -> [Receipt] {
        let xml = "<message from='\(user)/r' to='\(to)' type='\(type)' id='\(id)'>\(content)</message>"
        let (arrived, crossed) = try carry(xml, from: user, to: to)
        let target = String(to.prefix { $0 != "/" })
        guard let occupants = rooms[target] else { return [Receipt(user: target, stanza: arrived, crossed: crossed)] }
        let nick = occupants.first { $0.user == user }?.nick ?? "?"
        if type == "groupchat" {
            stanzaIDs += 1
            let copy = "<stanza-id xmlns='urn:xmpp:sid:0' by='\(target)' id='\(lastStanzaID)'/>"
            return try occupants.map { occupant in
                try relay(arrived, from: "\(target)/\(nick)", room: target, to: occupant.user, adding: copy)
            }
        }
        let recipient = to.drop { $0 != "/" }.dropFirst()
        return try occupants.filter { $0.nick == recipient }.map { occupant in
            try relay(arrived, from: "\(target)/\(nick)", room: target, to: occupant.user, adding: "")
        }
    }

    private func relay(_ stanza: Stanza, from: String, room: String, to user: String, adding: String) throws -> Receipt
    {
        let content = stanza.root.children.map(\.xml).joined() + adding
        let type = stanza.type.name.map { "type='\($0)' " } ?? ""
        let xml = "<message from='\(from)' to='\(user)/r' \(type)id='\(stanza.id ?? "")'>\(content)</message>"
        let (copy, crossed) = try carry(xml, from: room, to: user)
        return Receipt(user: user, stanza: copy, crossed: crossed)
    }

    /// Sends any stanza and gives what arrives.
    func send(_ xml: String, from: String, to: String) throws -> Stanza { try carry(xml, from: from, to: to).0 }
}
