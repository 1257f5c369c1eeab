package import NIOCore
import STANAG5066

extension HFNodeMachine {
    /// The modem has found a transmission.
    ///
    /// - Parameter timing: what the modem recognised.
    package mutating func carrierHeard(_ timing: TransmissionTiming, now: NIODeadline) {
        lastNow = now
        heardTiming = timing
        // Longer than any transmission: the modem will say more.
        let longest = now + timing.leadIn + HFNodeConfiguration.longestTransmission + timing.interleaver
        hear(until: longest)
    }

    /// The transmission is over.
    package mutating func carrierLost(now: NIODeadline) {
        lastNow = now
        guard case .hearing(let awaited, _) = channel else { return }
        turn(awaited, now: now)
    }

    /// A D_PDU came off the air.
    ///
    /// - Parameters:
    ///   - bytes: of the D_PDU, from the sync, as the modem gave them; its checksums are looked at.
    ///   - isSegmentIntact: false where the caller knows that the segment is damaged, whatever its bytes are.
    package mutating func dpduReceived(_ bytes: ByteBuffer, isSegmentIntact: Bool, now: NIODeadline) {
        lastNow = now
        // A half-duplex node hears nothing while it transmits.
        if case .sending = channel { return }
        let received: ReceivedDPDU
        do {
            received = try ReceivedDPDU(decoding: bytes)
        } catch {
            statistics.unreadable += 1
            if case .unrecognisedType(let type, let source, let destination) = error, destination == configuration.address,
                source != configuration.address, let place = remote(for: source)
            {
                remotes[place].owedWarning = DPDU.Warning(
                    receivedType: type, reason: DPDU.Warning.unrecognisedType)
            }
            return
        }
        let dpdu = received.dpdu
        obeyEndOfTransmission(dpdu.endOfTransmission, now: now)
        guard dpdu.destination == configuration.address || dpdu.destination.isGroup, dpdu.source != configuration.address,
            let place = remote(for: dpdu.source)
        else { return }
        remotes[place].timing = heardTiming
        noteAwaited(from: place) { $0.isHeard = true }
        if dpdu.orderwire != .none { actions.append(.noted(.orderwireReceived(dpdu.source, dpdu.orderwire))) }
        let isIntact = received.isSegmentIntact && isSegmentIntact
        if !isIntact { statistics.framesDamaged += 1 }
        receive(dpdu, isIntact: isIntact, place, now: now)
        transmitWhenAllowed(now: now)
    }

    private mutating func receive(_ dpdu: DPDU, isIntact: Bool, _ place: Int, now: NIODeadline) {
        switch dpdu.content {
        case .data(let frame): received(frame, isIntact: isIntact, type: 0, place, now: now)
        case .acknowledgement(let part): received(part, type: 1, place, now: now)
        case .dataAcknowledgement(let frame, let part):
            received(part, type: 2, place, now: now)
            received(frame, isIntact: isIntact, type: 2, place, now: now)
        case .reset(let reset): received(reset, place, now: now)
        case .expeditedData, .expeditedAcknowledgement:
            remotes[place].owedWarning = DPDU.Warning(
                receivedType: dpdu.content.type, reason: DPDU.Warning.invalidForState)
        case .management(let part):
            if part.isMessage, !remotes[place].owedManagement.contains(part.identifier) {
                remotes[place].owedManagement.append(part.identifier)
            }
        case .nonARQ(let frame):
            guard isIntact, let unit = remotes[place].assembly.received(frame, now: now) else { return }
            guard case .data(let bytes) = CPDU(decoding: unit) else { return }
            received(bytes, isARQ: false, destination: dpdu.destination, place, now: now)
        case .expeditedNonARQ(let frame):
            guard isIntact, let bytes = remotes[place].expeditedAssembly.received(frame, now: now),
                let unit = CPDU(decoding: bytes)
            else { return }
            if case .data(let data) = unit {
                received(data, isARQ: false, destination: dpdu.destination, place, now: now)
            } else if !dpdu.destination.isGroup {
                linkUnitReceived(unit, place, now: now)
            }
        case .warning(let part):
            guard part.reason != DPDU.Warning.unrecognisedType else { return }
            remotes[place].link.warningReceived()
            noteAwaited(from: place) { $0.isAnswered = true }
            takeLinkEvents(place, now: now)
        }
    }

    // MARK: Links

    private mutating func linkUnitReceived(_ unit: CPDU, _ place: Int, now: NIODeadline) {
        let links = remotes.count { $0.link.isUp }
        remotes[place].link.received(unit, mayAccept: links < configuration.maximumLinks, now: now)
        if !remotes[place].link.awaitsAnswer { noteAwaited(from: place) { $0.isAnswered = true } }
        takeLinkEvents(place, now: now)
    }

    // MARK: ARQ

