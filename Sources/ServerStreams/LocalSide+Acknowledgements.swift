import DequeModule
package import NIOCore
package import XMPP

// Who is responsible for which stanza: what the server acknowledges, and what the bridge acknowledges to it.
extension LocalSide {
    /// Faults in a server's acknowledgements after which it is not asked for any.
    static let toleratedFaults = 2
    /// Streams that a stanza, alone on its way, may be the end of before it is given back.
    static let toleratedDeaths = 3

    // MARK: From the server

    /// The bridge has made a stanza of `received` its own: it is committed, or it was answered. Only what was handled
    /// without a gap is acknowledged to the server (XEP-0198).
    ///
    /// - Parameter isRefused: its sender was told that it was not taken. He may send the same again, and then it is no repeat.
    package mutating func stanzaHandled(_ receipt: LocalReceipt, isRefused: Bool = false, now: NIODeadline) {
        self.now = now
        self.handled(receipt, isRefused: isRefused)
    }

    private mutating func handled(_ receipt: LocalReceipt, isRefused: Bool = false) {
        if let inbound = self.connections[ConnectionID(number: receipt.connection)] as? InboundConnection {
            let before = inbound.ledger.tellsAt
            inbound.ledger.handled(receipt.number, isRefused: isRefused, now: self.now)
            if before != inbound.ledger.tellsAt { self.isTimerStale = true }
            self.wantTelling(inbound)
        }
        for repetition in self.repeats.handled(receipt) { self.handled(repetition) }
    }

    /// A stanza of a proved pair: to the core, unless it came before.
    mutating func take(_ stanza: Stanza, _ inbound: InboundConnection) {
        let knowsRepeats = !self.repeats.isEmpty
        let fingerprint = inbound.ledger.isOn || knowsRepeats ? StanzaMark(stanza.fingerprint)?.fingerprint : nil
        let number = inbound.ledger.received(fingerprint, now: self.now)
        let receipt = LocalReceipt(connection: inbound.id.number, number: number)
        guard knowsRepeats else {
            self.actions.append(.received(stanza, receipt))
            return
        }
        switch self.repeats.received(fingerprint, receipt, now: self.now) {
        case .new:
            self.actions.append(.received(stanza, receipt))
            return
        case .handled:
            self.handled(receipt)
        case .refused:
            self.handled(receipt, isRefused: true)
            // Only what may be answered with an error was refused in words.
            if let error = stanza.errorReply(.resourceConstraint) { self.deliver(error, now: self.now) }
        case .pending:
            break
        }
        self.repeatedStanzas &+= 1
        self.noteFlood(
            .stanzaRepeated, .information, "a stanza that the server sent once more after a broken stream was not passed on")
    }

    /// A stanza over the limit is answered, not kept: it is handled.
    mutating func take(oversize stub: Stanza, _ inbound: InboundConnection) {
        let number = inbound.ledger.received(nil, now: self.now)
        self.actions.append(.oversize(stub))
        self.handled(LocalReceipt(connection: inbound.id.number, number: number))
    }

    /// Remembers what the server may send again now that a stream of its is gone.
    mutating func remember(_ inbound: InboundConnection) {
        for suspect in inbound.ledger.close() {
            let receipt = LocalReceipt(connection: inbound.id.number, number: suspect.number)
            if !suspect.isHandled { self.repeats.expect(receipt) }
            self.repeats.remember(
                suspect.fingerprint, unhandled: suspect.isHandled ? nil : receipt, isRefused: suspect.isRefused,
                now: self.now)
        }
    }

    /// Ends older streams of a pair that the server has now opened another one for. It has given them up, though the network
    /// may tell the bridge later, and sends again what was not acknowledged on them.
    mutating func supersede(_ pair: DomainPair, by newer: InboundConnection) {
        for case let older as InboundConnection in self.sortedConnections() {
            guard older !== newer, older.ledger.isOn, older.machine.proved.contains(pair) else { continue }
            older.machine.streamFailed(
                .init(.conflict, text: "a newer stream carries this pair of domains"), actions: &self.actions)
            self.forget(older)
        }
    }

    /// Tells the server how far the bridge is.
    mutating func tell(_ inbound: InboundConnection, evenIfKnown: Bool = false) {
        guard inbound.ledger.isOn, !inbound.machine.isClosing, evenIfKnown || inbound.ledger.hasNews else { return }
        inbound.ledger.tell(now: self.now)
        inbound.lastSent = self.now
        self.actions.append(.write(inbound.id, StreamXML.acknowledgement(inbound.ledger.h)))
    }

