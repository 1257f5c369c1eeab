package import NIOCore
import STANAG5066

extension HFNodeMachine {
    /// The carrier of our burst is off.
    package mutating func burstEnded(now: NIODeadline) {
        lastNow = now
        guard case .sending(let awaited) = channel else { return }
        guard let place = index(of: awaited.peer) else {
            channel = .idle(notBefore: now)
            return
        }
        if awaited.purpose == .data {
            remotes[place].link.dataExchanged(now: now)
        } else {
            remotes[place].link.activitySeen(now: now)
        }
        switch awaited.purpose {
        case .link, .reset, .data: channel = .awaiting(awaited, until: now + answerTime(place))
        case .nothing where remotes[place].link.isUp:
            // It is the other side's turn; if it has nothing to say, no carrier comes.
            let wait = turnTime(after: timing) + remotes[place].timing.untilHeard + configuration.answerMargin
            channel = .awaiting(awaited, until: now + wait)
        case .nothing:
            channel = .idle(notBefore: now)
            transmitWhenAllowed(now: now)
        }
    }

    /// From the end of our burst until a short answer can be read, and a margin. The standard leaves it to the node
    /// (§B.3.2.1); a fixed time would be too short for long interleavers.
    func answerTime(_ place: Int) -> TimeAmount {
        let answer = DPDU.nonARQOverhead + 7 + 1
        return turnTime(after: timing) + remotes[place].timing.durationUntilRead(bytes: answer) + configuration.answerMargin
    }

    /// Takes the channel if it is free and there is something to send.
    mutating func transmitWhenAllowed(now: NIODeadline) {
        guard case .idle(let notBefore) = channel, notBefore <= now, !isSilent else { return }
        expireUnits(now: now)
        demandLinks(now: now)
        guard let place = nextRemote(), let (burst, purpose) = burst(to: place, now: now) else { return }
        lastServed = place
        channel = .sending(Awaited(peer: remotes[place].address, purpose: purpose))
        statistics.bursts += 1
        statistics.bytes += burst.byteCount
        actions.append(.transmit(burst))
    }

    private mutating func demandLinks(now: NIODeadline) {
        for place in remotes.indices where remotes[place].hasData {
            if let pause = remotes[place].callNotBefore, pause > now { continue }
            remotes[place].callNotBefore = nil
            remotes[place].link.linkDemanded(now: now)
            takeLinkEvents(place, now: now)
        }
    }

    /// Who is owed an answer, then who has the most urgent unit, then who was not served last.
    private func nextRemote() -> Int? {
        let order = (1...max(1, remotes.count)).map { (lastServed + $0) % max(1, remotes.count) }
        let candidates = order.filter { remotes.indices.contains($0) && remotes[$0].hasWork }
        guard let highest = candidates.map({ remotes[$0].priority }).max() else { return nil }
        return candidates.first { remotes[$0].priority == highest }
    }

    // MARK: The burst

    private mutating func burst(to place: Int, now: NIODeadline) -> (Burst, Purpose)? {
        let address = remotes[place].address
        var builder = BurstBuilder(configuration: configuration, timing: timing, destination: address)
        var purpose = Purpose.nothing
        addManagement(&builder, place)
        if addResets(&builder, place) { purpose = .reset }
        // Before the data: an answer to a call that found no room behind them would never come, and data are nothing to a caller.
        if addLinkUnits(&builder, place), remotes[place].link.awaitsAnswer { purpose = .link }
        if remotes[place].link.isUp, remotes[place].pendingReset == nil {
            remotes[place].sender.burstBegan()
            addFrames(&builder, place)
            if builder.hasData { purpose = .data }
        }
        addNonARQ(&builder, place)
        if let warning = remotes[place].owedWarning, builder.add(.warning(warning)) { remotes[place].owedWarning = nil }
        guard !builder.isEmpty else { return nil }
        let sender = remotes[place].sender
        let burst = builder.finish(orderwire: orderwires[address] ?? .none) { sender.dataFrame(at: $0) }
        return (burst, purpose)
    }

    private mutating func addManagement(_ builder: inout BurstBuilder, _ place: Int) {
        while let identifier = remotes[place].owedManagement.first {
            var part = DPDU.Management(identifier: identifier)
            part.isAcknowledgement = true
            guard builder.add(.management(part)) else { return }
            remotes[place].owedManagement.removeFirst()
        }
    }

