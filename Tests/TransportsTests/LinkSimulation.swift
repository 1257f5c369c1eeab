import NIOCore
import TestSupport
import XMPP

@testable import Transports

/// Two machines, a network with delays and faults, and a clock that only this object moves.
///
/// Each end sends numbered batches whenever it may. After every step the simulation checks what must hold in every order
/// of events; what arrived is for the caller to look at.
final class LinkSimulation {
    struct Violation: Error, CustomStringConvertible {
        let description: String
    }

    private enum Item {
        case batch(Int)
        case closeTag
        case error(StreamError)
        case end
    }

    private enum Event {
        case timer(end: Int, version: Int)
        case dialArrives(wire: Int)
        case dialDone(wire: Int)
        case arrives(wire: Int, end: Int, Item)
        case written(wire: Int, end: Int, batch: Int)
        case gone(wire: Int, end: Int, LinkEnd)
        case demand(end: Int)
        case close(end: Int)
    }

    private struct Wire {
        let opener: Int
        let latency: Int64
        var ids: [LinkConnectionID?] = [nil, nil]
        /// The end's machine knows that the connection is gone.
        var isGone = [false, false]
        /// Nothing gets through any more.
        var isCut = false
    }

    final class End {
        fileprivate(set) var machine: TCPLinkStateMachine
        fileprivate var timerVersion = 0
        fileprivate var dialledWire: Int?
        fileprivate(set) var isConnected = false
        fileprivate var isReady = false
        fileprivate var inFlight: Int?
        fileprivate var unproven: [Int] = []
        fileprivate var next = 0
        fileprivate(set) var isClosed = false
        fileprivate(set) var dials = 0
        /// Batches that the kernel took and that were not put in doubt.
        fileprivate(set) var written: [Int] = []
        fileprivate(set) var inDoubt: [Int] = []
        fileprivate(set) var returned: [Int] = []
        fileprivate(set) var received: [Int] = []
        /// Whether batches went out on connections that this end opened, and on ones that the peer opened.
        fileprivate(set) var usedOwn = false
        fileprivate(set) var usedPeers = false

        init(_ machine: consuming TCPLinkStateMachine) {
            self.machine = machine
        }
    }

    let ends: [End]
    private var wires: [Wire] = []
    private var events: [(time: Int64, order: Int, event: Event)] = []
    private var nextOrder = 0
    private var nextID: UInt64 = 1
    private(set) var time: Int64 = 1_000_000_000_000
    private var random: SeededGenerator
    private let limit: Int
    /// Chance of a fault per delivery, in thousandths.
    private let faults: Int

    init(_ left: TCPLinkPolicy, _ right: TCPLinkPolicy, batches limit: Int, faults: Int, seed: UInt64) {
        random = SeededGenerator(seed: seed)
        ends = [
            End(TCPLinkStateMachine(policy: left, seed: random.next())),
            End(TCPLinkStateMachine(policy: right, seed: random.next())),
        ]
        self.limit = limit
        self.faults = faults
    }

    private var now: NIODeadline { .uptimeNanoseconds(UInt64(time)) }

    /// Starts both ends and runs for `seconds` of simulated time, or until nothing happens any more.
    func run(seconds: Int64, closeAtEnd: Bool) throws {
        for index in ends.indices {
            ends[index].machine.started(now: now)
            try perform(index)
            // Demands come while the other side's connection may be on its way.
            for _ in 0..<3 { schedule(.demand(end: index), in: Int64.random(in: 0...20_000_000_000, using: &random)) }
        }
        if closeAtEnd {
            for index in ends.indices {
                schedule(
                    .close(end: index),
                    in: (seconds - 30) * 1_000_000_000 + Int64.random(in: 0...1_000_000_000, using: &random))
            }
        }
        let end = time + seconds * 1_000_000_000
        while let index = events.indices.min(by: {
            (events[$0].time, events[$0].order) < (events[$1].time, events[$1].order)
        }),
            events[index].time <= end
        {
            let next = events.remove(at: index)
            time = max(time, next.time)
            try step(next.event)
        }
    }

    private func schedule(_ event: Event, in delay: Int64) {
        events.append((time + delay, nextOrder, event))
        nextOrder += 1
    }

    private func step(_ event: Event) throws {
        switch event {
        case .timer(let end, let version):
            guard ends[end].timerVersion == version else { return }
            ends[end].machine.deadlineReached(now: now)
            try perform(end)
        case .demand(let end):
            ends[end].machine.connectionDemanded(now: now)
            try perform(end)
        case .close(let end):
            ends[end].machine.closeRequested(now: now)
            try perform(end)
        case .dialDone(let wire): try dialDone(wire)
        case .dialArrives(let wire):
            guard !wires[wire].isCut else { return }
            let acceptor = 1 - wires[wire].opener
            let id = newID()
            wires[wire].ids[acceptor] = id
            ends[acceptor].machine.peerAccepted(id, now: now)
            try perform(acceptor)
        case .written(let wire, let end, let batch):
            guard !wires[wire].isGone[end], let id = wires[wire].ids[end] else { return }
            let sender = ends[end]
            guard sender.inFlight == batch else { return }
            if sender.machine.isUnproven(id) { sender.unproven.append(batch) }
            sender.inFlight = nil
            sender.written.append(batch)
            sender.machine.batchWritten(id, now: now)
            try perform(end)
        case .gone(let wire, let end, let reason): try gone(wire, end, reason)
        case .arrives(let wire, let end, let item): try arrives(wire, end, item)
        }
    }