    /// Has the server told, at the end of what is being done, when there is enough to tell.
    mutating func wantTelling(_ inbound: InboundConnection) {
        guard !inbound.isTelling, inbound.ledger.wantsTelling(now: self.now) else { return }
        inbound.isTelling = true
        self.telling.append(inbound)
    }

    mutating func tellServers() {
        while let inbound = self.telling.popFirst() {
            inbound.isTelling = false
            self.tell(inbound)
        }
    }

    // MARK: To the server

    /// The kernel took this many more of the stanzas of `writeStanza`, each one whole, in their order.
    package mutating func stanzasWritten(_ id: ConnectionID, count: Int, now: NIODeadline) {
        self.now = now
        guard let carrier = self.connections[id] as? CarrierConnection else { return }
        self.settled(carrier, carrier.ledger.written(count, now: now))
    }

    /// The server is responsible for these from now on.
    mutating func settled(_ carrier: CarrierConnection, _ deliveries: [Delivery]) {
        guard !deliveries.isEmpty else { return }
        let tickets = deliveries.compactMap(\.ticket)
        if !tickets.isEmpty { self.actions.append(.delivered(tickets)) }
        for route in carrier.routes where route.isAuthorized && !route.queue.isEmpty { self.markDrainable(route) }
    }

    mutating func requestAcknowledgement(_ carrier: CarrierConnection, isAtRest: Bool) {
        guard carrier.ledger.wantsRequest(isAtRest: isAtRest) else { return }
        self.sendRequest(carrier)
    }

    private mutating func sendRequest(_ carrier: CarrierConnection) {
        guard let outbound = carrier as? OutboundConnection, !outbound.machine.isClosing else { return }
        carrier.ledger.requested(now: self.now)
        carrier.lastSent = self.now
        self.isTimerStale = true
        self.actions.append(.write(carrier.id, StreamXML.acknowledgementRequest))
    }

    /// The server's count arrived.
    mutating func acknowledged(_ outbound: OutboundConnection, _ h: UInt32) {
        do throws(OutboundLedger.Fault) {
            let settled = try outbound.ledger.acknowledged(h, now: self.now)
            self.settled(outbound, settled)
            if !outbound.routes.contains(where: \.isDrainable) { self.requestAcknowledgement(outbound, isAtRest: true) }
            if self.isShuttingDown { self.closeIfDrained(outbound) }
        } catch {
            let problem: StreamError
            switch error {
            case .tooHigh(let sent):
                problem = StreamXML.countTooHigh(h, sent: sent)
            case .backwards:
                problem = StreamError(.undefinedCondition, text: "less was acknowledged than before")
            }
            self.distrust(outbound)
            outbound.machine.streamFailed(problem, actions: &self.actions)
        }
    }

    /// A server whose count is wrong would have everything sent again with each stream: after a few such streams the
    /// bridge does without.
    private mutating func distrust(_ outbound: OutboundConnection) {
        for route in outbound.routes { route.managementFaults += 1 }
        let rest = outbound.routes.contains { $0.managementFaults >= Self.toleratedFaults } ? "; none are asked for any more" : ""
        let text = "the acknowledgements of the server of \(outbound.machine.pair.local) cannot be relied on\(rest)"
        self.note(.acknowledgementRefused, .warning, outbound.id, text)
    }

    /// When the server has to have acknowledged something, or is to be asked again.
    func acknowledgementDeadline(_ outbound: OutboundConnection) -> NIODeadline? {
        guard !outbound.machine.isClosing, let since = outbound.ledger.owesSince else { return nil }
        let end = since + self.configuration.acknowledgementTimeout
        return outbound.ledger.asksAgainAt.map { min($0, end) } ?? end
    }

    mutating func acknowledgementDeadlineReached(_ outbound: OutboundConnection) {
        guard !outbound.machine.isClosing, let since = outbound.ledger.owesSince else { return }
        if since + self.configuration.acknowledgementTimeout <= self.now {
            // One that never acknowledged anything will not on the next stream either.
            if !outbound.ledger.hasProgressed { self.distrust(outbound) }
            outbound.machine.isBroken = true
            let error = StreamError(.connectionTimeout, text: "nothing was acknowledged in time")
            outbound.machine.streamFailed(error, actions: &self.actions)
        } else if let again = outbound.ledger.asksAgainAt, again <= self.now {
            self.sendRequest(outbound)
        }
    }

