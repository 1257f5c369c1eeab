import NIOCore

/// Connections as they come and go, and what follows for dialling and the timer.
extension TCPLinkStateMachine {
    /// More than this many connections on their way out are dropped, oldest first.
    private static let maximumLeaving = 8

    func connection(_ id: LinkConnectionID) -> Connection? {
        if let outgoing, outgoing.id == id { return outgoing }
        if let incoming, incoming.id == id { return incoming }
        return nil
    }

    mutating func remove(_ id: LinkConnectionID) {
        if outgoing?.id == id { outgoing = nil }
        if incoming?.id == id { incoming = nil }
    }

    /// Our closing tag is on its way: no more stanzas go out on the connection, and what still comes in is taken.
    mutating func retire(_ connection: Connection, reason: LinkEnd, now: NIODeadline) {
        remove(connection.id)
        leave(connection, now: now)
        lost(connection, reason: reason, now: now)
    }

    mutating func leave(_ connection: Connection, now: NIODeadline) {
        leaving.append(
            Leaving(id: connection.id, openedHere: connection.openedHere, deadline: now + policy.closeTimeout))
        if leaving.count > Self.maximumLeaving { dropLeaving(at: 0) }
    }

    mutating func dropLeaving(at index: Int) {
        let id = leaving.remove(at: index).id
        actions.append(.drop(id))
        senderGoneWhileClosing(id)
    }

    /// A usable connection has become unusable.
    mutating func lost(_ connection: Connection, reason: LinkEnd, now: NIODeadline) {
        actions.append(.note(reason))
        let worked = connection.heard || connection.since + policy.stableAfter <= now
        dialler.connectionLost(reason, worked: worked, now: now)
        if sender == connection.id {
            actions.append(
                .disconnected(reason, batchInFlight: batchInFlight, refused: !connection.proven && !connection.heard))
            sender = nil
            batchInFlight = false
            chooseSender()
        }
        dialWhenDue(now: now)
    }

    mutating func chooseSender() {
        guard life == .running else { return }
        if let current = sender {
            // Nothing was sent on the peer's connection yet, so ours can take over without anything overtaking.
            if !senderWasUsed, let outgoing, outgoing.id != current { sender = outgoing.id }
        } else if let connection = outgoing ?? incoming {
            sender = connection.id
            senderWasUsed = false
            dialler.isDemanded = false
            actions.append(.connected(connection.id))
            actions.append(.ready)
        }
    }

    mutating func senderGoneWhileClosing(_ id: LinkConnectionID) {
        guard sender == id else { return }
        actions.append(.disconnected(.closed, batchInFlight: batchInFlight, refused: false))
        sender = nil
        batchInFlight = false
    }

    mutating func finishClosing() {
        guard life == .closing, leaving.isEmpty else { return }
        life = .closed
        actions.append(.closed)
    }

    // MARK: Dialling and time

    /// Dials now or later, if the policy and the state of the link ask for it.
    mutating func dialWhenDue(now: NIODeadline) {
        guard life == .running, outgoing == nil, incoming == nil else { return }
        if dialler.dialWhenDue(now: now) { actions.append(.dial) }
    }

    mutating func rearm() {
        var next: NIODeadline?
        func consider(_ deadline: NIODeadline) {
            next = min(next ?? deadline, deadline)
        }
        if let deadline = dialler.deadline { consider(deadline) }
        if let outgoing, !outgoing.proven { consider(outgoing.since + policy.refusalWindow) }
        for connection in leaving { consider(connection.deadline) }
        guard next != armed else { return }
        armed = next
        actions.append(next.map { .arm($0) } ?? .disarm)
    }
}
