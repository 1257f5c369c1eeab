import NIOCore
import Outbox
import PresenceCache
import XMPP

/// Reads one stanza from XML text, as it comes on a server-to-server stream.
func stanza(_ xml: String) throws -> Stanza { try StanzaReader().read(ByteBuffer(string: xml)) }

enum Who {
    static let local = "juliet@capulet.example"
    static let remote = "romeo@montague.example"
    static let stamp = "<delay xmlns='urn:xmpp:delay' from='montague.example' stamp='2026-01-01T00:00:00Z'/>"
    static let localStamp = "<delay xmlns='urn:xmpp:delay' from='capulet.example' stamp='2026-01-01T00:00:00Z'/>"
}

func presence(
    from: String, to: String, _ type: String? = nil, _ payload: String = "", id: String? = nil
) throws -> Stanza {
    let type = type.map { " type='\($0)'" } ?? ""
    let id = id.map { " id='\($0)'" } ?? ""
    return try stanza("<presence from='\(from)' to='\(to)'\(type)\(id)>\(payload)</presence>")
}

/// A cache with a clock.
final class TestPresence {
    private(set) var cache: PeerPresence
    private(set) var now = NIODeadline.now()

    init(
        _ policy: PresencePolicy = PresencePolicy(), limits: PresenceLimits = PresenceLimits(),
        recovered: [RecoveredPeer.Row] = [], isJournaled: Bool = false
    ) {
        cache = PeerPresence(
            policy: policy, limits: limits, key: (1, 2), recovered: recovered, isJournaled: isJournaled, now: now)
    }

    var counts: PresenceCounts { cache.counts }
    var entryCount: Int { cache.entryCount }
    var pairCount: Int { cache.pairCount }
    var textByteCount: Int { cache.textByteCount }

    /// A stanza of the local server.
    func local(_ stanza: Stanza, isRoom: Bool = false) -> LocalPresenceVerdict {
        cache.localPresenceReceived(stanza, isRoom: isRoom, now: now)
    }

    func local(
        _ type: String? = nil, _ payload: String = "", from: String = Who.local + "/balcony", to: String = Who.remote,
        id: String? = nil
    ) throws -> LocalPresenceVerdict {
        local(try presence(from: from, to: to, type, payload, id: id))
    }

    /// A stanza from the link.
    func remote(_ stanza: Stanza, isRoom: Bool = false) -> RemotePresenceVerdict {
        cache.remotePresenceReceived(stanza, isRoom: isRoom, now: now)
    }

    @discardableResult
    func remote(
        _ type: String? = nil, _ payload: String = "", from: String = Who.remote + "/orchard", to: String = Who.local
    ) throws -> RemotePresenceVerdict {
        remote(try presence(from: from, to: to, type, payload))
    }

    /// Lets time pass; every deadline on the way is met.
    func pass(_ amount: TimeAmount) {
        let end = now + amount
        var rounds = 0
        while let next = cache.nextDeadline, next <= end {
            now = max(now, next)
            cache.deadlineReached(now: now)
            rounds += 1
            precondition(rounds < 1_000_000, "the cache never rests")
        }
        now = end
    }

    func act<R>(_ body: (inout PeerPresence, NIODeadline) -> R) -> R { body(&cache, now) }

    /// What the cache gave out since the last call, as XML; deliveries without their age.
    func takeActions() -> [String] {
        var texts: [String] = []
        while let action = cache.nextAction() {
            switch action {
            case .cross(let stanza): texts.append("link: " + stanza.text)
            case .deliver(let stanza, _): texts.append("local: " + stanza.text)
            }
        }
        return texts
    }

    func takeRecords() -> [JournalRecord] { cache.takeRecords(time: 7) }

    /// A probe of a local user: what it is answered, or nil when it crosses.
    func probe(from: String = Who.local + "/balcony", to: String = Who.remote) throws -> [String]? {
        _ = takeActions()
        let verdict = try local("probe", from: from, to: to)
        guard case .answered(let count) = verdict else { return nil }
        let answers = takeActions()
        precondition(answers.count == count)
        return answers
    }

    /// Makes the contact known by the answer to a probe.
    func learn(_ payload: String = "", from: String = Who.remote + "/orchard", to: String = Who.local + "/balcony")
        throws
    {
        _ = try local("probe", from: to, to: String(from.prefix { $0 != "/" }))
        try remote(nil, payload + Who.stamp, from: from, to: to)
        pass(.seconds(61))
    }
}

extension RecoveredPeer.Row {
    /// What a store would have kept.
    static func kept(_ batches: [JournalRecord]) -> [RecoveredPeer.Row] {
        var rows: [UInt64: RecoveredPeer.Row] = [:]
        for record in batches {
            switch record {
            case .put(.presence, let id, .bytes(let payload), let time):
                rows[id] = RecoveredPeer.Row(id: id, payload: payload, time: time)
            case .remove(.presence, let ids):
                for id in ids { rows[id] = nil }
            default: break
            }
        }
        return rows.keys.sorted().compactMap { rows[$0] }
    }
}
