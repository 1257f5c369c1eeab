import Blocks
import BridgeCore
import NIOCore
import Outbox
import Profiles
import XMPP

/// One of the two bridges of a replay: a peer's machine without a journal, on a link that takes all and loses nothing.
final class ReplayEnd {
    private var machine: PeerStateMachine
    private var policy: PeerPolicy
    /// What the machine gave to its own server since the last look.
    private(set) var delivered: [Stanza] = []
    private(set) var blocks: [ByteBuffer] = []
    /// The same in dialect `xep`.
    private(set) var batches: [[Stanza]] = []
    /// A block came for which no acknowledgement has left.
    var owesAcknowledgement = false
    private(set) var armed: NIODeadline?

    init(_ policy: PeerPolicy, seed: UInt64, now: NIODeadline) {
        self.policy = policy
        machine = PeerStateMachine(policy: policy, clock: ServiceClock(now: now), now: now, random: seed)
        machine.linkConnected(now: now)
        machine.linkReady(now: now)
        draw(now)
    }

    /// A stanza that its server wrote; more of what the server wrote with it may come before ``turnEnded(now:)``.
    ///
    /// - Returns: the stanza as it waits for the link, nil where it does not.
    func sent(_ stanza: Stanza, now: NIODeadline) -> Stanza? {
        let last = machine.lastOutboxID
        machine.localStanzaReceived(stanza, receipt: nil, isTurnOpen: true, now: now)
        draw(now)
        return machine.lastOutboxID == last ? nil : machine.queuedStanza(machine.lastOutboxID) ?? batches.last?.last
    }

    func turnEnded(now: NIODeadline) {
        machine.turnEnded(now: now)
        draw(now)
    }

    func received(_ block: ByteBuffer, now: NIODeadline) {
        machine.linkBlockReceived(block, now: now)
        owesAcknowledgement = true
        draw(now)
    }

    func received(_ batch: [Stanza], now: NIODeadline) {
        for stanza in batch { machine.linkStanzaReceived(stanza, now: now) }
        draw(now)
    }

    /// Lets the machine do what it does when time passes.
    func deadlineReached(now: NIODeadline) {
        machine.deadlineReached(now: now)
        draw(now)
    }

    /// What waits leaves, however little it is.
    func flush(now: NIODeadline) {
        policy.hold = .turn
        machine.policyChanged(policy, now: now)
        draw(now)
    }

    func takeBlocks() -> [ByteBuffer] {
        defer { blocks = [] }
        return blocks
    }

    func takeBatches() -> [[Stanza]] {
        defer { batches = [] }
        return batches
    }

    func takeDelivered() -> [Stanza] {
        defer { delivered = [] }
        return delivered
    }

    var status: PeerStatus { machine.snapshot }

    private func draw(_ now: NIODeadline) {
        while let action = machine.nextAction() {
            switch action {
            case .sendBlock(let block, _):
                blocks.append(block)
                owesAcknowledgement = false
                machine.linkReady(now: now)
            case .deliver(let stanza, _): delivered.append(stanza)
            case .arm(let deadline): armed = deadline
            case .disarm: armed = nil
            case .failLink(let error): preconditionFailure("the link of a replay failed: \(error)")
            case .send(let batch), .sendUrgent(let batch):
                batches.append(batch)
                machine.linkReady(now: now)
            case .handled, .holdLink, .stopReading, .wantLink, .note: break
            }
        }
    }
}
