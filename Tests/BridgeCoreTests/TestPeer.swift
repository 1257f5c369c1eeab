import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// A peer's machine behind a reference, with its actions drawn and sorted after every input.
final class TestPeer {
    private var machine: PeerStateMachine
    /// The actions of the last input.
    private(set) var actions: [PeerAction] = []
    /// What the runtime's timer would be set to.
    private(set) var armed: NIODeadline?
    var now: NIODeadline

    init(_ policy: PeerPolicy, now: NIODeadline = .seconds(0)) {
        machine = PeerStateMachine(policy: policy, clock: ServiceClock(now: now), now: now, random: 1)
        self.now = now
    }

    /// Ship's side of an agreement with the shore.
    static func policy(_ change: (inout PeerPolicy) -> Void = { _ in }) -> PeerPolicy {
        agreement("shore", local: "ship.example", remote: "shore.example", change)
    }

    /// The other side of it.
    static func mirroredPolicy(_ change: (inout PeerPolicy) -> Void = { _ in }) -> PeerPolicy {
        agreement("ship", local: "shore.example", remote: "ship.example", change)
    }

    private static func agreement(
        _ name: String, local: String, remote: String, _ change: (inout PeerPolicy) -> Void
    ) -> PeerPolicy {
        var policy = PeerPolicy(
            name: name, localDomains: [local, "conference." + local, "club." + local].compactMap { Domain($0) },
            remoteDomains: [remote, "*." + remote].compactMap { DomainPattern($0) })
        change(&policy)
        return policy
    }

    /// A peer whose link is up and ready and has been idle for long.
    static func ready(_ change: (inout PeerPolicy) -> Void = { _ in }) -> TestPeer {
        let peer = TestPeer(policy(change))
        peer.linkConnected()
        peer.linkReady()
        return peer
    }

    // MARK: Inputs

    func local(_ stanza: Stanza) { run { $0.localStanzaReceived(stanza, receipt: nil, now: now) } }
    func link(_ stanza: Stanza) { run { $0.linkStanzaReceived(stanza, now: now) } }
    func linkOversize(_ stub: Stanza, limit: Int) { run { $0.linkOversizeReceived(stub, limit: limit, now: now) } }
    func linkConnected() { run { $0.linkConnected(now: now) } }
    func linkReady() { run { $0.linkReady(now: now) } }

    func linkDisconnected(unsent: [Stanza] = [], inDoubt: [Stanza] = []) {
        run { $0.linkDisconnected(unsent: unsent, inDoubt: inDoubt, now: now) }
    }

    func localDeliveryFailed(_ stanza: Stanza, _ condition: StanzaErrorCondition, _ type: StanzaErrorType) {
        run { $0.localDeliveryFailed(nil, stanza, condition, type, now: now) }
    }

    func localStreamLost(_ domain: String) throws {
        let domain = try #require(Domain(domain))
        run { $0.localStreamLost(domain, now: now) }
    }

    func localStreamOpened(_ domain: String) throws {
        let domain = try #require(Domain(domain))
        run { $0.localStreamOpened(domain, now: now) }
    }

    func policyChanged(_ policy: PeerPolicy) { run { $0.policyChanged(policy, now: now) } }
    func shutdown() { run { $0.shutdownRequested(now: now) } }

    /// Lets time pass without the timer.
    func advance(_ amount: TimeAmount) { now = now + amount }

    /// Calls the machine at the time that it asked for.
    func fireTimer() {
        guard let deadline = armed else { return }
        armed = nil
        now = max(now, deadline)
        run { $0.deadlineReached(now: now) }
    }

    /// Lets time pass with every timer on the way, and collects the actions.
    func pass(_ amount: TimeAmount) {
        let end = now + amount
        var all: [PeerAction] = []
        while let deadline = armed, deadline <= end {
            fireTimer()
            all += actions
        }
        now = end
        actions = all
    }

    private func run(_ input: (inout PeerStateMachine) -> Void) {
        input(&machine)
        actions = []
        while let action = machine.nextAction() {
            switch action {
            case .arm(let deadline): armed = deadline
            case .disarm: armed = nil
            case .send, .sendUrgent, .sendBlock, .deliver, .handled, .holdLink, .stopReading, .wantLink, .note, .failLink: break
            }
            actions.append(action)
        }
    }

    // MARK: Outputs of the last input

    var status: PeerStatus { machine.snapshot }
    var debugState: String { machine.debugState }

    var batches: [[Stanza]] {
        actions.compactMap { action in
            guard case .send(let batch) = action else { return nil }
            return batch
        }
    }

    var sent: [Stanza] { batches.flatMap { $0 } }

    var delivered: [Stanza] {
        actions.compactMap { action in
            guard case .deliver(let stanza, _) = action else { return nil }
            return stanza
        }
    }

    var failure: StreamError? {
        for case .failLink(let error) in actions { return error }
        return nil
    }

    func count(_ event: PeerEvent) -> UInt64 { status.count(of: event) }
}
