import DequeModule
package import NIOCore
package import XMPP

/// The connections of one XEP-0361 link: who dials when, which connection stanzas go out on, how connections end.
///
/// There are at most two usable connections, one opened by us and one opened by the peer; both are read. Stanzas go out
/// on one of them, the *sender*:
///
/// ```
///   only one connection                  that one, in both directions (XEP-0361 §4.3)
///   both sides have opened one           each side sends on the one it opened (XEP-0361 §4.3)
///   ours opens after we have sent        the peer's stays the sender as long as it lives: stanzas on two
///   on the peer's                        connections could overtake each other
/// ```
///
/// The XEP is silent on a third connection: a newer one from the peer replaces the older one of the same direction,
/// which is told `conflict`. A closing tag is answered by a closing tag; then the side that opened the connection ends
/// it. One batch is in flight at a time, so that stanzas wait where they can still be put in order, not in a socket.
package struct TCPLinkStateMachine: ~Copyable {
    private enum Life: Equatable {
        /// Before `started`.
        case idle
        case running
        /// Closing tags are out; becomes `closed` when the last connection is gone.
        case closing
        case closed
    }

    private enum Dial: Equatable {
        case resting
        case waiting(until: NIODeadline)
        case dialling(deadline: NIODeadline)
    }

    private struct Connection: Equatable {
        let id: LinkConnectionID
        let openedHere: Bool
        let since: NIODeadline
        /// A stanza came in on it.
        var heard = false
        /// The peer can no longer be about to refuse it.
        var proven: Bool
    }

    /// A connection that will not carry stanzas any more: our closing tag is written.
    private struct Leaving: Equatable {
        let id: LinkConnectionID
        let openedHere: Bool
        let deadline: NIODeadline
    }

    private let policy: TCPLinkPolicy
    private var backOff: LinkBackOff
    private var life = Life.idle
    private var dial = Dial.resting
    private var outgoing: Connection?
    private var incoming: Connection?
    private var leaving: [Leaving] = []
    private var sender: LinkConnectionID?
    /// A batch was written to the sender, so the other connection may not become the sender.
    private var senderWasUsed = false
    private var batchInFlight = false
    /// Something waits for a connection.
    private var isDemanded = false
    /// Dials and connections in a row that came to nothing.
    private var failures = 0
    /// Not to be dialled before; the wait after a failure also holds for a demand that comes later.
    private var earliestDial: NIODeadline?
    private var armed: NIODeadline?
    private var actions = Deque<TCPLinkAction>()

    /// More than this many connections on their way out are dropped, oldest first.
    private static let maximumLeaving = 8

    /// - Parameter seed: of the jitter.
    package init(policy: TCPLinkPolicy, seed: UInt64) {
        self.policy = policy
        backOff = LinkBackOff(minimum: policy.reconnectMinimum, maximum: policy.reconnectMaximum, seed: seed)
    }

    package mutating func nextAction() -> TCPLinkAction? {
        actions.popFirst()
    }

    /// What status shows.
    package var state: LinkStatus.State {
        switch life {
        case .idle, .closed: return .stopped
        case .closing: return .closing
        case .running: break
        }
        if sender != nil { return .connected }
        switch dial {
        case .resting: return .resting
        case .waiting(let until): return .waiting(until: until)
        case .dialling: return .dialling
        }
    }

    /// The connection that stanzas go out on.
    package var sendingConnection: LinkConnectionID? { sender }

    /// Whether batches written to the connection must be kept in case the peer refuses it.
    package func isUnproven(_ id: LinkConnectionID) -> Bool {
        outgoing.map { $0.id == id && !$0.proven } ?? false
    }

    package var debugState: String {
        "life \(life), dial \(dial), outgoing \(outgoing?.id.number as Any), incoming \(incoming?.id.number as Any), "
            + "leaving \(leaving.map(\.id.number)), sender \(sender?.number as Any), batch \(batchInFlight), "
            + "failures \(failures)"
    }

    // MARK: What the owner wants

    package mutating func started(now: NIODeadline) {
        guard life == .idle else { return }
        life = .running
        switch policy.dial {
        case .never, .whenNeeded(atStart: false): break
        case .always, .whenNeeded(atStart: true):
            isDemanded = true
            dialWhenDue(now: now)
        }
        rearm()
    }

    package mutating func connectionDemanded(now: NIODeadline) {
        guard life == .running, sender == nil else { return }
        isDemanded = true
        dialWhenDue(now: now)
        rearm()
    }

    package mutating func batchOffered(now: NIODeadline) {
        guard life == .running, let sender, !batchInFlight else {
            actions.append(.returnBatch)
            return
        }
        batchInFlight = true
        senderWasUsed = true
        actions.append(.write(sender))
    }

    /// The agreement was broken: every connection ends with `error`.
    package mutating func failRequested(_ error: StreamError, now: NIODeadline) {
        guard life == .running else { return }
        for connection in [outgoing, incoming].compactMap(\.self) {
            actions.append(.writeError(connection.id, error))
            retire(connection, reason: .errorSent(error), now: now)
        }
        rearm()
    }

    package mutating func closeRequested(now: NIODeadline) {
        switch life {
        case .closing, .closed: return
        case .idle, .running: break
        }
        life = .closing
        if case .dialling = dial { actions.append(.abandonDial) }
        dial = .resting
        for connection in [outgoing, incoming].compactMap(\.self) {
            // The sender stays known until it is gone: its last batch may still be written before the closing tag.
            actions.append(.writeClose(connection.id))
            leave(connection, now: now)
        }
        outgoing = nil
        incoming = nil
        finishClosing()
        rearm()
    }

    // MARK: What the network does

    /// The connection that was dialled is there, and the peer is who it should be.
    package mutating func dialSucceeded(_ id: LinkConnectionID, now: NIODeadline) {
        guard life == .running, case .dialling = dial, outgoing == nil else {
            actions.append(.drop(id))
            return
        }
        dial = .resting
        outgoing = Connection(id: id, openedHere: true, since: now, proven: false)
        chooseSender()
        rearm()
    }

    package mutating func dialFailed(_ reason: LinkEnd, now: NIODeadline) {
        guard case .dialling = dial else { return }
        dial = .resting
        actions.append(.note(reason))
        countFailure(now: now)
        dialWhenDue(now: now)
        rearm()
    }

    /// The peer has connected and is who it should be.
    package mutating func peerAccepted(_ id: LinkConnectionID, now: NIODeadline) {
        guard life == .running else {
            actions.append(.drop(id))
            return
        }
        let older = incoming
        incoming = Connection(id: id, openedHere: false, since: now, proven: true)
        // A dial that is under way goes on: giving it up at both ends at once would leave no connection at all.
        if case .waiting = dial { dial = .resting }
        if let older {
            actions.append(
                .writeError(older.id, StreamError(.conflict, text: "replaced by a newer connection from the same peer"))
            )
            leave(older, now: now)
            lost(older, reason: .replaced, now: now)
        }
        chooseSender()
        rearm()
    }

    package mutating func stanzaReceived(_ id: LinkConnectionID) {
        if outgoing?.id == id {
            outgoing?.heard = true
            if outgoing?.proven == false {
                outgoing?.proven = true
                actions.append(.proven(id))
                rearm()
            }
        } else if incoming?.id == id {
            incoming?.heard = true
        }
    }

    /// The kernel has taken all of the batch.
    package mutating func batchWritten(_ id: LinkConnectionID, now: NIODeadline) {
        guard sender == id, batchInFlight else { return }
        batchInFlight = false
        if life == .running { actions.append(.ready) }
    }

    package mutating func closeTagReceived(_ id: LinkConnectionID, now: NIODeadline) {
        if let connection = connection(id) {
            actions.append(.writeClose(id))
            retire(connection, reason: .closedByPeer, now: now)
        }
        // The opener ends the connection (XEP-0361 §4.3); the other side waits for that, but not for long.
        if leaving.contains(where: { $0.id == id && $0.openedHere }) { actions.append(.close(id)) }
        rearm()
    }

    package mutating func streamErrorReceived(_ id: LinkConnectionID, _ error: StreamError, now: NIODeadline) {
        guard let connection = connection(id) else { return }
        actions.append(.writeClose(id))
        retire(connection, reason: .errorReceived(error), now: now)
        rearm()
    }

    /// What came in on the connection broke a rule.
    package mutating func readerFailed(_ id: LinkConnectionID, _ error: StreamError, now: NIODeadline) {
        guard let connection = connection(id) else { return }
        actions.append(.writeError(id, error))
        retire(connection, reason: .errorSent(error), now: now)
        rearm()
    }

    /// The connection is gone: by its end of stream, by an error, or because we ended it.
    package mutating func connectionClosed(_ id: LinkConnectionID, _ reason: LinkEnd, now: NIODeadline) {
        if let connection = connection(id) {
            remove(id)
            lost(connection, reason: reason, now: now)
        } else if let index = leaving.firstIndex(where: { $0.id == id }) {
            leaving.remove(at: index)
            senderGoneWhileClosing(id)
            finishClosing()
        }
        rearm()
    }

    package mutating func deadlineReached(now: NIODeadline) {
        armed = nil
        switch dial {
        case .dialling(let deadline) where deadline <= now:
            dial = .resting
            actions.append(.abandonDial)
            actions.append(.note(.dialTimeout))
            countFailure(now: now)
            dialWhenDue(now: now)
        case .waiting(let until) where until <= now:
            dial = .resting
            dialWhenDue(now: now)
        case .resting, .waiting, .dialling: break
        }
        if let connection = outgoing, !connection.proven, connection.since + policy.refusalWindow <= now {
            outgoing?.proven = true
            actions.append(.proven(connection.id))
        }
        while let index = leaving.firstIndex(where: { $0.deadline <= now }) {
            dropLeaving(at: index)
        }
        finishClosing()
        rearm()
    }

    // MARK: Connections

    private func connection(_ id: LinkConnectionID) -> Connection? {
        if let outgoing, outgoing.id == id { return outgoing }
        if let incoming, incoming.id == id { return incoming }
        return nil
    }

    private mutating func remove(_ id: LinkConnectionID) {
        if outgoing?.id == id { outgoing = nil }
        if incoming?.id == id { incoming = nil }
    }

    /// Our closing tag is on its way: no more stanzas go out on the connection, and what still comes in is taken.
    private mutating func retire(_ connection: Connection, reason: LinkEnd, now: NIODeadline) {
        remove(connection.id)
        leave(connection, now: now)
        lost(connection, reason: reason, now: now)
    }

    private mutating func leave(_ connection: Connection, now: NIODeadline) {
        leaving.append(
            Leaving(id: connection.id, openedHere: connection.openedHere, deadline: now + policy.closeTimeout))
        if leaving.count > Self.maximumLeaving { dropLeaving(at: 0) }
    }

    private mutating func dropLeaving(at index: Int) {
        let id = leaving.remove(at: index).id
        actions.append(.drop(id))
        senderGoneWhileClosing(id)
    }

    /// A usable connection has become unusable.
    private mutating func lost(_ connection: Connection, reason: LinkEnd, now: NIODeadline) {
        actions.append(.note(reason))
        let worked = connection.heard || connection.since + policy.stableAfter <= now
        if worked, !reason.deservesBackOff {
            failures = 0
            setEarliestDial(now: now)
        } else {
            countFailure(now: now)
        }
        if sender == connection.id {
            actions.append(
                .disconnected(reason, batchInFlight: batchInFlight, refused: !connection.proven && !connection.heard))
            sender = nil
            batchInFlight = false
            chooseSender()
        }
        dialWhenDue(now: now)
    }

    private mutating func chooseSender() {
        guard life == .running else { return }
        if let current = sender {
            // Nothing was sent on the peer's connection yet, so ours can take over without anything overtaking.
            if !senderWasUsed, let outgoing, outgoing.id != current { sender = outgoing.id }
        } else if let connection = outgoing ?? incoming {
            sender = connection.id
            senderWasUsed = false
            isDemanded = false
            actions.append(.connected(connection.id))
            actions.append(.ready)
        }
    }

    private mutating func senderGoneWhileClosing(_ id: LinkConnectionID) {
        guard sender == id else { return }
        actions.append(.disconnected(.closed, batchInFlight: batchInFlight, refused: false))
        sender = nil
        batchInFlight = false
    }

    private mutating func finishClosing() {
        guard life == .closing, leaving.isEmpty else { return }
        life = .closed
        actions.append(.closed)
    }

    // MARK: Dialling

    private mutating func countFailure(now: NIODeadline) {
        failures = min(failures + 1, 1_000)
        setEarliestDial(now: now)
    }

    private mutating func setEarliestDial(now: NIODeadline) {
        earliestDial = now + backOff.delay(failures: failures)
    }

    /// Dials now or later, if the policy and the state of the link ask for it.
    private mutating func dialWhenDue(now: NIODeadline) {
        guard life == .running, outgoing == nil, incoming == nil, case .resting = dial else { return }
        switch policy.dial {
        case .never: return
        case .whenNeeded: guard isDemanded else { return }
        case .always: break
        }
        if let earliestDial, earliestDial > now {
            dial = .waiting(until: earliestDial)
        } else {
            dial = .dialling(deadline: now + policy.dialTimeout)
            actions.append(.dial)
        }
    }

    // MARK: Timer

    private mutating func rearm() {
        var next: NIODeadline?
        func consider(_ deadline: NIODeadline) {
            next = min(next ?? deadline, deadline)
        }
        switch dial {
        case .resting: break
        case .waiting(let until): consider(until)
        case .dialling(let deadline): consider(deadline)
        }
        if let outgoing, !outgoing.proven { consider(outgoing.since + policy.refusalWindow) }
        for connection in leaving { consider(connection.deadline) }
        guard next != armed else { return }
        armed = next
        actions.append(next.map { .arm($0) } ?? .disarm)
    }
}

extension LinkEnd {
    /// True when dialling again at once would meet the same end.
    fileprivate var deservesBackOff: Bool {
        switch self {
        case .errorReceived, .errorSent, .failed: true
        case .closedByPeer, .cut, .reset, .silent, .replaced, .closed, .dialTimeout: false
        }
    }
}
