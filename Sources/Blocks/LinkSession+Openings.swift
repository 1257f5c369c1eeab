import DequeModule
import NIOCore
import Outbox
import XMPP

// The openings of the other side (docs/link-protocol.md, Sessions).
extension LinkSession {
    /// Only a first block begins a session. Another one may have a renewed opening, which is for those that read the session
    /// already: of what went before it nothing would come again.
    func mayOpen(_ header: BlockHeader, _ opening: SessionOpening) -> Bool {
        if let body = header.body, body.lane == .normal, body.block == 0 { return true }
        return opening.epoch == receiving.epoch && opening.session == peerSession
    }

    /// Reads the opening of the other side's session. False when its block is of no use.
    mutating func open(_ opening: SessionOpening, _ header: BlockHeader, now: NIODeadline) -> Bool {
        guard opening.epoch != 0 else {
            note(.lateBlock)
            return false
        }
        if let past = receiving.past.first(where: { $0.epoch == opening.epoch }) {
            // Either the block is late, and its sender knows; or one that was as late, of another epoch, has passed for a newer
            // one, and its sender would otherwise wait for ever.
            guard opening.session != past.session else {
                note(.lateBlock)
                pendingRefusal = .unknownHistory(session: opening.session)
                return false
            }
            guard opening.session > past.session, opening.continues(past.process, received: past.received) else {
                note(.lateBlock)
                refuseRestored(opening, seen: past.session)
                return false
            }
        }
        if opening.epoch == receiving.epoch {
            if opening.session == peerSession {
                if opening.process == receiving.process {
                    named(by: opening)
                    if isFirstBlockLost(opening) { outgoing[0].unacknowledged[0].isMissing = true }
                    // It reads another epoch instead, by mistake: this is how it can be told.
                    if opening.peerEpoch != 0, opening.peerEpoch != sending.epoch, outgoing[0].acknowledged > 0, mayBeginAgain() {
                        beginSession()
                    }
                    return true
                }
                // Two runs of the sender began this session, one of them from an old copy of the journal: what comes of it from
                // now on may be of either, and must not be counted as the other's.
                note(.peerRestored)
                stopReading()
                refuseRestored(opening, seen: receiving.session)
                return false
            }
            // Also after a restart a session is never begun twice: its sender may be far beyond its first block. Our own
            // opening tells him to begin another.
            guard opening.session > receiving.session else {
                note(.lateBlock)
                if opening.session < receiving.session { refuseRestored(opening, seen: receiving.session) }
                return false
            }
            // Numbers are durable before they leave: a journal that, at the end of the run of which we have something, held fewer
            // than we have, or that knows nothing of that run, is a restored one (or ours is). The number of a stanza of which
            // only parts are here counts as well: another stanza with it must not be taken for the rest.
            let arrived = [max(receiving.received[0], fragments.number), receiving.received[1]]
            guard opening.continues(receiving.process, received: arrived) else {
                note(.peerRestored)
                refuseRestored(opening, seen: receiving.session)
                return false
            }
        }
        // What is still on its way of the epoch before could not be told from what comes in this one.
        guard
            opening.epoch == receiving.epoch || receiving.epoch == 0
                || (opening.session ^ receiving.session) % Self.distinctSessions != 0
        else {
            pendingRefusal = .unknownHistory(session: opening.session)
            note(.lateBlock)
            // Nor could what follows this opening be told from what follows of the session that was read until now.
            stopReading()
            return false
        }
        guard let history = history(for: opening) else {
            pendingRefusal = .unknownHistory(session: opening.session)
            note(.historyRefused)
            return false
        }
        begin(opening, header, history: history)
        numbersAcknowledged(opening)
        let remark = opening.profile == configuration.profile ? nil : "the peer uses another profile"
        events.append(.peerRecognised(remark: remark))
        return true
    }

    /// Names the run of the peer's process that was heard last; 0 for none.
    package var peerProcess: UInt32 { receiving.process }

    private mutating func refuseRestored(_ opening: SessionOpening, seen: UInt64) {
        pendingRefusal = .restored(epoch: opening.epoch, session: opening.session, seen: seen)
    }

    /// The text that the session goes on from; nil when it is not here.
    private func history(for opening: SessionOpening) -> ByteBuffer? {
        switch opening.history {
        case .none: return ByteBuffer()
        case .text(let position, let length, let hash):
            guard opening.epoch == receiving.epoch,
                let tail = receivedText.tail(at: position, length: Int(length)), LinkText.hash(tail) == hash
            else { return nil }
            return tail
        case .dictionary(let id):
            guard let dictionary = configuration.dictionary, dictionary.id == id else { return nil }
            return dictionary.text
        }
    }

