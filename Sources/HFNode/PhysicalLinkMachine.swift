import DequeModule
package import NIOCore

/// Timers and limits of the making and breaking of links.
package struct PhysicalLinkPolicy: Hashable, Sendable {
    /// The link protocol is used from the start; without it every node counts as linked until one says that it is not.
    package var isUsed = true
    /// How often a call is sent before it fails.
    package var callAttempts = 4
    package var breakAttempts = 2
    /// A link without data for so long is broken; zero breaks it when nothing is left to send.
    package var idle = TimeAmount.seconds(30)
    /// The called side may not break earlier.
    package var minimumHold = TimeAmount.seconds(30)
    /// The called side gives a link up that never carried data.
    package var firstData = TimeAmount.seconds(30)

    package init() {}
}

/// The soft link to one node: channel access protocol type 1 (STANAG 5066 Ed. 3 §B.3).
///
/// ```
///              linkDemanded               LINK ACCEPTED
///    down ───────────────────▶ calling ──────────────────▶ up (caller)
///      ▲ ◀─── LINK REJECTED, no answer ───┘                  │ idle
///      │                                                     ▼
///      ├──◀── BREAK CONFIRM, no answer ───────────────── breaking
///      │
///      └─── LINK REQUEST ─────▶ up (called) ── BREAK received, no first data ──▶ down
/// ```
///
/// There is no third step of the handshake. A side that is called while it calls takes the call. A request on a link
/// that is up means that the other side has lost it: the link counts as made anew.
package struct PhysicalLinkMachine: Sendable {
    package struct Link: Hashable, Sendable {
        var since: NIODeadline
        var isCaller: Bool
        var lastData: NIODeadline
        var hasCarriedData = false
    }

    package enum State: Hashable, Sendable {
        case down
        case calling(attempts: Int)
        case up(Link)
        /// The break was ordered; `link` is what it was.
        case breaking(attempts: Int, link: Link)
    }

    package enum End: Hashable, Sendable {
        /// Nobody answered the call, or the data.
        case notResponding
        /// The call was rejected, with the reason of the C_PDU.
        case rejected(UInt8)
        /// Broken by the other side, with the reason of the C_PDU.
        case brokenByPeer(UInt8)
        /// Broken because there was nothing to send.
        case idle
        /// Called, but no data came.
        case noFirstData
        /// The other side says that it knows of no link.
        case unknownToPeer
    }

    package enum Event: Hashable, Sendable {
        case made(asCaller: Bool)
        /// A call came to nothing.
        case failed(End)
        case broken(End)
    }

    package let policy: PhysicalLinkPolicy
    package private(set) var state = State.down
    /// C_PDUs for the next burst.
    package private(set) var outgoing: [CPDU] = []
    private var events: Deque<Event> = []
    /// The other side has shown that it wants the link protocol.
    private var isProtocolForced = false

    package init(policy: PhysicalLinkPolicy) {
        self.policy = policy
    }

    package mutating func nextEvent() -> Event? { events.popFirst() }

    package var isUp: Bool {
        if case .up = state { true } else { false }
    }

    /// A call or a break waits for its answer once it is sent.
    package var awaitsAnswer: Bool {
        switch state {
        case .calling, .breaking: true
        case .down, .up: false
        }
    }

    private var usesProtocol: Bool { policy.isUsed || isProtocolForced }

    // MARK: What the node wants

    /// There are data for the other side.
    package mutating func linkDemanded(now: NIODeadline) {
        switch state {
        case .up, .calling: return
        case .breaking(_, let link):
            // A break that was not sent yet is taken back; else it runs its course.
            guard let index = outgoing.firstIndex(where: \.isBreak) else { return }
            outgoing.remove(at: index)
            state = .up(link)
        case .down:
            guard usesProtocol else {
                make(asCaller: true, now: now)
                return
            }
            state = .calling(attempts: 0)
            outgoing.append(.linkRequest(isExclusive: false))
        }
    }

    /// ARQ frames went out or came in on the link.
    package mutating func dataExchanged(now: NIODeadline) {
        guard case .up(var link) = state else { return }
        link.lastData = now
        link.hasCarriedData = true
        state = .up(link)
    }

    /// Something of the other side is or was on the air, whatever could be read of it, or our answer was.
    package mutating func activitySeen(now: NIODeadline) {
        guard case .up(var link) = state else { return }
        link.lastData = max(link.lastData, now)
        state = .up(link)
    }

    /// The other side does not answer any more.
    package mutating func linkLost() {
        end(.notResponding)
    }

    // MARK: What happens on the air

    /// - Parameter mayAccept: another link is allowed.
    package mutating func received(_ unit: CPDU, mayAccept: Bool, now: NIODeadline) {
        switch unit {
        case .data: break
        case .linkRequest:
            outgoing.removeAll { $0.isAnswer || $0.isCall || $0.isBreak }
            guard mayAccept || isUp else {
                outgoing.append(.linkRejected(reason: CPDU.RejectReason.unknown))
                return
            }
            outgoing.append(.linkAccepted)
            make(asCaller: false, now: now)
        case .linkAccepted:
            guard case .calling = state else { return }
            outgoing.removeAll(where: \.isCall)
            make(asCaller: true, now: now)
        case .linkRejected(let reason):
            guard case .calling = state else { return }
            outgoing.removeAll(where: \.isCall)
            end(.rejected(reason))
        case .linkBreak(let reason):
            outgoing.removeAll { $0.isAnswer || $0.isBreak }
            outgoing.append(.linkBreakConfirm)
            switch state {
            case .up: end(.brokenByPeer(reason))
            case .breaking: end(.idle)
            case .down, .calling: break
            }
        case .linkBreakConfirm:
            guard case .breaking = state else { return }
            outgoing.removeAll(where: \.isBreak)
            end(.idle)
        }
    }

    /// The other side knows of no link (§C.3.12): the link protocol has to make one (§B.3).
    package mutating func warningReceived() {
        isProtocolForced = true
        guard case .up = state else { return }
        end(.unknownToPeer)
    }

    package enum Admission: Hashable, Sendable {
        case accepted
        /// The other side is wrong about the link and has to be told (§C.3.12).
        case refused
        /// The call that is under way will put it right.
        case ignored
    }

    /// ARQ frames came in.
    package mutating func dataReceived(now: NIODeadline) -> Admission {
        switch state {
        case .up:
            dataExchanged(now: now)
            return .accepted
        case .breaking(_, let link):
            // The other side does not know of the break yet, and has something to say.
            outgoing.removeAll(where: \.isBreak)
            state = .up(link)
            dataExchanged(now: now)
            return .accepted
        case .calling: return .ignored
        case .down:
            guard !usesProtocol else { return .refused }
            make(asCaller: false, now: now)
            dataExchanged(now: now)
            return .accepted
        }
    }

    /// The C_PDUs are on the air.
    package mutating func transmitted() {
        outgoing = []
    }

    /// No answer came to a call or a break.
    package mutating func answerMissed() {
        switch state {
        case .calling(let attempts):
            guard attempts + 1 < policy.callAttempts else {
                end(.notResponding)
                return
            }
            state = .calling(attempts: attempts + 1)
            outgoing.append(.linkRequest(isExclusive: false))
        case .breaking(let attempts, let link):
            guard attempts + 1 < policy.breakAttempts else {
                end(.idle)
                return
            }
            state = .breaking(attempts: attempts + 1, link: link)
            outgoing.append(.linkBreak(reason: CPDU.BreakReason.noMoreData))
        case .down, .up: break
        }
    }

    // MARK: Time

    /// When the link is to be broken or given up.
    ///
    /// - Parameter answerTime: how long an answer may take; the called side leaves the first word at the end to the caller for
    ///   twice as long, lest both break at once.
    package func deadline(answerTime: TimeAmount) -> NIODeadline? {
        guard case .up(let link) = state, usesProtocol else { return nil }
        if link.isCaller { return link.lastData + policy.idle }
        guard link.hasCarriedData else { return link.lastData + max(policy.firstData, answerTime * 2) }
        return max(link.lastData + policy.idle + answerTime * 2, link.since + policy.minimumHold)
    }

    /// - Parameter isQuiet: nothing is to be sent, nothing waits for an acknowledgement.
    package mutating func deadlineReached(answerTime: TimeAmount, isQuiet: Bool, now: NIODeadline) {
        guard let deadline = deadline(answerTime: answerTime), deadline <= now, case .up(var link) = state else { return }
        guard isQuiet else {
            // Asked again after a second at the earliest.
            link.lastData = now + max(.zero, .seconds(1) - policy.idle)
            state = .up(link)
            return
        }
        guard link.isCaller || link.hasCarriedData else {
            end(.noFirstData)
            return
        }
        state = .breaking(attempts: 0, link: link)
        outgoing.append(.linkBreak(reason: CPDU.BreakReason.noMoreData))
    }

    // MARK: Changes

    private mutating func make(asCaller: Bool, now: NIODeadline) {
        state = .up(Link(since: now, isCaller: asCaller, lastData: now))
        events.append(.made(asCaller: asCaller))
    }

    private mutating func end(_ reason: End) {
        switch state {
        case .down: return
        case .calling: events.append(.failed(reason))
        case .up, .breaking: events.append(.broken(reason))
        }
        state = .down
        outgoing.removeAll { $0.isCall || $0.isBreak }
    }
}

extension CPDU {
    var isCall: Bool {
        if case .linkRequest = self { true } else { false }
    }

    var isBreak: Bool {
        if case .linkBreak = self { true } else { false }
    }

    /// The answer to a call or a break.
    var isAnswer: Bool {
        switch self {
        case .linkAccepted, .linkRejected, .linkBreakConfirm: true
        case .data, .linkRequest, .linkBreak: false
        }
    }
}
