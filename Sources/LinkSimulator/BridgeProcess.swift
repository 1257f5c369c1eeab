import Blocks
import BridgeCore
import NIOCore
import Outbox
import ServerStreams
import XMPP

/// One run of a bridge's process: what the daemon's runtime is around the site's machine, on virtual sockets, links, disk
/// and clock. Dropping it without a word is a crash.
final class BridgeProcess {
    unowned let site: SimulatedSite
    let world: Simulation
    var machine: SiteStateMachine
    /// The crash at the next action but so many; nil when none is planned.
    var fuse: Int?
    private(set) var isAlive = true
    private let clock: ServiceClock

    struct Connection {
        let socket: LocalSocket
        let reader: StreamReader
        /// The bridge dialled it, so it carries what goes to the server.
        let isDialled: Bool
        var isClosing = false
        var isBlocked = false
        /// Stanzas that the kernel took since the machine was told.
        var taken = 0
        var takenKeys: [DeliveryKey?] = []
        /// What was written and is not acknowledged by stream management, in order.
        var unacknowledged: [DeliveryKey?] = []
        var acknowledged: UInt32 = 0
        /// The bridge has asked for acknowledgements: what the kernel took proves nothing.
        var isManaged = false
    }

    var connections: [UInt64: Connection] = [:]
    private var timerGeneration = 0
    private var isDraining = false
    var nextStreamID = 0

    // What becomes certain with which commit.
    private var commit: (number: UInt64, batches: [PeerJournalBatch], isApplied: Bool)?
    var settling: [DeliveryKey] = []
    private var settlingInCommit: [DeliveryKey] = []
    /// Read from streams without stream management, with the time, and not durable.
    var exposed: [(key: DeliveryKey, since: Int64)] = []
    private var exposedInCommit: [(key: DeliveryKey, since: Int64)] = []
    private(set) var isStalled = false
    private var stalledUntil: Int64 = 0
    /// Something was read of which the machine does not know all.
    var isReading = false
    /// A commit may take three seconds, and what it left out waits for the next.
    private static let longestExposure: Int64 = 7_000_000_000

    /// When the last commit that sabotage reported too early reaches the disk.
    private var earlyUntil: Int64 = 0
    /// Stanzas held back by sabotage.
    var heldBack: (LocalSocket, VirtualPipe.Unit)?

    init(_ site: SimulatedSite, recovered: [RecoveredPeer]) {
        self.site = site
        world = site.world
        let wallGap = site.journal.wallTime.map { site.wallTime - $0 } ?? 0
        clock = ServiceClock(last: site.journal.serviceTime, wallGap: wallGap, now: site.clock)
        machine = SiteStateMachine(
            site.configuration(), recovered: recovered, clock: clock,
            secrets: SimulatedSecrets(salt: site.secret), random: world.random.next(), now: site.clock)
    }

    func start() {
        machine.started(now: site.clock)
        drain()
    }

    /// The process is gone between two actions.
    func die(kernelLives: Bool) {
        guard isAlive else { return }
        isAlive = false
        timerGeneration += 1
        if let commit, !commit.isApplied, world.sabotage != .acknowledgesBeforeCommit {
            // What was being written when the process died is on the disk as a whole or not at all.
            if world.random.chance(perMille: 500), !site.isDiskFull {
                apply(commit.batches)
                settleCommit()
            }
        }
        for (key, since) in exposed + exposedInCommit {
            world.oracle.lostTowardsBridge(key)
            if world.now - max(since, stalledUntil) > Self.longestExposure, !site.isDiskFull, !isStalled {
                world.oracle.fail("the bridge of site \(site.index) had read a stanza \((world.now - since) / 1_000_000) ms ago and not recorded it")
            }
        }
        for number in connections.keys.sorted() { connections[number]?.socket.processDied(kernelLives: kernelLives) }
        connections = [:]
        world.statistics.folded += foldedStanzas
    }

    /// Stanzas that crossed in the record of another, by this run of the process.
    var foldedStanzas: Int {
        (0..<site.links.count).reduce(0) { $0 + Int(machine.peerSnapshot($1).traffic.folded.total) }
    }

    // MARK: Turns

    /// Feeds the machine and carries out what it wants.
    func turn(_ body: (inout SiteStateMachine, NIODeadline) -> Void) {
        guard isAlive else { return }
        body(&machine, site.clock)
        drain()
    }

