package import NIOCore
package import XMPP

// What happens on connections, passed to the stream it belongs to. Input for a connection that is gone is ignored: the
// runtime may have had it on its way.
extension LocalSide {
    /// Somebody connected to the bridge's listener.
    package mutating func connectionAccepted(_ id: ConnectionID, now: NIODeadline) {
        self.begin(now)
        guard self.connections[id] == nil else { return }
        guard !self.isComponent, !self.isShuttingDown else {
            self.actions.append(.close(id))
            return
        }
        if self.inboundCount >= self.configuration.maximumInboundConnections, !self.dropOldestStranger() {
            self.note(.connectionRefused, .warning, id, "there are too many connections to the bridge")
            self.actions.append(.close(id))
            return
        }
        let machine = InboundStreamStateMachine(
            connection: id, configuration: self.configuration, secrets: self.secrets, now: now)
        self.connections[id] = InboundConnection(machine, now: now)
        self.inboundCount += 1
    }

    /// Ends the oldest connection that has proved nothing, to make room for a new one.
    private mutating func dropOldestStranger() -> Bool {
        var oldest: InboundConnection?
        for connection in self.connections.values {
            guard let inbound = connection as? InboundConnection else { continue }
            if inbound.machine.isAuthorized || inbound.machine.isClosed { continue }
            if oldest.map({ inbound.id < $0.id }) ?? true { oldest = inbound }
        }
        guard let oldest else { return false }
        oldest.machine.streamFailed(
            .init(.resourceConstraint, text: "too many connections"), actions: &self.actions)
        self.forget(oldest)
        return true
    }

    /// The stream's header arrived.
    ///
    /// - Parameter streamID: a fresh random id for the bridge's answer; not used on streams that the bridge opened.
    package mutating func streamOpened(
        _ id: ConnectionID, header: StreamHeader, streamID: String, now: NIODeadline
    ) {
        self.begin(now)
        switch self.connections[id] {
        case let inbound as InboundConnection:
            inbound.machine.streamOpened(header, streamID: streamID, actions: &self.actions)
        case let outbound as OutboundConnection:
            self.settle(outbound, outbound.machine.streamOpened(header, now: now, actions: &self.actions))
        case let component as ComponentConnection:
            component.machine.streamOpened(header, actions: &self.actions)
            self.settle(component, .none)
        default:
            break
        }
    }

    /// A child of the stream root arrived, whatever it is.
    package mutating func stanzaReceived(_ id: ConnectionID, _ stanza: Stanza, now: NIODeadline) {
        self.now = now
        switch self.connections[id] {
        case let inbound as InboundConnection:
            // Stanzas of a proved pair change no timer; everything else may.
            if stanza.kind == .other || !inbound.machine.isAuthorized { self.isTimerStale = true }
            let outcome = inbound.machine.stanzaReceived(stanza, actions: &self.actions)
            if outcome == .passed { self.take(stanza, inbound) } else { self.settle(inbound, outcome) }
        case let outbound as OutboundConnection:
            self.isTimerStale = true
            self.settle(outbound, outbound.machine.stanzaReceived(stanza, now: now, actions: &self.actions))
        case let component as ComponentConnection:
            if stanza.kind == .other { self.isTimerStale = true }
            self.settle(component, component.machine.stanzaReceived(stanza, actions: &self.actions))
        default:
            break
        }
    }

    /// A stanza over the limit was skipped; `stub` is its start tag.
    package mutating func oversizeReceived(_ id: ConnectionID, _ stub: Stanza, now: NIODeadline) {
        self.begin(now)
        switch self.connections[id] {
        case let inbound as InboundConnection:
            if inbound.machine.oversizeReceived(stub, actions: &self.actions) == .passed { self.take(oversize: stub, inbound) }
        case let outbound as OutboundConnection:
            // The bridge expects nothing large there; skipped is as good as ignored.
            _ = outbound
        case let component as ComponentConnection:
            component.machine.oversizeReceived(stub, actions: &self.actions)
            self.settle(component, .none)
        default:
            break
        }
    }

    /// The stream's closing tag arrived.
    package mutating func streamClosed(_ id: ConnectionID, now: NIODeadline) {
        self.begin(now)
        switch self.connections[id] {
        case let inbound as InboundConnection:
            self.tell(inbound)
            inbound.machine.streamClosed(actions: &self.actions)
        case let outbound as OutboundConnection:
            outbound.machine.streamClosed(actions: &self.actions)
            self.settle(outbound, .none)
        case let component as ComponentConnection:
            component.machine.streamClosed(actions: &self.actions)
            self.settle(component, .none)
        default:
            break
        }
    }

