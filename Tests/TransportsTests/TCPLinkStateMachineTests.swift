import NIOCore
import Testing
import XMPP

@testable import Transports

extension TCPLinkStateMachine {
    /// Everything it wants done, timers aside.
    mutating func draw() -> [TCPLinkAction] {
        var actions: [TCPLinkAction] = []
        while let action = nextAction() {
            switch action {
            case .arm, .disarm: continue
            default: actions.append(action)
            }
        }
        return actions
    }

    /// The deadline that was armed last.
    mutating func drawDeadline() -> NIODeadline? {
        var deadline: NIODeadline?
        while let action = nextAction() {
            switch action {
            case .arm(let next): deadline = next
            case .disarm: deadline = nil
            default: continue
            }
        }
        return deadline
    }
}

@Suite struct TCPLinkStateMachineTests {
    private let one = LinkConnectionID(1)
    private let two = LinkConnectionID(2)
    private let three = LinkConnectionID(3)

    private func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    private func machine(_ dial: DialPolicy) -> TCPLinkStateMachine {
        TCPLinkStateMachine(policy: TCPLinkPolicy(dial: dial), seed: 7)
    }

    private func conflict(_ id: LinkConnectionID) -> TCPLinkAction {
        .writeError(id, StreamError(.conflict, text: "replaced by a newer connection from the same peer"))
    }

