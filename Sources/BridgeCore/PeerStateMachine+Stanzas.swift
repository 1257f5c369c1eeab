package import NIOCore
import Outbox
package import XMPP

extension PeerStateMachine {
    // MARK: From the local server

    /// A stanza of the local side for this peer. Its `from` was proved on the stream that it came on.
    ///
    /// - Parameters:
    ///   - receipt: by which the local server is told, in `handled`, that the stanza needs no more care of its own.
    ///   - isTurnOpen: more may come at once, and ``turnEnded(now:)`` will follow: no block is cut before, so that what the server
    ///     wrote together crosses together.
    package mutating func localStanzaReceived(
        _ stanza: Stanza, receipt: LocalReceipt?, isTurnOpen: Bool = false, now: NIODeadline
    ) {
        // While nothing can be recorded, what would need a row is answered, and waits for nothing but its turn.
        let isRefused = isJournalStalled && StanzaLifetime(stanza) != .unlimited
        hasRefused = false
        wasEnqueued = false
        takeLocal(stanza, isRefused: isRefused, now: now)
        if journal.isOn, !isRefused, wasEnqueued || hasRefused,
            let mark = StanzaMark(stanza.fingerprint, isRefused: hasRefused)
        {
            fingerprints.add(mark)
        }
        // What the machine of rooms wants follows the stanza that it answers.
        if rooms.hasActions { drawRooms(now: now) }
        let isAnswered =
            isRefused && refusals.stanzaEnded(receipt, StanzaMark(stanza.fingerprint, isRefused: true))
        if let receipt, !isAnswered {
            if journal.isOn {
                receipts.append((isRefused ? receipts.last?.batch ?? 0 : journal.gate, receipt, hasRefused))
            } else {
                actions.append(.handled(receipt, isRefused: hasRefused))
            }
        }
        settle(isTurnOpen: isTurnOpen, now: now)
    }

    /// Everything that came in at once was fed to the machine.
    package mutating func turnEnded(now: NIODeadline) {
        guard owesTurn else { return }
        settle(now: now)
    }

    private mutating func takeLocal(_ stanza: Stanza, isRefused: Bool, now: NIODeadline) {
        if let event = localViolation(of: stanza) {
            count(event)
            if event == .localForeignRecipient { refuse(stanza, .notServed, from: .local, now: now) }
            return
        }
        localRooms.learn(from: stanza)
        if stanza.isError, stanza.kind != .iq, remoteRooms.isForRoom(stanza) {
            errorForRoom(stanza, now: now)
            return
        }
        guard !isStopped || journal.isOn else {
            count(.lostAtShutdown)
            refuse(stanza, .shuttingDown, from: .local, now: now)
            return
        }
        guard !isRefused else {
            count(.journalStalled)
            refuse(stanza, .journalStalled, from: .local, now: now)
            return
        }
        if answerRoomPing(stanza, now: now) { return }
        guard admitFromRooms(stanza, now: now), let stanza = profileOutbound(stanza, now: now) else { return }
        switch stanza.kind {
        case .iq: guard admitLocalIQ(stanza, now: now) else { return }
        case .presence: guard admitPresence(stanza, now: now) else { return }
        case .message, .other: break
        }
        learnLocal(stanza)
        if enqueue(stanza, now: now) { return }
        if stanza.kind == .presence { presenceNotCrossed(stanza, now: now) }
        if stanza.isIQRequest, let tracked = localRequests.remove(stanza) {
            journal.remove(.localRequests, id: tracked.row)
        }
        refuse(stanza, .queueFull, from: .local, now: now)
    }

