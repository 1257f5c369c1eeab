import Blocks
import NIOCore
import TestSupport
import Testing
import XMPP

@testable import Transports

/// The machine against itself, over thousands of orders of events.
@Suite(.timeLimit(.minutes(2))) struct LinkSimulationTests {
    private static let dialBoth = TCPLinkPolicy(dial: .whenNeeded(atStart: true))

    private func policies(_ seed: UInt64) -> (TCPLinkPolicy, TCPLinkPolicy) {
        switch seed % 4 {
        case 0: (TCPLinkPolicy(dial: .always), TCPLinkPolicy(dial: .never))
        case 1: (Self.dialBoth, Self.dialBoth)
        case 2: (TCPLinkPolicy(dial: .always), TCPLinkPolicy(dial: .always))
        default: (TCPLinkPolicy(dial: .whenNeeded(atStart: false)), TCPLinkPolicy(dial: .always))
        }
    }

    @Test func `peers d25: without faults everything arrives once and in order, whoever dials and whenever`() throws {
        var oneWay = 0
        for seed in 0..<600 as Range<UInt64> {
            let (left, right) = policies(seed)
            let simulation = LinkSimulation(left, right, batches: 30, faults: 0, seed: seed)
            try simulation.run(seconds: 300, closeAtEnd: false)
            for end in 0...1 {
                let sender = simulation.ends[end]
                let receiver = simulation.ends[1 - end]
                #expect(receiver.received == Array(0..<30), "seed \(seed)")
                #expect(sender.written == Array(0..<30), "seed \(seed)")
                #expect(sender.inDoubt.isEmpty && sender.returned.isEmpty, "seed \(seed)")
                #expect(sender.dials <= 1, "seed \(seed)")
                #expect(simulation.openConnections(of: end) <= 2, "seed \(seed)")
            }
            if simulation.ends.allSatisfy({ $0.usedOwn && !$0.usedPeers }) { oneWay += 1 }
        }
        // Both dial in half of the runs; where one call is so much slower that the other side's comes first, the
        // connection that is already in use stays in use.
        #expect(oneWay > 90, "both sides dialled at once in many runs, and then each connection was one-way")
    }

    @Test func `with faults no batch is forgotten, none that came back arrives, and the link always comes back`() throws
    {
        var doubts = 0
        for seed in 0..<600 as Range<UInt64> {
            let (left, right) = policies(seed)
            let simulation = LinkSimulation(left, right, batches: 60, faults: 30, seed: seed)
            try simulation.run(seconds: 3_600, closeAtEnd: false)
            for end in 0...1 {
                let sender = simulation.ends[end]
                let received = simulation.ends[1 - end].received
                let accounted = sender.written + sender.inDoubt + sender.returned
                #expect(Set(received).count == received.count, "seed \(seed): twice")
                #expect(accounted.sorted() == Array(0..<accounted.count), "seed \(seed): \(accounted)")
                #expect(Set(sender.returned).isDisjoint(with: received), "seed \(seed)")
                doubts += sender.inDoubt.count
                if seed % 4 == 0 || seed % 4 == 2 {
                    #expect(sender.isConnected, "seed \(seed): \(sender.machine.debugState)")
                    #expect(accounted.count == 60, "seed \(seed)")
                }
                #expect(simulation.openConnections(of: end) <= 3, "seed \(seed)")
            }
        }
        #expect(doubts > 300)
    }

    @Test func `any inputs in any order are borne, and at the end everything is closed`() {
        for seed in 0..<1_000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var (policy, _) = policies(seed)
            if seed % 2 == 1 { policy.dialect = .skywave }
            var machine = TCPLinkStateMachine(policy: policy, seed: seed)
            var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
            var isConnected = false
            var closes = 0
            func check(_ machine: inout TCPLinkStateMachine) {
                while let action = machine.nextAction() {
                    switch action {
                    case .connected:
                        #expect(!isConnected, "seed \(seed)")
                        isConnected = true
                    case .disconnected:
                        #expect(isConnected, "seed \(seed)")
                        isConnected = false
                    case .ready, .write: #expect(isConnected, "seed \(seed)")
                    case .closed: closes += 1
                    case .dial, .abandonDial, .proven, .returnBatch, .writeClose, .writeRefusal, .writeError, .close,
                        .drop, .note, .arm, .disarm:
                        continue
                    }
                }
            }
            for _ in 0..<200 {
                now = now + .milliseconds(Int64.random(in: 0...20_000, using: &random))
                let id = LinkConnectionID(UInt64.random(in: 1...4, using: &random))
                switch Int.random(in: 0...15, using: &random) {
                case 0: machine.started(now: now)
                case 1: machine.connectionDemanded(now: now)
                case 2: machine.batchOffered(now: now)
                case 3: machine.failRequested(StreamError(.policyViolation), now: now)
                case 4: machine.dialSucceeded(id, now: now)
                case 5: machine.dialFailed(.dialTimeout, now: now)
                case 6: machine.peerAccepted(id, now: now)
                case 7: machine.stanzaReceived(id)
                case 8: machine.batchWritten(id, now: now)
                case 9: machine.closeTagReceived(id, now: now)
                case 10: machine.streamErrorReceived(id, StreamError(.conflict), now: now)
                case 11: machine.readerFailed(id, StreamError(.notWellFormed), now: now)
                case 12: machine.connectionClosed(id, .cut, now: now)
                case 13: machine.deadlineReached(now: now)
                case 14: machine.blockRefused(id, .badBlock(.damaged), isToldWhy: seed % 3 == 0, now: now)
                default: if Int.random(in: 0..<50, using: &random) == 0 { machine.closeRequested(now: now) }
                }
                check(&machine)
            }
            machine.closeRequested(now: now)
            check(&machine)
            machine.deadlineReached(now: now + .seconds(3_600))
            check(&machine)
            #expect(closes == 1 && !isConnected, "seed \(seed)")
            let state = machine.state
            #expect(state == .stopped)
        }
    }

    @Test func `a close at both ends, at any moment, ends with nothing open`() throws {
        for seed in 0..<400 as Range<UInt64> {
            let (left, right) = policies(seed)
            let simulation = LinkSimulation(left, right, batches: 100, faults: seed % 2 == 0 ? 10 : 0, seed: seed)
            try simulation.run(seconds: 90, closeAtEnd: true)
            for end in 0...1 {
                #expect(simulation.ends[end].isClosed, "seed \(seed): \(simulation.ends[end].machine.debugState)")
                #expect(!simulation.ends[end].isConnected, "seed \(seed)")
                #expect(simulation.openConnections(of: end) == 0, "seed \(seed)")
            }
        }
    }
}
