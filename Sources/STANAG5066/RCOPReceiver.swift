import DequeModule
package import NIOCore

/// Puts units together again from the U_PDUs of an RCOP client (STANAG 5066 Ed. 3 §F.8.3).
///
/// The key is source node, source SAP, connection and number of the unit; the application must not be used for it.
/// Segments may come interleaved, in any order and more than once. UDOP, which does not repeat what is lost, needs
/// nothing else.
///
/// ```
///   U_PDU ──▶ header ──▶ source ──▶ connection ──▶ assembly ──▶ unit     known again by the hashes of its segments
///                                        │             └──────▶ lost     cut off, too late, too large, damaged
///                                        └▶ sequence: which numbers are missing
/// ```
///
/// The standard is silent on restarts of a sender. Its numbers then begin anywhere, so a number that goes back is no
/// replay: a unit is taken for a repeat only if its bytes are the same and it came lately; where the framing is XML
/// even then it is passed on, as a repeat, since a sender may say the same again.
///
/// The node must never be kept waiting (§A.2.1.14), so what is held is bounded here: per source, so that one cannot
/// push out what others sent, and in all. Which sources are welcome is the caller's affair.
package struct RCOPReceiver: ~Copyable {
    private struct Source {
        let key: RCOPSource
        var connections: [RCOPIncomingConnection] = []
        var lastHeard: NIODeadline
        var heldBytes = 0

        var isHolding: Bool { connections.contains { $0.isHolding } }
    }

    package let configuration: RCOPReceiverConfiguration
    /// In the order in which they were first heard. Few, and looked through: what is sent must not hang on a hash
    /// table.
    private var sources: [Source] = []
    package private(set) var heldBytes = 0
    package private(set) var counters = RCOPReceiverCounters()
    private var events: Deque<RCOPReceiverEvent> = []
    /// Not later than the first time that something is too old.
    private var earliestTimeout: NIODeadline?

    package init(_ configuration: RCOPReceiverConfiguration) {
        self.configuration = configuration
    }

    package mutating func nextEvent() -> RCOPReceiverEvent? { events.popFirst() }

    /// When ``deadlineReached(now:)`` may have something to do.
    package var nextDeadline: NIODeadline? { earliestTimeout }

    package var debugState: String {
        let units = sources.map { source in
            "\(source.key.node)/\(source.key.sap): "
                + source.connections.map { "\($0.number): \($0.heldBytes) bytes" }.joined(separator: ", ")
        }
        return "held \(heldBytes) bytes of \(sources.count) sources, \(units)"
    }

    // MARK: Inputs

    /// A U_PDU that was sent to our SAP has come.
    package mutating func uPDUReceived(_ uPDU: ByteBuffer, from key: RCOPSource, now: NIODeadline) {
        counters.uPDUs += 1
        var data = uPDU
        guard let header = RCOPHeader(reading: &data) else { return drop(.tooShort) }
        if let application = configuration.application, header.application != application {
            counters.lastForeignApplication = header.application
            return drop(.foreignApplication)
        }
        guard let source = sourceIndex(key, now: now) else { return drop(.tooManySources) }
        sources[source].lastHeard = now
        let index = connectionIndex(header.connection, of: source)
        let before = sources[source].connections[index].heldBytes
        let arrival = sources[source].connections[index].received(header, data, configuration, now: now)
        changed(source, by: sources[source].connections[index].heldBytes - before)
        tellLosses(source, index)
        switch arrival {
        case .held:
            let timeout = now + configuration.assemblyTimeout
            earliestTimeout = min(earliestTimeout ?? timeout, timeout)
        case .dropped(let reason): drop(reason)
        case .delivered(let bytes, let followsGap, let isRepeat):
            counters.units += 1
            counters.unitBytes += UInt64(bytes.readableBytes)
            events.append(
                .unit(
                    RCOPUnit(
                        source: key, connection: header.connection, number: header.unit,
                        application: header.application, bytes: bytes, followsGap: followsGap, isRepeat: isRepeat)))
        }
        keepLimits(now: now)
    }

    /// A deadline has come.
    package mutating func deadlineReached(now: NIODeadline) {
        guard let earliestTimeout, earliestTimeout <= now else { return }
        var oldest: NIODeadline?
        for source in sources.indices {
            for index in sources[source].connections.indices where sources[source].connections[index].isHolding {
                let before = sources[source].connections[index].heldBytes
                sources[source].connections[index].giveUp(after: configuration.assemblyTimeout, now: now)
                changed(source, by: sources[source].connections[index].heldBytes - before)
                tellLosses(source, index)
                guard let arrival = sources[source].connections[index].oldestArrival else { continue }
                oldest = min(oldest ?? arrival, arrival)
            }
        }
        self.earliestTimeout = oldest.map { $0 + configuration.assemblyTimeout }
    }

    /// The agreement with a source has ended: what is held for it goes, and nobody is told.
    package mutating func sourceRemoved(_ key: RCOPSource) {
        guard let index = sources.firstIndex(where: { $0.key == key }) else { return }
        removeSource(at: index)
    }

    // MARK: Bookkeeping

    private mutating func drop(_ reason: RCOPDropReason) { counters[reason] += 1 }

    private mutating func tellLosses(_ source: Int, _ index: Int) {
        for loss in sources[source].connections[index].takeLosses() {
            // What was delivered already is not lost when a repeat of it is.
            counters[loss.isRepeat ? .duplicate : loss.reason] += 1
            guard !loss.isRepeat else { continue }
            events.append(
                .lost(
                    sources[source].key, connection: sources[source].connections[index].number, number: loss.number,
                    loss.reason))
        }
    }

    private mutating func sourceIndex(_ key: RCOPSource, now: NIODeadline) -> Int? {
        if let index = sources.firstIndex(where: { $0.key == key }) { return index }
        if sources.count >= configuration.sources {
            // What is known of an idle source serves only to recognise repeats.
            let idle = sources.indices.filter { !sources[$0].isHolding }
            guard let quietest = idle.min(by: { sources[$0].lastHeard < sources[$1].lastHeard }) else { return nil }
            removeSource(at: quietest)
        }
        sources.append(Source(key: key, lastHeard: now))
        return sources.count - 1
    }

    private mutating func connectionIndex(_ number: UInt8, of source: Int) -> Int {
        if let index = sources[source].connections.firstIndex(where: { $0.number == number }) { return index }
        sources[source].connections.append(RCOPIncomingConnection(number: number))
        return sources[source].connections.count - 1
    }

    private mutating func removeSource(at index: Int) {
        heldBytes -= sources[index].heldBytes
        sources.remove(at: index)
    }

    // MARK: Limits

    private mutating func changed(_ source: Int, by bytes: Int) {
        sources[source].heldBytes += bytes
        heldBytes += bytes
    }

    private mutating func keepLimits(now: NIODeadline) {
        // Whoever holds most pays.
        while let source = sources.indices.max(by: { sources[$0].heldBytes < sources[$1].heldBytes }),
            heldBytes > configuration.totalBytes || sources[source].heldBytes > configuration.sourceBytes
        {
            let holding = sources[source].connections.indices.filter { sources[source].connections[$0].isHolding }
            guard
                let index = holding.min(by: {
                    let left = sources[source].connections[$0].oldestArrival ?? now
                    return left < sources[source].connections[$1].oldestArrival ?? now
                })
            else { return }
            let before = sources[source].connections[index].heldBytes
            sources[source].connections[index].giveUpOldest(
                .memory, abandonedUntil: now + configuration.assemblyTimeout)
            changed(source, by: sources[source].connections[index].heldBytes - before)
            tellLosses(source, index)
        }
    }
}
