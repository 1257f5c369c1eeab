import Blocks
import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// One site of a pair: the peer's machine with a journal in memory, and a local server that does stream management by the
/// book (XEP-0198): what was not acknowledged when the bridge ends is sent again, unless the bridge knows it.
final class DurablePeer {
    let policy: PeerPolicy
    let seed: UInt64
    private var machine: PeerStateMachine
    private(set) var journal = TestJournal()
    /// Taken from the machine, not durable yet.
    private(set) var pending: [JournalBatch] = []
    var now = NIODeadline.seconds(0)
    /// Wall time stands still while the process is down.
    private var serviceTime: UInt64 = 0

    /// Sent by the local server and not acknowledged.
    private(set) var unacknowledged: [(receipt: UInt64, stanza: Stanza)] = []
    private var receipts: UInt64 = 0
    /// What the local server got, in order, and the inbox ids that it has not confirmed.
    private(set) var delivered: [Stanza] = []
    private(set) var deliveredIDs: [UInt64] = []
    private(set) var unconfirmed: [UInt64] = []
    /// May be delivered again: was with the local side when the process ended.
    private(set) var inDoubt: Set<String> = []
    /// Blocks for the link, in order.
    var outgoing: [ByteBuffer] = []
    /// Batches of stanzas for the link, in order, in dialect `xep`.
    var batches: [[Stanza]] = []
    /// The same that overtake others.
    var urgentBatches: [[Stanza]] = []
    private(set) var isLinkWanted = false
    private(set) var isLinkHeld = false
    private(set) var isReadingStopped = false
    private(set) var failures: [StreamError] = []
    private(set) var armed: NIODeadline?
    private(set) var restarts = 0
    private(set) var urgentBlocks = 0
    /// The last block was urgent.
    private(set) var isLastUrgent = false

    init(_ policy: PeerPolicy, seed: UInt64, dialect: LinkDialect = .skywave) {
        var policy = policy
        policy.dialect = dialect
        self.policy = policy
        self.seed = seed
        machine = PeerStateMachine(policy: policy, clock: ServiceClock(now: now), now: now, random: seed)
        draw()
    }

    // MARK: The process

    /// The process ends and another begins with what is durable.
    func restart() {
        restarts += 1
        pending = []
        // What was given out and is durable still: confirmed or not, the journal does not know it yet.
        for row in journal.peer[.inbox] { inDoubt.insert(String(decoding: row.payload, as: UTF8.self)) }
        unconfirmed = []
        outgoing = []
        batches = []
        urgentBatches = []
        armed = nil
        isLinkHeld = false
        isReadingStopped = false
        let clock = ServiceClock(last: serviceTime, wallGap: 0, now: now)
        machine = PeerStateMachine(
            policy: policy, recovered: journal.peer, clock: clock, now: now, random: seed &+ UInt64(restarts))
        draw()
        let known = machine.suspects
        let again = unacknowledged
        unacknowledged = []
        for (_, stanza) in again {
            if let mark = StanzaMark(stanza.fingerprint), known.contains(where: { $0.fingerprint == mark.fingerprint }) { continue }
            send(stanza)
        }
    }

    func run(_ input: (inout PeerStateMachine) -> Void) {
        input(&machine)
        draw()
    }

    private func draw() {
        while let action = machine.nextAction() {
            switch action {
            case .send(let batch):
                if policy.dialect == .skywave { Issue.record("a batch of stanzas on a link that speaks blocks") }
                batches.append(batch)
            case .sendUrgent(let batch): urgentBatches.append(batch)
            case .sendBlock(let block, let isUrgent):
                outgoing.append(block)
                isLastUrgent = isUrgent
                if isUrgent { urgentBlocks += 1 }
            case .deliver(let stanza, let id):
                delivered.append(stanza)
                deliveredIDs.append(id ?? 0)
                if let id { unconfirmed.append(id) }
            case .handled(let receipt, _):
                let place = unacknowledged.firstIndex { $0.receipt == receipt.number }
                // What is refused while the disk is full waits for nothing that others wait for.
                #expect(place == 0 || machine.snapshot.count(of: .journalStalled) > 0, "receipts in order")
                if let place { unacknowledged.remove(at: place) }
            case .holdLink(let isHeld): isLinkHeld = isHeld
            case .stopReading(let isStopped): isReadingStopped = isStopped
            case .wantLink: isLinkWanted = true
            case .arm(let deadline): armed = deadline
            case .disarm: armed = nil
            case .failLink(let error): failures.append(error)
            case .note: break
            }
        }
    }

    // MARK: The local server

    func send(_ stanza: Stanza) {
        receipts += 1
        unacknowledged.append((receipts, stanza))
        run { $0.localStanzaReceived(stanza, receipt: LocalReceipt(connection: 1, number: UInt64(receipts)), now: now) }
    }

    func confirm(_ count: Int) {
        let ids = Array(unconfirmed.prefix(count))
        unconfirmed.removeFirst(ids.count)
        run { $0.delivered(ids, now: now) }
    }

    func confirmOnly(_ id: UInt64) {
        unconfirmed.removeAll { $0 == id }
        run { $0.delivered([id], now: now) }
    }

    /// The local server will not say anything of these.
    func forget(_ count: Int) { unconfirmed.removeFirst(min(count, unconfirmed.count)) }

    // MARK: The journal

    /// True when there is something to commit.
    @discardableResult
    func take() -> Bool {
        guard let batch = machine.takeBatch() else { return false }
        if policy.isJournaled { pending.append(batch) } else { Issue.record("a batch without a journal") }
        return true
    }

    func commit() {
        guard !pending.isEmpty else { return }
        let batch = pending.removeFirst()
        journal.commit(batch)
        serviceTime = UInt64(max(0, (now - .seconds(0)).nanoseconds / 1_000_000))
        run { $0.batchCommitted(batch.number, now: now) }
    }

    func damageJournal(_ table: JournalTable, row: Int) { journal.damage(table, row: row) }
    func loseEpoch() { journal.pretendFresh() }

    // MARK: Time

    func fireTimer() {
        guard let armed else { return }
        now = max(now, armed)
        self.armed = nil
        run { $0.deadlineReached(now: now) }
    }

    var status: PeerStatus { machine.snapshot }
    var suspects: [StanzaMark?] { machine.suspects }
    func queue(_ limit: Int = 1_000) -> [QueueEntry] { machine.queueEntries(limit: limit, now: now) }

    func cancel(_ id: UInt64) -> Bool {
        let isDone = machine.cancel(id, now: now)
        draw()
        return isDone
    }
}

/// Commits everything that the machine has to say, and what follows from it.
func commitAll(_ peer: DurablePeer) {
    while peer.take() { while !peer.pending.isEmpty { peer.commit() } }
}
