import Blocks
import DequeModule
package import NIOCore
package import XMPP

/// The connections of one link over TCP: who dials when, which connection is sent on, how connections end.
///
/// In dialect `xep` there are at most two usable connections, one opened by us and one opened by the peer; both are read.
/// Stanzas go out on one of them, the *sender*:
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
///
/// In dialect `skywave` there is one connection, opened by the side that the agreement names; a newer one from the same
/// peer replaces it at once. No farewell is sent, since what the other side has is known from its acknowledgements.
package struct TCPLinkStateMachine: ~Copyable {
    enum Life: Equatable {
        /// Before `started`.
        case idle
        case running
        /// Closing tags are out; becomes `closed` when the last connection is gone.
        case closing
        case closed
    }

    struct Connection: Equatable {
        let id: LinkConnectionID
        let openedHere: Bool
        let since: NIODeadline
        /// A stanza or block came in on it.
        var heard = false
        /// The peer can no longer be about to refuse it.
        var proven: Bool
    }

    /// A connection that will not carry stanzas any more: our closing tag is written.
    struct Leaving: Equatable {
        let id: LinkConnectionID
        let openedHere: Bool
        let deadline: NIODeadline
    }

    let policy: TCPLinkPolicy
    var dialler: LinkDialler
    var life = Life.idle
    var outgoing: Connection?
    var incoming: Connection?
    var leaving: [Leaving] = []
    var sender: LinkConnectionID?
    /// A batch was written to the sender, so the other connection may not become the sender.
    var senderWasUsed = false
    var batchInFlight = false
    var armed: NIODeadline?
    var actions = Deque<TCPLinkAction>()

    /// - Parameter seed: of the jitter.
    package init(policy: TCPLinkPolicy, seed: UInt64) {
        self.policy = policy
        dialler = LinkDialler(policy: policy, seed: seed)
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
        switch dialler.state {
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
        "life \(life), dial \(dialler.state), outgoing \(outgoing?.id.number as Any), incoming \(incoming?.id.number as Any), "
            + "leaving \(leaving.map(\.id.number)), sender \(sender?.number as Any), batch \(batchInFlight), "
            + "failures \(dialler.failures)"
    }

    // MARK: What the owner wants

    package mutating func started(now: NIODeadline) {
        guard life == .idle else { return }
        life = .running
        switch policy.dial {
        case .never, .whenNeeded(atStart: false): break
        case .always, .whenNeeded(atStart: true):
            dialler.isDemanded = true
            dialWhenDue(now: now)
        }
        rearm()
    }

    package mutating func connectionDemanded(now: NIODeadline) {
        guard life == .running, sender == nil else { return }
        dialler.isDemanded = true
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
            switch policy.dialect {
            case .xep:
                actions.append(.writeError(connection.id, error))
                retire(connection, reason: .errorSent(error), now: now)
            case .skywave:
                // What is written goes out first: it may be the block that tells the peer why.
                actions.append(.close(connection.id))
                retire(connection, reason: LinkEnd(ownVerdict: error), now: now)
            }
        }
        rearm()
    }

    package mutating func closeRequested(now: NIODeadline) {
        switch life {
        case .closing, .closed: return
        case .idle, .running: break
        }
        life = .closing
        if dialler.isDialling { actions.append(.abandonDial) }
        dialler.rest()
        for connection in [outgoing, incoming].compactMap(\.self) {
            // The sender stays known until it is gone: its last batch may still be written before the closing tag.
            actions.append(policy.dialect == .xep ? .writeClose(connection.id) : .close(connection.id))
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
        guard life == .running, dialler.isDialling, outgoing == nil, policy.dialect == .xep || incoming == nil
        else {
            actions.append(.drop(id))
            return
        }
        dialler.rest()
        outgoing = Connection(id: id, openedHere: true, since: now, proven: policy.dialect == .skywave)
        chooseSender()
        rearm()
    }

    package mutating func dialFailed(_ reason: LinkEnd, now: NIODeadline) {
        guard dialler.isDialling else { return }
        dialler.rest()
        actions.append(.note(reason))
        dialler.countFailure(now: now)
        dialWhenDue(now: now)
        rearm()
    }

    /// The peer has connected and is who it should be.
    package mutating func peerAccepted(_ id: LinkConnectionID, now: NIODeadline) {
        guard life == .running else {
            actions.append(.drop(id))
            return
        }
        var older = incoming
        if policy.dialect == .skywave, let other = outgoing {
            // The agreement lets only one side dial; should both, one connection must be left.
            older = other
            outgoing = nil
        }
        incoming = Connection(id: id, openedHere: false, since: now, proven: true)
        // A dial that is under way goes on: giving it up at both ends at once would leave no connection at all.
        if !dialler.isDialling { dialler.rest() }
        if let older {
            switch policy.dialect {
            case .xep:
                let conflict = StreamError(.conflict, text: "replaced by a newer connection from the same peer")
                actions.append(.writeError(older.id, conflict))
                leave(older, now: now)
            case .skywave: actions.append(.drop(older.id))
            }
            lost(older, reason: .replaced, now: now)
        }
        chooseSender()
        rearm()
    }

    /// A stanza or a block came in.
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

    /// What came in on the connection is not what the link carries: another version, or no block at all.
    ///
    /// - Parameter isToldWhy: the peer is told our version; not when it has just told us its own.
    package mutating func blockRefused(
        _ id: LinkConnectionID, _ reason: LinkEnd, isToldWhy: Bool, now: NIODeadline
    ) {
        guard let connection = connection(id) else { return }
        if isToldWhy {
            actions.append(.writeRefusal(id))
            retire(connection, reason: reason, now: now)
        } else {
            actions.append(.drop(id))
            remove(id)
            lost(connection, reason: reason, now: now)
        }
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
        switch dialler.state {
        case .dialling(let deadline) where deadline <= now:
            dialler.rest()
            actions.append(.abandonDial)
            actions.append(.note(.dialTimeout))
            dialler.countFailure(now: now)
            dialWhenDue(now: now)
        case .waiting(let until) where until <= now:
            dialler.rest()
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
}
