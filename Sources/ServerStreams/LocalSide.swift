import DequeModule
package import NIOCore
package import XMPP

/// Everything that the site's own XMPP server sees of the bridge, as one machine.
///
/// It decides which stream carries which pair of domains, queues what cannot be written yet, dials with growing pauses,
/// passes dialback questions from the stream where a key came in to the stream that leads to the authoritative server (the
/// same local server), and gives back what cannot be delivered. The streams themselves are ``InboundStreamStateMachine``,
/// ``OutboundStreamStateMachine`` and ``ComponentStreamStateMachine``.
///
/// Confined to one event loop. Inputs are the methods in the past tense; after each the runtime draws
/// ``nextAction()`` until it is `nil`. Stanzas are handed out one by one while their connection is writable, so the runtime
/// reports ``writabilityChanged(_:isWritable:now:)`` even between two actions.
///
/// Promises: of a stanza given to ``deliver(_:ticket:now:)`` with a ticket exactly one thing is reported, `delivered` or
/// `undeliverable`, unless the bridge stops before (then it still lies in its inbox); without a ticket it is written, or
/// given back as `undeliverable`, or (what may not be answered) counted as discarded. The order per pair is kept across
/// reconnections. Nothing is `received` before its pair was proved on the stream that it came on.
package struct LocalSide: ~Copyable {
    package let configuration: LocalSideConfiguration
    let secrets: any ServerStreamSecrets
    let isComponent: Bool

    var actions: Deque<LocalAction> = []
    /// Stanzas of the last run, until the first input says what time it is.
    private var suspects: [StanzaMark]
    /// The time of the latest input.
    var now: NIODeadline = .uptimeNanoseconds(0)
    var connections: [ConnectionID: LocalConnection] = [:]
    var inboundCount = 0
    var routes: [RouteKey: Route] = [:]
    /// Finds a route by the hashes of a stanza's domains; compared with the stanza before it is believed.
    var routesByHash: [UInt64: Route] = [:]
    var nextOrdinal: UInt64 = 0
    var dials: [DialToken: Route] = [:]
    var nextDial: UInt64 = 0
    /// Whether the server can be reached at all, whoever wants to.
    var reach = Backoff()
    /// The one dial that is made while the server seems to be down.
    var probe: DialToken?
    /// Routes whose queue can be written now.
    var drainable: Deque<Route> = []
    var queuedBytes = 0
    var queuedStanzas = 0
    var isShuttingDown = false
    var shutdownDeadline: NIODeadline?
    var armed: NIODeadline?
    /// Something changed that the armed time may not know of.
    var isTimerStale = false
    var counts: [LocalNote.Kind: UInt64] = [:]
    var recentProblems: Deque<LocalNote> = []
    /// Streams of the server that should be told how far the bridge is.
    var telling: Deque<InboundConnection> = []
    var repeats = RepeatedStanzas()
    /// Stanzas of the server that came a second time and were not passed on.
    var repeatedStanzas: UInt64 = 0
    /// Stanzas that the server may have got twice, or not at all, because a connection died.
    var stanzasInDoubt: UInt64 = 0
    /// The site's own domains that proved something: on how many streams now, and when one broke that no new one has followed.
    var presence: [Domain: (streams: Int, lostAt: NIODeadline?)] = [:]
    /// Streams of the server that never proved anything, by the domain that they were for.
    var unprovedLosses = UnprovedLosses()
    /// How often something happened that may happen with every stanza.
    var floods: [LocalNote.Kind: UInt64] = [:]

    /// - Parameter suspects: by what stanzas are known again that were taken from the server, or refused, shortly before the
    ///   last end of this bridge: the server may send them again.
    package init(
        configuration: LocalSideConfiguration, secrets: any ServerStreamSecrets, suspects: [StanzaMark] = []
    ) {
        self.configuration = configuration
        self.secrets = secrets
        self.isComponent = configuration.attachment != .server
        // A machine starts at an unknown time, but before its first input.
        self.suspects = suspects
    }

    // Streams and the routes on them know each other; whoever drops the machine with open connections drops them all.
    deinit {
        for connection in self.connections.values {
            (connection as? CarrierConnection)?.routes.removeAll()
        }
    }

    /// After ``shutdownRequested(now:)``: every stream is closed and nothing is left to do.
    package var isShutDown: Bool { self.isShuttingDown && self.connections.isEmpty && self.dials.isEmpty }

    /// Whether so much waits for the local server that the links had better pause before senders are refused.
    package var isQueueHalfFull: Bool {
        let limits = self.configuration
        return self.queuedStanzas * 2 >= limits.queuedStanzasPerPair
            || self.queuedBytes * 2 >= min(limits.queuedBytesPerPair, limits.queuedBytes)
    }

    /// The runtime is ready. Components connect now; streams between servers wait for traffic.
    package mutating func started(now: NIODeadline) {
        self.now = now
        for suspect in self.suspects {
            self.repeats.remember(suspect.fingerprint, isRefused: suspect.isRefused, now: now)
        }
        self.suspects = []
        guard case .components(let secrets) = self.configuration.attachment else { return }
        for domain in secrets.keys.sorted() {
            if let route = self.route(RouteKey(remote: domain, local: nil)) { self.ensure(route) }
        }
    }

    /// The next thing to do; `nil` when everything is done for now.
    package mutating func nextAction() -> LocalAction? {
        while true {
            if let action = self.actions.popFirst() {
                if case .note(let note) = action { self.count(note) }
                return action
            }
            if let write = self.nextStanza() { return write }
            self.tellServers()
            if !self.actions.isEmpty { continue }
            guard self.isTimerStale else { return nil }
            self.isTimerStale = false
            let earliest = self.earliestDeadline()
            guard earliest != self.armed else { return nil }
            self.armed = earliest
            return earliest.map { .arm($0) } ?? .disarm
        }
    }

    // MARK: Stanzas from the core

    /// Takes a stanza of a remote domain for the local server.
    ///
    /// - Parameter ticket: what to call the stanza in `delivered` and `undeliverable`; `nil` for one that lies in nobody's
    ///   inbox.
    package mutating func deliver(_ stanza: Stanza, ticket: DeliveryTicket? = nil, now: NIODeadline) {
        self.now = now
        let delivery = Delivery(stanza: stanza, ticket: ticket, expires: now + self.configuration.holdTime)
        guard let route = self.knownRoute(for: stanza) ?? self.newRoute(for: delivery) else { return }
        // What has a ticket is bounded by its inbox, which holds it in memory anyway and gives out more only while there is room.
        let hasRoom =
            route.queue.count < self.configuration.queuedStanzasPerPair
            && route.queue.bytes + stanza.byteCount <= self.configuration.queuedBytesPerPair
            && self.queuedBytes + stanza.byteCount <= self.configuration.queuedBytes
        guard ticket != nil || hasRoom else {
            route.overflows &+= 1
            // The first, the second, the fourth…: a flood must not become a flood of lines.
            if route.overflows & (route.overflows &- 1) == 0 {
                let text = "the queue from \(route.description) is full; \(route.overflows) stanzas went back so far"
                self.note(.queueOverflow, .warning, nil, text)
            }
            self.giveBack(delivery, .resourceConstraint, .wait)
            return
        }
        if self.isShuttingDown, !route.isAuthorized {
            self.leave(delivery)
            return
        }
        // The first one in a queue is the one that expires first.
        if route.queue.isEmpty, !route.isAuthorized || route.carrier?.isWritable == false { self.isTimerStale = true }
        route.queue.append(delivery)
        self.queuedBytes += stanza.byteCount
        self.queuedStanzas += 1
        if route.isAuthorized {
            self.markDrainable(route)
        } else {
            self.ensure(route)
        }
    }

    func knownRoute(for stanza: Stanza) -> Route? {
        let local = self.isComponent ? 0 : stanza.toDomainHash
        let key = Self.hash(remote: stanza.fromDomainHash, local: local)
        guard let route = self.routesByHash[key], stanza.fromDomainEquals(route.key.remote) else { return nil }
        if let local = route.key.local { return stanza.toDomainEquals(local) ? route : nil }
        return self.configuration.localDomains.contains { stanza.toDomainEquals($0) } ? route : nil
    }

    /// Finds or makes the route of a stanza; gives the stanza back where there can be none.
    mutating func newRoute(for delivery: Delivery) -> Route? {
        let stanza = delivery.stanza
        guard stanza.kind != .other, let remote = stanza.fromDomain, let local = stanza.toDomain else {
            self.noteFlood(.stanzaDiscarded, .warning, "a stanza without valid addresses cannot be delivered")
            if delivery.ticket != nil { self.giveBack(delivery, .jidMalformed, .modify) }
            return nil
        }
        guard self.configuration.standsInFor(remote) else {
            self.noteFlood(.stanzaDiscarded, .warning, "the bridge does not stand in for \(remote)")
            if delivery.ticket != nil { self.giveBack(delivery, .forbidden, .auth) }
            return nil
        }
        guard self.configuration.isLocal(local) else {
            self.giveBack(delivery, .remoteServerNotFound, .cancel)
            return nil
        }
        let key: RouteKey
        switch self.configuration.attachment {
        case .server: key = RouteKey(remote: remote, local: local)
        case .components: key = RouteKey(remote: remote, local: nil)
        }
        guard let route = self.route(key) else {
            self.noteFlood(.queueOverflow, .warning, "too many pairs of domains want to reach the local server")
            self.giveBack(delivery, .resourceConstraint, .wait)
            return nil
        }
        return route
    }

    /// The route with this key, made where there is none; `nil` where there are too many that are in use.
    mutating func route(_ key: RouteKey) -> Route? {
        if let route = self.routes[key] { return route }
        guard self.routes.count < self.configuration.maximumRoutes || self.retireSilentRoute() else { return nil }
        let route = Route(key: key, ordinal: self.nextOrdinal)
        self.nextOrdinal += 1
        self.routes[key] = route
        self.routesByHash[Self.hash(of: key)] = route
        return route
    }

    static func hash(of key: RouteKey) -> UInt64 {
        Self.hash(remote: key.remote.hash64, local: key.local?.hash64 ?? 0)
    }

    private static func hash(remote: UInt64, local: UInt64) -> UInt64 {
        (remote &* 0x9e37_79b9_7f4a_7c15) ^ local
    }

    // MARK: Writing

    mutating func markDrainable(_ route: Route) {
        guard !route.isDrainable else { return }
        route.isDrainable = true
        self.drainable.append(route)
    }

    private mutating func nextStanza() -> LocalAction? {
        while let route = self.drainable.first {
            if let carrier = route.carrier, self.mayWrite(route, carrier), let delivery = self.dequeue(route) {
                carrier.lastStanza = self.now
                carrier.lastSent = self.now
                carrier.ledger.append(delivery)
                self.requestAcknowledgement(carrier, isAtRest: false)
                return .writeStanza(carrier.id, delivery.stanza)
            }
            self.drainable.removeFirst()
            route.isDrainable = false
            if let carrier = route.carrier { self.requestAcknowledgement(carrier, isAtRest: true) }
            if self.isShuttingDown, let carrier = route.carrier { self.closeIfDrained(carrier) }
        }
        return nil
    }

    private func mayWrite(_ route: Route, _ carrier: CarrierConnection) -> Bool {
        guard route.isAuthorized, carrier.isWritable, let next = route.queue.first else { return false }
        return carrier.ledger.takes(next, self.configuration)
    }

    mutating func dequeue(_ route: Route) -> Delivery? {
        guard let delivery = route.queue.takeFirst() else { return nil }
        self.queuedBytes -= delivery.stanza.byteCount
        self.queuedStanzas -= 1
        return delivery
    }

    /// Gives everything that waits on a route back to the core.
    mutating func giveBackAll(_ route: Route, _ condition: StanzaErrorCondition) {
        while let delivery = self.dequeue(route) {
            self.giveBack(delivery, condition, condition.defaultType)
        }
    }

    /// The bridge stops: what waits on a route goes back where nobody else knows of it.
    mutating func leaveAll(_ route: Route) {
        while let delivery = self.dequeue(route) { self.leave(delivery) }
    }

    /// The bridge stops before the stanza was delivered. One with a ticket lies in its inbox and is delivered after the
    /// next start; saying anything of it now would be the end of it.
    mutating func leave(_ delivery: Delivery) {
        guard delivery.ticket == nil else { return }
        self.giveBack(delivery, .remoteServerTimeout, .wait)
    }

    /// Gives a stanza back to the core, unless nobody may be told: an error or an answer is never answered with an error
    /// (RFC 6120 §8.2.3, §8.3.1).
    mutating func giveBack(_ delivery: Delivery, _ condition: StanzaErrorCondition, _ type: StanzaErrorType) {
        let stanza = delivery.stanza
        guard delivery.ticket != nil || (!stanza.isError && !stanza.isIQAnswer) else {
            let text = "an answer of \(stanza.byteCount) bytes was dropped: \(condition.rawValue)"
            self.noteFlood(.stanzaDiscarded, .information, text)
            return
        }
        self.actions.append(.undeliverable(stanza, delivery.ticket, condition, type))
    }

    // MARK: Notes

    mutating func note(
        _ kind: LocalNote.Kind, _ severity: LocalNote.Severity, _ connection: ConnectionID?, _ text: String
    ) {
        self.actions.append(.note(LocalNote(kind, severity, connection, text)))
    }

    /// Notes what may come with every stanza. The first, the second, the fourth… is worth a line: a flood must not become a
    /// flood of lines.
    mutating func noteFlood(_ kind: LocalNote.Kind, _ severity: LocalNote.Severity, _ text: String) {
        let count = self.floods[kind, default: 0] &+ 1
        self.floods[kind] = count
        var note = LocalNote(kind, severity, nil, "\(text) (\(count) so far)")
        note.isRepetition = count & (count &- 1) != 0
        self.actions.append(.note(note))
    }

    private mutating func count(_ note: LocalNote) {
        self.counts[note.kind, default: 0] += 1
        guard note.severity >= .warning, !note.isRepetition else { return }
        if self.recentProblems.count >= 32 { self.recentProblems.removeFirst() }
        self.recentProblems.append(note)
    }
}
