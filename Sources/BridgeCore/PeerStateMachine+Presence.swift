import Blocks
import NIOCore
import Outbox
import PresenceCache
import Profiles
import XMPP

// Presence: what the other side knows need not cross again, and what is known here is answered here (docs/presence.md).
extension PeerStateMachine {
    /// Whether a stanza of a local user goes on to the link. What the cache wants said instead is said.
    mutating func admitPresence(_ stanza: Stanza, now: NIODeadline) -> Bool {
        guard policy.cachesPresence, stanza.kind == .presence else { return true }
        if policy.spacesPresence {
            presence.policy.minimumInterval =
                policy.profile?.minimumInterval(of: stanza, direction: .out) ?? .zero
        }
        // What a room says to its occupants and what goes to a room is about the room and crosses.
        let isRoom = remoteRooms.isForRoom(stanza) || localRooms.isFromRoom(stanza)
        let verdict = presence.localPresenceReceived(stanza, isRoom: isRoom, now: now)
        drawPresence(now: now)
        switch verdict {
        case .cross:
            return true
        case .repeated:
            count(.presenceRepeated)
        case .held:
            count(.presenceHeld)
        case .answered:
            count(.probeAnswered)
        }
        return false
    }

    /// Presence that the run before left in the outbox, in the order in which it came: where it does not cross after all it is
    /// owed.
    mutating func presenceRecovered(_ stanza: Stanza, now: NIODeadline) {
        guard policy.cachesPresence, stanza.kind == .presence, stanza.type == .absent || stanza.type == .unavailable else {
            return
        }
        let isRoom = remoteRooms.isForRoom(stanza) || localRooms.isFromRoom(stanza)
        presence.presenceRecovered(stanza, isRoom: isRoom, now: now)
    }

    /// Learns from a stanza of the peer, as it crossed and as it is delivered.
    mutating func learnPresence(_ stanza: Stanza, now: NIODeadline) {
        guard policy.cachesPresence, stanza.kind == .presence else { return }
        _ = presence.remotePresenceReceived(
            stanza, isRoom: remoteRooms.isFromRoom(stanza) || localRooms.isForRoom(stanza), now: now)
        drawPresence(now: now)
    }

    /// A presence that was to cross did not.
    mutating func presenceNotCrossed(_ stanza: Stanza, now: NIODeadline) {
        guard policy.cachesPresence else { return }
        presence.presenceNotCrossed(stanza, now: now)
        drawPresence(now: now)
    }

    /// Carries out what the cache has decided. What it gives to the link does not pass it again.
    mutating func drawPresence(now: NIODeadline) {
        while let action = presence.nextAction() {
            switch action {
            case .cross(let stanza):
                guard !isStopped || journal.isOn, !enqueue(stanza, now: now) else { continue }
                presence.presenceNotCrossed(stanza, now: now)
            case .deliver(let stanza, let age):
                let told = age.map { delayStamp.stamped(stanza, age: $0, now: now) } ?? stanza
                deliverLocally(told, isOwnAnswer: true, now: now)
            }
        }
        for record in presence.takeRecords(time: clock.milliseconds(now)) { journal.add(record) }
    }

    /// The peer's first block of a connection was read.
    mutating func peerRecognised(_ remark: String?, now: NIODeadline) {
        peerRemark = remark
        if !policy.isReachedWhenUp {
            presence.linkCameUp(now: now)
            drawPresence(now: now)
        }
        guard session.peerProcess != peerProcess else { return }
        peerProcess = session.peerProcess
        if policy.cachesPresence { presence.peerRestarted(now: now) }
    }

    static func makePresence(
        _ policy: PeerPolicy, recovered: RecoveredPeer, random: UInt64, now: NIODeadline
    ) -> PeerPresence {
        var presence = PeerPresence(
            policy: policy.presence, limits: policy.presenceLimits, key: (random, random &* 0x9e37_79b9_7f4a_7c15),
            recovered: policy.isJournaled && policy.cachesPresence ? recovered[.presence] : [],
            isJournaled: policy.isJournaled, now: now)
        // No link is there yet.
        presence.linkWentDown(now: now)
        return presence
    }
}
