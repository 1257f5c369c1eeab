import DequeModule
package import NIOCore

/// Two nodes on one half-duplex frequency. Time passes as the owner says: virtual time in a simulation, a clock
/// elsewhere.
///
/// The owner calls ``deadlineReached(now:)`` at ``nextDeadline``, after what the clients do too, and draws
/// ``nextEvent()``. What he does then comes before the next thing that happens, if it is at the same time: a rate that he
/// changes is that of the next burst.
///
/// A node that transmits hears nothing. A receiver that was transmitting during a preamble misses the whole burst; one
/// that begins to transmit later loses what is on the air meanwhile. So two nodes that key within one preamble both
/// lose theirs.
package struct HFNodePair<Channel: BurstChannel>: ~Copyable {
    package enum Event: Equatable, Sendable {
        /// All but ``HFNodeAction/transmit(_:)``.
        case node(HFNodeSide, HFNodeAction, at: NIODeadline)
        /// A burst is on the air from now on.
        case transmitted(HFNodeSide, Burst, at: NIODeadline)
        /// A D_PDU has reached the other node.
        case received(HFNodeSide, Burst.Element, isSegmentIntact: Bool, at: NIODeadline)
    }

    private struct Flight {
        let burst: Burst
        let start: NIODeadline
        let fate: BurstFate
        /// The receiver knows of the transmission; nil before its preamble is over.
        var isHeard: Bool?
        var isOver = false
        /// The next D_PDU that can be read.
        var next = 0

        var heardAt: NIODeadline { start + burst.timing.untilHeard }
        var end: NIODeadline { start + burst.duration }
        var readAt: NIODeadline? {
            guard next < burst.elements.count else { return nil }
            return start + burst.timing.availability(afterBytes: burst.elements[next].end)
        }

        /// When something happens to it.
        var nextTime: NIODeadline? {
            guard isHeard != nil else { return heardAt }
            let times = [readAt, isOver ? nil : end].compactMap(\.self)
            return times.min()
        }

        /// When a D_PDU is on the air.
        func air(_ element: Burst.Element) -> (from: NIODeadline, to: NIODeadline) {
            let timing = burst.timing
            let data = start + timing.untilData
            guard timing.interleaver > .zero else {
                return (data + timing.airTime(bits: 8 * element.offset), data + timing.airTime(bits: 8 * element.end))
            }
            let first = timing.interleaver * timing.block(withBit: 8 * element.offset + 1)
            return (data + first, data + timing.interleaver * (timing.block(withBit: 8 * element.end) + 1))
        }
    }

    private var first: HFNodeMachine
    private var second: HFNodeMachine
    package var channel: Channel
    private var flights: [Deque<Flight>] = [[], []]
    /// The last transmissions of each side.
    private var busy: [Deque<(from: NIODeadline, to: NIODeadline)>] = [[], []]
    private var events: Deque<Event> = []

    package init(first: consuming HFNodeMachine, second: consuming HFNodeMachine, channel: Channel) {
        self.first = first
        self.second = second
        self.channel = channel
    }

    package mutating func nextEvent() -> Event? { events.popFirst() }

    /// Lets a client of a node, or its operator, act at `now`.
    package mutating func withNode<Result>(
        _ side: HFNodeSide, now: NIODeadline, _ body: (inout HFNodeMachine) -> Result
    ) -> Result {
        defer { takeActions(side, now: now) }
        return act(side, body)
    }

    private mutating func act<Result>(_ side: HFNodeSide, _ body: (inout HFNodeMachine) -> Result) -> Result {
        switch side {
        case .first: body(&first)
        case .second: body(&second)
        }
    }

    package var nextDeadline: NIODeadline? {
        var times = [first.nextDeadline, second.nextDeadline].compactMap(\.self)
        for side in flights { times += side.compactMap(\.nextTime) }
        return times.min()
    }

    /// Does what is due, in the order of time, until there is an event; what is left is due still.
    package mutating func deadlineReached(now: NIODeadline) {
        while events.isEmpty, let time = nextDeadline, time <= now {
            if let side = flightDue(at: time) {
                advance(side, at: time)
            } else {
                for side in HFNodeSide.allCases {
                    act(side) { if let deadline = $0.nextDeadline, deadline <= time { $0.deadlineReached(now: time) } }
                    takeActions(side, now: time)
                }
            }
        }
    }

    // MARK: The air

    /// What is on the air comes before timers of the same moment.
    private func flightDue(at time: NIODeadline) -> HFNodeSide? {
        HFNodeSide.allCases.first { side in flights[side.rawValue].contains { $0.nextTime.map { $0 <= time } ?? false } }
    }

    private mutating func advance(_ side: HFNodeSide, at time: NIODeadline) {
        guard let place = flights[side.rawValue].firstIndex(where: { $0.nextTime.map { $0 <= time } ?? false }) else { return }
        var flight = flights[side.rawValue][place]
        if flight.isHeard == nil {
            let from = flight.start + flight.burst.timing.keyUp
            let isHeard = flight.fate.isHeard && !isBusy(side.other, from: from, to: time)
            flight.isHeard = isHeard
            if !isHeard { flight.next = flight.burst.elements.count }
            flights[side.rawValue][place] = flight
            if isHeard { act(side.other) { $0.carrierHeard(flight.burst.timing, now: time) } }
        } else if let readAt = flight.readAt, readAt <= time {
            let element = flight.burst.elements[flight.next]
            let fate = flight.fate.elements.indices.contains(flight.next) ? flight.fate.elements[flight.next] : .lost
            flight.next += 1
            flights[side.rawValue][place] = flight
            let air = flight.air(element)
            if fate != .lost, !isBusy(side.other, from: air.from, to: air.to) {
                let isIntact = fate == .intact
                events.append(.received(side.other, element, isSegmentIntact: isIntact, at: time))
                act(side.other) { $0.dpduReceived(element.bytes, isSegmentIntact: isIntact, now: time) }
            }
        } else {
            flight.isOver = true
            flights[side.rawValue][place] = flight
            act(side) { $0.burstEnded(now: time) }
            takeActions(side, now: time)
            if flight.isHeard == true { act(side.other) { $0.carrierLost(now: time) } }
        }
        takeActions(side.other, now: time)
        flights[side.rawValue].removeAll { $0.isOver && $0.next >= $0.burst.elements.count }
    }

    // MARK: Faults

    /// A node begins anew, with a machine that knows nothing: its transmission breaks off, and what was on its way to it is lost.
    package mutating func nodeReplaced(_ side: HFNodeSide, with machine: consuming HFNodeMachine, now: NIODeadline) {
        switch side {
        case .first: first = machine
        case .second: second = machine
        }
        breakOff(from: side.other, tells: false, now: now)
        breakOff(from: side, tells: true, now: now)
        // No carrier is left of it.
        flights[side.rawValue] = []
        for place in busy[side.rawValue].indices where busy[side.rawValue][place].to > now {
            busy[side.rawValue][place].to = now
        }
        takeActions(side, now: now)
    }

    /// From now on nothing more arrives of what is on the air. New bursts are the channel's business.
    package mutating func airLost(now: NIODeadline) {
        for side in HFNodeSide.allCases { breakOff(from: side, tells: true, now: now) }
    }

    /// - Parameter tells: the receiver notices that a carrier which it heard is gone.
    private mutating func breakOff(from side: HFNodeSide, tells: Bool, now: NIODeadline) {
        var wasHeard = false
        for place in flights[side.rawValue].indices {
            let flight = flights[side.rawValue][place]
            if flight.isHeard == true, !flight.isOver { wasHeard = true }
            flights[side.rawValue][place].isHeard = false
            flights[side.rawValue][place].next = flight.burst.elements.count
        }
        flights[side.rawValue].removeAll { $0.isOver }
        guard tells, wasHeard else { return }
        act(side.other) { $0.carrierLost(now: now) }
        takeActions(side.other, now: now)
    }

    private func isBusy(_ side: HFNodeSide, from: NIODeadline, to: NIODeadline) -> Bool {
        busy[side.rawValue].contains { $0.from < to && from < $0.to }
    }

    private mutating func takeActions(_ side: HFNodeSide, now: NIODeadline) {
        while let action = act(side, { $0.nextAction() }) {
            guard case .transmit(let burst) = action else {
                events.append(.node(side, action, at: now))
                continue
            }
            let fate = channel.fate(of: burst, from: side, at: now)
            flights[side.rawValue].append(Flight(burst: burst, start: now, fate: fate))
            busy[side.rawValue].append((now, now + burst.duration))
            if busy[side.rawValue].count > 4 { busy[side.rawValue].removeFirst() }
            events.append(.transmitted(side, burst, at: now))
        }
    }
}
