import Blocks
import DequeModule
package import NIOCore
import Outbox
import PresenceCache
package import XMPP

// The link, whatever is spoken on it, and batches of stanzas (dialect `xep`).
extension PeerStateMachine {
    /// The link is up. It is not asked to take anything before `linkReady`.
    package mutating func linkConnected(now: NIODeadline) {
        link = .busy
        linkSince = now
        isTurnOpen = true
        hasAskedForLink = false
        counters.restartViolations(now: now)
        rooms.linkConnected(now: now)
        if speaksBlocks ? policy.isReachedWhenUp : !isConfirming { presence.linkCameUp(now: now) }
        // In dialect xep nobody says that he started anew.
        if !speaksBlocks { presence.peerRestarted(now: now) }
        drawPresence(now: now)
        learnConnected()
        guard speaksBlocks else { return settle(now: now) }
        blocksGiven = 0
        session.connected(now: now)
        drawSession(now: now)
    }

    /// The link can take a batch.
    package mutating func linkReady(now: NIODeadline) {
        // A block that waits for the journal is the link's already.
        guard cutBlock == nil else {
            linkBeforeCut = .ready
            return
        }
        link = .ready
        for lane in Lane.allCases { session.blocksTaken(lane, now: now) }
        if !speaksBlocks, journal.isOn {
            for id in outbox.takeSentRows() { journal.remove(.outbox, id: id) }
        }
        settle(now: now)
    }

    /// The link can take a block or a batch that is urgent, which overtakes what the link was given before.
    package mutating func linkReadyForUrgent(now: NIODeadline) {
        guard speaksBlocks || isConfirming, link == .busy, cutBlock == nil else { return }
        link = .readyForUrgent
        session.blocksTaken(.express, now: now)
        settle(now: now)
    }

    /// Of the blocks given since the link came up so many, from the first on, are where the peer is (dialect `skywave` over a link
    /// that says so).
    package mutating func linkBlocksBrought(_ count: Int, now: NIODeadline) {
        guard let first = firstBlockGiven, count >= first else { return }
        firstBlockGiven = nil
        session.firstBlockBrought()
        settle(now: now)
    }

    /// How many bytes the link has on their way at most: a larger block would only wait within it, where nothing overtakes it
    /// before it is whole at the other end (dialect `skywave`).
    package mutating func linkRoomChanged(bytes: Int, now: NIODeadline) { linkRoom = bytes }

    /// Whether what is cut now leaves at once, or the link works on what it has (a radio that waits for its turn).
    package mutating func linkTurnChanged(isOpen: Bool, now: NIODeadline) {
        isTurnOpen = isOpen
        session.transportTurned(isIdle: isOpen, now: now)
        if isOpen { settle(now: now) }
    }

    /// Stanzas of batches have arrived, as far as the link can know (dialect `xep` over a link that says so of each).
    ///
    /// What was given back before, or is not known, is passed over.
    package mutating func linkConfirmed(_ stanzas: [Stanza], now: NIODeadline) {
        guard isConfirming else { return }
        for entry in unconfirmed.take(stanzas) {
            acknowledgedCount += 1
            if entry.isRecorded { journal.remove(.outbox, id: entry.id) }
            // Presence may be confirmed by the peer's node while nobody is behind it.
            if !entry.stanza.isVolatile { peerAnswered(now: now) }
        }
        noteUnconfirmed()
        settle(now: now)
    }

    /// Single stanzas of batches came back, while the link is up (dialect `xep`); as in ``linkDisconnected(unsent:inDoubt:now:)``.
    package mutating func linkReturned(unsent: [Stanza], inDoubt: [Stanza], now: NIODeadline) {
        guard !speaksBlocks else { return }
        if isConfirming, !unsent.isEmpty, !isStopped {
            presence.linkWentDown(now: now)
            drawPresence(now: now)
        }
        takeBack(unsent: unsent, inDoubt: inDoubt, isLinkDown: false, now: now)
        if !isStopped || journal.isOn { settle(now: now) }
    }

