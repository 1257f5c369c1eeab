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
    /// Domains under which something may be found, as bytes; an address of any other needs no second look.
    private var knownDomains: [[UInt8]]
    private static let maximumKnownDomains = 32

    private static let places = 1_024
    /// First labels of domains that hold nothing but rooms, by the habits of Prosody, ejabberd and Openfire.
    private static let roomLabels: Set<Substring> = ["conference", "conferences", "muc", "rooms", "groupchat"]

    private static let roomLabelBytes = roomLabels.map { Array($0.utf8) }

    init(domains: [Domain], maximumRooms: Int) {
        self.domains = domains
        self.maximumRooms = max(1, maximumRooms)
        knownDomains = domains.map { Array($0.string.utf8) }
        groupchatPairs = Array(repeating: 0, count: Self.places)
        presencePairs = groupchatPairs
    }

    var count: Int { rooms.count }

    func isFromRoom(_ stanza: Stanza) -> Bool {
        mayBeRoom(stanza.fromPlace, of: stanza) && (stanza.from.map(contains) ?? false)
    }

    func isForRoom(_ stanza: Stanza) -> Bool {
        mayBeRoom(stanza.toPlace, of: stanza) && (stanza.to.map(contains) ?? false)
    }

    /// False where the domain alone, as it lies in the stanza, says that ``contains(_:)`` would find nothing. Every
    /// presence is asked about twice, and making an address of it takes longer than all the rest.
    private func mayBeRoom(_ place: Stanza.AddressPlace?, of stanza: Stanza) -> Bool {
        guard let place, knownDomains.count < Self.maximumKnownDomains else { return true }
        return unsafe stanza.withBytes { bytes in unsafe isKnownDomain(bytes[place.bare]) }
    }

    private func isKnownDomain(_ bare: Slice<UnsafeRawBufferPointer>) -> Bool {
        var domain = unsafe bare
        if let at = unsafe bare.firstIndex(of: UInt8(ascii: "@")) { unsafe domain = bare[(at + 1)...] }
        let label = unsafe domain.prefix { $0 != UInt8(ascii: ".") }
        for known in Self.roomLabelBytes where unsafe label.elementsEqual(known) { return true }
        for known in knownDomains where unsafe domain.elementsEqual(known) { return true }
        // What might be written in another way is compared as an address.
        let capitals = UInt8(ascii: "A")...UInt8(ascii: "Z")
        return unsafe domain.contains { $0 >= 0x80 || capitals.contains($0) }
    }

    private func contains(_ address: JID) -> Bool {
        domains.contains(address.domain)
            || Self.roomLabels.contains(address.domain.string.prefix { $0 != "." })
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
        let domain = Array(room.domain.string.utf8)
        if knownDomains.count < Self.maximumKnownDomains, !knownDomains.contains(domain) { knownDomains.append(domain) }
        guard order.count > maximumRooms, let oldest = order.popFirst() else { return }
        rooms.remove(oldest)
        for place in groupchatPairs.indices {
            groupchatPairs[place] = 0
            presencePairs[place] = 0
        }
    }
}
