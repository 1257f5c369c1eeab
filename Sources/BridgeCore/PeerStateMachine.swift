import Blocks
import DequeModule
import IdentifierFolding
import LocalAnswers
package import NIOCore
package import Outbox
import PresenceCache
package import XMPP

/// Everything the bridge decides about one peer: who may speak, what waits, what is sent when, what comes back.
///
/// ```
///  local server ──localStanzaReceived──▶ agreement ▶ rooms ▶ requests ▶ outbox ▶ numbers ──send, sendBlock──▶ link
///  local server ◀──deliver── inbox ◀ requests ◀ rooms ◀ agreement ◀──linkStanzaReceived, linkBlockReceived── link
///                                     ▲ every change ▼
///                       takeBatch ──▶ journal ──▶ batchCommitted
/// ```
///
/// The link is *down*, *ready* for a batch or block, or *busy* with one. Sending makes it busy, `linkReady` ready again; a
/// link that has just connected is busy until `linkReady`. On a ready link that was idle the first stanza leaves at once;
/// after that the hold policy decides, so what comes in meanwhile goes together.
///
/// With a journal, what is seen outside waits until what it rests on is durable: a stanza counts as taken (`handled`) when it
/// has its row, a block leaves when its numbers have theirs, and the local server gets what is in the inbox.
///
/// Without a journal an ordinary stanza passes without an allocation of its own and without any text being looked at.
package struct PeerStateMachine: ~Copyable {
    enum LinkState {
        /// No connection. Becomes `busy` by `linkConnected`.
        case down
        /// The transport takes a batch. Becomes `busy` by sending, `down` by `linkDisconnected`.
        case ready
        /// The transport has something that it cannot hand on yet, and takes what is urgent before it. Becomes `busy` by sending, `ready`
        /// by `linkReady`, `down` by `linkDisconnected`.
        case readyForUrgent
        /// A batch is on its way. Becomes `ready` by `linkReady`, `readyForUrgent` by
        /// `linkReadyForUrgent`, `down` by `linkDisconnected`.
        case busy
    }

    /// Which side a stanza came from, and so where an answer to it goes.
    enum Side {
        case local, link
    }

    package internal(set) var policy: PeerPolicy
    let clock: ServiceClock
    var link = LinkState.down
    /// What is sent leaves at once; false while a radio works on what it has.
    var isTurnOpen = true
    var linkSince: NIODeadline
    var isStopped = false
    var localDomains: DomainSet
    var remoteDomains: DomainSet
    /// Rooms of this site.
    var localRooms: RoomRegistry
    /// Rooms of the peer.
    var remoteRooms: RoomRegistry
    /// The peer's users in rooms of this site.
    var rooms: RoomMemberships
    var departures = RecentDepartures()
    /// Requests from here to the peer.
    var localRequests: RequestTracker
    /// Requests from the peer to here.
    var remoteRequests: RequestTracker
    /// Short tokens in the place of local users' ids.
    var identifiers: IdentifierFolder
    /// Who of either side was told what, and may know what.
    var presence: PeerPresence
    /// The run of the peer's process that was heard last.
    var peerProcess: UInt32 = 0
    /// What is answered in the name of the peer's entities.
    var answers: LocalAnswers
    var outbox: Outbox
    var localBudget = BounceBudget(capacity: 50_000, perSecond: 10_000)
    var linkBudget = BounceBudget(capacity: 10_000, perSecond: 100)
    var counters = PeerCounters()
    var actions: Deque<PeerAction> = []

    /// What the link has and has not confirmed, in dialect `xep`. Empty where the link does not confirm.
    var unconfirmed = UnconfirmedStanzas()

    // MARK: The journal
    var journal: PeerJournal
    var ids = PeerIDs()
    var recordedIDs = PeerIDs()
    var isJournalStalled = false
    /// Receipts of stanzas that are the bridge's own when a batch is committed.
    var receipts: Deque<(batch: UInt64, receipt: LocalReceipt, isRefused: Bool)> = []
    /// The local stanza at hand was refused, and its sender told.
    var hasRefused = false
    /// The local stanza at hand waits for the link.
    var wasEnqueued = false
    /// Errors that were given out while nothing could be recorded.
    var refusals = StalledRefusals()
    var fingerprints = TakenFingerprints()
    var poison = PoisonList()
    /// By what stanzas are known again that were taken from the local server, or refused, shortly before the last end.
    package internal(set) var suspects: [StanzaMark] = []

    /// Blocks given to the link since it came up, and which of them is the first of the session, until it is where the peer is.
    var blocksGiven = 0
    var firstBlockGiven: Int?
    /// What the link has on its way at most, in bytes; nil where it does not say.
    var linkRoom: Int?

    // MARK: The inbox
    var inbox: Inbox
    /// The inbox is full.
    var isLinkHeld = false
    /// The site takes nothing from the link, for reasons of its own.
    var isIntakeHeld = false
    var heldBlocks = HeldBlocks()
    var isLocalCongested = false
    /// When the inbox is looked through again for what has waited too long.
    var nextInboxExpiry: NIODeadline?
    var delayStamp = DelayStamp()

    // MARK: Blocks
    var session: LinkSession
    /// How many of those that wait go with another one, and what the last was like.
    var waitingCopies: (count: Int, last: FoldableStanza?) = (0, nil)
    /// Numbered stanzas, by lane.
    var sent = [SentLane(), SentLane()]
    var contexts = LabelContexts()
    /// The block that leaves when its batch is committed.
    var cutBlock: (batch: UInt64, bytes: ByteBuffer, isUrgent: Bool)?
    /// What the link is, should that block not be given to it after all.
    var linkBeforeCut = LinkState.ready
    var wasExpressLast = false
    /// The number of the stanza that is being sent in parts.
    var partNumber: UInt64?
    /// Stanzas of a received block that are durable with a batch, to be told to the session.
    var receivedOrdinals: Deque<(batch: UInt64, ordinal: UInt64)> = []
    var acknowledgedCount: UInt64 = 0
    var traffic = LinkTraffic()
    var peerRemark: String?
    var lastFailure: String?

    /// What the runtime's timer is set to. It may be earlier than needed: a call too early does nothing.
    var armed: NIODeadline?
    var hasAskedForLink = false
    var lastSent: NIODeadline?
    /// Something came in since a block was last thought of.
    var owesTurn = false

    var speaksBlocks: Bool {
        switch policy.dialect {
        case .skywave: true
        case .xep: false
        }
    }

    /// Whether the link says of each stanza what became of it.
    var isConfirming: Bool { !speaksBlocks && policy.confirmsStanzas }

    /// - Parameters:
    ///   - recovered: what the journal held; a fresh one without a journal.
    ///   - clock: measures what waits across restarts.
    ///   - random: a random number for new epochs, from the system's generator.
    package init(
        policy: PeerPolicy, recovered: RecoveredPeer = RecoveredPeer(), clock: ServiceClock, now: NIODeadline,
        random: UInt64
    ) {
        self.policy = policy
        self.clock = clock
        linkSince = now
        localDomains = DomainSet(policy.localDomains)
        remoteDomains = DomainSet(policy.remoteDomains)
        localRooms = RoomRegistry(domains: policy.roomDomains, maximumRooms: policy.maximumRooms)
        remoteRooms = localRooms
        rooms = RoomMemberships(
            recovered: policy.isJournaled ? recovered[.rooms] : [], isJournaled: policy.isJournaled, clock: clock,
            secret: random &+ 0x9e37_79b9_7f4a_7c15, now: now)
        localRequests = RequestTracker(timeout: policy.iqTimeout, maximumRequests: policy.maximumRequests)
        remoteRequests = RequestTracker(timeout: policy.iqTimeout, maximumRequests: policy.maximumRequests)
        identifiers = Self.makeIdentifiers(policy, recovered: recovered, random: random &+ 0x3c6e_f372_fe94_f82b)
        presence = Self.makePresence(policy, recovered: recovered, random: random &+ 0xa54f_f53a_5f1d_36f1, now: now)
        answers = LocalAnswers(subjects: Self.answerSubjects(policy.profile))
        outbox = Outbox(limits: policy.outboxLimits, watchesUrgency: policy.dialect == .skywave || policy.confirmsStanzas)
        inbox = Inbox(window: policy.inboxWindow)
        journal = PeerJournal(isOn: policy.isJournaled)
        session = LinkSession(policy.linkSession, recovered: recovered, random: random)
        if policy.isJournaled {
            recoverRooms(now: now)
            recover(recovered, now: now)
            // Without the cache nobody notices what ends a subscription; what it knew must not be believed later.
            if !policy.cachesPresence, !recovered[.presence].isEmpty {
                journal.add(.removeThrough(.presence, id: UInt64(Int64.max)))
            }
        }
        if speaksBlocks { drawSession(now: now) }
        settle(now: now)
    }

    /// The next thing to do, in the order in which it was decided; nil when there is nothing.
    package mutating func nextAction() -> PeerAction? {
        if let action = actions.popFirst() { return action }
        if let block = cutBlock, block.batch <= journal.committed {
            cutBlock = nil
            blocksGiven += 1
            if firstBlockGiven == nil, session.hasCutFirstBlockOnly { firstBlockGiven = blocksGiven }
            traffic.sentBlock(block.bytes.readableBytes)
            return .sendBlock(block.bytes, isUrgent: block.isUrgent)
        }
        if let next = receipts.first, next.batch <= journal.committed {
            receipts.removeFirst()
            return .handled(next.receipt, isRefused: next.isRefused)
        }
        return nil
    }

    // MARK: The journal

    /// What has to be committed, as one batch; nil when there is nothing. Batches are numbered from 1 and committed in order.
    package mutating func takeBatch() -> JournalBatch? {
        guard journal.isOn else { return nil }
        recordRefusals()
        for id in outbox.takeGoneRows() { journal.remove(.outbox, id: id) }
        if let row = fingerprints.takeRow(&ids.taken) {
            journal.add(.put(.taken, id: ids.taken, .bytes(row), time: 0))
            if let old = fingerprints.oldRows { journal.add(.removeThrough(.taken, id: old)) }
        }
        for record in rooms.takeRecords() { journal.add(record) }
        ids.outbox = outbox.lastID
        ids.inbox = inbox.nextID - 1
        if journal.hasRecords, ids != recordedIDs {
            journal.add(.set(.counters, ids.bytes))
            recordedIDs = ids
        }
        return journal.takeBatch()
    }

    /// The batch, and all before it, are durable.
    package mutating func batchCommitted(_ number: UInt64, now: NIODeadline) {
        journal.batchCommitted(number)
        inbox.batchCommitted(number)
        for receipt in refusals.committed(number) { actions.append(.handled(receipt, isRefused: true)) }
        while let first = receivedOrdinals.first, first.batch <= number {
            receivedOrdinals.removeFirst()
            session.committed(first.ordinal, now: now)
        }
        if speaksBlocks { drawSession(now: now) }
        settle(now: now)
    }

    /// True: nothing can be committed at the moment, as on a full disk; new local stanzas are refused with
    /// `resource-constraint` until it ends.
    package mutating func journalStalled(_ isStalled: Bool, now: NIODeadline) {
        isJournalStalled = isStalled && journal.isOn
        settle(now: now)
    }

    /// Whether a stanza has a row of its own: everything but presence that is worth something only while it is fresh.
    ///
    /// Presence is not, by default: it changes often, and is said again. But when the bridge stops in peace it is worth a row,
    /// since nobody says again what he has said.
    func isRecorded(_ stanza: Stanza) -> Bool {
        journal.isOn && (policy.journalsPresence || isStopped || !stanza.isVolatile)
    }

    /// Gives rows to what waits without, or is on its way, so that the next run sends it.
    private mutating func recordWaitingPresence(now: NIODeadline) {
        for lane in Lane.allCases {
            let (entries, numbers) = sent[lane].recordAll()
            for entry in entries { journal.put(.outbox, id: entry.id, entry.stanza, time: entry.arrival) }
            for (first, records) in numbers {
                journal.add(.put(lane.numbers, id: first, .bytes(NumbersRow.encode(records)), time: 0))
            }
        }
        for entry in unconfirmed.recordAll() { journal.put(.outbox, id: entry.id, entry.stanza, time: entry.arrival) }
        for entry in outbox.removeAll().sorted(by: { $0.id < $1.id }) {
            if !entry.isRecorded { journal.put(.outbox, id: entry.id, entry.stanza, time: entry.arrival) }
            outbox.restore(OutboxEntry(id: entry.id, stanza: entry.stanza, arrival: entry.arrival, isRecorded: true))
        }
    }

    // MARK: Time

    /// The time of the last `arm` has come, or any other time.
    package mutating func deadlineReached(now: NIODeadline) {
        armed = nil
        guard !isStopped else { return }
        expire(now: now)
        presence.deadlineReached(now: now)
        drawPresence(now: now)
        rooms.deadlineReached(now: now)
        drawRooms(now: now)
        if speaksBlocks {
            session.deadlineReached(now: now)
            drawSession(now: now)
        }
        settle(now: now)
    }

    /// The wall clock was read: milliseconds since 1970. Needed only to tell people how old a stanza is.
    package mutating func wallClockRead(_ milliseconds: Int64, now: NIODeadline) {
        delayStamp.wallClockRead(milliseconds, now: now)
        if milliseconds > 0 { rooms.wallClockRead(UInt64(milliseconds), now: now) }
    }

    /// Ends the peer.
    ///
    /// With a journal everything stays there: nothing more is sent and nothing is bounced, and what still comes in is
    /// recorded. Without, what a ready link still takes is sent and everything else is answered; afterwards nothing is kept:
    /// local stanzas are refused, what still comes over the link is delivered. A link that confirms stanzas would do so after the
    /// end, so it is given nothing more, and what it has not confirmed is answered as well.
    package mutating func shutdownRequested(now: NIODeadline) {
        guard !isStopped else { return }
        presence.shutdownRequested(now: now)
        drawPresence(now: now)
        if journal.isOn {
            recordWaitingPresence(now: now)
        } else {
            expire(now: now)
            while let request = remoteRequests.takeOldest() { bounce(request.request, .shuttingDown, from: .link, now: now) }
            if link == .ready, !isConfirming, !outbox.isEmpty { sendLast(now: now) }
        }
        isStopped = true
        if armed != nil {
            armed = nil
            actions.append(.disarm)
        }
        guard !journal.isOn else { return }
        for entry in outbox.removeAll() { giveUp(entry.stanza, .shuttingDown, now: now) }
        for lane in sent.indices {
            for entry in sent[lane].removeAll() { giveUp(entry.stanza, .deliveryUnknown, now: now) }
        }
        for entry in unconfirmed.removeAll() { giveUp(entry.stanza, .deliveryUnknown, now: now) }
        noteUnconfirmed()
        while let request = localRequests.takeOldest() { bounce(request.request, .shuttingDown, from: .local, now: now) }
    }

    mutating func expire(now: NIODeadline) {
        var expired: [OutboxEntry] = []
        outbox.expire(now: clock.milliseconds(now), into: &expired)
        for stanza in outbox.takeExpiredPresence() { presenceNotCrossed(stanza, now: now) }
        for entry in expired {
            if !entry.stanza.isIQRequest { count(.expired) }
            giveBack(entry, entry.stanza.isIQRequest ? .requestTimedOut : .expired, now: now)
        }
        expireInbox(now: now)
        while let overdue = localRequests.takeOverdue(now: now) {
            journal.remove(.localRequests, id: overdue.row)
            bounce(overdue.request, .requestTimedOut, from: .local, now: now)
        }
        while let overdue = remoteRequests.takeOverdue(now: now) {
            journal.remove(.remoteRequests, id: overdue.row)
            bounce(overdue.request, .requestTimedOut, from: .link, now: now)
        }
    }

    /// The agreement's limits and timings were changed. Domains, dialect and journal stay what they were.
    package mutating func policyChanged(_ policy: PeerPolicy, now: NIODeadline) {
        var policy = policy
        policy.dialect = self.policy.dialect
        policy.isJournaled = self.policy.isJournaled
        policy.confirmsStanzas = self.policy.confirmsStanzas
        policy.cachesPresence = self.policy.cachesPresence
        policy.presenceLimits = self.policy.presenceLimits
        policy.localDomains = self.policy.localDomains
        policy.remoteDomains = self.policy.remoteDomains
        if policy.profile !== self.policy.profile { answers.rulesChanged(Self.answerSubjects(policy.profile)) }
        self.policy = policy
        Self.rulesChanged(&identifiers, policy)
        presence.policy = policy.presence
        outbox.limitsChanged(policy.outboxLimits)
        inbox.window = policy.inboxWindow
        // Requests that are open keep theirs.
        localRequests.timeout = policy.iqTimeout
        remoteRequests.timeout = policy.iqTimeout
        localRequests.maximumRequests = policy.maximumRequests
        remoteRequests.maximumRequests = policy.maximumRequests
        settle(now: now)
    }

    // MARK: Settling

    /// Does what every input may have made possible or necessary: deliver, send, ask for the link, set the timer.
    ///
    /// - Parameter isTurnOpen: blocks are cut later, at the end of the turn.
    mutating func settle(isTurnOpen: Bool = false, now: NIODeadline) {
        if journal.isOn { pumpInbox(now: now) }
        var wake: NIODeadline?
        owesTurn = isTurnOpen && speaksBlocks
        if !isStopped {
            switch link {
            case .down:
                if !hasAskedForLink, !outbox.isEmpty || !sent[0].isEmpty || !sent[1].isEmpty {
                    hasAskedForLink = true
                    actions.append(.wantLink)
                }
            case .ready: if !owesTurn { wake = speaksBlocks ? takeTurn(now: now) : sendBatchIfDue(now: now) }
            case .readyForUrgent: if !owesTurn { speaksBlocks ? takeUrgentTurn(now: now) : sendUrgentBatch(now: now) }
            case .busy: break
            }
        }
        setTimer(wake, now: now)
    }

    /// Sets the timer where what is armed would come too late. A timer that comes too early costs less than setting it anew
    /// for every stanza.
    private mutating func setTimer(_ wake: NIODeadline?, now: NIODeadline) {
        guard !isStopped else { return }
        var needed = wake
        if let expiry = outbox.nextExpiry { needed = min(needed ?? .distantFuture, clock.deadline(expiry)) }
        if let deadline = localRequests.nextDeadline { needed = min(needed ?? deadline, deadline) }
        if let deadline = remoteRequests.nextDeadline { needed = min(needed ?? deadline, deadline) }
        if let deadline = inboxExpiry { needed = min(needed ?? deadline, deadline) }
        if let deadline = presence.nextDeadline { needed = min(needed ?? deadline, deadline) }
        if let deadline = rooms.nextDeadline { needed = min(needed ?? deadline, deadline) }
        // What is overdue while a block is on its way is done when the link is ready again.
        if speaksBlocks, link != .down, let deadline = session.nextDeadline(after: now) {
            needed = min(needed ?? deadline, deadline)
        }
        guard let needed else { return }
        if let armed, armed <= needed { return }
        armed = needed
        actions.append(.arm(needed))
    }

    mutating func count(_ event: PeerEvent) {
        if let note = counters.add(event) { actions.append(.note(note)) }
    }
}
