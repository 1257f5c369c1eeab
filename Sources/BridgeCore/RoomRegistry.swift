import DequeModule
import XMPP

/// Which addresses of one side are rooms.
///
/// A room throws an occupant out when a message or presence comes back from him as an error (XEP-0045 §18.1.2), so no error
/// may ever go to one. Rooms are learnt from what they send themselves: group chat to a full address, and presence with a
/// `muc#user` or federation payload. Nobody can declare another's address a room; who declares his own only goes without
/// errors. After a restart nothing is learnt yet, and that is when servers send such errors; so domains that are configured,
/// or named as room services commonly are, count as rooms at once.
struct RoomRegistry {
    private let domains: [Domain]
    private let maximumRooms: Int
    private var rooms: Set<JID> = []
    /// The same in the order of learning; the oldest goes when there are too many, and is learnt again when it speaks.
    private var order: Deque<JID> = []
    /// Pairs of addresses whose group chat was looked at, each in the place its hash names: they need no second look.
    private var groupchatPairs: [UInt64]
    /// Pairs of addresses known to be of a room by its presence.
    private var presencePairs: [UInt64]
    /// Domains under which something may be found; an address of any other needs no second look.
    private var knownDomains: [Domain]
    private static let maximumKnownDomains = 32

    private static let places = 1_024
    /// First labels of domains that hold nothing but rooms, by the habits of Prosody, ejabberd and Openfire.
    private static let roomLabels: [StaticString] = ["conference", "conferences", "muc", "rooms", "groupchat"]
    private static let roomLabelTexts = Set(roomLabels.map { Substring($0.description) })

    init(domains: [Domain], maximumRooms: Int) {
        self.domains = domains
        self.maximumRooms = max(1, maximumRooms)
        knownDomains = domains
        groupchatPairs = Array(repeating: 0, count: Self.places)
        presencePairs = groupchatPairs
    }

    var count: Int { rooms.count }

    func isFromRoom(_ stanza: Stanza) -> Bool {
        switch stanza.fromDomainLabel(among: Self.roomLabels) {
        case .listed: return true
        case .other where !mayKnow({ stanza.fromDomainEquals($0) }): return false
        case .other, .unclear: return stanza.from.map(contains) ?? false
        }
    }

    func isForRoom(_ stanza: Stanza) -> Bool {
        switch stanza.toDomainLabel(among: Self.roomLabels) {
        case .listed: return true
        case .other where !mayKnow({ stanza.toDomainEquals($0) }): return false
        case .other, .unclear: return stanza.to.map(contains) ?? false
        }
    }

    /// False where the domain alone, as it lies in the stanza, says that ``contains(_:)`` would find nothing. Every
    /// presence is asked about twice, and making an address of it takes longer than all the rest.
    private func mayKnow(_ isIt: (Domain) -> Bool) -> Bool {
        knownDomains.count >= Self.maximumKnownDomains || knownDomains.contains(where: isIt)
    }

    private func contains(_ address: JID) -> Bool {
        domains.contains(address.domain)
            || Self.roomLabelTexts.contains(address.domain.string.prefix { $0 != "." })
            || rooms.contains(address.bare)
    }

    /// Looks whether the sender of a stanza shows itself to be a room.
    mutating func learn(from stanza: Stanza) {
        switch (stanza.kind, stanza.type) {
        case (.message, .groupchat):
            let key = stanza.pairHash
            let place = Int(truncatingIfNeeded: key) & (Self.places - 1)
            guard groupchatPairs[place] != key else { return }
            groupchatPairs[place] = key
            // A room speaks to each occupant's full address; who speaks to a room uses its bare one.
            guard let to = stanza.to, !to.isBare || stanza.hasChild(.fmuc) else { return }
            add(stanza.from)
        case (.presence, .absent), (.presence, .unavailable):
            let key = stanza.pairHash
            let place = Int(truncatingIfNeeded: key) & (Self.places - 1)
            guard presencePairs[place] != key, stanza.hasChild(.mucUser) || stanza.hasChild(.fmuc) else { return }
            presencePairs[place] = key
            add(stanza.from)
        case (.message, _), (.presence, _), (.iq, _), (.other, _):
            break
        }
    }

    mutating func add(_ address: JID?) {
        guard let room = address?.bare, rooms.insert(room).inserted else { return }
        order.append(room)
        if knownDomains.count < Self.maximumKnownDomains, !knownDomains.contains(room.domain) {
            knownDomains.append(room.domain)
        }
        guard order.count > maximumRooms, let oldest = order.popFirst() else { return }
        rooms.remove(oldest)
        for place in groupchatPairs.indices {
            groupchatPairs[place] = 0
            presencePairs[place] = 0
        }
    }
}
