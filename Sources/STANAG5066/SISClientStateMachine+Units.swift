import DequeModule
package import NIOCore

/// U_PDUs on their way.
extension SISClientStateMachine {
    /// Offers a U_PDU. It ends exactly once, perhaps at once.
    ///
    /// The mode `.default` is replaced by the service of the bind, which is what it means; a confirmation is asked for with ARQ
    /// only.
    ///
    /// - Parameters:
    ///   - id: not that of a U_PDU that has not ended.
    ///   - isUrgent: it may use the reserve (``SISClientConfiguration/urgentReserve``).
    package mutating func unitOffered(_ offered: UnidataRequest, id: SISUnitID, isUrgent: Bool = false, now: NIODeadline) {
        let request = effective(offered)
        if let refusal = refusal(of: request, isUrgent: isUrgent) {
            perform(.ended(id, .notSent(refusal)))
            return
        }
        guard case .bound(let connection, _, _) = state else { return }
        assert(!units.units.contains { $0.id == id }, "an id is used once")
        counters.unitsSent += 1
        perform(.write(connection, .unidataRequest(request)))
        if request.delivery.confirmation == .none {
            perform(.ended(id, .handedOver))
        } else {
            units.append(UnitsInNode.Unit(id: id, request: request, since: now, deadline: now + patience(request.timeToLive)))
            rearm()
        }
    }

    /// Bytes that may be offered for one destination now. A single U_PDU may be larger when nothing is on its way there.
    package func credit(to destination: NodeAddress, isUrgent: Bool = false) -> Int {
        guard canSend, units.count < unitLimit(isUrgent), units.mayHaveAnother(to: destination) else { return 0 }
        let free = min(configuration.bytesInNode - units.bytes, configuration.bytesPerDestination - units.bytes(to: destination))
        return max(0, free + reserve(isUrgent))
    }

    /// True when a U_PDU of this many bytes would be taken now.
    package func mayOffer(bytes: Int, to destination: NodeAddress, isUrgent: Bool = false) -> Bool {
        guard case .bound(_, _, let mtu) = state, bytes <= mtu, canSend else { return false }
        return hasRoom(bytes, to: destination, isUrgent: isUrgent)
    }

    /// Nothing but room may be lacking.
    var canSend: Bool {
        guard case .bound = state else { return false }
        return isFlowOn && mayTransmit
    }

    /// As far as the node has said.
    var mayTransmit: Bool {
        !configuration.obeysSubnetAvailability || connection?.subnet?.mayTransmit ?? true
    }

    private func effective(_ offered: UnidataRequest) -> UnidataRequest {
        var request = offered
        if request.delivery.mode == .default { request.delivery = configuration.bind.service }
        if request.delivery.mode != .arq { request.delivery.confirmation = .none }
        return request
    }

    private func refusal(of request: UnidataRequest, isUrgent: Bool) -> SISRefusal? {
        guard case .bound(_, _, let mtu) = state else { return .unbound }
        if request.uPDU.readableBytes > mtu { return .largerThanMTU }
        if request.destination.isGroup, request.delivery.mode == .arq { return .groupDestination }
        if !isFlowOn { return .flowOff }
        if !mayTransmit { return .subnetOff }
        return hasRoom(request.uPDU.readableBytes, to: request.destination, isUrgent: isUrgent) ? nil : .noCredit
    }

    private func hasRoom(_ bytes: Int, to destination: NodeAddress, isUrgent: Bool) -> Bool {
        guard units.count < unitLimit(isUrgent), units.mayHaveAnother(to: destination) else { return false }
        let there = units.bytes(to: destination)
        let reserve = reserve(isUrgent)
        return (units.bytes == 0 || units.bytes + bytes <= configuration.bytesInNode + reserve)
            && (there == 0 || there + bytes <= configuration.bytesPerDestination + reserve)
    }

    private func reserve(_ isUrgent: Bool) -> Int { isUrgent ? configuration.urgentReserve : 0 }
    private func unitLimit(_ isUrgent: Bool) -> Int {
        configuration.unitsInNode + (isUrgent ? configuration.urgentUnits : 0)
    }

    private func patience(_ timeToLive: TimeToLive) -> TimeAmount {
        guard let life = timeToLive.duration else { return configuration.patienceUnlimited }
        return max(configuration.patienceMinimum, life * 2)
    }

    // MARK: How they end

    mutating func unitConfirmed(_ reference: UnidataReference, now: NIODeadline) {
        unitAnswered(.confirmed, reference, now: now)
    }

    /// Comes also without a confirmation asked for (STANAG 5066 Ed. 3 §A.2.1.8); then nobody waits for it.
    mutating func unitRejected(_ reason: UnidataRejectedReason, _ reference: UnidataReference, now: NIODeadline) {
        unitAnswered(.rejected(reason), reference, now: now)
    }

    private mutating func unitAnswered(_ answer: UnitsInNode.Answer, _ reference: UnidataReference, now: NIODeadline) {
        switch units.answered(answer, reference, patienceUntil: now + configuration.overtakenPatience) {
        case .unmatched: counters.unmatched += 1
        case .open: counters.ambiguous += 1
        case .ended(let ended):
            for (unit, answer) in ended {
                switch answer {
                case .confirmed: end(unit, .confirmed(unit.request.delivery.confirmation))
                case .rejected(let reason): end(unit, .rejected(reason))
                }
            }
        }
    }

    mutating func endExpiredUnits(now: NIODeadline) {
        while let unit = units.takeExpired(now: now) {
            // A node owes an answer when the time to live is over. One that has not said a word since may be gone.
            if let heardAt = connection?.heardAt, heardAt <= unit.since { connection?.isDoubtful = true }
            end(unit, .lost(.noAnswer))
        }
    }

    mutating func endAllUnits(_ loss: SISUnitLoss) {
        for unit in units.takeAll() { perform(.ended(unit.id, .lost(loss))) }
    }

    private mutating func end(_ unit: UnitsInNode.Unit, _ end: SISUnitEnd) {
        perform(.ended(unit.id, end))
        announceCredit()
    }
}