    private mutating func received(
        _ frame: DPDU.DataFrame, isIntact: Bool, type: UInt8, _ place: Int, now: NIODeadline
    ) {
        let admission = remotes[place].link.dataReceived(now: now)
        takeLinkEvents(place, now: now)
        switch admission {
        case .ignored: return
        case .refused:
            remotes[place].owedWarning = DPDU.Warning(receivedType: type, reason: DPDU.Warning.notConnected)
            return
        case .accepted: break
        }
        guard remotes[place].pendingReset == nil else { return }
        switch remotes[place].receiver.frameReceived(frame, isIntact: isIntact) {
        case .accepted, .damaged: break
        case .duplicate: statistics.framesDuplicate += 1
        case .outOfSync:
            beginReset(place)
            return
        }
        remotes[place].owesAcknowledgement = true
        while let unit = remotes[place].receiver.nextUnit() {
            guard case .data(let bytes) = CPDU(decoding: unit) else { continue }
            received(bytes, isARQ: true, destination: configuration.address, place, now: now)
        }
    }

    private mutating func received(_ part: DPDU.Acknowledgement, type: UInt8, _ place: Int, now: NIODeadline) {
        guard remotes[place].link.isUp else {
            if remotes[place].link.state == .down {
                remotes[place].owedWarning = DPDU.Warning(receivedType: type, reason: DPDU.Warning.notConnected)
            }
            return
        }
        guard remotes[place].pendingReset == nil else { return }
        remotes[place].link.dataExchanged(now: now)
        let frames = remotes[place].sender.framesOfLastBurst
        let answers = noteAwaited(from: place) { $0.isAnswered = true }
        switch remotes[place].sender.acknowledgementReceived(part) {
        case .outOfSync: beginReset(place)
        case .inSync(let completed, let acknowledged):
            // A copy of the acknowledgement says nothing new about the burst.
            if answers == .data {
                actions.append(
                    .noted(.burstAssessed(remotes[place].address, frames: frames, acknowledged: acknowledged)))
            }
            for number in completed { unitCompleted(number, place, now: now) }
        }
    }

    private mutating func received(_ reset: DPDU.WindowReset, _ place: Int, now: NIODeadline) {
        guard remotes[place].link.isUp else {
            remotes[place].owedWarning = DPDU.Warning(receivedType: 3, reason: DPDU.Warning.notConnected)
            return
        }
        remotes[place].link.dataExchanged(now: now)
        if reset.isAcknowledgement, let pending = remotes[place].pendingReset, pending.identifier == reset.identifier {
            remotes[place].pendingReset = nil
            remotes[place].isInStep = true
            noteAwaited(from: place) { $0.isAnswered = true }
            restartWindows(place)
            actions.append(.noted(.windowsReset(remotes[place].address)))
        }
        // Both sides reset at once, and ours was not heard: what was heard instead is no answer to it.
        if remotes[place].pendingReset != nil { remotes[place].isResetDue = true }
        guard reset.isFull || reset.commandsReceiveReset || reset.requestsTransmitReset else { return }
        if remotes[place].obeyedReset != reset.identifier {
            remotes[place].obeyedReset = reset.identifier
            if reset.isFull {
                remotes[place].isInStep = true
                restartWindows(place)
                actions.append(.noted(.windowsReset(remotes[place].address)))
            } else if reset.commandsReceiveReset {
                remotes[place].receiver.resynchronise(to: reset.newLowerEdge)
            } else {
                // What it asks for is part of a full reset, which leaves no doubt about parts of C_PDUs.
                beginReset(place)
            }
        }
        if !remotes[place].owedResets.contains(reset.identifier) { remotes[place].owedResets.append(reset.identifier) }
        noteAwaited(from: place) { $0.isAnswered = true }
    }

    /// The windows do not agree (§C.6.3): both sides have to begin anew.
    mutating func beginReset(_ place: Int) {
        guard remotes[place].pendingReset == nil else { return }
        var reset = DPDU.WindowReset(identifier: remotes[place].nextReset)
        remotes[place].nextReset &+= 1
        reset.isFull = true
        remotes[place].pendingReset = reset
        remotes[place].isInStep = false
        remotes[place].isResetDue = true
        remotes[place].owesAcknowledgement = false
    }

    /// C_PDUs that are not complete are sent anew, in their order.
    mutating func restartWindows(_ place: Int) {
        let units = remotes[place].sender.reset()
        remotes[place].receiver.reset()
        remotes[place].owesAcknowledgement = false
        for unit in units.reversed() {
            guard let outbound = remotes[place].inFlight.removeValue(forKey: unit.id) else { continue }
            remotes[place].queue.prepend(outbound)
        }
    }

    // MARK: Units of clients

    private mutating func received(
        _ bytes: ByteBuffer, isARQ: Bool, destination: NodeAddress, _ place: Int, now: NIODeadline
    ) {
        switch SPDU(decoding: bytes) {
        case .data(let data): received(data, isARQ: isARQ, destination: destination, place, now: now)
        case .deliveryConfirm(let saps, let prefix): clientAnswered(saps, prefix, .confirmed, place)
        case .deliveryFail(let saps, _, let prefix):
            clientAnswered(saps, prefix, .rejected(.destinationSAPNotBound), place)
        case .hardLinkRequest: enqueue(.hardLinkRejected(reason: 1), place, now: now)
        case .hardLinkTerminate: enqueue(.hardLinkTerminateConfirm, place, now: now)
        case .hardLinkConfirm, .hardLinkRejected, .hardLinkTerminateConfirm, nil: break
        }
    }