    /// - Returns: whether a reset that wants an answer is part of the burst.
    private mutating func addResets(_ builder: inout BurstBuilder, _ place: Int) -> Bool {
        while let identifier = remotes[place].owedResets.first {
            var reset = DPDU.WindowReset(identifier: identifier)
            reset.isAcknowledgement = true
            guard builder.add(.reset(reset)) else { return false }
            remotes[place].owedResets.removeFirst()
        }
        guard let reset = remotes[place].pendingReset, remotes[place].isResetDue, remotes[place].link.isUp,
            builder.add(.reset(reset))
        else { return false }
        remotes[place].isResetDue = false
        return true
    }

    /// The acknowledgement, what was not acknowledged, oldest first, then new frames as far as window and room go.
    private mutating func addFrames(_ builder: inout BurstBuilder, _ place: Int) {
        var owed = remotes[place].owesAcknowledgement ? remotes[place].receiver.acknowledgement : nil
        var copies = max(1, configuration.acknowledgementCopies)
        func acknowledgement() -> DPDU.Acknowledgement? { owed }
        func frameAdded() {
            copies -= 1
            if copies <= 0 { owed = nil }
        }
        for frame in remotes[place].sender.unacknowledged {
            let size = remotes[place].sender.segmentSize(at: frame)
            guard builder.add(place: frame, segmentBytes: size, acknowledgement: acknowledgement()) else { break }
            remotes[place].sender.include(frame)
            statistics.dataFrames += 1
            statistics.repeatedFrames += 1
            frameAdded()
        }
        while let size = nextSegmentSize(place),
            builder.fits(builder.frameSize(segmentBytes: size, acknowledgement: acknowledgement())),
            let frame = remotes[place].sender.number(),
            builder.add(place: frame, segmentBytes: size, acknowledgement: acknowledgement())
        {
            remotes[place].sender.include(frame)
            statistics.dataFrames += 1
            frameAdded()
        }
        while let part = owed, copies > 0, builder.add(.acknowledgement(part)) { copies -= 1 }
        remotes[place].owesAcknowledgement = false
    }

    /// The size of the next new segment; takes the next unit from the queue when the one before is out.
    private mutating func nextSegmentSize(_ place: Int) -> Int? {
        if remotes[place].sender.wantsUnit, let unit = remotes[place].queue.popFirst() {
            remotes[place].sender.append(ARQUnit(id: unit.number, bytes: unit.bytes, isInOrder: unit.isInOrder))
            remotes[place].inFlight[unit.number] = unit
            remotes[place].earliestExpiry = min(remotes[place].earliestExpiry ?? unit.expires, unit.expires)
        }
        return remotes[place].sender.nextSegmentSize
    }

    private mutating func addNonARQ(_ builder: inout BurstBuilder, _ place: Int) {
        while let item = remotes[place].nonARQ.first {
            guard item.unit.expires > lastNow else {
                remotes[place].nonARQ.removeFirst()
                if item.isLast { settle(item.unit, .rejected(.timeToLiveExpired)) }
                continue
            }
            var frame = item.frame
            // Until the end of the next transmission, should the rest not fit into this one.
            let limit = min(configuration.maximumTransmission, HFNodeConfiguration.longestTransmission)
            frame.receptionWindow = UInt16(clamping: 2 * limit.nanoseconds / 500_000_000)
            guard builder.add(.nonARQ(frame)) else { return }
            remotes[place].nonARQ.removeFirst()
            if item.isLast { settle(item.unit, .done) }
        }
    }

    /// - Returns: whether there were any.
    private mutating func addLinkUnits(_ builder: inout BurstBuilder, _ place: Int) -> Bool {
        var wasAdded = false
        for unit in remotes[place].link.outgoing {
            let bytes = unit.encoded()
            let frame = DPDU.NonARQFrame(
                unit: remotes[place].nextExpeditedUnit, unitSize: UInt16(clamping: bytes.readableBytes), offset: 0,
                receptionWindow: 4, segment: bytes)
            guard builder.add(.expeditedNonARQ(frame)) else { return wasAdded }
            remotes[place].nextExpeditedUnit = (remotes[place].nextExpeditedUnit + 1) & 0x0FFF
            wasAdded = true
        }
        remotes[place].link.transmitted()
        return wasAdded
    }
}
