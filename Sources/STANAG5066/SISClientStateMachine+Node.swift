package import NIOCore
import SeededRandom

/// What the node says.
extension SISClientStateMachine {
    mutating func primitiveReceived(_ primitive: SISPrimitive, on id: SISConnectionID, now: NIODeadline) {
        switch primitive {
        case .bindAccepted(let accepted):
            guard case .binding = state else { return countUnexpected() }
            bindAccepted(accepted, id, now: now)
        case .bindRejected(let reason):
            guard case .binding = state else { return countUnexpected() }
            giveUp(id, .bindRejected(reason), now: now)
        case .unbindIndication(let reason):
            // Some nodes answer our own S_UNBIND_REQUEST with it.
            guard isBound else { return countUnexpected() }
            unbound(reason, id, now: now)
        case .keepAlive: keepAliveReceived(id, now: now)
        case .subnetAvailability(let status, let reason): subnetChanged(status, reason)
        case .managementMessageIndication(let message): perform(.managementMessage(message))
        case .dataFlowOff:
            guard isBound else { return countUnexpected() }
            if isFlowOn { flowOffSince = now }
            units.flowStopped(crossing: configuration.crossingTime, now: now)
        case .dataFlowOn:
            guard isBound else { return countUnexpected() }
            flowOffSince = nil
            units.flowResumed(patienceUntil: now + configuration.overtakenPatience)
            rearm()
            announceCredit()
        case .unidataIndication(let indication), .expeditedUnidataIndication(let indication):
            guard isBound || isStopping || isReceivingStopped else { return countUnexpected() }
            perform(.deliver(indication))
        case .unidataRequestConfirm(let reference):
            guard isBound else { return countUnexpected() }
            unitConfirmed(reference, now: now)
        case .unidataRequestRejected(let reason, let reference):
            guard isBound else { return countUnexpected() }
            unitRejected(reason, reference, now: now)
        case .hardLinkIndication(_, let link):
            guard isBound else { return countUnexpected() }
            let isKnown = configuration.hardLinkPeers.contains(link.remoteNode)
            perform(.write(id, isKnown ? .hardLinkAccept(link) : .hardLinkReject(.modeNotSupported, link)))
        case .hardLinkEstablished(_, let link):
            guard isReservation(link) else { return countUnexpected() }
            perform(.reservationChanged(.established))
        case .hardLinkRejected(let reason, let link):
            guard isReservation(link) else { return countUnexpected() }
            postponeReservation(now: now)
            perform(.reservationChanged(.rejected(reason)))
        case .hardLinkTerminated(let reason, let link):
            guard isReservation(link) else { return countUnexpected() }
            postponeReservation(now: now)
            perform(.reservationChanged(.terminated(reason)))
        case .expeditedUnidataRequestConfirm, .expeditedUnidataRequestRejected:
            // Nothing of ours is expedited.
            countUnexpected()
        case .bindRequest, .unbindRequest, .hardLinkEstablish, .hardLinkTerminate, .hardLinkAccept, .hardLinkReject,
            .managementMessageRequest, .unidataRequest, .expeditedUnidataRequest:
            // The decoder skips what is for nodes.
            countUnexpected()
        }
    }

    private mutating func countUnexpected() {
        counters.unexpected += 1
    }

    private var isBound: Bool {
        if case .bound = state { true } else { false }
    }

    private var isStopping: Bool {
        if case .stopping = state { true } else { false }
    }

    // MARK: The bind

    private mutating func bindAccepted(_ accepted: BindAccepted, _ id: SISConnectionID, now: NIODeadline) {
        guard accepted.sap == configuration.bind.sap else { return giveUp(id, .wrongSAP(accepted.sap), now: now) }
        guard Int(accepted.mtu) >= configuration.minimumMTU else {
            return giveUp(id, .smallMTU(Int(accepted.mtu)), now: now)
        }
        let mtu = min(Int(accepted.mtu), UnidataRequest.maximumBytes)
        state = .bound(id, since: now, mtu: mtu)
        // The standard does not say; it would be odd to accept a client and let it not speak.
        flowOffSince = nil
        counters.binds += 1
        perform(.bound(mtu: mtu))
        askForReservation()
        announceCredit()
    }

    private mutating func unbound(_ reason: UnbindReason, _ id: SISConnectionID, now: NIODeadline) {
        let trouble = SISTrouble.unbound(reason)
        unbind(trouble, units: .unbound, now: now)
        let delay = backOff.delayAfterFailure()
        state = .unbound(id, until: now + (trouble.needsSomebody ? max(configuration.slowRetry, delay) : delay))
    }

