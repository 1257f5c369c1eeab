package import NIOCore
import Outbox
package import XMPP

// What goes to the local server.
extension PeerStateMachine {
    /// Gives a stanza to the local server: through the inbox where there is a journal.
    ///
    /// - Parameters:
    ///   - isOwnAnswer: an error that the bridge made up. Such are bounded here; what the peer sends is bounded by
    ///     holding the link.
    ///   - isRefusal: the answer to something that was never taken; while the journal takes nothing it does not wait for it.
    mutating func deliverLocally(
        _ stanza: Stanza, isOwnAnswer: Bool = false, isRefusal: Bool = false, now: NIODeadline
    ) {
        guard journal.isOn else {
            actions.append(.deliver(stanza, id: nil))
            return
        }
        if isOwnAnswer, inbox.byteCount > 2 * policy.inboxBytes || inbox.stanzaCount > 2 * policy.inboxStanzas {
            count(.inboxFull)
            return
        }
        let isRecorded = isRecorded(stanza)
        let time = clock.milliseconds(now)
        if isRefusal, isJournalStalled {
            let id = inbox.appendGiven(stanza, now: time)
            refusals.answered(id)
            actions.append(.deliver(stanza, id: id))
            return
        }
        if isRecorded { journal.put(.inbox, id: inbox.nextID, stanza, time: time) }
        _ = inbox.append(stanza, isRecorded: isRecorded, batch: journal.gate, now: time)
    }

    /// Gives out what is durable, as far as the window goes; holds the link while too much waits.
    mutating func pumpInbox(now: NIODeadline) {
        if !isLocalCongested {
            while let next = inbox.next(committed: journal.committed) {
                let time = clock.milliseconds(now)
                let stanza = delayStamp.stamped(next.stanza, age: time > next.arrival ? time - next.arrival : 0, now: now)
                actions.append(.deliver(stanza, id: next.id))
            }
        }
        // A peer can also fill memory with what never gets into the inbox: text, parts, poison, blocks without content.
        let bytes = max(inbox.byteCount, journal.uncommittedBytes)
        let isFull = bytes > policy.inboxBytes || inbox.stanzaCount > policy.inboxStanzas
        let isHalfEmpty = bytes <= policy.inboxBytes / 2 && inbox.stanzaCount <= policy.inboxStanzas / 2
        if !isLinkHeld, isFull {
            isLinkHeld = true
            actions.append(.holdLink(true))
        } else if isLinkHeld, isHalfEmpty {
            isLinkHeld = false
            actions.append(.holdLink(false))
            takeHeldBlocks(now: now)
        }
    }

    /// The local server is responsible for these stanzas of the inbox now.
    package mutating func delivered(_ ids: [UInt64], now: NIODeadline) {
        for id in ids { _ = removeFromInbox(id) }
        settle(now: now)
    }

    private mutating func removeFromInbox(_ id: UInt64) -> Stanza? {
        if let receipt = refusals.settled(id) { actions.append(.handled(receipt, isRefused: true)) }
        guard let removed = inbox.remove(id) else { return nil }
        if removed.isRecorded {
            journal.remove(.inbox, id: id)
            inbox.removalRecorded(in: journal.gate)
        }
        return removed.stanza
    }

    /// When something in the inbox has waited for longer than messages may.
    var inboxExpiry: NIODeadline? {
        // Changes nothing, but else the getter would be given a copy of the whole machine, with every stanza.
        mutating get {
            guard let oldest = inbox.oldestWaiting else { return nil }
            let end = clock.deadline(oldest) + policy.messageLifetime
            return nextInboxExpiry.map { max($0, end) } ?? end
        }
    }

    /// Ends what waited for a domain of this site that takes nothing: senders at the other site must hear of it one day, and the
    /// inbox must not fill with it for good.
    mutating func expireInbox(now: NIODeadline) {
        guard let due = inboxExpiry, due <= now else { return }
        // What may not expire stays at the head; the rest need not be looked through all the time for its sake.
        nextInboxExpiry = now + .minutes(1)
        let lifetime = UInt64(max(0, policy.messageLifetime.nanoseconds) / 1_000_000)
        let time = clock.milliseconds(now)
        guard time >= lifetime else { return }
        for (id, stanza, isRecorded) in inbox.takeExpired(arrived: time - lifetime) {
            if isRecorded { journal.remove(.inbox, id: id) }
            count(.expiredInInbox)
            guard linkViolation(of: stanza) == nil else { continue }
            if stanza.isIQRequest {
                guard let tracked = remoteRequests.remove(stanza) else { continue }
                journal.remove(.remoteRequests, id: tracked.row)
            }
            bounce(stanza, .localDelivery(.remoteServerTimeout, .wait), from: .link, now: now)
        }
    }

    /// Errors that were given out while the journal took nothing, and that the local server has not got yet, become rows.
    mutating func recordRefusals() {
        guard refusals.hasUnwritten else { return }
        for (id, mark) in refusals.takeUnwritten(batch: journal.nextBatch) {
            guard let (stanza, arrival) = inbox.recorded(id) else { continue }
            journal.put(.inbox, id: id, stanza, time: arrival)
            // With the error durable, the stanza must not be taken after all when the server sends it again.
            if let mark { fingerprints.add(mark) }
        }
    }

    /// True: the local server reads too slowly, so the inbox keeps what it has.
    package mutating func localCongested(_ isCongested: Bool, now: NIODeadline) {
        isLocalCongested = isCongested
        settle(now: now)
    }

    /// The local server could not be given a stanza that came over the link, or an error that was made up here.
    ///
    /// - Parameter id: its place in the inbox, nil when it has none.
    package mutating func localDeliveryFailed(
        _ id: UInt64?, _ stanza: Stanza, _ condition: StanzaErrorCondition, _ type: StanzaErrorType, now: NIODeadline
    ) {
        // Said of something that is not there any more: it was answered already.
        if let id, removeFromInbox(id) == nil { return settle(now: now) }
        if id == nil, rooms.deliveryFailed(stanza, now: now) { return settle(now: now) }
        count(.undeliverable)
        if linkViolation(of: stanza) == nil {
            if stanza.isIQRequest {
                guard let tracked = remoteRequests.remove(stanza) else { return settle(now: now) }
                journal.remove(.remoteRequests, id: tracked.row)
            }
            refuse(stanza, .localDelivery(condition, type), from: .link, now: now)
        }
        settle(now: now)
    }
}