    @Test func `one side dials, sends batch after batch on the one connection and closes it`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        var actions = machine.draw()
        #expect(actions == [.dial])
        machine.dialSucceeded(one, now: at(1))
        actions = machine.draw()
        #expect(actions == [.connected(one), .ready])
        for second in 2...3 {
            machine.batchOffered(now: at(Int64(second)))
            machine.batchWritten(one, now: at(Int64(second)))
            actions = machine.draw()
            #expect(actions == [.write(one), .ready])
        }
        machine.closeRequested(now: at(4))
        actions = machine.draw()
        #expect(actions == [.writeClose(one)])
        machine.closeTagReceived(one, now: at(5))
        actions = machine.draw()
        #expect(actions == [.close(one)], "the opener ends the connection")
        machine.connectionClosed(one, .closed, now: at(5))
        actions = machine.draw()
        #expect(actions == [.disconnected(.closed, batchInFlight: false, refused: false), .closed])
    }

    @Test func `the accepting side answers a closing tag and leaves the end to the opener`() {
        var machine = machine(.never)
        machine.started(now: at(0))
        machine.peerAccepted(one, now: at(1))
        var actions = machine.draw()
        #expect(actions == [.connected(one), .ready])
        machine.closeTagReceived(one, now: at(2))
        actions = machine.draw()
        #expect(
            actions == [
                .writeClose(one), .note(.closedByPeer),
                .disconnected(.closedByPeer, batchInFlight: false, refused: false),
            ])
        machine.deadlineReached(now: at(6))
        actions = machine.draw()
        #expect(actions == [])
        machine.deadlineReached(now: at(7))
        actions = machine.draw()
        #expect(actions == [.drop(one)], "an opener that never ends it is not waited for longer than the close timeout")
    }

    @Test func `peers d25: both sides dial at once, and each sends on the connection that it opened`() {
        // Whichever of the two comes first.
        for peerFirst in [false, true] {
            var machine = machine(.whenNeeded(atStart: true))
            machine.started(now: at(0))
            if peerFirst {
                machine.peerAccepted(two, now: at(1))
                machine.dialSucceeded(one, now: at(1))
            } else {
                machine.dialSucceeded(one, now: at(1))
                machine.peerAccepted(two, now: at(1))
            }
            var actions = machine.draw()
            #expect(actions == [.dial, .connected(peerFirst ? two : one), .ready])
            machine.batchOffered(now: at(2))
            actions = machine.draw()
            #expect(actions == [.write(one)])
            machine.stanzaReceived(two)
            machine.stanzaReceived(one)
            actions = machine.draw()
            #expect(actions == [.proven(one)], "both are read, neither is closed")
        }
    }

    @Test func `our connection does not take over once stanzas went out on the peer's`() {
        var machine = machine(.whenNeeded(atStart: true))
        machine.started(now: at(0))
        machine.peerAccepted(two, now: at(1))
        machine.batchOffered(now: at(1))
        machine.batchWritten(two, now: at(1))
        machine.dialSucceeded(one, now: at(2))
        machine.batchOffered(now: at(2))
        var actions = machine.draw()
        #expect(actions == [.dial, .connected(two), .ready, .write(two), .ready, .write(two)])
        machine.connectionClosed(two, .cut, now: at(3))
        actions = machine.draw()
        #expect(
            actions == [
                .note(.cut), .disconnected(.cut, batchInFlight: true, refused: false), .connected(one), .ready,
            ], "it takes over when the peer's is gone")
    }

    @Test func `a newer connection of the peer replaces the older one, which is told so`() {
        var machine = machine(.never)
        machine.started(now: at(0))
        machine.peerAccepted(one, now: at(1))
        machine.batchOffered(now: at(1))
        _ = machine.draw()
        machine.peerAccepted(two, now: at(2))
        var actions = machine.draw()
        #expect(
            actions == [
                conflict(one), .note(.replaced), .disconnected(.replaced, batchInFlight: true, refused: false),
                .connected(two), .ready,
            ])
        machine.batchOffered(now: at(3))
        machine.batchWritten(one, now: at(3))
        actions = machine.draw()
        #expect(actions == [.write(two)], "what the older connection still says about a batch is of no interest")
        machine.connectionClosed(one, .reset, now: at(4))
        actions = machine.draw()
        #expect(actions == [])
    }

    @Test func `replacement in one direction leaves the other direction alone`() {
        var machine = machine(.whenNeeded(atStart: true))
        machine.started(now: at(0))
        machine.dialSucceeded(one, now: at(1))
        machine.peerAccepted(two, now: at(1))
        machine.batchOffered(now: at(2))
        _ = machine.draw()
        machine.peerAccepted(three, now: at(3))
        let actions = machine.draw()
        #expect(actions == [conflict(two), .note(.replaced)])
        let sender = machine.sendingConnection
        #expect(sender == one)
    }

    @Test func `a dial goes on when the peer connects meanwhile, a waiting one is forgotten`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        machine.dialFailed(.dialTimeout, now: at(1))
        _ = machine.draw()
        machine.peerAccepted(two, now: at(1))
        machine.deadlineReached(now: at(100))
        let actions = machine.draw()
        #expect(actions == [.connected(two), .ready], "the link is up, so nobody dials")
    }

    @Test func `waits double from the minimum to the maximum, and are short again after a connection that worked`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        var now = at(0)
        var waits: [Double] = []
        for _ in 0..<12 {
            machine.dialFailed(.dialTimeout, now: now)
            guard let deadline = machine.drawDeadline() else {
                Issue.record("no wait")
                return
            }
            waits.append(Double((deadline - now).nanoseconds) / 1e9)
            now = deadline
            machine.deadlineReached(now: now)
        }
        var top = 2.0
        for wait in waits {
            #expect(wait >= top / 2 && wait <= top, "\(waits)")
            top = min(top * 2, 60)
        }
        #expect(Set(waits).count == waits.count, "no two waits are the same: \(waits)")

        _ = machine.draw()
        machine.dialSucceeded(one, now: now)
        machine.stanzaReceived(one)
        machine.connectionClosed(one, .cut, now: now + .seconds(1))
        guard let deadline = machine.drawDeadline() else {
            Issue.record("no wait")
            return
        }
        let wait = deadline - (now + .seconds(1))
        #expect(wait >= .seconds(1) && wait <= .seconds(2))
    }

    @Test func `a peer that takes connections and closes them at once is dialled ever more seldom`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        var now = at(0)
        var last = TimeAmount.zero
        for number in 1...8 {
            let id = LinkConnectionID(UInt64(number))
            machine.dialSucceeded(id, now: now)
            machine.batchOffered(now: now)
            machine.batchWritten(id, now: now)
            _ = machine.draw()
            machine.connectionClosed(id, .cut, now: now)
            guard let deadline = machine.drawDeadline() else {
                Issue.record("no wait")
                return
            }
            last = deadline - now
            now = deadline
            machine.deadlineReached(now: now)
        }
        #expect(last >= .seconds(30))
    }

    @Test func `with nothing to send and a policy of need nobody dials, and a demand waits for the back-off`() {
        var machine = machine(.whenNeeded(atStart: false))
        machine.started(now: at(0))
        var actions = machine.draw()
        #expect(actions == [])
        machine.connectionDemanded(now: at(1))
        actions = machine.draw()
        #expect(actions == [.dial])
        machine.dialFailed(.dialTimeout, now: at(2))
        let deadline = machine.drawDeadline()
        machine.connectionDemanded(now: at(2))
        actions = machine.draw()
        #expect(actions == [], "one demand after the other does not shorten the wait")
        let retry = deadline ?? at(2)
        #expect(retry >= at(3))
        machine.deadlineReached(now: retry)
        actions = machine.draw()
        #expect(actions == [.dial])
        machine.dialSucceeded(one, now: retry)
        machine.closeTagReceived(one, now: retry)
        _ = machine.draw()
        machine.deadlineReached(now: retry + .seconds(1_000))
        actions = machine.draw()
        #expect(actions == [.drop(one)], "a link that nobody needs stays down")
        machine.connectionDemanded(now: retry + .seconds(1_001))
        actions = machine.draw()
        #expect(actions == [.dial])
    }

    @Test func `what was written to a peer that then refuses the connection is in doubt`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        machine.dialSucceeded(one, now: at(0))
        machine.batchOffered(now: at(0))
        machine.batchWritten(one, now: at(0))
        _ = machine.draw()
        var isUnproven = machine.isUnproven(one)
        #expect(isUnproven)
        machine.connectionClosed(one, .failed("TLS: the peer refused the certificate"), now: at(1))
        var actions = machine.draw()
        #expect(
            actions == [
                .note(.failed("TLS: the peer refused the certificate")),
                .disconnected(
                    .failed("TLS: the peer refused the certificate"), batchInFlight: false, refused: true),
            ])

        machine.deadlineReached(now: at(50))
        machine.dialSucceeded(two, now: at(50))
        _ = machine.draw()
        machine.deadlineReached(now: at(65))
        actions = machine.draw()
        #expect(actions == [.proven(two)], "after the window nobody refuses any more")
        isUnproven = machine.isUnproven(two)
        #expect(!isUnproven)
        machine.connectionClosed(two, .cut, now: at(66))
        actions = machine.draw()
        #expect(actions == [.note(.cut), .disconnected(.cut, batchInFlight: false, refused: false)])
    }

    @Test func `a dial that takes too long is given up`() {
        var machine = machine(.always)
        machine.started(now: at(0))
        let deadline = machine.drawDeadline()
        #expect(deadline == at(60))
        machine.deadlineReached(now: at(60))
        var actions = machine.draw()
        #expect(actions == [.abandonDial, .note(.dialTimeout)])
        machine.dialSucceeded(one, now: at(61))
        actions = machine.draw()
        #expect(actions == [.drop(one)], "it comes too late")
    }

    @Test func `a batch that is offered without a connection, or while one is in flight, comes back`() {
        var machine = machine(.never)
        machine.started(now: at(0))
        machine.batchOffered(now: at(0))
        var actions = machine.draw()
        #expect(actions == [.returnBatch])
        machine.peerAccepted(one, now: at(1))
        machine.batchOffered(now: at(1))
        machine.batchOffered(now: at(1))
        actions = machine.draw()
        #expect(actions == [.connected(one), .ready, .write(one), .returnBatch])
    }

    @Test func `a stream error from the peer is answered with the closing tag, a broken rule with a stream error`() {
        var machine = machine(.never)
        machine.started(now: at(0))
        machine.peerAccepted(one, now: at(0))
        _ = machine.draw()
        let theirs = StreamError(.systemShutdown)
        machine.streamErrorReceived(one, theirs, now: at(1))
        var actions = machine.draw()
        #expect(
            actions == [
                .writeClose(one), .note(.errorReceived(theirs)),
                .disconnected(.errorReceived(theirs), batchInFlight: false, refused: false),
            ])
        machine.peerAccepted(two, now: at(2))
        _ = machine.draw()
        let ours = StreamError(.restrictedXML)
        machine.readerFailed(two, ours, now: at(3))
        actions = machine.draw()
        #expect(
            actions == [
                .writeError(two, ours), .note(.errorSent(ours)),
                .disconnected(.errorSent(ours), batchInFlight: false, refused: false),
            ])
        machine.peerAccepted(three, now: at(4))
        _ = machine.draw()
        let broken = StreamError(.policyViolation)
        machine.failRequested(broken, now: at(5))
        actions = machine.draw()
        #expect(
            actions == [
                .writeError(three, broken), .note(.errorSent(broken)),
                .disconnected(.errorSent(broken), batchInFlight: false, refused: false),
            ])
    }

    @Test func `a close while a batch is being written says afterwards what became of the batch`() {
        for isWritten in [true, false] {
            var machine = machine(.always)
            machine.started(now: at(0))
            machine.dialSucceeded(one, now: at(0))
            machine.stanzaReceived(one)
            machine.batchOffered(now: at(0))
            machine.closeRequested(now: at(1))
            _ = machine.draw()
            if isWritten { machine.batchWritten(one, now: at(1)) }
            machine.deadlineReached(now: at(6))
            let actions = machine.draw()
            #expect(
                actions == [.drop(one), .disconnected(.closed, batchInFlight: !isWritten, refused: false), .closed])
        }
    }

    @Test func `a link that is closed stays closed`() {
        var machine = machine(.always)
        machine.closeRequested(now: at(0))
        machine.started(now: at(1))
        machine.connectionDemanded(now: at(1))
        machine.batchOffered(now: at(1))
        machine.peerAccepted(one, now: at(1))
        machine.dialSucceeded(two, now: at(1))
        machine.failRequested(StreamError(.policyViolation), now: at(1))
        machine.closeRequested(now: at(1))
        machine.deadlineReached(now: at(1_000))
        let actions = machine.draw()
        #expect(actions == [.closed, .returnBatch, .drop(one), .drop(two)])
    }

    @Test func `a peer that connects again and again never holds more than a few old connections`() {
        var machine = machine(.never)
        machine.started(now: at(0))
        var open: Set<LinkConnectionID> = []
        for number in 1...100 {
            let id = LinkConnectionID(UInt64(number))
            open.insert(id)
            machine.peerAccepted(id, now: at(0))
            for action in machine.draw() {
                if case .drop(let dropped) = action { open.remove(dropped) }
            }
            #expect(open.count <= 9)
        }
    }
}