    func drain() {
        guard !isDraining else { return }
        isDraining = true
        defer { isDraining = false }
        var isEnded = false
        while isAlive {
            guard let action = machine.nextAction() else {
                if isEnded {
                    forgetExposed()
                    break
                }
                machine.turnEnded(now: site.clock)
                isEnded = true
                continue
            }
            isEnded = false
            if let fuse {
                guard fuse > 0 else {
                    site.crashed(kernelLives: true)
                    return
                }
                self.fuse = fuse - 1
            }
            perform(action)
        }
    }

    /// Where nothing is left to record, what was read is durable, or answered.
    func forgetExposed() {
        let journal = machine.journalSnapshot
        if !isReading, !journal.isUnderWay, journal.stalledSince == nil { exposed = [] }
    }

    private func perform(_ action: SiteAction) {
        switch action {
        case .local(let action): perform(action)
        case .link(let peer, let action): perform(action, peer)
        case .holdLink(let peer, let isHeld): site.link(peer).held(by: site, isHeld)
        case .commit(let number, let batches): begin(number, batches)
        case .arm(let deadline): arm(deadline)
        case .disarm: timerGeneration += 1
        case .note(let note): world.trace.record(world.now, "note", site.index, 0, 0, "\(note)")
        }
    }

    private func arm(_ deadline: NIODeadline) {
        timerGeneration += 1
        let generation = timerGeneration
        world.at(max(world.now, site.virtualTime(of: deadline))) { [weak self] in
            guard let self, self.timerGeneration == generation else { return }
            self.turn { $0.deadlineReached(now: $1) }
        }
    }

    // MARK: The journal

    private func begin(_ number: UInt64, _ batches: [PeerJournalBatch]) {
        if commit?.number != number {
            settlingInCommit = settling
            exposedInCommit = exposed
            settling = []
            exposed = []
        }
        commit = (number, batches, false)
        world.statistics.commits += 1
        world.trace.record(world.now, "commit", site.index, Int(number), batches.count)
        let duration = site.commitDuration()
        guard world.sabotage != .acknowledgesBeforeCommit else { return acknowledgeEarly(number, batches, duration) }
        world.after(duration) { [weak self] in self?.finish(number) }
    }

    /// Sabotage: the machine is told at once, the disk has it later or never.
    private func acknowledgeEarly(_ number: UInt64, _ batches: [PeerJournalBatch], _ duration: Int64) {
        world.after(1_000) { [weak self] in self?.turn { $0.committed(number, now: $1) } }
        earlyUntil = max(earlyUntil, world.now + 20 * duration)
        world.at(earlyUntil) { [weak self] in
            guard let self, self.isAlive else { return }
            self.apply(batches)
        }
    }

    private func finish(_ number: UInt64) {
        guard isAlive, let commit, commit.number == number, !commit.isApplied else { return }
        if site.isDiskFull {
            world.trace.record(world.now, "commit failed", site.index, Int(number))
            isStalled = true
            return turn { $0.commitFailed(now: $1) }
        }
        if isStalled { stalledUntil = world.now }
        isStalled = false
        if world.sabotage != .forgetsJournal { apply(commit.batches) }
        self.commit?.isApplied = true
        settleCommit()
        world.trace.record(world.now, "committed", site.index, Int(number))
        turn { $0.committed(number, now: $1) }
    }

    private func apply(_ batches: [PeerJournalBatch]) {
        site.journal.apply(batches, serviceTime: clock.milliseconds(site.clock), wallTime: site.wallTime)
        site.journalChanged()
    }

    private func settleCommit() {
        for key in settlingInCommit { world.oracle.settled(key) }
        settlingInCommit = []
        exposedInCommit = []
    }

    // MARK: Links

    private func perform(_ action: PeerAction, _ peer: Int) {
        let link = site.link(peer)
        switch action {
        case .send(let stanzas), .sendUrgent(let stanzas): link.send(.stanzas(stanzas), from: site)
        case .sendBlock(let block, let isUrgent): link.send(.block(block, isUrgent: isUrgent), from: site)
        case .wantLink: link.wanted(by: site)
        case .failLink(let error):
            world.trace.record(world.now, "link failed", site.index, peer, 0, "\(error)")
            link.failed(by: site)
        case .note(let note):
            world.trace.record(world.now, "peer note", site.index, peer, Int(note.count), note.event.rawValue)
            world.statistics.peerEvents[note.event.rawValue, default: 0] += 1
        case .deliver, .handled, .holdLink, .stopReading, .arm, .disarm:
            world.oracle.fail("the site's machine gave out an action that it keeps to itself")
        }
    }
}
