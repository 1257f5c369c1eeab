import NIOCore

/// One RCOP connection of one source: the units that are being put together, and what is known of their numbers.
struct RCOPIncomingConnection {
    enum Arrival: Equatable {
        case held
        case delivered(ByteBuffer, followsGap: Bool, isRepeat: Bool)
        /// The U_PDU alone, or with the unit that it was to complete.
        case dropped(RCOPDropReason)
    }

    /// A unit that will not be put together.
    struct Loss: Equatable {
        var number: UInt8
        var reason: RCOPDropReason
        /// It was, as far as it came, a repeat of one that was delivered.
        var isRepeat: Bool
    }

    private struct Abandoned {
        var number: UInt8
        var until: NIODeadline
    }

    let number: UInt8
    private var assemblies: [RCOPAssembly] = []
    private var sequence = RCOPSequence()
    private var recent = RCOPRecentUnits()
    /// Given up in the middle; what still comes of them is no new unit.
    private var abandoned: [Abandoned] = []
    private(set) var heldBytes = 0
    /// Since they were last taken.
    private(set) var losses: [Loss] = []

    init(number: UInt8) {
        self.number = number
    }

    var isHolding: Bool { !assemblies.isEmpty }
    /// When the assembly that waits longest got its last segment.
    var oldestArrival: NIODeadline? { assemblies.lazy.map(\.lastArrival).min() }

    mutating func takeLosses() -> [Loss] {
        guard !losses.isEmpty else { return [] }
        defer { losses = [] }
        return losses
    }

    // MARK: Segments

    mutating func received(
        _ header: RCOPHeader, _ data: ByteBuffer, _ configuration: RCOPReceiverConfiguration, now: NIODeadline
    ) -> Arrival {
        let segment = Int(header.segment)
        let fingerprint = RCOPRecentUnits.fingerprint(segment: segment, data)
        recent.forget(olderThan: configuration.repeatMemory, now: now)
        abandoned.removeAll { $0.until <= now }
        let isKnown = recent.contains(header.unit, segment: segment, fingerprint: fingerprint)

        if let index = assemblies.firstIndex(where: { $0.number == header.unit }) {
            // What was delivered under this number may come late, while another unit has it.
            if isKnown, assemblies[index].has(segment), !assemblies[index].has(segment, withBytes: data) {
                return .dropped(.duplicate)
            }
            let arrival = add(segment, data, fingerprint, to: index, configuration, now: now)
            if let arrival { return arrival }
            // Another unit under the same number.
            giveUp(at: index, .superseded)
            sequence.restarted(with: header.unit)
        } else if isKnown, configuration.framing == .delimited || segment > 0 {
            return .dropped(.duplicate)
        } else if segment > 0, abandoned.contains(where: { $0.number == header.unit }) {
            return .dropped(.abandoned)
        }
        let continues = continuesLast(header, configuration)
        if segment == 0 {
            abandoned.removeAll { $0.number == header.unit }
            if case .xml = configuration.framing, !isKnown { giveUpAll(.truncated) }
        }
        // A delimited unit may have been cut anew for another MTU, so that no segment of it is known.
        let mayBeRepeat = configuration.framing == .delimited ? recent.unit(header.unit) != nil : isKnown
        if !mayBeRepeat, !continues { sequence.seen(header.unit) }
        assemblies.append(
            RCOPAssembly(
                number: header.unit, application: header.application, firstSegment: continues ? segment : 0,
                mayBeRepeat: mayBeRepeat, framing: configuration.framing, now: now))
        heldBytes += RCOPAssembly.overhead
        return add(segment, data, fingerprint, to: assemblies.count - 1, configuration, now: now) ?? .held
    }

    /// XML only: the last unit seemed to end with a segment, and the next segment of the same unit comes: it holds more
    /// than one stanza.
    private func continuesLast(_ header: RCOPHeader, _ configuration: RCOPReceiverConfiguration) -> Bool {
        guard case .xml = configuration.framing, header.segment > 0, let last = recent.last else { return false }
        return last.number == header.unit && last.end == Int(header.segment)
    }