    private mutating func subnetChanged(_ status: SubnetStatus, _ reason: SubnetReason) {
        connection?.subnet = status
        perform(.subnetChanged(status, reason))
        announceCredit()
    }

    // MARK: Flow

    /// What came, or the time, may have changed what is waited for.
    mutating func noteFlow(now: NIODeadline) {
        guard isBound, !isFlowOn, mayTransmit, units.count == 0 else { return flowStuckSince = nil }
        flowStuckSince = flowStuckSince ?? now
    }

    var flowOnDeadline: NIODeadline? { flowStuckSince.map { $0 + configuration.flowPatience } }

    mutating func flowOnOverdue(now: NIODeadline) {
        guard case .bound(let id, _, _) = state, let deadline = flowOnDeadline, deadline <= now else { return }
        giveUp(id, .flowStopped, now: now)
    }

    // MARK: Keep-alive

    private mutating func keepAliveReceived(_ id: SISConnectionID, now: NIODeadline) {
        // After our farewell nothing more is written.
        guard let known = connection, !isStopping else { return }
        if known.askedAt != nil {
            // It looks the same whether it is the answer or the node's own request; the node takes ours for the answer then.
            connection?.askedAt = nil
        } else if known.answeredAt.map({ now - $0 >= SISClientConfiguration.answerInterval }) ?? true {
            connection?.answeredAt = now
            keepAliveSentAt = now
            perform(.write(id, .keepAlive))
        }
    }

    var keepAliveDeadline: NIODeadline? {
        guard let connection else { return nil }
        if let askedAt = connection.askedAt { return askedAt + configuration.keepAliveTimeout }
        let minimum = SISClientConfiguration.keepAliveMinimum
        var due = configuration.keepAliveInterval.map { connection.heardAt + max($0, minimum) }
        if connection.isDoubtful { due = connection.heardAt }
        // An answer counts too: to the node it looks the same.
        return due.map { due in keepAliveSentAt.map { max(due, $0 + minimum) } ?? due }
    }

    mutating func keepAliveDue(now: NIODeadline) {
        guard case .bound(let id, _, _) = state, let deadline = keepAliveDeadline, deadline <= now else { return }
        guard let known = connection, known.askedAt != nil else {
            connection?.askedAt = now
            connection?.hasSpoken = false
            keepAliveSentAt = now
            perform(.write(id, .keepAlive))
            return
        }
        connection?.askedAt = nil
        // A node that says other things lives, whatever it thinks of keep-alives.
        if !known.hasSpoken { giveUp(id, .silent, now: now) }
    }

    // MARK: Link reservation

    /// Asks the node to keep the link to `node` up, now and after every bind, until it is released. There is one reservation
    /// at a time, since a node has one hard link; another one takes its place.
    ///
    /// - Parameter priority: 0 to 3, larger wins.
    package mutating func reservationRequested(of node: NodeAddress, priority: UInt8, now: NIODeadline) {
        let wanted = HardLink.reservation(of: node, priority: priority)
        guard reservation?.link != wanted else { return }
        reservationReleased(now: now)
        reservation = SISReservation(wanted)
        askForReservation()
        rearm()
    }

    package mutating func reservationReleased(now: NIODeadline) {
        defer { rearm() }
        guard let reservation else { return }
        self.reservation = nil
        guard reservation.isAsked, case .bound(let id, _, _) = state else { return }
        perform(.write(id, .hardLinkTerminate(reservation.link.remoteNode)))
    }

    mutating func reservationDue(now: NIODeadline) {
        guard let askAt = reservation?.askAt, askAt <= now else { return }
        askForReservation()
    }

    private mutating func askForReservation() {
        guard let link = reservation?.link, case .bound(let id, _, _) = state else { return }
        reservation?.isAsked = true
        reservation?.askAt = nil
        perform(.write(id, .hardLinkEstablish(link)))
    }

    /// True when what the node says of a hard link is about the reservation that it was asked for.
    private func isReservation(_ link: HardLink) -> Bool {
        guard let reservation, reservation.isAsked, isBound else { return false }
        return link.kind == .reservation && link.remoteNode == reservation.link.remoteNode
    }

    private mutating func postponeReservation(now: NIODeadline) {
        reservation?.isAsked = false
        reservation?.askAt = now + configuration.reservationRetry
    }
}
