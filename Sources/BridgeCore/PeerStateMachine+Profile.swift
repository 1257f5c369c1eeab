import NIOCore
import Profiles
import XMPP

// What the profile makes of stanzas, in both directions.
extension PeerStateMachine {
    /// What of a local stanza goes on its way to the peer; nil where it does not, and everybody was told who has to be.
    mutating func profileOutbound(_ stanza: Stanza, now: NIODeadline) -> Stanza? {
        guard let profile = policy.profile else { return stanza }
        var verdict = profile.apply(stanza, direction: .out)
        // Who the sender is matters only where he would be told; looking him up takes longer than all else.
        if case .refuse = verdict, localRooms.isFromRoom(stanza) {
            verdict = profile.apply(stanza, direction: .out, sender: .room)
        }
        switch verdict {
        case .pass:
            return stanza
        case .fold(let folded):
            count(.profileFolded)
            return folded
        case .truncate(let cut):
            count(.profileTruncated)
            return cut
        case .drop(let reason):
            count(reason.event)
            return nil
        case .refuse(let refusal):
            refuseByProfile(stanza, refusal, now: now)
            return nil
        case .answerLocally(let otherwise):
            if let answer = certainAnswer(to: stanza, now: now) {
                count(.answeredLocally)
                deliverLocally(answer, isOwnAnswer: true, isRefusal: true, now: now)
                return nil
            }
            guard let otherwise else { return stanza }
            refuseByProfile(stanza, otherwise, now: now)
            return nil
        }
    }

    private mutating func refuseByProfile(_ stanza: Stanza, _ refusal: Refusal, now: NIODeadline) {
        count(.profileRefused)
        refuse(stanza, .profile(refusal), from: .local, now: now)
        // The same again is refused for the same reason, in the same words.
        hasRefused = false
    }

    /// What of the peer's stanza goes on its way to the local server; nil where it does not.
    mutating func profileInbound(_ stanza: Stanza, now: NIODeadline) -> Stanza? {
        guard let profile = policy.profile else { return stanza }
        var verdict = profile.apply(stanza, direction: .in)
        if verdict != .pass, remoteRooms.isFromRoom(stanza) {
            verdict = profile.apply(stanza, direction: .in, sender: .room)
        }
        switch verdict {
        case .pass, .answerLocally:
            return stanza
        case .fold(let folded):
            count(.profileFolded)
            return folded
        case .truncate(let cut):
            count(.profileTruncated)
            return cut
        case .drop(let reason):
            count(reason.event)
            return nil
        case .refuse(let refusal):
            count(.profileRefused)
            refuse(stanza, .profile(refusal), from: .link, now: now)
            return nil
        }
    }
}

extension DropReason {
    var event: PeerEvent {
        switch self {
        case .onlyMetadata, .nothingLeft, .noPresence: .profileDropped
        case .serverOwned: .spoofedElement
        case .fromRoom: .profileDroppedFromRoom
        }
    }
}
