package import NIOCore
import XMPP

// Deadlines, shutdown and status.
extension LocalSide {
    /// The armed time has come, or any other moment.
    package mutating func deadlineReached(now: NIODeadline) {
        self.begin(now)
        self.armed = nil
        for connection in self.sortedConnections() {
            self.deadlineReached(connection)
            self.keepAlive(connection)
        }
        for route in self.sortedRoutes() {
            self.expire(route)
            if route.phase == .waiting { self.ensure(route) }
        }
        for domain in self.unprovedLosses.takeDue(now: now) { self.domainLost(domain) }
        if let shutdownDeadline, shutdownDeadline <= now {
            self.shutdownDeadline = nil
            self.endShutdown()
        }
    }

    private mutating func deadlineReached(_ connection: LocalConnection) {
        switch connection {
        case let inbound as InboundConnection:
            inbound.machine.deadlineReached(now: self.now, actions: &self.actions)
            self.wantTelling(inbound)
        case let outbound as OutboundConnection:
            // Every late question comes alone; there are as many at most as were asked.
            while case .verified(let question, let answer) = outbound.machine.deadlineReached(
                now: self.now, actions: &self.actions)
            {
                self.settle(outbound, .verified(question, answer))
            }
            self.acknowledgementDeadlineReached(outbound)
            self.settle(outbound, .none)
            let quietSince = outbound.lastStanza + self.configuration.idleTimeout
            let isIdle = outbound.ledger.isEmpty && outbound.routes.allSatisfy { $0.queue.isEmpty }
            if quietSince <= self.now, !outbound.machine.isBusy, isIdle {
                outbound.machine.closeRequested("idle", now: self.now, actions: &self.actions)
                for route in outbound.routes { route.isAuthorized = false }
            }
        case let component as ComponentConnection:
            component.machine.deadlineReached(now: self.now, actions: &self.actions)
            if component.machine.isClosing { for route in component.routes { route.isAuthorized = false } }
        default:
            break
        }
    }

    /// Whether the stream is in use, so that its silence is worth breaking.
    private func isInUse(_ connection: LocalConnection) -> Bool {
        switch connection {
        case let inbound as InboundConnection: inbound.machine.isAuthorized && !inbound.machine.isClosing
        case let outbound as OutboundConnection: outbound.wasAuthorized && !outbound.machine.isClosing
        case let component as ComponentConnection: component.machine.isOpen
        default: false
        }
    }

    /// White space between stanzas (RFC 6120 §4.6.1): tells both ends that the connection lives.
    private mutating func keepAlive(_ connection: LocalConnection) {
        guard let interval = self.configuration.keepAlive, self.isInUse(connection),
            connection.lastSent + interval <= self.now
        else { return }
        connection.lastSent = self.now
        self.actions.append(.write(connection.id, " "))
    }

    private mutating func expire(_ route: Route) {
        let expired = route.queue.takeExpired(now: self.now)
        guard !expired.isEmpty else { return }
        for delivery in expired {
            self.queuedBytes -= delivery.stanza.byteCount
            self.queuedStanzas -= 1
            self.giveBack(delivery, .remoteServerTimeout, .wait)
        }
        let cause = route.lastError.map { "; last: \($0)" } ?? ""
        let text = "\(expired.count) stanzas from \(route.description) waited too long for the local server\(cause)"
        self.note(.queueExpired, .warning, nil, text)
        if !route.wantsStream, route.phase == .waiting || route.phase == .idle { self.removeIfIdle(route) }
    }

    /// The earliest time at which something has to happen.
    func earliestDeadline() -> NIODeadline? {
        var earliest: NIODeadline? = self.shutdownDeadline
        func consider(_ deadline: NIODeadline?) {
            guard let deadline else { return }
            if earliest.map({ deadline < $0 }) ?? true { earliest = deadline }
        }
        consider(self.unprovedLosses.nextDue)
        for connection in self.connections.values {
            switch connection {
            case let inbound as InboundConnection:
                consider(inbound.machine.deadline)
                if !inbound.machine.isClosing { consider(inbound.ledger.tellsAt) }
            case let outbound as OutboundConnection:
                consider(outbound.machine.deadline)
                consider(self.acknowledgementDeadline(outbound))
                if outbound.wasAuthorized, !outbound.machine.isClosing {
                    consider(max(outbound.lastStanza + self.configuration.idleTimeout, self.now + .seconds(1)))
                }
            case let component as ComponentConnection:
                consider(component.machine.deadline)
            default:
                break
            }
            if let interval = self.configuration.keepAlive, self.isInUse(connection) {
                consider(connection.lastSent + interval)
            }
        }
        for route in self.routes.values {
            consider(route.queue.nextExpiry)
            guard route.phase == .waiting else { continue }
            if self.reach.failures > 0, self.probe != nil, route.wantsStream { continue }  // The probe's end wakes it.
            let pauses = [route.backoff.notBefore, route.wantsStream ? self.reach.notBefore : nil]
            consider(pauses.compactMap { $0 }.max() ?? self.now)
        }
        return earliest
    }

