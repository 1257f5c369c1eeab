import DequeModule
package import NIOCore
import SeededRandom

/// A client of a STANAG 5066 node, from opening the connection to the end of every U_PDU (STANAG 5066 Ed. 3 §A.2, Annex F §F.16).
///
/// ```
/// waiting ── dial ──▶ dialling ── bind ──▶ binding ── accepted ──▶ bound ◀─── flow, subnet, keep-alive, hard links
///    ▲                   │                    │ ▲                    │
///    └────── back-off ───┴──── closed, ───────┘ └──── delay ── unbound by the node
///                              rejected
/// ```
///
/// U_PDUs are not queued here: what is offered while there is no credit comes back at once, and waits where it can still be
/// overtaken. Each that is offered ends exactly once. Everything the node says is read at once, since a client that throttles
/// its node may be cut off (§A.2.1.14); what it delivers is the owner's to keep or to drop.
///
/// The standard is silent on the fate of U_PDUs inside a node that ends the bind or restarts; they end as lost.
package struct SISClientStateMachine: ~Copyable {
    enum State: Equatable {
        /// Before `started`.
        case idle
        /// No connection; the next is opened at `until`.
        case waiting(until: NIODeadline)
        case dialling(deadline: NIODeadline)
        /// S_BIND_REQUEST is out.
        case binding(SISConnectionID, deadline: NIODeadline)
        case bound(SISConnectionID, since: NIODeadline, mtu: Int)
        /// The node has ended the bind and left the connection open; it is asked again at `until`.
        case unbound(SISConnectionID, until: NIODeadline)
        /// We have left; the connection is being closed.
        case stopping(SISConnectionID, deadline: NIODeadline)
        case stopped
    }

    /// What holds for one connection.
    struct Connection {
        var decoder: SISDecoder
        var heardAt: NIODeadline
        /// When the last keep-alive was answered.
        var answeredAt: NIODeadline?
        /// When our own keep-alive left, to which no answer came yet.
        var askedAt: NIODeadline?
        /// Something came in since.
        var hasSpoken = false
        /// A U_PDU was not answered, and nothing else was heard: the node is asked whether it lives.
        var isDoubtful = false
        var subnet: SubnetStatus?
    }

    var configuration: SISClientConfiguration
    /// The owner wants nothing delivered: no bind is asked for.
    var isReceivingStopped = false
    var state = State.idle
    var connection: Connection?
    var backOff: BackOff
    /// Since when the node takes nothing; nil while it does.
    var flowOffSince: NIODeadline?
    /// Since when the node takes nothing although it may transmit and has nothing of ours left.
    var flowStuckSince: NIODeadline?
    var isFlowOn: Bool { flowOffSince == nil }
    var units = UnitsInNode()
    var reservation: SISReservation?
    /// Over all connections: the node is the same.
    var keepAliveSentAt: NIODeadline?
    package internal(set) var counters = SISClientCounters()
    private var armed: NIODeadline?
    private var isCreditAnnounced = false
    private var actions = Deque<SISClientAction>()

    /// - Parameter seed: of the jitter.
    package init(_ configuration: SISClientConfiguration, seed: UInt64) {
        self.configuration = configuration
        backOff = BackOff(
            minimum: configuration.reconnectMinimum, maximum: configuration.reconnectMaximum, seed: seed)
    }

    package mutating func nextAction() -> SISClientAction? {
        let action = actions.popFirst()
        if action == .creditAvailable { isCreditAnnounced = false }
        return action
    }

    // MARK: What the owner wants

    package mutating func started(now: NIODeadline) {
        guard state == .idle else { return }
        dial(now: now)
        rearm()
    }

    /// Leaves the node. What is inside it ends as lost.
    package mutating func stopRequested(now: NIODeadline) {
        switch state {
        case .stopping, .stopped: return
        case .idle, .waiting: finish()
        case .dialling:
            perform(.abandonDial)
            finish()
        case .binding(let id, _), .unbound(let id, _): leave(id, now: now)
        case .bound(let id, _, _):
            endAllUnits(.stopped)
            perform(.unbound(.stopped))
            if let reservation, reservation.isAsked { perform(.write(id, .hardLinkTerminate(reservation.link.remoteNode))) }
            perform(.write(id, .unbindRequest))
            leave(id, now: now)
        }
        rearm()
    }

    /// Nodes whose hard links are accepted from now on.
    package mutating func peersChanged(_ peers: Set<NodeAddress>) {
        configuration.hardLinkPeers = peers
    }

    /// The node confirms to senders what it has given its client, so a client that can keep no more must not be bound: then senders
    /// hear of it. What the node has on its way to us is still delivered.
    package mutating func receivingStopped(_ isStopped: Bool, now: NIODeadline) {
        guard isStopped != isReceivingStopped else { return }
        isReceivingStopped = isStopped
        switch state {
        case .bound(let id, _, _) where isStopped:
            if let reservation, reservation.isAsked { perform(.write(id, .hardLinkTerminate(reservation.link.remoteNode))) }
            perform(.write(id, .unbindRequest))
            unbind(.receivingStopped, units: .unbound, now: now)
            rest(id, now: now)
        case .binding(let id, _) where isStopped:
            perform(.write(id, .unbindRequest))
            rest(id, now: now)
        case .unbound(let id, _) where !isStopped: sendBind(id, now: now)
        case .idle, .waiting, .dialling, .binding, .bound, .unbound, .stopping, .stopped: break
        }
        rearm()
    }

    /// The connection stays, without a bind.
    private mutating func rest(_ id: SISConnectionID, now: NIODeadline) {
        state = .unbound(id, until: now + configuration.reconnectMaximum)
    }

    // MARK: What the network does

    package mutating func dialSucceeded(_ id: SISConnectionID, now: NIODeadline) {
        guard case .dialling = state else {
            perform(.drop(id))
            return
        }
        connection = Connection(decoder: SISDecoder(for: .client, alignment: configuration.alignment), heardAt: now)
        if isReceivingStopped { rest(id, now: now) } else { sendBind(id, now: now) }
        rearm()
    }

    package mutating func dialFailed(now: NIODeadline) {
        guard case .dialling = state else { return }
        perform(.note(.dialFailed))
        wait(now: now)
        rearm()
    }

    /// The connection is gone: by its end, by an error, or because we ended it.
    package mutating func connectionClosed(_ id: SISConnectionID, now: NIODeadline) {
        guard connectionID == id else { return }
        if case .stopping = state {
            finish()
        } else {
            fail(.disconnected, now: now)
        }
        rearm()
    }

    package mutating func bytesReceived(_ id: SISConnectionID, _ bytes: ByteBuffer, now: NIODeadline) {
        guard connectionID == id else { return }
        connection?.heardAt = now
        connection?.hasSpoken = true
        connection?.isDoubtful = false
        connection?.decoder.read(bytes)
        do throws(SISError) {
            // What a primitive leads to may end the connection, and its decoder with it.
            while connectionID == id, let event = try connection?.decoder.next() {
                switch event {
                case .primitive(let primitive): primitiveReceived(primitive, on: id, now: now)
                case .skipped(let error): counters.skipped(error)
                }
            }
        } catch {
            perform(.drop(id))
            if case .stopping = state { finish() } else { fail(.broken(error), now: now) }
        }
        noteFlow(now: now)
        rearm()
    }

    package mutating func deadlineReached(now: NIODeadline) {
        armed = nil
        switch state {
        case .waiting(let until) where until <= now && isReceivingStopped:
            state = .waiting(until: now + configuration.reconnectMaximum)
        case .waiting(let until) where until <= now: dial(now: now)
        case .dialling(let deadline) where deadline <= now:
            perform(.abandonDial)
            perform(.note(.dialTimeout))
            wait(now: now)
        case .binding(let id, let deadline) where deadline <= now: giveUp(id, .bindTimeout, now: now)
        case .unbound(let id, let until) where until <= now && isReceivingStopped: rest(id, now: now)
        case .unbound(let id, let until) where until <= now: sendBind(id, now: now)
        case .stopping(let id, let deadline) where deadline <= now:
            perform(.drop(id))
            finish()
        case .bound:
            endExpiredUnits(now: now)
            keepAliveDue(now: now)
            reservationDue(now: now)
            flowOnOverdue(now: now)
        case .idle, .waiting, .dialling, .binding, .unbound, .stopping, .stopped: break
        }
        noteFlow(now: now)
        rearm()
    }

    // MARK: The bind

    var connectionID: SISConnectionID? {
        switch state {
        case .binding(let id, _), .bound(let id, _, _), .unbound(let id, _), .stopping(let id, _): id
        case .idle, .waiting, .dialling, .stopped: nil
        }
    }

    private mutating func dial(now: NIODeadline) {
        state = .dialling(deadline: now + configuration.dialTimeout)
        perform(.dial)
    }

    private mutating func sendBind(_ id: SISConnectionID, now: NIODeadline) {
        state = .binding(id, deadline: now + configuration.bindTimeout)
        perform(.write(id, .bindRequest(configuration.bind)))
    }

    /// Closes the connection, and tries again later.
    mutating func giveUp(_ id: SISConnectionID, _ trouble: SISTrouble, now: NIODeadline) {
        perform(.drop(id))
        fail(trouble, now: now)
    }

    /// There is no connection any more.
    private mutating func fail(_ trouble: SISTrouble, now: NIODeadline) {
        connection = nil
        var earliest: NIODeadline?
        switch state {
        case .bound:
            unbind(trouble, units: .disconnected, now: now)
        case .unbound(_, let until):
            earliest = until
            perform(.note(trouble))
        case .idle, .waiting, .dialling, .binding, .stopping, .stopped: perform(.note(trouble))
        }
        if trouble.needsSomebody { earliest = now + configuration.slowRetry }
        wait(notBefore: earliest, now: now)
    }

    /// The bind is over; whoever calls says what is next.
    mutating func unbind(_ trouble: SISTrouble, units loss: SISUnitLoss, now: NIODeadline) {
        if case .bound(_, let since, _) = state, since + configuration.stableAfter <= now { backOff.succeeded() }
        endAllUnits(loss)
        reservation?.isAsked = false
        reservation?.askAt = nil
        perform(.unbound(trouble))
    }

    private mutating func wait(notBefore earliest: NIODeadline? = nil, now: NIODeadline) {
        let until = now + backOff.delayAfterFailure()
        state = .waiting(until: earliest.map { max($0, until) } ?? until)
    }

    private mutating func leave(_ id: SISConnectionID, now: NIODeadline) {
        perform(.close(id))
        state = .stopping(id, deadline: now + configuration.closeTimeout)
    }

    private mutating func finish() {
        connection = nil
        state = .stopped
        perform(.stopped)
    }

    // MARK: Actions and time

    mutating func perform(_ action: SISClientAction) {
        actions.append(action)
    }

    /// Something has changed after which there may be room.
    mutating func announceCredit() {
        guard !isCreditAnnounced, canSend else { return }
        isCreditAnnounced = true
        actions.append(.creditAvailable)
    }

    mutating func rearm() {
        let next =
            switch state {
            case .idle, .stopped: nil as NIODeadline?
            case .waiting(let deadline), .dialling(let deadline), .binding(_, let deadline), .unbound(_, let deadline),
                .stopping(_, let deadline):
                deadline
            case .bound:
                [units.nextDeadline, keepAliveDeadline, reservation?.askAt, flowOnDeadline].compactMap(\.self).min()
            }
        guard next != armed else { return }
        armed = next
        perform(next.map { .arm($0) } ?? .disarm)
    }
}

extension SISTrouble {
    /// True when trying again soon would meet the same.
    var needsSomebody: Bool {
        switch self {
        case .bindRejected(let reason): reason == .invalidSAP || reason == .arqUnsupportableDuringBroadcast
        case .unbound(let reason): reason != .preempted && reason != .inactivity
        case .smallMTU, .wrongSAP: true
        case .dialFailed, .dialTimeout, .bindTimeout, .disconnected, .broken, .silent, .flowStopped, .receivingStopped, .stopped: false
        }
    }
}
