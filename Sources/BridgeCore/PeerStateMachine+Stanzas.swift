package import NIOCore
import Outbox
package import XMPP

extension PeerStateMachine {
    // MARK: From the local server

    /// A stanza of the local side for this peer. Its `from` was proved on the stream that it came on.
    package mutating func localStanzaReceived(_ stanza: Stanza, receipt: LocalReceipt?, now: NIODeadline) {
        if let receipt { actions.append(.handled(receipt)) }
        if let event = localViolation(of: stanza) {
            count(event)
            if event == .localForeignRecipient { refuse(stanza, .notServed, from: .local, now: now) }
            return
        }
        localRooms.learn(from: stanza)
        if stanza.isError, stanza.kind != .iq, remoteRooms.isForRoom(stanza) {
            count(.roomErrorSuppressed)
            return
        }
        guard !isStopped else {
            count(.lostAtShutdown)
            refuse(stanza, .shuttingDown, from: .local, now: now)
            return
        }
        if stanza.kind == .iq {
            guard admitLocalIQ(stanza, now: now) else { return }
        }
        if !enqueue(stanza, now: now) {
            if stanza.isIQRequest { _ = localRequests.remove(stanza) }
            refuse(stanza, .queueFull, from: .local, now: now)
        }
        settle(now: now)
    }

    /// `from` must be ours and `to` the peer's. The configuration has said so too; this is where it is enforced.
    private mutating func localViolation(of stanza: Stanza) -> PeerEvent? {
        guard stanza.kind != .other else { return .localNotAStanza }
        guard localDomains.containsSender(of: stanza) else {
            return stanza.from == nil ? .localMissingAddress : .localForeignSender
        }
        guard remoteDomains.containsRecipient(of: stanza) else {
            return stanza.to == nil ? .localMissingAddress : .localForeignRecipient
        }
        return nil
    }

    /// Keeps account of an IQ; false when it does not cross.
    private mutating func admitLocalIQ(_ stanza: Stanza, now: NIODeadline) -> Bool {
        if stanza.isIQAnswer {
            guard remoteRequests.answerCrossed(stanza) != nil else {
                count(.answerDiscarded)
                return false
            }
            return true
        }
        return admitRequest(
            stanza, stanza.isIQRequest ? localRequests.requestCrossed(stanza, now: now) : .noID, from: .local, now: now)
    }

    private mutating func admitRequest(
        _ stanza: Stanza, _ admission: RequestTracker.Admission, from side: Side, now: NIODeadline
    ) -> Bool {
        switch admission {
        case .accepted:
            return true
        case .full:
            count(.requestTableFull)
            refuse(stanza, .requestTableFull, from: side, now: now)
        case .noID:
            count(.malformedIQ)
            refuse(stanza, .malformed, from: side, now: now)
        }
        return false
    }

    // MARK: From the link

    /// A stanza from the peer's link. Nothing about it is believed before its addresses were checked, and nothing that is
    /// wrapped inside it is ever looked at as a stanza.
    package mutating func linkStanzaReceived(_ stanza: Stanza, now: NIODeadline) {
        if let event = linkViolation(of: stanza) {
            violated(event, now: now)
            return
        }
        counters.received.add(stanza.kind)
        remoteRooms.learn(from: stanza)
        if stanza.isError, stanza.kind != .iq, localRooms.isForRoom(stanza) {
            count(.roomErrorSuppressed)
            return
        }
        if stanza.kind == .iq {
            guard admitLinkIQ(stanza, now: now) else {
                settle(now: now)
                return
            }
        }
        actions.append(.deliver(stanza, id: nil))
        if stanza.kind == .iq { settle(now: now) }
    }

    /// A whole block from the peer's link (dialect `skywave`).
    package mutating func linkBlockReceived(_ block: ByteBuffer, now: NIODeadline) {}

    /// The local server is responsible for these stanzas of the inbox now.
    package mutating func delivered(_ ids: [UInt64], now: NIODeadline) {}

    // MARK: The local server's streams

    /// The stream over which the local server spoke for one of its domains is gone.
    package mutating func localStreamLost(_ domain: Domain, now: NIODeadline) {}

    /// The local server speaks for one of its domains again.
    package mutating func localStreamOpened(_ domain: Domain, now: NIODeadline) {}

    // MARK: The operator

    /// Takes a stanza out of the queue and sends it back to its sender; false when it is not there or has left already.
    package mutating func cancel(_ outboxID: UInt64, now: NIODeadline) -> Bool { false }

    /// What waits for the link, first what leaves first, at most `limit` of it.
    package mutating func queueEntries(limit: Int, now: NIODeadline) -> [QueueEntry] { [] }

    /// The stub of a stanza that was larger than `limit` bytes and skipped.
    package mutating func linkOversizeReceived(_ stub: Stanza, limit: Int, now: NIODeadline) {
        if let event = linkViolation(of: stub) {
            violated(event, now: now)
            return
        }
        count(.oversize)
        if stub.isIQAnswer {
            if let request = localRequests.answerCrossed(stub) {
                bounce(request, .answerOversize(limit: limit), from: .local, now: now)
            }
        } else {
            refuse(stub, .oversize(limit: limit), from: .link, now: now)
        }
        settle(now: now)
    }

