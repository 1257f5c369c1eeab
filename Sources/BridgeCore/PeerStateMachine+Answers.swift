import LocalAnswers
import NIOCore
import Profiles
import XMPP

// What the bridge answers in the name of the peer's entities, and what it learns for that; docs/local-answers.md.
extension PeerStateMachine {
    /// What the profile wants remembered.
    static func answerSubjects(_ profile: CompiledProfile?) -> LocalAnswers.Subjects {
        guard let profile else { return [] }
        var subjects: LocalAnswers.Subjects = []
        if profile.mayAnswer("disco-info") { subjects.insert(.discoInfo) }
        if profile.mayAnswer("vcard") { subjects.insert(.vCards) }
        return subjects
    }

    /// The answer to a request that is known for certain without asking.
    ///
    /// The bridge stands in for the remote server and for whatever is done in the name of an account, so it answers their
    /// pings (XEP-0199 §4.2); whether a client is there it does not know. Of a room it knows who is in it where stanzas
    /// cannot get lost, or while the link is down (``answerRoomPing(_:now:)``).
    mutating func certainAnswer(to request: Stanza, now: NIODeadline) -> Stanza? {
        guard request.type == .get else { return nil }
        if request.hasChild(.ping) {
            if speaksBlocks, case .own(let answer) = answers.roomPing(request) { return answer }
            return pong(request)
        }
        return answers.discoInfo(for: request)
            ?? answers.vCard(for: request, lifetime: policy.profile?.vCardLifetime(of: request), now: now)
    }

    private func pong(_ request: Stanza) -> Stanza? {
        guard request.elementCount == 2, let to = request.to, let from = request.from, let id = request.id, to.isBare,
            !remoteRooms.isForRoom(request)
        else { return nil }
        var writer = StanzaWriter()
        writer.start(
            "iq", XMLNamespace.server,
            [("to", from.description), ("from", to.description), ("type", "result"), ("id", id)])
        return writer.finish()
    }

    /// While the link is down a client that asks whether it is still in a room is told what is known, whatever the profile
    /// says: any other error but a time-out would make it join again (XEP-0410 §3.2), and an answer that
    /// comes after the outage helps nobody. True when the request is answered.
    mutating func answerRoomPing(_ request: Stanza, now: NIODeadline) -> Bool {
        guard link == .down, request.kind == .iq, let place = answers.roomPing(request) else { return false }
        switch place {
        case .another:
            return false
        case .own(let answer):
            count(.answeredLocally)
            deliverLocally(answer, isOwnAnswer: true, isRefusal: true, now: now)
            return true
        case .unknown:
            guard remoteRooms.isForRoom(request) else { return false }
            refuse(request, .linkDown, from: .local, now: now)
            // When it is asked again the link may be up.
            hasRefused = false
            return true
        }
    }

    // MARK: Learning

    /// A stanza of this side goes into the outbox.
    mutating func learnLocal(_ stanza: Stanza) { answers.localStanzaCrossed(stanza) }

    /// A stanza of the peer is delivered. As it was when its server wrote it, with nothing of the bridges' own in it.
    mutating func learnRemote(_ stanza: Stanza) { answers.remoteStanzaReceived(stanza) }

    /// The link is up again. In dialect `xep` what the other side's kernel had taken may be lost.
    mutating func learnConnected() {
        if !speaksBlocks { answers.linkLostStanzas() }
    }

    /// An answer crossed to a request that is now answered, in either direction.
    mutating func learnAnswer(_ answer: Stanza, to request: Stanza, from side: Side, now: NIODeadline) {
        var keepsVCard = false
        if side == .link, LocalAnswers.isVCardRequest(request),
            case .answerLocally = policy.profile?.apply(request, direction: .out)
        {
            keepsVCard = true
        }
        answers.answerCrossed(answer, to: request, keepsVCard: keepsVCard, now: now)
    }
}