    /// The link is gone.
    ///
    /// - Parameters:
    ///   - unsent: what certainly did not leave, in order; it goes on waiting.
    ///   - inDoubt: what may or may not have arrived, in order, all before `unsent`. Messages and requests come back to
    ///     their senders; what does no harm when it arrives twice (presence, answers, errors) is sent again, a few times.
    ///
    /// Both are empty for a link that speaks blocks: there the peer says what has arrived.
    package mutating func linkDisconnected(unsent: [Stanza], inDoubt: [Stanza], now: NIODeadline) {
        link = .down
        linkSince = now
        hasAskedForLink = false
        rooms.linkDisconnected()
        presence.linkWentDown(now: now)
        drawPresence(now: now)
        if speaksBlocks {
            cutBlock = nil
            receivedOrdinals = []
            dropHeldBlocks()
            session.disconnected(now: now)
            drawSession(now: now)
        } else {
            takeBack(unsent: unsent, inDoubt: inDoubt, isLinkDown: true, now: now)
            if isStopped, !journal.isOn { return }
        }
        settle(now: now)
    }

    /// - Parameter isLinkDown: nothing else of what was sent comes back.
    private mutating func takeBack(unsent: [Stanza], inDoubt: [Stanza], isLinkDown: Bool, now: NIODeadline) {
        if isConfirming {
            takeBackUnconfirmed(unsent: unsent, inDoubt: inDoubt, isLinkDown: isLinkDown, now: now)
        } else if isStopped, !journal.isOn {
            for stanza in unsent { giveUp(stanza, .shuttingDown, now: now) }
            for stanza in inDoubt { giveUp(stanza, .deliveryUnknown, now: now) }
        } else {
            takeBackSent(unsent: unsent, inDoubt: inDoubt, isLinkDown: isLinkDown, now: now)
        }
    }

    /// Everything that the link had is still known, with its row and its age.
    private mutating func takeBackUnconfirmed(unsent: [Stanza], inDoubt: [Stanza], isLinkDown: Bool, now: NIODeadline) {
        let doubtful = unconfirmed.take(inDoubt)
        var waiting = unconfirmed.take(unsent)
        // A link that is gone confirms nothing any more.
        if isLinkDown { waiting += unconfirmed.removeAll() }
        noteUnconfirmed()
        if isStopped, !journal.isOn {
            for entry in waiting { giveUp(entry.stanza, .shuttingDown, now: now) }
            for entry in doubtful { giveUp(entry.stanza, .deliveryUnknown, now: now) }
            return
        }
        outbox.putBack(waiting, isByAge: true)
        endDoubt(of: doubtful, isByAge: true, now: now)
    }

    private mutating func takeBackSent(unsent: [Stanza], inDoubt: [Stanza], isLinkDown: Bool, now: NIODeadline) {
        let time = clock.milliseconds(now)
        // The rows of what the kernel had taken are gone; what waits again needs one again.
        let (keepsRows, keepsPresence, last) = (journal.isOn, policy.journalsPresence, outbox.lastID)
        let isRecorded = { (stanza: Stanza) in keepsRows && (keepsPresence || !stanza.isVolatile) }
        let doubtful = outbox.reclaim(inDoubt, now: time, isRecorded: isRecorded)
        let waiting = outbox.reclaim(unsent, now: time, isRecorded: isRecorded)
        for entry in doubtful + waiting where entry.isRecorded && entry.id > last {
            journal.put(.outbox, id: entry.id, entry.stanza, time: time)
        }
        outbox.putBack(waiting)
        if isLinkDown {
            for id in outbox.takeSentRows() { journal.remove(.outbox, id: id) }
        }
        endDoubt(of: doubtful, isByAge: false, now: now)
    }

    /// What may have arrived goes again where that does no harm, and else back to its sender.
    private mutating func endDoubt(of doubtful: [OutboxEntry], isByAge: Bool, now: NIODeadline) {
        var again: [OutboxEntry] = []
        for entry in doubtful {
            count(.inDoubt)
            switch (entry.stanza.kind, entry.stanza.type) {
            case (.message, .error), (.iq, .error), (.iq, .result), (.presence, _): again.append(entry)
            case (.message, _), (.iq, _), (.other, _): giveBack(entry, .deliveryUnknown, now: now)
            }
        }
        for entry in outbox.putBackInDoubt(again, isByAge: isByAge) {
            count(.sentTooOften)
            giveBack(entry, .sentTooOften, now: now)
        }
    }

    /// What is under way counts toward the limits as what waits does.
    mutating func noteUnconfirmed() {
        outbox.sentStanzas = unconfirmed.count
        outbox.sentBytes = unconfirmed.byteCount
    }

