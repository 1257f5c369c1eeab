package import NIOCore
import XMPP

// Dialling, putting routes on streams and taking them off again.
extension LocalSide {
    /// Sees to it that a route gets what it wants: a dial, a place on a stream, or the stream's attention.
    mutating func ensure(_ route: Route) {
        guard !self.isShuttingDown else { return }
        switch route.phase {
        case .dialing:
            return
        case .connected:
            self.serve(route)
        case .idle, .waiting:
            guard route.wantsStream else {
                self.removeIfIdle(route)
                return
            }
            if let carrier = self.sharedCarrier(for: route) {
                self.attach(route, to: carrier)
                self.serve(route)
                return
            }
            // A question means that the server is at the door now, whatever went wrong before.
            let isPressing = !route.questions.isEmpty
            let isAllowed =
                route.backoff.allows(self.now) && self.reach.allows(self.now)
                && (self.reach.failures == 0 || self.probe == nil)
            guard isPressing || isAllowed else {
                route.phase = .waiting
                self.isTimerStale = true
                return
            }
            let token = DialToken(number: self.nextDial)
            self.nextDial += 1
            self.dials[token] = route
            route.phase = .dialing(token)
            if self.reach.failures > 0 { self.probe = token }
            self.actions.append(.dial(token))
        }
    }

    /// The dial succeeded; `connection` is new.
    package mutating func dialSucceeded(_ token: DialToken, connection id: ConnectionID, now: NIODeadline) {
        self.begin(now)
        if self.probe == token { self.probe = nil }
        guard let route = self.dials.removeValue(forKey: token), self.connections[id] == nil else {
            self.actions.append(.close(id))
            return
        }
        route.phase = .idle
        guard !self.isShuttingDown, route.wantsStream else {
            self.actions.append(.close(id))
            self.removeIfIdle(route)
            return
        }
        if let pair = route.pair {
            let machine = OutboundStreamStateMachine(
                connection: id, pair: pair, configuration: self.configuration, secrets: self.secrets,
                avoidsExternal: route.avoidsExternal,
                avoidsManagement: route.managementFaults >= Self.toleratedFaults, now: now)
            let carrier = OutboundConnection(machine, now: now)
            self.connections[id] = carrier
            self.attach(route, to: carrier)
            carrier.machine.start(actions: &self.actions)
        } else {
            let machine = ComponentStreamStateMachine(
                connection: id, domain: route.key.remote, secret: self.componentSecret(route.key.remote),
                configuration: self.configuration, secrets: self.secrets, now: now)
            let carrier = ComponentConnection(machine, now: now)
            self.connections[id] = carrier
            self.attach(route, to: carrier)
            carrier.machine.start(actions: &self.actions)
        }
        self.serve(route)
        self.serverSeen()
    }

    /// The dial failed; `reason` in plain words.
    package mutating func dialFailed(_ token: DialToken, reason: String, now: NIODeadline) {
        self.begin(now)
        if self.probe == token { self.probe = nil }
        guard let route = self.dials.removeValue(forKey: token) else { return }
        route.phase = .waiting
        route.lastError = "the local server cannot be reached: \(LocalNote.quoted(reason))"
        // Many may have dialled at once; that is one failure, not many.
        if self.reach.allows(now) {
            self.reach.failed(now: now, key: 0, configuration: self.configuration)
            let wait = self.reach.notBefore.map { ($0 - now).nanoseconds / 1_000_000 } ?? 0
            let text =
                "the local server cannot be reached for \(route.description): \(LocalNote.quoted(reason)); "
                + "next attempt in \(wait) ms, \(self.queuedStanzas) stanzas wait"
            self.note(.dialFailed, .warning, nil, text)
        }
        let questions = route.questions
        route.questions.removeAll()
        for question in questions { self.answer(question, .error(.remoteConnectionFailed)) }
        if self.isShuttingDown || !route.wantsStream {
            route.phase = .idle
            self.removeIfIdle(route)
        }
    }

    /// Routes that wait may try again at once, the oldest first.
    mutating func wakeWaiting() {
        for route in self.sortedRoutes() where route.phase == .waiting { self.ensure(route) }
    }

    // MARK: Routes on streams

    private func sharedCarrier(for route: Route) -> OutboundConnection? {
        guard self.configuration.multiplexesSenderDomains, let local = route.key.local else { return nil }
        var best: OutboundConnection?
        for connection in self.connections.values {
            guard let outbound = connection as? OutboundConnection, outbound.machine.pair.local == local,
                outbound.machine.takesFurtherPairs
            else { continue }
            if best.map({ outbound.id < $0.id }) ?? true { best = outbound }
        }
        return best
    }

    private mutating func attach(_ route: Route, to carrier: CarrierConnection) {
        route.phase = .connected
        route.carrier = carrier
        route.isAuthorized = false
        carrier.routes.append(route)
    }

    /// Takes a route off its stream; what it wants from now on needs another one.
    mutating func detach(_ route: Route) {
        if let carrier = route.carrier { carrier.routes.removeAll { $0 === route } }
        route.carrier = nil
        route.isAuthorized = false
        route.phase = .idle
    }

    /// Tells the stream of a route what the route wants.
    private mutating func serve(_ route: Route) {
        guard let outbound = route.carrier as? OutboundConnection, let pair = route.pair else { return }
        guard !outbound.machine.isClosing else { return }  // The end of the connection brings the route back here.
        for question in route.questions {
            outbound.machine.verificationWanted(question, now: self.now, actions: &self.actions)
        }
        route.questions.removeAll()
        var outcome = OutboundStreamStateMachine.Outcome.none
        if !route.queue.isEmpty {
            outcome = outbound.machine.authorizationWanted(pair, now: self.now, actions: &self.actions)
        }
        self.settle(outbound, outcome)
    }