    func sortedConnections() -> [LocalConnection] {
        self.connections.values.sorted { $0.id < $1.id }
    }

    // MARK: Shutdown

    /// Stops: nothing new is dialled or accepted, what can be written is written, then every stream is closed. Finished
    /// when ``isShutDown`` is true, at the latest after twice the close time-out.
    ///
    /// Anything that the core still wants delivered must be given before.
    package mutating func shutdownRequested(now: NIODeadline) {
        guard !self.isShuttingDown else { return }
        self.begin(now)
        self.isShuttingDown = true
        self.shutdownDeadline = now + self.configuration.closeTimeout
        for route in self.sortedRoutes() {
            let questions = route.questions
            route.questions.removeAll()
            for question in questions { self.answer(question, .error(.remoteServerTimeout)) }
            if !route.isAuthorized { self.leaveAll(route) }
            if route.phase == .waiting || route.phase == .idle { self.removeIfIdle(route) }
        }
        for case let inbound as InboundConnection in self.sortedConnections() {
            self.tell(inbound)
            inbound.machine.closeRequested("the bridge stops", now: now, actions: &self.actions)
        }
        self.closeAllDrained()
    }

    /// Closes a stream on shutdown once its queues are empty and nothing more can come that has to be answered on it: the
    /// server may have stanzas on their way until it has closed its own streams.
    mutating func closeIfDrained(_ carrier: CarrierConnection) {
        guard carrier.routes.allSatisfy({ $0.queue.isEmpty }), !self.hasServerToHear else { return }
        // What a server that acknowledges has not acknowledged would go out again after the next start.
        guard carrier.ledger.management != .on || carrier.ledger.isEmpty else { return }
        self.close(carrier)
    }

    /// Closes what only waited for the server's streams to end.
    mutating func closeAllDrained() {
        for case let carrier as CarrierConnection in self.sortedConnections() { self.closeIfDrained(carrier) }
    }

    private var hasServerToHear: Bool {
        self.connections.values.contains { connection in
            guard let inbound = connection as? InboundConnection else { return false }
            return inbound.machine.isAuthorized && !inbound.machine.isClosed
        }
    }

    private mutating func close(_ carrier: CarrierConnection) {
        switch carrier {
        case let outbound as OutboundConnection:
            outbound.machine.closeRequested("the bridge stops", now: self.now, actions: &self.actions)
        case let component as ComponentConnection:
            component.machine.closeRequested("the bridge stops", now: self.now, actions: &self.actions)
        default:
            break
        }
        for route in carrier.routes { route.isAuthorized = false }
        self.isTimerStale = true
    }

    /// The time for writing is over: what still waits goes back.
    private mutating func endShutdown() {
        for route in self.sortedRoutes() { self.leaveAll(route) }
        for connection in self.sortedConnections() {
            if let carrier = connection as? CarrierConnection { self.close(carrier) }
        }
    }

    // MARK: Status

    package var snapshot: LocalSideStatus {
        let streams = self.sortedConnections().map { connection -> LocalSideStatus.Stream in
            switch connection {
            case let inbound as InboundConnection:
                LocalSideStatus.Stream(
                    connection: inbound.id, direction: .inbound, state: inbound.machine.debugState,
                    isEncrypted: inbound.machine.isEncrypted, pairs: inbound.machine.proved,
                    isAcknowledged: inbound.ledger.isOn, unacknowledged: inbound.ledger.untold)
            case let outbound as OutboundConnection:
                LocalSideStatus.Stream(
                    connection: outbound.id, direction: .outbound, state: outbound.machine.debugState,
                    isEncrypted: outbound.machine.isEncrypted, pairs: outbound.machine.authorizedPairs,
                    isAcknowledged: outbound.ledger.management == .on, unacknowledged: outbound.ledger.count)
            case let component as ComponentConnection:
                LocalSideStatus.Stream(
                    connection: component.id, direction: .component, state: component.machine.debugState,
                    isEncrypted: false,
                    pairs: component.machine.isOpen
                        ? self.configuration.localDomains.map {
                            DomainPair(remote: component.machine.domain, local: $0)
                        } : [], unacknowledged: component.ledger.count)
            default:
                LocalSideStatus.Stream(
                    connection: connection.id, direction: .inbound, state: "unknown", isEncrypted: false, pairs: [])
            }
        }
        let queues = self.sortedRoutes().map { route in
            LocalSideStatus.Queue(
                remote: route.key.remote, local: route.key.local, state: route.stateText, stanzas: route.queue.count,
                bytes: route.queue.bytes, lastError: route.lastError)
        }
        return LocalSideStatus(
            streams: streams, queues: queues, queuedStanzas: self.queuedStanzas, queuedBytes: self.queuedBytes,
            stanzasInDoubt: self.stanzasInDoubt, repeatedStanzas: self.repeatedStanzas,
            recentProblems: Array(self.recentProblems),
            counts: LocalNote.Kind.allCases.map { ($0, self.counts[$0] ?? 0) })
    }
}
