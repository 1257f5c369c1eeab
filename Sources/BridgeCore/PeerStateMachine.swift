import DequeModule
package import NIOCore
package import Outbox
package import XMPP

/// Everything the bridge decides about one peer: who may speak, what waits, what is sent when, what comes back.
///
/// ```
///  local server ──localStanzaReceived──▶ agreement ▶ rooms ▶ requests ▶ outbox ──send──▶ link
///  local server ◀──deliver── requests ◀ rooms ◀ agreement ◀──linkStanzaReceived────────── link
/// ```
///
/// The link is *down*, *ready* for a batch, or *busy* with one. `send` makes it busy, `linkReady` ready again; a link that
/// has just connected is busy until `linkReady`. On a ready link that was idle the first stanza leaves at once; after that a
/// batch leaves when it is full or the hold time has passed since the last one, so what comes in meanwhile goes together.
///
/// An ordinary stanza passes without an allocation of its own and without any text being looked at.
package struct PeerStateMachine: ~Copyable {
    enum LinkState {
        /// No connection. Becomes `busy` by `linkConnected`.
        case down
        /// The transport takes a batch. Becomes `busy` by sending, `down` by `linkDisconnected`.
        case ready
        /// A batch is on its way. Becomes `ready` by `linkReady`, `down` by `linkDisconnected`.
        case busy
    }

    /// Which side a stanza came from, and so where an answer to it goes.
    enum Side {
        case local, link
    }

    let policy: PeerPolicy
    var link = LinkState.down
    var isStopped = false
    var localDomains: DomainSet
    var remoteDomains: DomainSet
    /// Rooms of this site.
    var localRooms: RoomRegistry
    /// Rooms of the peer.
    var remoteRooms: RoomRegistry
    /// Requests from here to the peer.
    var localRequests: RequestTracker
    /// Requests from the peer to here.
    var remoteRequests: RequestTracker
    var outbox: Outbox
    var localBudget = BounceBudget(capacity: 50_000, perSecond: 10_000)
    var linkBudget = BounceBudget(capacity: 10_000, perSecond: 100)
    var counters = PeerCounters()
    var actions: Deque<PeerAction> = []
    /// What the runtime's timer is set to. It may be earlier than needed: a call too early does nothing.
    private var armed: NIODeadline?
    private var hasAskedForLink = false
    private var lastSent: NIODeadline?

    /// - Parameters:
    ///   - recovered: what the journal held; a fresh one without a journal.
    ///   - clock: measures what waits across restarts.
    ///   - random: a random number for new epochs, from the system's generator.
    package init(
        policy: PeerPolicy, recovered: RecoveredPeer = RecoveredPeer(), clock: ServiceClock, now: NIODeadline,
        random: UInt64
    ) {
        self.policy = policy
        localDomains = DomainSet(policy.localDomains)
        remoteDomains = DomainSet(policy.remoteDomains)
        localRooms = RoomRegistry(domains: policy.roomDomains, maximumRooms: policy.maximumRooms)
        remoteRooms = localRooms
        localRequests = RequestTracker(timeout: policy.iqTimeout, maximumRequests: policy.maximumRequests)
        remoteRequests = RequestTracker(timeout: policy.iqTimeout, maximumRequests: policy.maximumRequests)
        outbox = Outbox(limits: policy.outboxLimits)
    }

    /// The next thing to do, in the order in which it was decided; nil when there is nothing.
    package mutating func nextAction() -> PeerAction? { actions.popFirst() }

    // MARK: The journal

    /// What has to be committed, as one batch; nil when there is nothing. Batches are numbered from 1 and committed in order.
    package mutating func takeBatch() -> JournalBatch? { nil }

    /// The batch, and all before it, are durable.
    package mutating func batchCommitted(_ number: UInt64, now: NIODeadline) {}

    /// True: nothing can be committed at the moment, as on a full disk; new local stanzas are refused with
    /// `resource-constraint` until it ends.
    package mutating func journalStalled(_ isStalled: Bool, now: NIODeadline) {}

    // MARK: The link

    /// The link is up. It is not asked to take anything before `linkReady`.
    package mutating func linkConnected(now: NIODeadline) {
        link = .busy
        hasAskedForLink = false
        counters.restartViolations(now: now)
    }

    /// The link can take a batch.
    package mutating func linkReady(now: NIODeadline) {
        link = .ready
        settle(now: now)
    }

    /// The link is gone.
    ///
    /// - Parameters:
    ///   - unsent: what certainly did not leave, in order; it goes on waiting.
    ///   - inDoubt: what may or may not have arrived, in order, all before `unsent`. Messages and requests come back to
    ///     their senders; what does no harm when it arrives twice (presence, answers, errors) is sent again, a few times.
    package mutating func linkDisconnected(unsent: [Stanza], inDoubt: [Stanza], now: NIODeadline) {
        link = .down
        hasAskedForLink = false
        guard !isStopped else {
            for stanza in unsent { giveUp(stanza, .shuttingDown, now: now) }
            for stanza in inDoubt { giveUp(stanza, .deliveryUnknown, now: now) }
            return
        }
        outbox.putBack(unsent, now: now)
        var again: [Stanza] = []
        for stanza in inDoubt {
            count(.inDoubt)
            switch (stanza.kind, stanza.type) {
            case (.message, .error), (.iq, .error), (.iq, .result), (.presence, _): again.append(stanza)
            case (.message, _), (.other, _): bounce(stanza, .deliveryUnknown, from: .local, now: now)
            case (.iq, _):
                if localRequests.remove(stanza) { bounce(stanza, .deliveryUnknown, from: .local, now: now) }
            }
        }
        for stanza in outbox.putBackInDoubt(again, now: now) {
            count(.sentTooOften)
            bounce(stanza, .sentTooOften, from: .local, now: now)
        }
        settle(now: now)
    }

    // MARK: Time

    /// The time of the last `arm` has come, or any other time.
    package mutating func deadlineReached(now: NIODeadline) {
        armed = nil
        guard !isStopped else { return }
        expire(now: now)
        settle(now: now)
    }

    /// Ends the peer: what a ready link still takes is sent, everything else is answered.
    ///
    /// Afterwards nothing is kept: local stanzas are refused, what still comes over the link is delivered.
    package mutating func shutdownRequested(now: NIODeadline) {
        guard !isStopped else { return }
        expire(now: now)
        while let request = remoteRequests.takeOldest() { bounce(request, .shuttingDown, from: .link, now: now) }
        if link == .ready, !outbox.isEmpty { send(now: now) }
        isStopped = true
        for stanza in outbox.removeAll() { giveUp(stanza, .shuttingDown, now: now) }
        while let request = localRequests.takeOldest() { bounce(request, .shuttingDown, from: .local, now: now) }
        if armed != nil {
            armed = nil
            actions.append(.disarm)
        }
    }

    private mutating func expire(now: NIODeadline) {
        var expired: [Stanza] = []
        outbox.expire(now: now, into: &expired)
        for stanza in expired {
            if stanza.isIQRequest {
                guard localRequests.remove(stanza) else { continue }
                bounce(stanza, .requestTimedOut, from: .local, now: now)
            } else {
                count(.expired)
                bounce(stanza, .expired, from: .local, now: now)
            }
        }
        while let request = localRequests.takeOverdue(now: now) {
            bounce(request, .requestTimedOut, from: .local, now: now)
        }
        while let request = remoteRequests.takeOverdue(now: now) {
            bounce(request, .requestTimedOut, from: .link, now: now)
        }
    }

    // MARK: Sending

    /// Adds to the outbox what goes to the peer; false when it is full.
    mutating func enqueue(_ stanza: Stanza, now: NIODeadline) -> Bool {
        switch outbox.append(stanza, now: now) {
        case .accepted: return true
        case .full:
            count(.outboxFull)
            return false
        }
    }

    /// Does what every input may have made possible or necessary: send, ask for the link, set the timer.
    mutating func settle(now: NIODeadline) {
        var wake: NIODeadline?
        if !outbox.isEmpty, !isStopped {
            switch link {
            case .down:
                if !hasAskedForLink {
                    hasAskedForLink = true
                    actions.append(.wantLink)
                }
            case .ready:
                if let ready = lastSent.map({ $0 + policy.holdTime }), now < ready,
                    outbox.byteCount < policy.batchBytes, outbox.stanzaCount < policy.batchStanzas
                {
                    wake = ready
                } else {
                    send(now: now)
                }
            case .busy:
                break
            }
        }
        setTimer(wake, now: now)
    }

    private mutating func send(now: NIODeadline) {
        if let expiry = outbox.nextExpiry, expiry <= now { expire(now: now) }
        let batch = outbox.nextBatch(
            maximumBytes: policy.batchBytes, maximumStanzas: policy.batchStanzas, now: now)
        guard !batch.isEmpty else { return }
        for stanza in batch { counters.sent.add(stanza.kind) }
        link = .busy
        lastSent = now
        actions.append(.send(batch))
    }

    /// Sets the timer where what is armed would come too late. A timer that comes too early costs less than setting it anew
    /// for every stanza.
    private mutating func setTimer(_ wake: NIODeadline?, now: NIODeadline) {
        guard !isStopped else { return }
        var needed = wake
        for deadline in [outbox.nextExpiry, localRequests.nextDeadline, remoteRequests.nextDeadline] {
            guard let deadline else { continue }
            needed = min(needed ?? deadline, deadline)
        }
        guard let needed else { return }
        if let armed, armed <= needed { return }
        armed = needed
        actions.append(.arm(needed))
    }

    // MARK: Status

    /// What `status` shows.
    package var snapshot: PeerStatus {
        mutating get {
            PeerStatus(
                name: policy.name,
                link: link == .down ? .down : link == .ready ? .ready : .busy,
                sent: counters.sent, received: counters.received,
                queuedStanzas: outbox.stanzaCount, queuedBytes: outbox.byteCount,
                oldestArrival: outbox.oldestArrival,
                pendingLocalRequests: localRequests.count, pendingRemoteRequests: remoteRequests.count,
                knownLocalRooms: localRooms.count, knownRemoteRooms: remoteRooms.count,
                supersededPresences: outbox.supersededCount, expiredPresences: outbox.silentlyExpiredCount,
                events: counters.eventCounts, bounces: counters.bounceCounts)
        }
    }

    /// State without content, for logs.
    package var debugState: String {
        "\(policy.name): link \(link), \(outbox.stanzaCount) waiting, \(localRequests.count)+\(remoteRequests.count) asked"
    }
}
