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
    ///   - isRefusal: the answer to something that was never taken, which needs no journal.
    mutating func deliverLocally(
        _ stanza: Stanza, isOwnAnswer: Bool = false, isRefusal: Bool = false, now: NIODeadline
    ) {
        guard journal.isOn, !(isRefusal && isJournalStalled) else {
            actions.append(.deliver(stanza, id: journal.isOn ? refusals.takeTicket() : nil))
            return
        }
        if isOwnAnswer, inbox.byteCount > 2 * policy.inboxBytes || inbox.stanzaCount > 2 * policy.inboxStanzas {
            count(.inboxFull)
            return
        }
        let isRecorded = isRecorded(stanza)
        let time = clock.milliseconds(now)
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
        }
    }

    /// The local server is responsible for these stanzas of the inbox now.
    package mutating func delivered(_ ids: [UInt64], now: NIODeadline) {
        for id in ids where !refusalSettled(id) { _ = removeFromInbox(id) }
        settle(now: now)
    }

    /// True when the id is that of a refusal, which is settled now: the refused stanza counts as handled.
    private mutating func refusalSettled(_ id: UInt64) -> Bool {
        guard RefusalReceipts.isTicket(id) else { return false }
        if let receipt = refusals.settled(id) { actions.append(.handled(receipt)) }
        return true
    }

    private mutating func removeFromInbox(_ id: UInt64) -> Stanza? {
        guard let removed = inbox.remove(id) else { return nil }
        if removed.isRecorded { journal.remove(.inbox, id: id) }
        return removed.stanza
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
        if let id, refusalSettled(id) { return settle(now: now) }
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
