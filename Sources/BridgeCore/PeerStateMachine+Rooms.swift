package import NIOCore
import Outbox
import PresenceCache
package import XMPP

// Rooms: who of the peer's users is in which room of this site, and who of ours is gone from the peer's.
extension PeerStateMachine {
    /// The stream over which the local server spoke for one of its domains is gone.
    package mutating func localStreamLost(_ domain: Domain, now: NIODeadline) {
        rooms.streamLost(domain, now: now)
        if !policy.roomDomains.contains(domain) { presence.localStreamLost(now: now) }
        drawRooms(now: now)
        settle(now: now)
    }

    /// The local server speaks for one of its domains again.
    package mutating func localStreamOpened(_ domain: Domain, now: NIODeadline) {
        rooms.streamOpened(domain, now: now)
        if !policy.roomDomains.contains(domain) { presence.localStreamRestored(now: now) }
        drawRooms(now: now)
        settle(now: now)
    }

    /// Whether a stanza of the local server crosses, as far as rooms are concerned.
    mutating func admitFromRooms(_ stanza: Stanza, now: NIODeadline) -> Bool {
        if stanza.kind == .presence, stanza.type == .absent, stanza.hasChild(.muc) { departures.joined(stanza) }
        return rooms.localStanzaReceived(stanza, now: now) == .pass
    }

    /// Carries out what the machine of rooms has decided.
    mutating func drawRooms(now: NIODeadline) {
        while let action = rooms.nextAction() {
            switch action {
            case .deliver(let stanza):
                // Made anew when it is lost, so it needs no row.
                actions.append(.deliver(stanza, id: nil))
            case .release(let stanza, let id):
                if let id { journal.remove(.inbox, id: id) }
                deliverLocally(stanza, now: now)
            case .send(let stanza):
                _ = enqueue(stanza, now: now)
            }
        }
    }

    /// Gives a stanza of the peer to the local server, or holds it until its sender is in the room again.
    mutating func deliverFromLink(_ stanza: Stanza, now: NIODeadline) {
        let id = journal.isOn && isRecorded(stanza) ? inbox.nextID : nil
        switch rooms.linkStanzaReceived(stanza, id: id, now: now) {
        case .pass:
            deliverLocally(stanza, now: now)
        case .swallow:
            // The room's machine may release it under this id, whose removal stands at the end of the batch: nothing that is
            // released before it may get the id.
            if let id { inbox.idsUsed(through: id) }
        case .hold:
            // Its row is kept; it gets another when it is released.
            if let id {
                journal.put(.inbox, id: id, stanza, time: clock.milliseconds(now))
                inbox.idsUsed(through: id)
            }
        }
        if rooms.hasActions { drawRooms(now: now) }
    }

    /// An error of the local server for a far room never crosses. Where it says that the occupant is gone, his leave does.
    mutating func errorForRoom(_ error: Stanza, now: NIODeadline) {
        count(.roomErrorSuppressed)
        guard let leave = RoomDeparture.leave(for: error), departures.leaves(leave, now: now) else { return }
        count(.ghostRemoved)
        learnLocal(leave)
        _ = enqueue(leave, now: now)
    }

    /// Memberships as the journal had them. Their rooms are known at once: it is now that servers send errors.
    mutating func recoverRooms(now: NIODeadline) {
        for room in rooms.addresses { localRooms.add(room) }
    }
}

/// Leaves that were sent for users who are gone, so that a burst of errors makes one.
struct RecentDepartures {
    private var places: [(hash: UInt64, until: NIODeadline)]
    private static let count = 256
    private static let time: TimeAmount = .minutes(1)

    init() { places = Array(repeating: (0, .uptimeNanoseconds(0)), count: Self.count) }

    /// Whether this leave is one that was not sent a moment ago.
    mutating func leaves(_ leave: Stanza, now: NIODeadline) -> Bool {
        let hash = Self.hash(leave)
        let place = Int(truncatingIfNeeded: hash) & (Self.count - 1)
        guard places[place].hash != hash || places[place].until <= now else { return false }
        places[place] = (hash, now + Self.time)
        return true
    }

    /// He is in the room again, and may go again.
    mutating func joined(_ join: Stanza) {
        let hash = Self.hash(join)
        let place = Int(truncatingIfNeeded: hash) & (Self.count - 1)
        if places[place].hash == hash { places[place].until = .uptimeNanoseconds(0) }
    }

    private static func hash(_ stanza: Stanza) -> UInt64 {
        var hash = StableHash()
        hash.combine(StableHash.of(stanza.fromText))
        hash.combine(stanza.bareToHash)
        return hash.value
    }
}