    /// Something of the peer has come, or he has confirmed something. The bind to a node alone says nothing of him.
    ///
    /// - Returns: whether that was not known before.
    @discardableResult
    mutating func peerAnswered(now: NIODeadline) -> Bool {
        guard isConfirming, link != .down, !presence.isLinkUp else { return false }
        presence.linkCameUp(now: now)
        drawPresence(now: now)
        return true
    }

    // MARK: Batches

    /// Sends a batch, or says when that will be due.
    mutating func sendBatchIfDue(now: NIODeadline) -> NIODeadline? {
        guard !outbox.isEmpty else { return nil }
        // What is urgent goes into the node at once, or it would wait there for the turn after the next.
        if !(isConfirming && outbox.hasUrgent), outbox.byteCount < policy.batchBytes, outbox.stanzaCount < policy.batchStanzas,
            let held = heldUntil(now: now, enoughBytes: nil)
        {
            return held
        }
        sendBatch(now: now)
        return nil
    }

    private mutating func sendBatch(now: NIODeadline) {
        let time = clock.milliseconds(now)
        if let expiry = outbox.nextExpiry, expiry <= time { expire(now: now) }
        let batch = outbox.nextBatch(
            maximumBytes: policy.batchBytes, maximumStanzas: policy.batchStanzas, now: time)
        guard !batch.isEmpty else { return }
        for stanza in batch { counters.sent.add(stanza.kind) }
        if isConfirming {
            unconfirmed.append(outbox.takeSent())
            noteUnconfirmed()
        }
        link = .busy
        lastSent = now
        actions.append(.send(batch))
    }

    /// Sends what is urgent before what the link was given and has not handed on, but for what would overtake something between the
    /// same addresses.
    mutating func sendUrgentBatch(now: NIODeadline) {
        guard outbox.hasUrgent else { return }
        let time = clock.milliseconds(now)
        if let expiry = outbox.nextExpiry, expiry <= time { expire(now: now) }
        let barred = unconfirmed.ordinaryPairs
        var (count, bytes) = (0, 0)
        let (mostBytes, mostStanzas) = (policy.batchBytes, policy.batchStanzas)
        let taken = outbox.take(atLeast: policy.classes.urgent) { entry, stanzaClass in
            guard stanzaClass == .urgent, !barred.contains(entry.stanza.pairHash) else { return .passOver }
            guard count == 0 || count < mostStanzas && bytes + entry.stanza.byteCount <= mostBytes else { return .stop }
            count += 1
            bytes += entry.stanza.byteCount
            return .take
        }
        guard !taken.isEmpty else { return }
        for entry in taken { counters.sent.add(entry.stanza.kind) }
        unconfirmed.append(taken, isUrgent: true)
        noteUnconfirmed()
        link = .busy
        lastSent = now
        actions.append(.sendUrgent(taken.map(\.stanza)))
    }

    /// The last thing before the end of a peer without a journal.
    mutating func sendLast(now: NIODeadline) {
        if speaksBlocks { _ = takeTurn(now: now) } else { sendBatch(now: now) }
    }

    /// Both directions of the longest turn of a radio (STANAG 5066 Ed. 3 §C.3.2: 127.5 s), and some.
    private static let longestTurn = TimeAmount.minutes(5)

    /// Until when the hold policy wants to wait for more; nil when it does not.
    ///
    /// - Parameter enoughBytes: canonical bytes that fill a block by `HoldPolicy.bytes`; nil where its figure is taken as it is.
    mutating func heldUntil(now: NIODeadline, enoughBytes: Int?) -> NIODeadline? {
        switch policy.hold {
        case .turn:
            // A radio that has no end of its turn to tell is broken: nothing is held for ever.
            guard !isTurnOpen, outbox.byteCount < enoughBytes ?? .max, let lastSent else { return nil }
            let end = lastSent + Self.longestTurn
            return end > now ? end : nil
        case .time(let amount):
            guard let lastSent, now < lastSent + amount else { return nil }
            return lastSent + amount
        case .bytes(let bytes, let longest):
            guard outbox.byteCount < enoughBytes ?? bytes, let oldest = outbox.oldestArrival else { return nil }
            let end = clock.deadline(oldest) + longest
            return end > now ? end : nil
        }
    }
}