    /// The reader refused the input; the error is the one to send.
    package mutating func streamFailed(_ id: ConnectionID, _ error: StreamError, now: NIODeadline) {
        self.begin(now)
        switch self.connections[id] {
        case let inbound as InboundConnection:
            inbound.machine.streamFailed(error, actions: &self.actions)
        case let outbound as OutboundConnection:
            outbound.machine.streamFailed(error, actions: &self.actions)
            self.settle(outbound, .none)
        case let component as ComponentConnection:
            component.machine.streamFailed(error, actions: &self.actions)
            self.settle(component, .none)
        default:
            break
        }
    }

    /// The TLS handshake that was asked for is done. A failed one is a closed connection.
    package mutating func tlsEstablished(_ id: ConnectionID, peer: CertificateIdentities?, now: NIODeadline) {
        self.begin(now)
        switch self.connections[id] {
        case let inbound as InboundConnection:
            inbound.machine.tlsEstablished(peer: peer, actions: &self.actions)
        case let outbound as OutboundConnection:
            outbound.machine.tlsEstablished(peer: peer, now: now, actions: &self.actions)
            self.settle(outbound, .none)
        default:
            break
        }
    }

    /// The connection can take more, or can for now not.
    package mutating func writabilityChanged(_ id: ConnectionID, isWritable: Bool, now: NIODeadline) {
        self.now = now
        guard let carrier = self.connections[id] as? CarrierConnection else { return }
        carrier.isWritable = isWritable
        for route in carrier.routes where !route.queue.isEmpty {
            if isWritable, route.isAuthorized { self.markDrainable(route) }
            self.isTimerStale = true
        }
    }

    /// The connection is gone, whoever ended it.
    ///
    /// What the server is not responsible for yet goes out again on the next stream, before anything newer.
    ///
    /// - Parameter reason: what the runtime knows about the end (a TLS alert, a reset), in plain words.
    package mutating func connectionClosed(_ id: ConnectionID, reason: String? = nil, now: NIODeadline) {
        self.begin(now)
        switch self.connections[id] {
        case let inbound as InboundConnection:
            inbound.machine.connectionClosed()
            let known = inbound.machine.endReason ?? "closed"
            let text = reason.map { "\(known) (\(LocalNote.quoted($0)))" } ?? known
            self.note(.streamClosed, .information, id, "a stream of the server ended: \(text)")
            self.forget(inbound)
        case let outbound as OutboundConnection:
            outbound.machine.connectionClosed()
            let questions = outbound.machine.takeQuestions()
            self.carrierClosed(outbound, outbound.machine.endReason, reason)
            for question in questions { self.askAgain(question) }
        case let component as ComponentConnection:
            component.machine.connectionClosed()
            self.carrierClosed(component, component.machine.endReason, reason)
        default:
            break
        }
    }

    /// Every input that may move a deadline starts here.
    mutating func begin(_ now: NIODeadline) {
        self.now = now
        self.isTimerStale = true
    }

    mutating func forget(_ inbound: InboundConnection) {
        guard self.connections.removeValue(forKey: inbound.id) != nil else { return }
        self.inboundCount -= 1
        self.domainsGone(inbound, isBroken: inbound.machine.isBroken)
        for domain in inbound.machine.unprovedDomains where self.unprovedLosses.isDueNow(domain, now: self.now) {
            self.domainLost(domain)
        }
        self.remember(inbound)
        if self.isShuttingDown { self.closeAllDrained() }
    }

    // MARK: Outcomes

    private mutating func settle(_ inbound: InboundConnection, _ outcome: InboundStreamStateMachine.Outcome) {
        switch outcome {
        case .none, .passed:
            break
        case .verify(let question):
            self.ask(question)
        case .proved(let pair):
            self.domainSeen(pair.local, inbound)
            self.serverSeen()
            self.supersede(pair, by: inbound)
        case .managementEnabled:
            inbound.ledger.enable()
        case .acknowledgementWanted:
            // At once and always: the answer must never be held back to slow the server down (XEP-0198 §4).
            self.tell(inbound, evenIfKnown: true)
        }
    }