    /// Adds to the outbox what goes to the peer; false when it is full.
    mutating func enqueue(_ original: Stanza, now: NIODeadline) -> Bool {
        let stanza = withTokens(original, now: now)
        let isRecorded = isRecorded(stanza)
        let time = clock.milliseconds(now)
        switch outbox.append(stanza, isRecorded: isRecorded, now: time) {
        case .accepted:
            if isRecorded { journal.put(.outbox, id: outbox.lastID, stanza, time: time) }
            wasEnqueued = true
            noteCopy(stanza)
            return true
        case .full:
            count(.outboxFull)
            // The token that was made for it is done with.
            if stanza.isIQRequest, let answer = stanza.errorReply(.resourceConstraint) {
                _ = withoutTokens(answer, now: now)
            }
            return false
        }
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
            guard let tracked = remoteRequests.answerCrossed(stanza) else {
                guard policy.matchesAnswers else { return true }
                count(.answerDiscarded)
                return false
            }
            journal.remove(.remoteRequests, id: tracked.row)
            learnAnswer(stanza, to: tracked.request, from: .local, now: now)
            return true
        }
        let admission =
            stanza.isIQRequest ? localRequests.requestCrossed(stanza, row: ids.requests + 1, now: now) : .noID
        if admission == .accepted { recordRequest(stanza, .localRequests, now: now) }
        return admitRequest(stanza, admission, from: .local, now: now)
    }

    private mutating func recordRequest(_ request: Stanza, _ table: JournalTable, now: NIODeadline) {
        ids.requests += 1
        guard journal.isOn else { return }
        journal.put(
            table, id: ids.requests, RequestTracker.withoutLargePayload(request), time: clock.milliseconds(now))
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

    /// A stanza from the peer's link (dialect `xep`).
    package mutating func linkStanzaReceived(_ stanza: Stanza, now: NIODeadline) {
        let hasAnswered = peerAnswered(now: now)
        takeFromLink(stanza, ageSeconds: 0, now: now)
        if hasAnswered || journal.isOn || stanza.kind == .iq { settle(now: now) }
    }

    /// A stanza that the peer sent. Nothing about it is believed before its addresses were checked, and nothing that is
    /// wrapped inside it is ever looked at as a stanza.
    mutating func takeFromLink(_ stanza: Stanza, ageSeconds: UInt32, now: NIODeadline) {
        if let event = linkViolation(of: stanza) {
            violated(event, now: now)
            return
        }
        counters.received.add(stanza.kind)
        let stanza = withoutTokens(stanza, now: now)
        remoteRooms.learn(from: stanza)
        if stanza.isError, stanza.kind != .iq, localRooms.isForRoom(stanza) {
            count(.roomErrorSuppressed)
            return
        }
        guard let stanza = profileInbound(stanza, now: now) else { return }
        if stanza.kind == .iq {
            guard admitLinkIQ(stanza, now: now) else { return }
        }
        // Before a stamp of our own, which would look like the answer to a probe.
        learnPresence(stanza, now: now)
        learnRemote(stanza)
        let age = UInt64(ageSeconds) * 1_000
        deliverFromLink(ageSeconds == 0 ? stanza : delayStamp.stamped(stanza, age: age, now: now), now: now)
    }

    /// The stub of a stanza that was larger than `limit` bytes and skipped.
    package mutating func linkOversizeReceived(_ stub: Stanza, limit: Int, now: NIODeadline) {
        if let event = linkViolation(of: stub) {
            violated(event, now: now)
            return
        }
        count(.oversize)
        let stub = withoutTokens(stub, now: now)
        if stub.isIQAnswer {
            if let tracked = localRequests.answerCrossed(stub) {
                journal.remove(.localRequests, id: tracked.row)
                bounce(tracked.request, .answerOversize(limit: limit), from: .local, now: now)
            }
        } else {
            refuse(stub, .oversize(limit: limit), from: .link, now: now)
        }
        settle(now: now)
    }

    mutating func linkViolation(of stanza: Stanza) -> PeerEvent? {
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
            guard let tracked = localRequests.answerCrossed(stanza) else {
                count(.answerDiscarded)
                return false
            }
            journal.remove(.localRequests, id: tracked.row)
            learnAnswer(stanza, to: tracked.request, from: .link, now: now)
            return true
        }
        let admission =
            stanza.isIQRequest ? remoteRequests.requestCrossed(stanza, row: ids.requests + 1, now: now) : .noID
        if admission == .accepted { recordRequest(stanza, .remoteRequests, now: now) }
        return admitRequest(stanza, admission, from: .link, now: now)
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
        bounce(stanza, reason, from: side, isRefusal: true, now: now)
    }

    /// Answers a stanza with the error for `reason`, where ``BounceTable`` allows one.
    ///
    /// - Parameters:
    ///   - taken: service time when it was taken from the local server; nil: just now.
    ///   - isRefusal: it was never taken on, so the answer rests on no commit.
    ///   - hasTokens: it comes from the outbox, where tokens stand for ids.
    mutating func bounce(
        _ stanza: Stanza, _ reason: BounceReason, from side: Side, taken: UInt64? = nil, isRefusal: Bool = false,
        hasTokens: Bool = false, now: NIODeadline
    ) {
        let isFromRoom = side == .local ? localRooms.isFromRoom(stanza) : remoteRooms.isFromRoom(stanza)
        let isStub = if case .oversize = reason { true } else { false }
        let verdict = BounceTable.verdict(
            kind: stanza.kind, type: stanza.type, isFromRoom: isFromRoom,
            isOnlyMetadata: !isStub && stanza.isOnlyMetadata)
        switch verdict {
        case .silence(.isFromRoom):
            count(.roomStanzaLost)
            if side == .local { rooms.roomStanzaLost(stanza, taken: taken ?? clock.milliseconds(now), now: now) }
        case .silence(.isAnswer), .silence(.isPresence), .silence(.isOnlyMetadata), .silence(.isNoStanza):
            break
        case .answer:
            let reply = BounceTable.reply(to: reason)
            guard let error = stanza.errorReply(reply.condition, type: reply.type, text: reply.text) else { return }
            switch side {
            case .local:
                if isRefusal { hasRefused = true }
                counters.addBounce(reply.condition)
                let restored = hasTokens ? withoutTokens(error, now: now) : error
                deliverLocally(restored, isOwnAnswer: true, isRefusal: isRefusal, now: now)
            case .link:
                guard !isStopped || journal.isOn, enqueue(error, now: now) else { return }
                counters.addBounce(reply.condition)
            }
        }
    }

    /// Ends a stanza that the outbox gave up: its row goes and its sender gets it back, in one batch.
    mutating func giveBack(_ entry: OutboxEntry, _ reason: BounceReason, now: NIODeadline) {
        if entry.isRecorded { journal.remove(.outbox, id: entry.id) }
        bounceQueued(entry.stanza, reason, taken: entry.arrival, now: now)
    }

    /// Ends what waited or was in flight when the bridge stops without a journal.
    mutating func giveUp(_ stanza: Stanza, _ reason: BounceReason, now: NIODeadline) {
        if bounceQueued(stanza, reason, taken: nil, now: now) { count(.lostAtShutdown) }
    }

    /// Answers what was in the outbox; false for a request that was answered already.
    @discardableResult
    private mutating func bounceQueued(
        _ stanza: Stanza, _ reason: BounceReason, taken: UInt64?, now: NIODeadline
    ) -> Bool {
        guard stanza.isIQRequest else {
            bounce(stanza, reason, from: .local, taken: taken, hasTokens: true, now: now)
            return true
        }
        guard let request = takeLocalRequest(stanza, now: now) else { return false }
        bounce(request, reason, from: .local, taken: taken, now: now)
        return true
    }
}