    /// - Returns: nil where the segment belongs to another unit.
    private mutating func add(
        _ segment: Int, _ data: ByteBuffer, _ fingerprint: UInt64, to index: Int,
        _ configuration: RCOPReceiverConfiguration, now: NIODeadline
    ) -> Arrival? {
        let before = assemblies[index].heldBytes
        let outcome = assemblies[index].add(
            segment, data, fingerprint: fingerprint, unitBytes: configuration.unitBytes, now: now)
        heldBytes += assemblies[index].heldBytes - before
        switch outcome {
        case .waiting: return .held
        case .duplicate: return .dropped(.duplicate)
        case .conflict: return nil
        case .complete(let bytes): return completed(bytes, at: index, configuration.framing, now: now)
        case .dropped(let reason) where !reason.isLoss:
            ignored(at: index, now: now)
            return .dropped(reason)
        case .dropped(let reason):
            abandon(assemblies[index].number, until: now + configuration.assemblyTimeout)
            giveUp(at: index, reason)
            return .held
        }
    }

    private mutating func completed(
        _ bytes: ByteBuffer, at index: Int, _ framing: RCOPFraming, now: NIODeadline
    ) -> Arrival {
        let assembly = assemblies[index]
        remove(at: index)
        let whole = RCOPRecentUnits.fingerprint(segment: 0, bytes)
        let isRepeat = assembly.mayBeRepeat && recent.unit(assembly.number)?.whole == whole
        if assembly.mayBeRepeat, !isRepeat { sequence.seen(assembly.number) }
        remember(assembly, whole: whole, now: now)
        if isRepeat, framing == .delimited { return .dropped(.duplicate) }
        return .delivered(
            bytes, followsGap: isRepeat ? false : sequence.delivered(assembly.number), isRepeat: isRepeat)
    }

    /// There is nothing in it to be passed on. Something may still follow under its number.
    private mutating func ignored(at index: Int, now: NIODeadline) {
        let assembly = assemblies[index]
        remove(at: index)
        sequence.ignored(assembly.number)
        remember(assembly, whole: 0, now: now)
    }

    private mutating func remember(_ assembly: RCOPAssembly, whole: UInt64, now: NIODeadline) {
        let earlier = assembly.firstSegment > 0 ? recent.unit(assembly.number)?.fingerprints ?? [] : []
        recent.append(
            RCOPRecentUnits.Unit(
                number: assembly.number, end: assembly.nextSegment, fingerprints: earlier + assembly.fingerprints,
                whole: whole, delivered: now))
    }

    // MARK: Giving up

    /// Gives up what got no segment for so long.
    mutating func giveUp(after timeout: TimeAmount, now: NIODeadline) {
        for index in assemblies.indices.reversed() where assemblies[index].lastArrival + timeout <= now {
            abandon(assemblies[index].number, until: now + timeout)
            giveUp(at: index, assemblies[index].reasonWhenLate)
        }
    }

    /// Gives up the unit that waits longest.
    mutating func giveUpOldest(_ reason: RCOPDropReason, abandonedUntil until: NIODeadline) {
        guard let index = assemblies.indices.min(by: { assemblies[$0].lastArrival < assemblies[$1].lastArrival })
        else { return }
        abandon(assemblies[index].number, until: until)
        giveUp(at: index, reason)
    }

    private mutating func giveUpAll(_ reason: RCOPDropReason) {
        while !assemblies.isEmpty { giveUp(at: 0, reason) }
    }

    private mutating func giveUp(at index: Int, _ reason: RCOPDropReason) {
        losses.append(
            Loss(number: assemblies[index].number, reason: reason, isRepeat: assemblies[index].mayBeRepeat))
        remove(at: index)
    }

    private mutating func remove(at index: Int) {
        heldBytes -= assemblies[index].heldBytes
        assemblies.remove(at: index)
    }

    private mutating func abandon(_ number: UInt8, until: NIODeadline) {
        abandoned.removeAll { $0.number == number }
        abandoned.append(Abandoned(number: number, until: until))
    }
}
