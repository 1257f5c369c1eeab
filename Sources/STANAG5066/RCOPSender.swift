import DequeModule
package import NIOCore

/// Cuts units for one peer into U_PDUs and keeps them until the node has confirmed them all (STANAG 5066 Ed. 3 §F.8).
///
/// The owner draws U_PDUs with ``nextUPDU(maximumBytes:now:)`` when the node has room for them, and reports one outcome
/// for each ticket. So what is most urgent is decided when it leaves, and a unit gets its number then.
///
/// ```
///             unitOffered          first U_PDU drawn              all confirmed
///   (owner) ──────────────▶ waiting ───────────────▶ under way ───────────────▶ finished
///                              ▲                     │   ▲   │
///                              └─ begun again ◀──────┤   └───┘ a segment again
///                                 as a new number    └─────────────────────────▶ failed
/// ```
///
/// The standard does not say whether a unit that is sent again keeps its number (§F.8.1, XEP-0365 0.2.1 §4.3): a single
/// segment that is repeated does, as does a unit that is cut anew for a smaller MTU; a unit that begins again gets
/// another.
package struct RCOPSender: ~Copyable {
    private struct Waiting {
        var token: UInt64
        /// Its place among all units that were accepted.
        var order: UInt64
        var bytes: ByteBuffer
        var attempts: Int
    }

    /// One connection.
    private struct Line {
        let number: UInt8
        let priority: UInt8
        var nextNumber: UInt8
        /// In order of acceptance.
        var waiting: Deque<Waiting> = []
        /// In order of number.
        var underWay: Deque<RCOPOutgoingUnit> = []
    }

    private struct Handed {
        var line: Int
        var number: UInt8
        var segment: Int
        var at: NIODeadline
    }

    package let configuration: RCOPSenderConfiguration
    /// The most urgent first.
    private var lines: [Line]
    /// Of each U_PDU that may be in the node; only looked up.
    private var handed: [UInt64: Handed] = [:]
    private var events: Deque<RCOPSenderEvent> = []
    /// Data of one segment; nil while there is no bind.
    private var segmentBytes: Int?
    private var holdUntil: NIODeadline?
    /// Why the node was last left alone.
    private(set) var holdReason: UnidataRejectedReason?
    /// Waits in a row between which nothing was confirmed, and nothing was heard of the peer.
    private var holds = 0
    private var nextTicket: UInt64 = 1
    private var nextOrder: UInt64 = 0
    /// Of units that are not finished, without headers.
    package private(set) var byteCount = 0
    package private(set) var unitCount = 0
    /// U_PDUs that were handed over again, or as a part of a unit that began again.
    package private(set) var repeatedCount: UInt64 = 0
    /// A unit went back to its owner, and those that the node has still follow it: until then nothing is taken.
    private var isReturning = false

    /// A node that takes less cannot be used: a segment must hold the prefix of a unit.
    package static let minimumMTU = 16

    /// - Parameter firstNumber: of the first unit on each connection; chosen at random, so that after a restart numbers
    ///   are unlikely to be those of units that the peer still holds in part.
    package init(_ configuration: RCOPSenderConfiguration, firstNumber: UInt8) {
        self.configuration = configuration
        lines = configuration.connections.map { connection in
            Line(number: connection.number, priority: connection.priority, nextNumber: firstNumber)
        }
        lines.sort { ($0.priority, $1.number) > ($1.priority, $0.number) }
    }

    package mutating func nextEvent() -> RCOPSenderEvent? { events.popFirst() }

    /// When something can be handed over that cannot now, though the node has room.
    package var nextDeadline: NIODeadline? { holdUntil }
    /// The node rejected what is for the peer, which is left alone for a while.
    package var isHolding: Bool { holdUntil != nil }

    /// The wait is over, whether or not the node takes anything now.
    package mutating func deadlineReached(now: NIODeadline) {
        if let until = holdUntil, until <= now { holdUntil = nil }
    }

    package var debugState: String {
        "segments of \(segmentBytes ?? 0), \(unitCount) units of \(byteCount) bytes, handed over \(handed.count), "
            + lines.map { "connection \($0.number): \($0.waiting.count) wait, \($0.underWay.count) under way" }
            .joined(separator: ", ")
    }

    // MARK: The node

    /// The node has accepted the bind. What was under way in an earlier one is reported lost by whoever knows.
    package mutating func bound(mtu: Int) {
        guard mtu >= Self.minimumMTU else { return unbound() }
        let bytes = mtu - RCOPHeader.byteCount
        segmentBytes = bytes
        peerHeard()
        // What is cut too large for the new MTU is cut anew.
        for line in lines.indices {
            for index in lines[line].underWay.indices.reversed()
            where !lines[line].underWay[index].fits(segmentBytes: bytes) {
                cutAnew(line, at: index, segmentBytes: bytes)
            }
        }
    }

    /// A receiver that keeps what it has of a unit must see the same number, or it could take the unit twice.
    private mutating func cutAnew(_ line: Int, at index: Int, segmentBytes: Int) {
        let unit = takeUnderWay(line, at: index)
        switch configuration.repetition {
        case .unit:
            wait(Waiting(token: unit.token, order: unit.order, bytes: unit.bytes, attempts: unit.attempts), line)
        case .segment:
            guard let smaller = unit.cutAnew(framing: configuration.framing, segmentBytes: segmentBytes) else {
                return giveUp(unit, .tooLarge)
            }
            lines[line].underWay.insert(smaller, at: index)
        }
    }

    package mutating func unbound() {
        segmentBytes = nil
        holdUntil = nil
    }

    /// The peer can be reached: something of it was heard.
    package mutating func peerHeard() {
        holdUntil = nil
        holds = 0
    }

    private mutating func hold(_ reason: UnidataRejectedReason, now: NIODeadline) {
        holdReason = reason
        // All that was in the node is rejected when one call has failed; that counts once.
        if holdUntil.map({ $0 <= now }) ?? true { holds = min(holds + 1, 32) }
        var wait = configuration.holdOff
        for _ in 1..<max(holds, 1) where wait < configuration.holdOffMaximum { wait = wait * 2 }
        let until = now + min(wait, max(configuration.holdOff, configuration.holdOffMaximum))
        holdUntil = max(holdUntil ?? until, until)
    }

    // MARK: Units

    /// The owner wants a unit sent.
    ///
    /// - Parameter token: names it in events.
    package mutating func unitOffered(_ bytes: ByteBuffer, token: UInt64, connection: UInt8) -> RCOPAdmission {
        guard let line = lines.firstIndex(where: { $0.number == connection }) else { return .unknownConnection }
        guard takesUnits else { return .full }
        byteCount += bytes.readableBytes
        unitCount += 1
        lines[line].waiting.append(Waiting(token: token, order: nextOrder, bytes: bytes, attempts: 0))
        nextOrder += 1
        return .accepted
    }

    /// Whether a unit is taken now, however large.
    package var takesUnits: Bool { unitCount == 0 || byteCount < configuration.bytes && !isReturning }

    /// The owner wants a unit no longer sent.
    ///
    /// - Returns: false where something of it may be in the node; then it goes on, and ends as any other.
    package mutating func unitWithdrawn(_ token: UInt64) -> Bool {
        for line in lines.indices {
            guard let index = lines[line].waiting.firstIndex(where: { $0.token == token && $0.attempts == 0 })
            else { continue }
            ended(lines[line].waiting.remove(at: index).bytes)
            return true
        }
        return false
    }

    /// The owner wants none of its units sent any more, and nobody is told of their end. What of them is in the node may arrive.
    package mutating func allWithdrawn() {
        for line in lines.indices {
            lines[line].waiting.removeAll()
            lines[line].underWay.removeAll()
        }
        handed = [:]
        isReturning = false
        events.removeAll()
        byteCount = 0
        unitCount = 0
    }

    /// Whether there is something that the node does not have.
    package var hasWaiting: Bool { hasWaiting(atLeast: 0) }

    /// The same of connections of this priority and more urgent ones.
    package func hasWaiting(atLeast priority: UInt8) -> Bool {
        lines.contains { line in
            line.priority >= priority && (!line.waiting.isEmpty || line.underWay.contains(where: \.isWaiting))
        }
    }

    // MARK: U_PDUs

    /// What the node gets next; nil where nothing may go, or it is larger than `maximumBytes`: smaller ones do not pass
    /// it.
    ///
    /// - Parameter priority: of connections that are less urgent nothing is given.
    package mutating func nextUPDU(
        maximumBytes: Int = .max, atLeast priority: UInt8 = 0, now: NIODeadline
    ) -> RCOPUPDU? {
        guard let segmentBytes else { return nil }
        if let until = holdUntil {
            guard until <= now else { return nil }
            holdUntil = nil
        }
        let room = maximumBytes == .max ? .max : maximumBytes - RCOPHeader.byteCount
        for line in lines.indices where lines[line].priority >= priority {
            if let index = lines[line].underWay.firstIndex(where: { $0.isWaiting }) {
                guard let bytes = lines[line].underWay[index].nextDataBytes(), bytes <= room else { return nil }
                return hand(line, index, now: now)
            }
            while mayBegin(lines[line]), let next = lines[line].waiting.first {
                let first = RCOPOutgoingUnit.firstDataBytes(
                    of: next.bytes, framing: configuration.framing, segmentBytes: segmentBytes)
                guard first <= room else { return nil }
                lines[line].waiting.removeFirst()
                guard
                    let unit = RCOPOutgoingUnit(
                        token: next.token, order: next.order, number: lines[line].nextNumber, bytes: next.bytes,
                        attempts: next.attempts, framing: configuration.framing, segmentBytes: segmentBytes)
                else {
                    ended(next.bytes)
                    events.append(.failed(next.token, .tooLarge))
                    continue
                }
                lines[line].nextNumber &+= 1
                lines[line].underWay.append(unit)
                return hand(line, lines[line].underWay.count - 1, now: now)
            }
        }
        return nil
    }

    /// At most half of all numbers may be under way, or a receiver cannot tell old from new.
    private func mayBegin(_ line: Line) -> Bool {
        guard let oldest = line.underWay.first else { return true }
        return line.underWay.count < configuration.unitsUnderWay
            && line.nextNumber &- oldest.number < RCOPSequence.window
    }

    private mutating func hand(_ line: Int, _ index: Int, now: NIODeadline) -> RCOPUPDU? {
        let ticket = nextTicket
        guard
            let (segment, attempts, bytes) = lines[line].underWay[index].takeNext(
                ticket: ticket, connection: lines[line].number, application: configuration.application)
        else { return nil }
        nextTicket += 1
        if attempts > 1 || lines[line].underWay[index].attempts > 0 { repeatedCount += 1 }
        handed[ticket] = Handed(line: line, number: lines[line].underWay[index].number, segment: segment, at: now)
        return RCOPUPDU(
            ticket: ticket, unit: lines[line].underWay[index].token, connection: lines[line].number,
            priority: lines[line].priority, bytes: bytes)
    }

    // MARK: Outcomes

    /// The node, or the client at the other node, has confirmed the U_PDU. It counts whichever time this segment was
    /// handed over; what is known already is ignored.
    package mutating func uPDUConfirmed(_ ticket: UInt64) {
        guard let (line, index, segment) = place(ticket) else { return }
        holds = 0
        lines[line].underWay[index].confirmed(segment)
        guard lines[line].underWay[index].isFinished else { return }
        let unit = takeUnderWay(line, at: index)
        ended(unit.bytes)
        events.append(.finished(unit.token))
    }

    /// The node has rejected the U_PDU. That does not prove that it did not arrive.
    package mutating func uPDURejected(_ ticket: UInt64, _ reason: UnidataRejectedReason, now: NIODeadline) {
        let isFinal =
            switch reason {
            // Its lifetime is over: whether it is still worth sending is for the owner to say. The others repeat what
            // is wrong.
            case .timeToLiveExpired, .largerThanMTU, .transmissionModeNotSpecified: true
            default: false
            }
        // A node that refuses at once does so with the next one as well, and its owner gives what came back again at once.
        if let handed = handed[ticket], place(ticket) != nil, !isFinal || now - handed.at < configuration.holdOff {
            hold(reason, now: now)
        }
        failed(ticket, .rejected(reason), isFinal: isFinal)
    }

    /// Nothing is known of the U_PDU and nothing will be: the bind has ended, or no answer came in time.
    package mutating func uPDULost(_ ticket: UInt64) {
        failed(ticket, .lost, isFinal: false)
    }

    private mutating func failed(_ ticket: UInt64, _ reason: RCOPUnitFailure, isFinal: Bool) {
        guard let (line, index, segment) = place(ticket),
            let attempts = lines[line].underWay[index].failed(segment, ticket: ticket)
        else { return }
        switch configuration.repetition {
        case .segment:
            guard isFinal || attempts >= configuration.attempts else { return }
            giveUp(takeUnderWay(line, at: index), reason)
        case .unit:
            let wasReturning = isReturning
            let unit = takeUnderWay(line, at: index)
            if isFinal { return giveUp(unit, reason) }
            guard !wasReturning, unit.attempts + 1 < configuration.attempts else {
                giveUp(unit, reason)
                return returnWaiting(reason)
            }
            wait(Waiting(token: unit.token, order: unit.order, bytes: unit.bytes, attempts: unit.attempts + 1), line)
        }
    }

    /// A unit goes back although nothing is wrong with it, so those after it go back as well, for its owner to keep their order.
    private mutating func returnWaiting(_ reason: RCOPUnitFailure) {
        let waiting = lines.flatMap(\.waiting).sorted { $0.order < $1.order }
        for line in lines.indices { lines[line].waiting = [] }
        for unit in waiting {
            ended(unit.bytes)
            events.append(.failed(unit.token, reason))
        }
        isReturning = lines.contains { !$0.underWay.isEmpty }
    }

    private mutating func giveUp(_ unit: RCOPOutgoingUnit, _ reason: RCOPUnitFailure) {
        ended(unit.bytes)
        events.append(.failed(unit.token, reason))
    }

    // MARK: Bookkeeping

    private func place(_ ticket: UInt64) -> (line: Int, index: Int, segment: Int)? {
        guard let known = handed[ticket],
            let index = lines[known.line].underWay.firstIndex(where: { $0.number == known.number })
        else { return nil }
        return (known.line, index, known.segment)
    }

    private mutating func takeUnderWay(_ line: Int, at index: Int) -> RCOPOutgoingUnit {
        let unit = lines[line].underWay.remove(at: index)
        for ticket in unit.tickets { handed[ticket] = nil }
        if isReturning { isReturning = lines.contains { !$0.underWay.isEmpty } }
        return unit
    }

    /// Puts a unit that began before to its place among those that wait.
    private mutating func wait(_ unit: Waiting, _ line: Int) {
        let place = lines[line].waiting.firstIndex { $0.order > unit.order } ?? lines[line].waiting.endIndex
        lines[line].waiting.insert(unit, at: place)
    }

    private mutating func ended(_ bytes: ByteBuffer) {
        byteCount -= bytes.readableBytes
        unitCount -= 1
    }
}
