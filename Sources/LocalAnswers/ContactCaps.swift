import XMPP

/// What each local user was told of the abilities of each address of the peer: the last presence that was addressed to
/// *him*. So an answer from it tells nobody what he was not told (RFC 6121 §4.6).
///
/// Addresses are escaped as they stand in canonical bytes. What is forgotten is unknown, never guessed.
struct ContactCaps {
    private struct Pair: Hashable {
        var local: String
        var remote: String
    }

    /// Of one resource of a contact, or one occupant of a room, to one local user.
    private struct Told {
        /// By presence to his bare address, which all his resources get.
        var everybody: AnnouncedCaps?
        /// By presence to one of his resources since; `nil` in it: it was told something without abilities.
        var resources: [String: AnnouncedCaps?] = [:]
    }

    private var pairs: LeastRecentlyUsed<Pair, [String: Told]>
    private let mostPerPair: Int
    private static let mostResources = 8

    /// - Parameters:
    ///   - count: resources of contacts, each for one local user.
    ///   - mostPerPair: of one contact or room for one local user.
    init(count: Int, mostPerPair: Int) {
        pairs = LeastRecentlyUsed(count: count, weight: count)
        self.mostPerPair = mostPerPair
    }

    /// Pairs of bare addresses.
    var count: Int { pairs.count }

    /// A presence of the peer came, of whatever type.
    mutating func learn(_ presence: Stanza) {
        let pair = Pair(local: presence.toBareText, remote: presence.fromBareText)
        switch presence.type {
        case .absent:
            guard presence.fromHasResource else { return }
            tell(AnnouncedCaps(presence), pair, presence)
        case .unavailable:
            guard !pairs.isEmpty else { return }
            guard presence.fromHasResource else { return pairs.remove(pair) }
            unavailable(pair, presence)
        case .unsubscribed, .error:
            if !pairs.isEmpty { pairs.remove(pair) }
        case .subscribe, .subscribed, .unsubscribe, .probe, .chat, .groupchat, .headline, .normal, .get, .set, .result,
            .unknown:
            break
        }
    }

    private mutating func tell(_ caps: AnnouncedCaps?, _ pair: Pair, _ presence: Stanza) {
        guard caps != nil || pairs[pair] != nil else { return }
        var contact = pairs[pair] ?? [:]
        let resource = presence.fromResourceText
        guard contact[resource] != nil || caps != nil else { return }
        guard contact[resource] != nil || contact.count < mostPerPair else { return }
        var told = contact[resource] ?? Told()
        if presence.toHasResource {
            let to = presence.toResourceText
            // One more that cannot be remembered: it must not be taken for one who was told what all were.
            if told.resources[to] == nil, told.resources.count >= Self.mostResources {
                contact[resource] = nil
                return store(contact, pair)
            }
            told.resources[to] = .some(caps)
        } else {
            told = Told(everybody: caps)
        }
        contact[resource] = told
        store(contact, pair)
    }

    private mutating func unavailable(_ pair: Pair, _ presence: Stanza) {
        guard var contact = pairs[pair], var told = contact[presence.fromResourceText] else { return }
        if presence.toHasResource, told.everybody != nil {
            told.resources[presence.toResourceText] = .some(nil)
            if told.resources.count > Self.mostResources { told.everybody = nil }
            contact[presence.fromResourceText] = told
        } else if presence.toHasResource {
            told.resources[presence.toResourceText] = nil
            contact[presence.fromResourceText] = told.resources.isEmpty ? nil : told
        } else {
            contact[presence.fromResourceText] = nil
        }
        store(contact, pair)
    }

    private mutating func store(_ contact: [String: Told], _ pair: Pair) {
        if contact.isEmpty { pairs.remove(pair) } else { pairs.set(pair, contact, weight: contact.count) }
    }

    /// The local user ended what let him see the contact, or left the room.
    mutating func forget(from stanza: Stanza) {
        if !pairs.isEmpty { pairs.remove(Pair(local: stanza.fromBareText, remote: stanza.toBareText)) }
    }

    /// What whoever sent this request was told last of the address that he asks.
    mutating func announced(to request: Stanza) -> AnnouncedCaps? {
        guard !pairs.isEmpty, request.toHasResource,
            let contact = pairs.use(Pair(local: request.fromBareText, remote: request.toBareText)),
            let told = contact[request.toResourceText]
        else { return nil }
        if let own = told.resources[request.fromResourceText] { return own }
        return told.everybody
    }
}

extension Stanza {
    /// The resource of `from`, escaped as it stands in the bytes; empty where there is none.
    var fromResourceText: String { fromPlace.map { text(in: $0.resource) } ?? "" }
    var toResourceText: String { toPlace.map { text(in: $0.resource) } ?? "" }
}