    private mutating func begin(_ opening: SessionOpening, _ header: BlockHeader, history: ByteBuffer) {
        if opening.epoch != receiving.epoch {
            if receiving.epoch != 0 { note(.peerRestored) }
            receiving.begin(epoch: opening.epoch)
            records += fragments.clear()
        }
        receiving.session = opening.session
        receiving.process = opening.process
        unreadableSession = nil
        records.append(receiving.record)
        resetIncoming()
        decoders = []
        switch opening.history {
        case .text(let position, let length, _):
            receivedText.truncate(at: position)
            receivedText.forget(before: position - UInt64(length))
            records.append(.removeAbove(.receivedText, id: position))
        case .none, .dictionary:
            receivedText.clear()
            records.append(.removeAbove(.receivedText, id: 0))
            if case .dictionary = opening.history { peerDictionary = history }
        }
        blockEnds.append((0, receivedText.end))
        peerSession = opening.session
        namedByPeer = (0, 0)
        named(by: opening)
        if needsOurOpeningAgain(opening, header), mayBeginAgain() { beginSession() }
        if let own = self.opening,
            own.peerEpoch != receiving.epoch || receiving.session >= own.peerSession + Self.distinctSessions
        {
            needsRenewal = true
            isRenewalDue = true
        }
    }

    /// Whether the other side does not read our present session any more although it has read its opening, which therefore
    /// does not come again by itself. It may not know that it did: its journal may be an old copy, even one from before it
    /// heard of us.
    private func needsOurOpeningAgain(_ opening: SessionOpening, _ header: BlockHeader) -> Bool {
        let isAboutUs = opening.peerEpoch == sending.epoch
        if isAboutUs, opening.readsPeerSession, opening.peerSession == sending.session {
            // It has fewer blocks than were acknowledged: a repeat of the first one came to a copy that knew nothing of them.
            // Counts go back without such a reason only behind later ones, and nothing is later than a new session.
            return Int8(bitPattern: header.acknowledgedNormal &- UInt8(truncatingIfNeeded: outgoing[0].acknowledged)) < 0
        }
        if isAboutUs, !opening.readsPeerSession, opening.peerSession >= sending.session { return true }
        return outgoing[0].acknowledged > 0
    }

    /// Whether our first block came to where nobody was yet, so that it goes again without waiting: the other side has heard of this
    /// session, and says a second time that it does not read it.
    private func isFirstBlockLost(_ opening: SessionOpening) -> Bool {
        guard isFirstBlockBrought, !opening.readsPeerSession, configuration.repeatAfter != nil, outgoing[0].acknowledged == 0,
            let first = outgoing[0].unacknowledged.first
        else { return false }
        return first.isTaken && !first.isRepeated
    }

    /// A block came of a session whose first one did not. Its sender is told, once, that it is not read.
    mutating func unknownSessionReceived(now: NIODeadline) {
        guard configuration.firstRepeatAfter != nil, opening != nil, peerSession == 0, unreadableSession == nil, !hasAskedForOpening
        else { return }
        hasAskedForOpening = true
        isRenewalDue = true
        owe(by: now + configuration.acknowledgementDelay)
    }

    /// What the other side has of us, by number.
    private mutating func numbersAcknowledged(_ opening: SessionOpening) {
        resumablePart = nil
        guard opening.peerEpoch == sending.epoch else { return }
        // What a run numbered is what the journal held at its end, or the journal is an old one: then these numbers are not
        // those of the stanzas that have them now.
        let received = [opening.receivedNormal, opening.receivedExpress]
        guard let run = sending.highest(of: opening.peerProcess), run.covers(received),
            opening.receivedPart == 0 || opening.receivedNormal < run.highest[0]
        else {
            guard mayBeginAgain() else { return }
            beginEpochAfterRestore()
            return
        }
        if run.process == sending.process { processWasRead() }
        if opening.receivedNormal > 0 { events.append(.acknowledged(.normal, through: opening.receivedNormal)) }
        if opening.receivedExpress > 0 { events.append(.acknowledged(.express, through: opening.receivedExpress)) }
        resumablePart =
            opening.receivedPart > 0
            ? (opening.receivedNormal + 1, Int(clamping: opening.receivedPart)) : nil
    }

    /// What comes of the other side's session from now on is of no use.
    private mutating func stopReading() {
        peerSession = 0
        decoders = []
        resetIncoming()
    }

    /// The other side says which epoch and session of ours it reads.
    private mutating func named(by opening: SessionOpening) {
        guard opening.peerEpoch == sending.epoch else { return }
        guard namedByPeer.epoch != opening.peerEpoch || namedByPeer.session < opening.peerSession else { return }
        namedByPeer = (opening.peerEpoch, opening.peerSession)
    }
}