    mutating func settle(_ outbound: OutboundConnection, _ outcome: OutboundStreamStateMachine.Outcome) {
        switch outcome {
        case .none:
            break
        case .authorized(let pair):
            outbound.wasAuthorized = true
            self.domainSeen(pair.local, outbound)
            if outbound.machine.asksForManagement, outbound.ledger.management == .off { outbound.ledger.enableSent() }
            if let route = outbound.routes.first(where: { $0.pair == pair }) { self.opened(route) }
        case .refused(let pair, let condition, let isLasting, let reason):
            if let route = outbound.routes.first(where: { $0.pair == pair }) {
                route.lastError = reason
                self.detach(route)
                route.backoff.failed(now: self.now, key: route.ordinal, configuration: self.configuration)
                self.giveBack(route, condition, isLasting: isLasting)
                route.phase = .waiting
            }
        case .verified(let question, let answer):
            self.answer(question, answer)
        case .managementEnabled:
            outbound.ledger.enabled()
            self.requestAcknowledgement(outbound, isAtRest: true)
        case .managementRefused:
            if outbound.ledger.management == .enabling {
                let text = "the server of \(outbound.machine.pair.local) refused to acknowledge stanzas that it had offered to"
                self.note(.acknowledgementRefused, .information, outbound.id, text)
            }
            self.settled(outbound, outbound.ledger.refused(now: self.now))
        case .acknowledged(let h):
            self.acknowledged(outbound, h)
        }
        if outbound.machine.isClosing {
            for route in outbound.routes { route.isAuthorized = false }
        } else if outbound.machine.authorizedPairs.isEmpty, !outbound.machine.isBusy, !self.isFresh(outbound) {
            // It was opened to ask, and nothing is left to ask.
            outbound.machine.closeRequested("nothing is left to verify", now: self.now, actions: &self.actions)
            for route in outbound.routes {
                self.detach(route)
                self.ensure(route)
            }
        }
    }

    /// The negotiation is still under way, so "not busy" says nothing yet.
    private func isFresh(_ outbound: OutboundConnection) -> Bool {
        guard case .open = outbound.machine.state else { return true }
        return outbound.routes.contains { $0.wantsStream }
    }

    private mutating func settle(
        _ component: ComponentConnection, _ outcome: ComponentStreamStateMachine.Outcome
    ) {
        if outcome == .authorized {
            component.wasAuthorized = true
            for local in self.configuration.localDomains { self.domainSeen(local, component) }
            for route in component.routes { self.opened(route) }
        }
        if component.machine.isClosing {
            for route in component.routes { route.isAuthorized = false }
        }
    }

    /// Stanzas of this route may be written.
    private mutating func opened(_ route: Route) {
        route.isAuthorized = true
        route.lastError = nil
        route.overflows = 0
        route.backoff.succeeded()
        self.markDrainable(route)
        self.serverSeen()
    }

    /// The server is alive: whoever waits for it need not wait longer.
    mutating func serverSeen() {
        guard self.reach.failures > 0 else { return }
        self.reach.succeeded()
        self.wakeWaiting()
    }

    // MARK: Verification

    /// Passes a question to the stream that leads to the authoritative server: the local server itself.
    private mutating func ask(_ question: DialbackVerification) {
        var open = 0
        for connection in self.connections.values {
            if let inbound = connection as? InboundConnection { open += inbound.machine.pendingVerifications }
        }
        let key = RouteKey(remote: question.pair.remote, local: question.pair.local)
        guard !self.isShuttingDown, open <= self.configuration.maximumVerifications, let route = self.route(key) else {
            self.answer(question, .error(.resourceConstraint))
            return
        }
        route.questions.append(question)
        self.ensure(route)
    }

    /// A stream ended with the question open. That may have been chance – the server closes idle streams as well – so one
    /// more try is due before the server is told that its claim failed (XEP-0220 §2.1.2).
    private mutating func askAgain(_ question: DialbackVerification) {
        guard !question.isRepeated, self.connections[question.connection] is InboundConnection else {
            self.answer(question, .error(.remoteServerTimeout))
            return
        }
        var repeated = question
        repeated.isRepeated = true
        self.ask(repeated)
    }

    /// Brings an answer back to the stream on which the key had come; that may be gone (XEP-0220 §2.1.2).
    mutating func answer(_ question: DialbackVerification, _ answer: DialbackAnswer) {
        guard let inbound = self.connections[question.connection] as? InboundConnection else { return }
        let outcome = inbound.machine.verificationAnswered(
            pair: question.pair, streamID: question.streamID, answer: answer, actions: &self.actions)
        self.settle(inbound, outcome)
    }
}