    /// A stream of ours is gone: its routes get their unsent stanzas back and start again where they still have to.
    mutating func carrierClosed(_ carrier: CarrierConnection, _ endReason: String?, _ runtimeReason: String?) {
        self.connections.removeValue(forKey: carrier.id)
        let known = endReason ?? "closed"
        let reason = runtimeReason.map { "\(known) (\(LocalNote.quoted($0)))" } ?? known
        let routes = carrier.routes
        self.note(
            .streamClosed, .information, carrier.id,
            "the stream \(carrier.purpose) ended: \(reason)")
        let homeless = self.putBack(self.takeRemains(of: carrier), among: routes)
        let livedShort = carrier.openedAt + .seconds(5) > self.now
        for route in routes {
            let wanted = route.wantsStream
            let refusedExternal = (carrier as? OutboundConnection)?.machine.externalFailed ?? false
            route.avoidsExternal = refusedExternal && !carrier.wasAuthorized
            self.detach(route)
            if wanted, !carrier.wasAuthorized {
                route.lastError = reason
                // A change of method is no reason to wait.
                if !route.avoidsExternal || !self.configuration.allowsDialback {
                    route.backoff.failed(now: self.now, key: route.ordinal, configuration: self.configuration)
                }
            } else if livedShort, carrier.wasAuthorized {
                // A server that takes streams only to close them must not be dialled without pause.
                route.backoff.failed(now: self.now, key: route.ordinal, configuration: self.configuration)
            }
            if self.isShuttingDown { self.leaveAll(route) }
            self.ensure(route)
        }
        self.putBackElsewhere(homeless)
        if self.isShuttingDown { self.removeRoutes(routes) }
    }

    /// Puts stanzas that the server is not responsible for back to the head of their queues, in their order.
    ///
    /// - Returns: those of pairs that had lost their place on the stream already.
    private mutating func putBack(_ unsent: [Delivery], among routes: [Route]) -> [Delivery] {
        var rest = unsent
        for route in routes where !rest.isEmpty {
            let own = rest.filter { route.carries($0.stanza) }
            guard !own.isEmpty else { continue }
            rest.removeAll { route.carries($0.stanza) }
            self.putBack(own, on: route)
        }
        return rest
    }

    mutating func putBack(_ deliveries: [Delivery], on route: Route) {
        route.queue.putBack(deliveries)
        self.queuedStanzas += deliveries.count
        for delivery in deliveries { self.queuedBytes += delivery.stanza.byteCount }
    }

    /// Finds a way for stanzas that never left and whose pair has no place on their stream any more.
    private mutating func putBackElsewhere(_ unsent: [Delivery]) {
        for delivery in unsent.reversed() {
            guard !self.isShuttingDown else {
                self.leave(delivery)
                continue
            }
            guard let route = self.knownRoute(for: delivery.stanza) ?? self.newRoute(for: delivery) else { continue }
            _ = self.putBack([delivery], among: [route])
            if route.isAuthorized { self.markDrainable(route) } else { self.ensure(route) }
        }
    }

    /// Forgets a route that nobody needs; while it has to wait after a failure it is kept for the sake of that pause.
    mutating func removeIfIdle(_ route: Route) {
        switch route.phase {
        case .idle, .waiting: break
        case .dialing, .connected: return
        }
        guard !route.wantsStream || self.isShuttingDown else { return }
        if !self.isShuttingDown, !route.backoff.allows(self.now) {
            route.phase = .waiting
            return
        }
        self.removeRoutes([route])
    }

    /// Takes the place of the pair that has been silent for longest, so that names which nobody uses any more cannot keep
    /// others out: a peer with a wildcard may use as many as it likes.
    mutating func retireSilentRoute() -> Bool {
        // A stream that is being closed still costs the server a connection.
        guard self.connections.count - self.inboundCount < 2 * self.configuration.maximumRoutes else { return false }
        var oldest: (route: Route, carrier: OutboundConnection)?
        for route in self.routes.values {
            guard let carrier = route.carrier as? OutboundConnection, carrier.routes.count == 1, !route.wantsStream,
                !carrier.machine.isBusy, carrier.isWritable, carrier.ledger.isEmpty,
                carrier.lastStanza + self.configuration.silenceBeforeReplacement <= self.now
            else { continue }
            if let known = oldest {
                guard (carrier.lastStanza, route.ordinal) < (known.carrier.lastStanza, known.route.ordinal) else { continue }
            }
            oldest = (route, carrier)
        }
        guard let oldest else { return false }
        oldest.carrier.machine.closeRequested(
            "silent, and another pair needs its place", now: self.now, actions: &self.actions)
        self.isTimerStale = true
        self.detach(oldest.route)
        self.removeRoutes([oldest.route])
        return true
    }

    private mutating func removeRoutes(_ routes: [Route]) {
        for route in routes where route.queue.isEmpty && self.routes[route.key] === route {
            self.routes.removeValue(forKey: route.key)
            let hash = Self.hash(of: route.key)
            if self.routesByHash[hash] === route { self.routesByHash.removeValue(forKey: hash) }
        }
    }

    func sortedRoutes() -> [Route] {
        self.routes.values.sorted { $0.ordinal < $1.ordinal }
    }

    private func componentSecret(_ domain: Domain) -> String {
        guard case .components(let secrets) = self.configuration.attachment else { return "" }
        return secrets[domain] ?? ""
    }
}
