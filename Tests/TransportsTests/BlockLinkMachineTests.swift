import Blocks
import NIOCore
import Testing
import XMPP

@testable import Transports

/// The machine of a link with blocks.
@Suite struct BlockLinkMachineTests {
    private let one = LinkConnectionID(1)
    private let two = LinkConnectionID(2)

    private func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    private func machine(_ dial: DialPolicy) -> TCPLinkStateMachine {
        var policy = TCPLinkPolicy(dial: dial)
        policy.dialect = .skywave
        return TCPLinkStateMachine(policy: policy, seed: 7)
    }

    @Test func `one connection, no farewell, and nothing that has to be proven`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        machine.dialSucceeded(one, now: at(1))
        var actions = machine.draw()
        #expect(actions == [.dial, .connected(one), .ready])
        let isUnproven = machine.isUnproven(one)
        #expect(!isUnproven)
        machine.batchOffered(now: at(2))
        machine.batchWritten(one, now: at(2))
        actions = machine.draw()
        #expect(actions == [.write(one), .ready])
        machine.closeRequested(now: at(3))
        actions = machine.draw()
        #expect(actions == [.close(one)])
        machine.connectionClosed(one, .closed, now: at(3))
        actions = machine.draw()
        #expect(actions == [.disconnected(.closed, batchInFlight: false, refused: false), .closed])
    }

    @Test func `the newer connection replaces the older one, whose last block says nothing any more`() {
        var machine = machine(.never)
        machine.started(now: at(0))
        machine.peerAccepted(one, now: at(1))
        machine.batchOffered(now: at(1))
        _ = machine.draw()
        machine.peerAccepted(two, now: at(2))
        var actions = machine.draw()
        #expect(
            actions == [
                .drop(one), .note(.replaced), .disconnected(.replaced, batchInFlight: true, refused: false),
                .connected(two), .ready,
            ])
        machine.batchWritten(one, now: at(2))
        machine.connectionClosed(one, .closed, now: at(2))
        actions = machine.draw()
        #expect(actions == [])
    }

    @Test func `even if both sides dial, one connection is left`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        machine.peerAccepted(one, now: at(1))
        machine.dialSucceeded(two, now: at(2))
        var actions = machine.draw()
        #expect(actions == [.dial, .connected(one), .ready, .drop(two)])

        machine = self.machine(.always)
        machine.started(now: at(0))
        machine.dialSucceeded(one, now: at(1))
        machine.peerAccepted(two, now: at(2))
        actions = machine.draw()
        #expect(actions.contains(.drop(one)) && actions.suffix(2) == [.connected(two), .ready])
    }

    @Test func `after another version the next dial is far off; after that the back-off is the usual one`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        machine.dialSucceeded(one, now: at(1))
        _ = machine.draw()
        let reason = LinkEnd.otherVersion(own: 1, peer: 2)
        machine.blockRefused(one, reason, isToldWhy: true, now: at(2))
        var actions = machine.draw()
        #expect(
            actions == [
                .writeRefusal(one), .note(reason), .disconnected(reason, batchInFlight: false, refused: false),
            ])
        let state = machine.state
        #expect(state == .waiting(until: at(602)))
        machine.deadlineReached(now: at(100))
        actions = machine.draw()
        #expect(actions == [.drop(one)], "the peer had its time to read the answer")
        machine.deadlineReached(now: at(602))
        actions = machine.draw()
        #expect(actions == [.dial])
        machine.dialFailed(.reset, now: at(603))
        guard case .waiting(let until) = machine.state else {
            Issue.record("not waiting")
            return
        }
        #expect(until < at(670))
    }

    @Test func `the session's verdict becomes the sentence that fits`() {
        for (condition, expected) in [
            (.connectionTimeout, .silent), (.unsupportedVersion, .otherVersion(own: 1, peer: nil)),
            (.policyViolation, .agreementBroken(StreamError(.policyViolation))),
        ] as [(StreamErrorCondition, LinkEnd)] {
            var machine = machine(.never)
            machine.started(now: at(0))
            machine.peerAccepted(one, now: at(1))
            _ = machine.draw()
            machine.failRequested(StreamError(condition), now: at(2))
            let actions = machine.draw()
            #expect(
                actions == [
                    .close(one), .note(expected), .disconnected(expected, batchInFlight: false, refused: false),
                ])
        }
    }
}