    private func dialDone(_ wire: Int) throws {
        let opener = wires[wire].opener
        let end = ends[opener]
        guard end.dialledWire == wire else { return }
        end.dialledWire = nil
        if wires[wire].isCut {
            end.machine.dialFailed(.failed("no answer"), now: now)
        } else {
            let id = newID()
            wires[wire].ids[opener] = id
            // The last packet of the handshake; what the opener sends at once comes right behind it.
            schedule(.dialArrives(wire: wire), in: wires[wire].latency)
            end.machine.dialSucceeded(id, now: now)
        }
        try perform(opener)
    }

    private func newID() -> LinkConnectionID {
        defer { nextID += 1 }
        return LinkConnectionID(nextID)
    }

    private func arrives(_ wire: Int, _ end: Int, _ item: Item) throws {
        guard !wires[wire].isCut, !wires[wire].isGone[end], let id = wires[wire].ids[end] else { return }
        if Int.random(in: 0..<1_000, using: &random) < faults {
            // Everything on the way is lost; the two ends find out at different times.
            wires[wire].isCut = true
            for end in 0...1 {
                schedule(.gone(wire: wire, end: end, .reset), in: Int64.random(in: 0...10_000_000_000, using: &random))
            }
            return
        }
        let receiver = ends[end]
        switch item {
        case .batch(let number):
            receiver.received.append(number)
            receiver.machine.stanzaReceived(id)
        case .closeTag: receiver.machine.closeTagReceived(id, now: now)
        case .error(let error): receiver.machine.streamErrorReceived(id, error, now: now)
        case .end:
            try gone(wire, end, .cut)
            return
        }
        try perform(end)
    }

    private func gone(_ wire: Int, _ end: Int, _ reason: LinkEnd) throws {
        guard !wires[wire].isGone[end], let id = wires[wire].ids[end] else { return }
        wires[wire].isGone[end] = true
        send(wire, from: end, .end)
        ends[end].machine.connectionClosed(id, reason, now: now)
        try perform(end)
    }

    private func send(_ wire: Int, from end: Int, _ item: Item) {
        schedule(.arrives(wire: wire, end: 1 - end, item), in: wires[wire].latency)
    }

    private func wire(of id: LinkConnectionID, _ end: Int) throws -> Int {
        guard let index = wires.firstIndex(where: { $0.ids[end] == id }) else {
            throw Violation(description: "end \(end) names an unknown connection \(id.number)")
        }
        return index
    }

    private func perform(_ index: Int) throws {
        let end = ends[index]
        while let action = end.machine.nextAction() {
            switch action {
            case .dial:
                guard end.dialledWire == nil else { throw Violation(description: "two dials at once") }
                end.dials += 1
                let latency = Int64.random(in: 1_000_000...2_000_000_000, using: &random)
                wires.append(Wire(opener: index, latency: latency))
                end.dialledWire = wires.count - 1
                if Int.random(in: 0..<1_000, using: &random) < faults * 4 { wires[wires.count - 1].isCut = true }
                schedule(.dialDone(wire: wires.count - 1), in: 2 * latency)
            case .abandonDial:
                guard let wire = end.dialledWire else { throw Violation(description: "no dial to abandon") }
                wires[wire].isCut = true
                end.dialledWire = nil
            case .connected:
                guard !end.isConnected else { throw Violation(description: "connected twice") }
                end.isConnected = true
                end.unproven = []
            case .disconnected(_, let batchInFlight, let refused):
                guard end.isConnected else { throw Violation(description: "disconnected twice") }
                guard batchInFlight == (end.inFlight != nil) else {
                    throw Violation(description: "batch in flight \(batchInFlight), but \(end.inFlight as Any)")
                }
                end.isConnected = false
                end.isReady = false
                if let batch = end.inFlight { end.inDoubt.append(batch) }
                end.inFlight = nil
                if refused {
                    end.inDoubt += end.unproven
                    end.written.removeAll { end.unproven.contains($0) }
                }
                end.unproven = []
            case .proven: end.unproven = []
            case .ready:
                guard end.isConnected, end.inFlight == nil, !end.isReady else {
                    throw Violation(description: "ready at the wrong time")
                }
                end.isReady = true
                if end.next < limit {
                    end.isReady = false
                    end.inFlight = end.next
                    end.next += 1
                    end.machine.batchOffered(now: now)
                }
            case .write(let id):
                let wire = try wire(of: id, index)
                guard let batch = end.inFlight else { throw Violation(description: "nothing to write") }
                guard !wires[wire].isGone[index] else { throw Violation(description: "write after the end") }
                if wires[wire].opener == index { end.usedOwn = true } else { end.usedPeers = true }
                send(wire, from: index, .batch(batch))
                schedule(
                    .written(wire: wire, end: index, batch: batch),
                    in: Int64.random(in: 0...200_000_000, using: &random))
            case .returnBatch:
                if let batch = end.inFlight { end.returned.append(batch) }
                end.inFlight = nil
            case .writeClose(let id): send(try wire(of: id, index), from: index, .closeTag)
            case .writeError(let id, let error):
                let wire = try wire(of: id, index)
                send(wire, from: index, .error(error))
                send(wire, from: index, .closeTag)
            case .close(let id), .drop(let id):
                schedule(.gone(wire: try wire(of: id, index), end: index, .closed), in: 0)
            case .writeRefusal: throw Violation(description: "a refusal on a link without blocks")
            case .note: break
            case .arm(let deadline):
                end.timerVersion += 1
                schedule(
                    .timer(end: index, version: end.timerVersion), in: max(0, Int64(deadline.uptimeNanoseconds) - time))
            case .disarm: end.timerVersion += 1
            case .closed:
                guard !end.isClosed else { throw Violation(description: "closed twice") }
                end.isClosed = true
            }
        }
    }

    /// How many connections an end has not heard the end of.
    func openConnections(of end: Int) -> Int {
        wires.count { $0.ids[end] != nil && !$0.isGone[end] }
    }
}