    // MARK: The end of a stream

    /// What a stream leaves that goes out again. What the server cannot bear is given back instead.
    mutating func takeRemains(of carrier: CarrierConnection) -> [Delivery] {
        let managed = carrier.ledger.management != .off
        var remains = carrier.ledger.close(now: self.now)
        let outbound = carrier as? OutboundConnection
        let isBroken = outbound?.machine.isBroken ?? (carrier as? ComponentConnection)?.machine.isBroken ?? false
        self.domainsGone(carrier, isBroken: isBroken)
        let inDoubt = managed ? remains.taken : isBroken ? remains.unprotected : 0
        if inDoubt > 0 {
            self.stanzasInDoubt &+= UInt64(inDoubt)
            let fate = managed ? "are sent again and may arrive twice" : "may not have been read by the server"
            let text = "\(inDoubt) stanzas of the stream \(carrier.purpose) \(fate)"
            self.note(.stanzaInDoubt, .information, carrier.id, text)
        }
        guard managed, remains.taken > 0, let error = outbound?.machine.peerError, Self.accusesContent(error) else {
            return remains.unsettled
        }
        for index in 0..<remains.taken { remains.unsettled[index].isSuspect = true }
        guard remains.taken == 1 else { return remains.unsettled }
        remains.unsettled[0].deaths += 1
        guard remains.unsettled[0].deaths >= Self.toleratedDeaths else { return remains.unsettled }
        let poison = remains.unsettled.removeFirst()
        let text =
            "a \(poison.stanza.kind) of \(poison.stanza.byteCount) bytes in \(carrier.purpose) was given up: the server ended "
            + "\(poison.deaths) streams with an error on it, the last with \(error.rawValue)"
        self.note(.stanzaPoisonous, .error, carrier.id, text)
        self.giveBack(poison, .notAcceptable, .modify)
        return remains.unsettled
    }

    /// Whether a stream error speaks of what was sent, so that it would come again with it.
    private static func accusesContent(_ condition: StreamErrorCondition) -> Bool {
        switch condition {
        case .badFormat, .badNamespacePrefix, .improperAddressing, .internalServerError, .invalidFrom, .invalidNamespace,
            .invalidXML, .notWellFormed, .policyViolation, .restrictedXML, .undefinedCondition, .unsupportedEncoding,
            .unsupportedFeature, .unsupportedStanzaType:
            true
        case .conflict, .connectionTimeout, .hostGone, .hostUnknown, .notAuthorized, .remoteConnectionFailed, .reset,
            .resourceConstraint, .seeOtherHost, .systemShutdown, .unsupportedVersion:
            false
        }
    }

    /// A server refused a pair: what nobody else knows of goes back, what lies in an inbox only where that is the last word.
    mutating func giveBack(_ route: Route, _ condition: StanzaErrorCondition, isLasting: Bool) {
        var kept: [Delivery] = []
        while let delivery = self.dequeue(route) {
            if delivery.ticket != nil, !isLasting {
                kept.append(delivery)
            } else {
                self.giveBack(delivery, condition, condition.defaultType)
            }
        }
        self.putBack(kept, on: route)
    }

    // MARK: Domains

    /// A domain of the site proved something on a stream.
    mutating func domainSeen(_ domain: Domain, _ connection: LocalConnection) {
        guard !connection.locals.contains(domain) else { return }
        connection.locals.append(domain)
        let known = self.presence[domain] ?? (0, nil)
        self.presence[domain] = (known.streams + 1, nil)
        if known.streams == 0 || known.lostAt != nil { self.actions.append(.streamOpened(domain)) }
    }

    /// A stream is gone. Several break together when a server dies; that is one loss. Later ones are others, even where no stream
    /// was opened in between: the domain may have had one all the time.
    mutating func domainsGone(_ connection: LocalConnection, isBroken: Bool) {
        for domain in connection.locals {
            guard let known = self.presence[domain] else { continue }
            let isNew = isBroken && known.lostAt.map { $0 + .seconds(1) <= self.now } ?? true
            self.presence[domain] = (known.streams - 1, isNew ? self.now : known.lostAt)
            if isNew { self.actions.append(.streamLost(domain)) }
        }
        connection.locals = []
    }

    /// The server could not open a stream for a domain of the site: what it had for us came back to its own users and rooms.
    mutating func domainLost(_ domain: Domain) {
        self.presence[domain] = (self.presence[domain]?.streams ?? 0, self.now)
        self.actions.append(.streamLost(domain))
    }
}