    /// The local server could not be given a stanza that came over the link, or an error that was made up here.
    ///
    /// - Parameter id: its place in the inbox, nil when it has none.
    package mutating func localDeliveryFailed(
        _ id: UInt64?, _ stanza: Stanza, _ condition: StanzaErrorCondition, _ type: StanzaErrorType, now: NIODeadline
    ) {
        count(.undeliverable)
        guard linkViolation(of: stanza) == nil else { return }
        if stanza.isIQRequest {
            guard remoteRequests.remove(stanza) else { return }
        }
        refuse(stanza, .localDelivery(condition, type), from: .link, now: now)
        settle(now: now)
    }

    private mutating func linkViolation(of stanza: Stanza) -> PeerEvent? {
        guard stanza.kind != .other else { return .notAStanza }
        guard remoteDomains.containsSender(of: stanza) else {
            if stanza.from == nil { return .missingAddress }
            return localDomains.containsSender(of: stanza) ? .ownSideSender : .foreignSender
        }
        guard localDomains.containsRecipient(of: stanza) else {
            return stanza.to == nil ? .missingAddress : .foreignRecipient
        }
        return nil
    }

    /// Drops what breaks the agreement, and ends the link of a peer that does not stop (XEP-0361 §4.5 would end it at once: on
    /// a link that costs minutes to build, too dear for one mistake).
    ///
    /// Nobody is told: a sender that the peer may not speak for is not known, and an error in the name of a recipient that is
    /// not ours would itself break the agreement.
    private mutating func violated(_ event: PeerEvent, now: NIODeadline) {
        count(event)
        guard let condition = event.streamError, policy.violationLimit > 0, link != .down else { return }
        let violations = counters.addViolation(now: now, window: policy.violationWindow)
        guard violations == policy.violationLimit else { return }
        actions.append(.failLink(StreamError(condition, text: "too many violations of the peering agreement")))
    }

    private mutating func admitLinkIQ(_ stanza: Stanza, now: NIODeadline) -> Bool {
        if stanza.isIQAnswer {
            guard localRequests.answerCrossed(stanza) != nil else {
                count(.answerDiscarded)
                return false
            }
            return true
        }
        return admitRequest(
            stanza, stanza.isIQRequest ? remoteRequests.requestCrossed(stanza, now: now) : .noID, from: .link, now: now)
    }

    // MARK: Errors in somebody else's name

    /// Answers a stanza that was never taken on, as far as the budget goes.
    mutating func refuse(_ stanza: Stanza, _ reason: BounceReason, from side: Side, now: NIODeadline) {
        switch side {
        case .local:
            // A request of a local user always gets its answer; his server waits for it.
            guard stanza.isIQRequest || localBudget.spend(now: now) else {
                count(.bounceBudgetSpent)
                return
            }
        case .link:
            guard linkBudget.spend(now: now) else {
                count(.bounceBudgetSpent)
                return
            }
        }
        bounce(stanza, reason, from: side, now: now)
    }

    /// Answers a stanza with the error for `reason`, where ``BounceTable`` allows one.
    mutating func bounce(_ stanza: Stanza, _ reason: BounceReason, from side: Side, now: NIODeadline) {
        let isFromRoom = side == .local ? localRooms.isFromRoom(stanza) : remoteRooms.isFromRoom(stanza)
        let isStub = if case .oversize = reason { true } else { false }
        let verdict = BounceTable.verdict(
            kind: stanza.kind, type: stanza.type, isFromRoom: isFromRoom,
            isOnlyMetadata: !isStub && stanza.isOnlyMetadata)
        switch verdict {
        case .silence(.isFromRoom):
            count(.roomStanzaLost)
        case .silence(.isAnswer), .silence(.isPresence), .silence(.isOnlyMetadata), .silence(.isNoStanza):
            break
        case .answer:
            let reply = BounceTable.reply(to: reason)
            guard let error = stanza.errorReply(reply.condition, type: reply.type, text: reply.text) else { return }
            switch side {
            case .local:
                counters.addBounce(reply.condition)
                actions.append(.deliver(error, id: nil))
            case .link:
                guard !isStopped, enqueue(error, now: now) else { return }
                counters.addBounce(reply.condition)
            }
        }
    }

    /// Ends what waited or was in flight when the bridge stops.
    mutating func giveUp(_ stanza: Stanza, _ reason: BounceReason, now: NIODeadline) {
        if stanza.isIQRequest {
            guard localRequests.remove(stanza) else { return }
        }
        count(.lostAtShutdown)
        bounce(stanza, reason, from: .local, now: now)
    }

    mutating func count(_ event: PeerEvent) {
        if let note = counters.add(event) { actions.append(.note(note)) }
    }
}