    private mutating func received(
        _ data: SPDU.DataUnit, isARQ: Bool, destination: NodeAddress, _ place: Int, now: NIODeadline
    ) {
        if let timeToDie = data.timeToDie, timeToDie.isPast(at: greenwichSeconds(at: now)) {
            statistics.unitsUndeliverable += 1
            return
        }
        let wantsAnswer = data.wantsClientConfirmation && isARQ
        let prefix = data.unit.prefix(configuration.confirmationPrefix)
        guard isBound(data.saps.destination) else {
            statistics.unitsUndeliverable += 1
            if wantsAnswer {
                enqueue(.deliveryFail(data.saps, reason: SPDU.destinationNotBound, unit: prefix), place, now: now)
            }
            return
        }
        statistics.unitsDelivered += 1
        actions.append(
            .deliver(
                UnidataIndication(
                    priority: data.priority, destinationSAP: SAP(low: data.saps.destination), destination: destination,
                    mode: isARQ ? .arq : .nonARQ, sourceSAP: SAP(low: data.saps.source),
                    source: remotes[place].address, uPDU: data.unit)))
        if wantsAnswer { enqueue(.deliveryConfirm(data.saps, unit: prefix), place, now: now) }
    }

    /// The other client has, or has not, been given a unit: the oldest one with these SAPs that begins with these
    /// bytes, since there is no better name for it (§A.3.1.2).
    private mutating func clientAnswered(_ saps: SPDU.SAPPair, _ prefix: ByteBuffer, _ fate: Fate, _ place: Int) {
        func isMeant(_ unit: OutboundUnit) -> Bool {
            guard let submitted = unit.submitted, submitted.confirmation == .client else { return false }
            return submitted.sourceSAP.number == saps.source && submitted.request.destinationSAP.number == saps.destination
                && submitted.request.uPDU.readableBytesView.starts(with: prefix.readableBytesView)
        }
        if let index = remotes[place].unconfirmed.firstIndex(where: { isMeant($0.unit) }) {
            settle(remotes[place].unconfirmed.remove(at: index).unit, fate)
            return
        }
        // The acknowledgement of the last segment was lost on the way.
        let early = remotes[place].inFlight.values.filter { isMeant($0) && !remotes[place].confirmedEarly.contains($0.number) }
        guard let unit = early.min(by: { $0.number < $1.number }) else { return }
        if case .confirmed = fate { remotes[place].confirmedEarly.insert(unit.number) }
    }

    // MARK: The channel

    private mutating func obeyEndOfTransmission(_ halfSeconds: UInt8, now: NIODeadline) {
        let end = now + .milliseconds(500 * Int64(halfSeconds)) + configuration.answerMargin
        hear(until: end)
    }

    private mutating func hear(until: NIODeadline) {
        switch channel {
        case .idle: channel = .hearing(nil, until: until)
        case .awaiting(let awaited, _): channel = .hearing(awaited, until: until)
        case .hearing(let awaited, _): channel = .hearing(awaited, until: until)
        // The last data of a transmission come when its carrier is off already.
        case .turning, .sending: break
        }
    }

    mutating func turn(_ awaited: Awaited?, now: NIODeadline) {
        // Whose it was cannot be known when nothing could be read.
        for place in remotes.indices { remotes[place].link.activitySeen(now: now) }
        channel = .turning(awaited, until: now + turnTime(after: heardTiming))
    }

    /// From the end of a carrier to the start of the answer.
    func turnTime(after timing: TransmissionTiming) -> TimeAmount {
        timing.clockOut + max(configuration.turnaround, timing.decode)
    }

    /// - Returns: the purpose, if an answer of this node was awaited and had not come.
    @discardableResult
    private mutating func noteAwaited(from place: Int, _ change: (inout Awaited) -> Void) -> Purpose? {
        func changed(_ awaited: Awaited?) -> (Awaited?, Purpose?) {
            guard var awaited, awaited.peer == remotes[place].address else { return (awaited, nil) }
            let purpose = awaited.isAnswered ? nil : awaited.purpose
            change(&awaited)
            return (awaited, purpose)
        }
        switch channel {
        case .idle, .sending: return nil
        case .awaiting(let awaited, let until):
            let (new, purpose) = changed(awaited)
            channel = .awaiting(new ?? awaited, until: until)
            return purpose
        case .hearing(let awaited, let until):
            let (new, purpose) = changed(awaited)
            channel = .hearing(new, until: until)
            return purpose
        case .turning(let awaited, let until):
            let (new, purpose) = changed(awaited)
            channel = .turning(new, until: until)
            return purpose
        }
    }
}

extension ARQReceiver {
    /// The other side says where its window begins (§C.3.6); parts of C_PDUs are thrown away.
    mutating func resynchronise(to edge: UInt8) {
        reset()
        moveEmptyWindow(to: edge)
    }
}
