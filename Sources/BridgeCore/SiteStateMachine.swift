import DequeModule
package import NIOCore
package import Outbox
package import ServerStreams
import XMPP

/// One site as one value: the local side, the machines of all peers, and the order in which their journals are written.
///
/// ```
///  local server ⇄ LocalSide ⇄ router ⇄ PeerStateMachine × n ⇄ links
///                                 │ batches
///                                 ▼
///                     one commit at a time ⇄ journal
/// ```
///
/// The daemon and the simulator run exactly this. Inputs are the methods in the past tense. After one or more of them the
/// runtime draws ``nextAction()`` until it is nil, calls ``turnEnded(now:)``, and draws again: at the end of a turn what the
/// machines want written becomes one commit, if none is under way. So a lone stanza waits for its own commit only, and what
/// comes in during a commit shares the next one.
///
/// A stanza on its way through costs no allocation here and no look at its text.
package struct SiteStateMachine: ~Copyable {
    /// Where the journal stands.
    enum Commit: Equatable {
        /// Nothing is under way. Becomes `underWay`.
        case idle
        /// Given to the journal. Becomes `idle`, or `failed`.
        case underWay
        /// The journal took nothing; tried again at the time. Becomes `underWay`.
        case failed(retryAt: NIODeadline)
    }

    package let configuration: SiteMachineConfiguration
    var local: LocalSide
    let peers: [SitePeer]
    var router: StanzaRouter
    var actions: Deque<SiteAction> = []
    /// The time of the latest input.
    var now: NIODeadline

    /// Peers whose machines may have actions.
    private var marked: Deque<SitePeer> = []
    /// The one whose actions are being drawn.
    private var drawn: SitePeer?

    var commit = Commit.idle
    /// What the commit under way, or the failed one, holds.
    var batches: [PeerJournalBatch] = []
    var lastCommit: UInt64 = 0
    /// Since when nothing new is taken on, because commits fail or space runs out.
    var stalledSince: NIODeadline?
    /// How often the commit failed that is being tried.
    var failures = 0
    /// When to see whether there is space again; only while nothing is under way.
    var probeAt: NIODeadline?

    var pressure = SiteBackPressure()
    var dialled: Set<ConnectionID> = []
    var isStopping = false
    /// The local side was told to end as well.
    var isLocalStopping = false

    private var localDeadline: NIODeadline?
    private var armed: NIODeadline?
    private var isTimerStale = false
    var counters = SiteCounters()

    /// - Parameters:
    ///   - recovered: what each peer's journal held, in the order of the configuration.
    ///   - clock: service time, common to all peers.
    ///   - random: from the system's generator; new epochs are made of it.
    package init(
        _ configuration: SiteMachineConfiguration, recovered: [RecoveredPeer], clock: ServiceClock,
        secrets: any ServerStreamSecrets, random: UInt64, now: NIODeadline
    ) {
        precondition(recovered.count == configuration.peers.count, "one recovered journal per peer")
        self.configuration = configuration
        self.now = now
        router = StanzaRouter(peers: configuration.peers.map(\.remoteDomains))
        var peers: [SitePeer] = []
        for (number, policy) in configuration.peers.enumerated() {
            // Neighbours must not share an epoch.
            var seed = StableHash()
            seed.combine(random)
            seed.combine(UInt64(number))
            peers.append(
                SitePeer(
                    number: number,
                    machine: PeerStateMachine(
                        policy: policy, recovered: recovered[number], clock: clock, now: now, random: seed.value)))
            if policy.isJournaled, recovered[number].needsNewEpoch { actions.append(.note(.newEpoch(peer: number))) }
        }
        self.peers = peers
        local = LocalSide(
            configuration: configuration.local, secrets: secrets, suspects: peers.flatMap { $0.machine.suspects })
        for peer in peers { mark(peer) }
    }

    /// After ``shutdownRequested(now:)``: every local stream is closed and everything is durable.
    package var isShutDown: Bool {
        isLocalStopping && local.isShutDown && commit == .idle && peers.allSatisfy { !$0.isTouched }
    }

    // MARK: Actions

    /// The next thing to do; nil when everything is done for now.
    package mutating func nextAction() -> SiteAction? {
        while true {
            if let action = actions.popFirst() { return action }
            if let peer = drawn {
                guard let action = peer.machine.nextAction() else {
                    drawn = nil
                    continue
                }
                if let action = passOn(action, of: peer) { return action }
            } else if let action = local.nextAction() {
                if let action = passOn(action) { return action }
            } else if let peer = marked.popFirst() {
                peer.isMarked = false
                drawn = peer
            } else {
                return timerAction()
            }
        }
    }

    /// Remembers that a peer's machine had an input.
    mutating func mark(_ peer: SitePeer) {
        peer.isTouched = true
        guard !peer.isMarked else { return }
        peer.isMarked = true
        marked.append(peer)
    }

    /// Carries out what stays within the site; the rest is for the runtime.
    private mutating func passOn(_ action: PeerAction, of peer: SitePeer) -> SiteAction? {
        switch action {
        case .deliver(let stanza, let id):
            local.deliver(stanza, ticket: id.map { DeliveryTicket(peer: Int32(peer.number), id: $0) }, now: now)
            return nil
        case .handled(let receipt, let isRefused):
            local.stanzaHandled(receipt, isRefused: isRefused, now: now)
            return nil
        case .holdLink(let isHeld):
            hold(peer, .inbox, isHeld)
            return nil
        case .stopReading(let isStopped):
            return .holdLink(peer.number, isStopped)
        case .arm(let deadline):
            peer.deadline = deadline
            isTimerStale = true
            return nil
        case .disarm:
            peer.deadline = nil
            return nil
        case .send, .sendUrgent, .sendBlock, .wantLink, .failLink, .note:
            return .link(peer.number, action)
        }
    }

    private mutating func passOn(_ action: LocalAction) -> SiteAction? {
        switch action {
        case .received(let stanza, let receipt):
            counters.stanzasFromServer &+= 1
            guard configuration.routesStanzas else {
                local.stanzaHandled(receipt, now: now)
                return .local(action)
            }
            guard let number = router.recipient(of: stanza) else {
                local.stanzaHandled(receipt, now: now)
                reply(to: stanza, .remoteServerNotFound)
                return nil
            }
            peers[number].machine.localStanzaReceived(stanza, receipt: receipt, isTurnOpen: true, now: now)
            mark(peers[number])
            return nil
        case .oversize(let stub):
            counters.oversizeFromServer &+= 1
            guard configuration.routesStanzas else { return .local(action) }
            reply(to: stub, .policyViolation, type: .modify)
            return nil
        case .undeliverable(let stanza, let ticket, let condition, let type):
            guard configuration.routesStanzas else { return .local(action) }
            guard let number = ticket.map({ Int($0.peer) }) ?? router.sender(of: stanza) else { return nil }
            peers[number].machine.localDeliveryFailed(ticket?.id, stanza, condition, type, now: now)
            mark(peers[number])
            return nil
        case .delivered(let tickets):
            delivered(tickets)
            return nil
        case .streamLost(let domain):
            for peer in peers {
                peer.machine.localStreamLost(domain, now: now)
                mark(peer)
            }
            return nil
        case .streamOpened(let domain):
            for peer in peers {
                peer.machine.localStreamOpened(domain, now: now)
                mark(peer)
            }
            return nil
        case .writeStanza:
            counters.stanzasToServer &+= 1
            return .local(action)
        case .arm(let deadline):
            localDeadline = deadline
            isTimerStale = true
            return nil
        case .disarm:
            localDeadline = nil
            return nil
        case .write, .startTLS, .restartReader, .authenticated, .dial, .close, .note:
            return .local(action)
        }
    }

    /// Tells each peer which rows of its inbox are done with. Neighbours in a batch mostly have the same peer.
    private mutating func delivered(_ tickets: [DeliveryTicket]) {
        var rest = tickets[...]
        while let first = rest.first {
            let run = rest.prefix { $0.peer == first.peer }
            let peer = peers[Int(first.peer)]
            peer.machine.delivered(run.map(\.id), now: now)
            mark(peer)
            rest = rest.dropFirst(run.count)
        }
    }

    /// An answer of the bridge's own to a stanza of the local server, where one may be given.
    private mutating func reply(
        to stanza: Stanza, _ condition: StanzaErrorCondition, type: StanzaErrorType? = nil
    ) {
        // No error ever goes to a room; presence is never worth one.
        guard stanza.kind != .presence, let sender = stanza.fromDomain, !configuration.rooms.contains(sender),
            let error = stanza.errorReply(condition, type: type)
        else { return }
        local.deliver(error, now: now)
    }

    // MARK: Holding links

    /// Holds up a peer's link for one more reason, or for one less.
    mutating func hold(_ peer: SitePeer, _ reason: SitePeer.Holds, _ isHeld: Bool) {
        let before = peer.holds
        if isHeld { peer.holds.insert(reason) } else { peer.holds.remove(reason) }
        guard before.isEmpty != peer.holds.isEmpty else { return }
        if peer.machine.speaksBlocks {
            peer.machine.intakeHeld(!peer.holds.isEmpty, now: now)
            mark(peer)
        } else {
            actions.append(.holdLink(peer.number, !peer.holds.isEmpty))
        }
    }

    /// A local server that reads too slowly lets what came over a link wait in the inbox; where there is none, the link is
    /// held up for a while.
    mutating func pressureChanged(_ id: ConnectionID, isBlocked: Bool) {
        switch pressure.changed(id, isBlocked: isBlocked, patience: configuration.backPressure, now: now) {
        case .blocked:
            counters.linkPauses &+= 1
            for peer in peers { congest(peer, true) }
            isTimerStale = true
        case .freed:
            for peer in peers { congest(peer, false) }
        case nil:
            break
        }
    }

    private mutating func congest(_ peer: SitePeer, _ isCongested: Bool) {
        guard peer.machine.policy.isJournaled else { return hold(peer, .pressure, isCongested && pressure.holds) }
        peer.machine.localCongested(isCongested, now: now)
        mark(peer)
    }

    // MARK: Time

    /// The time of the last `arm` has come, or any other time.
    package mutating func deadlineReached(now: NIODeadline) {
        self.now = now
        armed = nil
        isTimerStale = true
        if let deadline = localDeadline, deadline <= now {
            localDeadline = nil
            local.deadlineReached(now: now)
        }
        for peer in peers {
            guard let deadline = peer.deadline, deadline <= now else { continue }
            peer.deadline = nil
            peer.machine.deadlineReached(now: now)
            mark(peer)
        }
        if pressure.isPatienceOver(now: now) {
            actions.append(.note(.serverReadsSlowly))
            for peer in peers { hold(peer, .pressure, false) }
        }
        retryCommit()
    }

    /// Sets the timer where what is armed would come too late. A timer that comes too early costs less than setting it anew
    /// with every stanza.
    private mutating func timerAction() -> SiteAction? {
        guard isTimerStale else { return nil }
        isTimerStale = false
        var needed = localDeadline
        for peer in peers { needed = SiteStateMachine.earlier(needed, peer.deadline) }
        needed = SiteStateMachine.earlier(needed, pressure.deadline)
        needed = SiteStateMachine.earlier(needed, commitDeadline)
        guard let needed else { return nil }
        if let armed, armed <= needed { return nil }
        armed = needed
        return .arm(needed)
    }

    mutating func timerChanged() { isTimerStale = true }

    private static func earlier(_ one: NIODeadline?, _ other: NIODeadline?) -> NIODeadline? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }
}

/// What a site counts beside its machines.
package struct SiteCounters: Equatable, Sendable {
    package var stanzasFromServer: UInt64 = 0
    package var stanzasToServer: UInt64 = 0
    package var oversizeFromServer: UInt64 = 0
    /// How often the links were held up because the local server read too slowly.
    package var linkPauses: UInt64 = 0
    package var commits: UInt64 = 0
    package var failedCommits: UInt64 = 0
}
