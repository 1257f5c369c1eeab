import Blocks
import BridgeCore
import NIOCore
import Outbox
import ServerStreams
import XMPP

/// One site: its disk, its clocks, its server, and its bridge while that runs.
final class SimulatedSite {
    let world: Simulation
    let index: Int
    /// Of users, and of rooms.
    let domains: [String]
    let secret: UInt64
    var journal: SimulatedJournal
    private(set) var server: SimulatedServer!
    private(set) var process: BridgeProcess?
    /// How often the bridge was started.
    private(set) var starts = 0
    /// In order of the peers' places in the configuration.
    private(set) var links: [any SiteLink] = []

    // The disk
    var isDiskFull = false
    var isDiskSlow = false
    private var backup: SimulatedJournal?
    /// The next start finds a journal that is older than what others have seen of this site.
    private var isRestored = false

    // Clocks
    /// When the machine was switched on, in virtual time: the monotonic clock began there.
    private var bootedAt: Int64
    /// What the wall clock shows beyond virtual time, in milliseconds.
    var wallOffset: Int64 = SimulatedSite.epoch
    static let epoch: Int64 = 1_780_000_000_000
    private var isStopping = false
    /// Changed by a reload.
    var policyVariant = 0
    var maximumRows = 0
    private var commits = 0

    init(_ world: Simulation, index: Int, peers: Int, hasManagement: Bool, resends: Bool) {
        self.world = world
        self.index = index
        domains = ["s\(index).example", "rooms.s\(index).example"]
        secret = world.random.next()
        journal = SimulatedJournal(peers: peers)
        bootedAt = world.now - Int64(world.random.between(1, 1_000)) * 1_000_000_000
        server = SimulatedServer(self, hasManagement: hasManagement, resends: resends)
    }

    func add(_ link: any SiteLink) { links.append(link) }
    func link(_ peer: Int) -> any SiteLink { links[peer] }
    func peer(of link: any SiteLink) -> Int { links.firstIndex { $0 === link } ?? 0 }
    func owns(_ domain: String) -> Bool { domains.contains(domain) }

    // MARK: Clocks

    /// The monotonic clock of the machine that the bridge runs on.
    var clock: NIODeadline { .uptimeNanoseconds(UInt64(max(0, world.now - bootedAt))) }
    func virtualTime(of deadline: NIODeadline) -> Int64 {
        let offset = deadline.uptimeNanoseconds > UInt64(Int64.max / 4) ? Int64.max / 4 : Int64(deadline.uptimeNanoseconds)
        return offset + bootedAt
    }
    var wallTime: Int64 { wallOffset + world.now / 1_000_000 }

    func commitDuration() -> Int64 {
        let micros = isDiskSlow ? world.random.spread(100_000, 3_000_000) : world.random.spread(200, 8_000)
        return Int64(micros) * 1_000
    }

    // MARK: The bridge

    func configuration() -> SiteMachineConfiguration {
        world.scenario.configuration(of: self, among: world.sites)
    }

    func start() {
        guard process == nil, !world.isOver else { return }
        starts += 1
        world.oracle.processStarted(site: index, run: starts)
        isStopping = false
        let needsNewEpoch = journal.isFresh || isRestored
        isRestored = false
        if world.sabotage == .keepsInbox, index == 0 { journal.keeping = [.inbox] }
        if world.sabotage == .keepsOutbox, index == 0 { journal.keeping = [.outbox] }
        let recovered = journal.peers.map { $0.recovered(needsNewEpoch: needsNewEpoch) }
        world.trace.record(world.now, "start", index, starts, needsNewEpoch ? 1 : 0)
        let process = BridgeProcess(self, recovered: recovered)
        self.process = process
        process.start()
        for link in links { link.processStarted(self) }
    }

    /// The process is gone; it comes back after a while.
    ///
    /// - Parameter kernelLives: false when the machine lost its power.
    func crashed(kernelLives: Bool) {
        guard let process else { return }
        world.trace.record(world.now, "crash", index, kernelLives ? 1 : 0)
        self.process = nil
        process.die(kernelLives: kernelLives)
        for link in links { link.processGone(self, kernelLives: kernelLives) }
        guard !world.isEnding else { return }
        if !kernelLives { reboot() }
        let pause = world.random.spread(200, kernelLives ? 30_000 : 300_000)
        world.after(Int64(pause) * 1_000_000) { [weak self] in self?.start() }
    }

    private func reboot() {
        bootedAt = world.now + 1_000_000_000
        guard world.random.chance(perMille: 300) else { return }
        // A machine without a battery knows nothing of the years; the network tells it later.
        world.statistics.count(.bootIn1970)
        wallOffset = -world.now / 1_000_000
        world.after(Int64(world.random.spread(1_000, 600_000)) * 1_000_000) { [weak self] in
            self?.wallOffset = SimulatedSite.epoch
        }
    }

    /// Stops in good order, and starts again unless the run ends.
    func stop(restart: Bool) {
        guard let process, !isStopping else { return }
        isStopping = true
        world.trace.record(world.now, "stop", index)
        process.turn { $0.shutdownRequested(now: $1) }
        watchStop(process, restart: restart, patience: 100)
    }

    private func watchStop(_ process: BridgeProcess, restart: Bool, patience: Int) {
        guard self.process === process else { return }
        guard process.machine.isShutDown || patience == 0 else {
            return world.after(100_000_000) { [weak self] in
                self?.watchStop(process, restart: restart, patience: patience - 1)
            }
        }
        if !process.machine.isShutDown, restart == false {
            world.oracle.fail("site \(index) does not end its shutdown: \(process.machine.debugState)")
        }
        self.process = nil
        process.die(kernelLives: true)
        for link in links { link.processGone(self, kernelLives: true) }
        world.trace.record(world.now, "stopped", index, patience)
        guard restart else { return }
        world.after(Int64(world.random.spread(200, 60_000)) * 1_000_000) { [weak self] in self?.start() }
    }

    func reload() {
        guard let process else { return }
        policyVariant = world.random.below(4)
        let policies = configuration().peers
        process.turn { $0.reloaded(policies, now: $1) }
    }

    // MARK: The disk

    func journalChanged() {
        var rows = 0
        for peer in journal.peers { for table in peer.tables { rows += table.count } }
        maximumRows = max(maximumRows, rows)
        commits += 1
        if commits % 64 == 0 { checkBounds() }
    }

    /// What is kept whether anything waits or not stays within its bounds.
    func checkBounds() {
        // One row may stick out of a window: the text of a block.
        let block = 512 << 10
        for (number, peer) in journal.peers.enumerated() {
            for (table, most) in [
                (JournalTable.sentText, LinkSession.keptText + block),
                (.receivedText, LinkSession.keptText + (512 << 10) + block), (.fragments, XMLLimits.local.stanzaBytes),
            ] {
                let bytes = peer.tables[Int(table.rawValue)].values.reduce(0) { $0 + $1.payload.count }
                if bytes > most { world.oracle.fail("\(bytes) bytes in \(table) of site \(index) for peer \(number)") }
            }
            // The newest row may hold as many as came in one commit.
            let rows = peer.rows(.taken)
            let fingerprints = rows.dropLast().reduce(0) { $0 + $1.payload.count / 8 }
            if fingerprints > 2 * TakenFingerprints.kept {
                world.oracle.fail("\(fingerprints) fingerprints in site \(index) for peer \(number)")
            }
        }
    }

    func makeBackup() { if !journal.isFresh { backup = journal } }

    /// Replaces the journal by the last copy. True when there was one.
    ///
    /// - Parameter isNoticed: the store sees by itself that the file is an older one.
    func restoreBackup(isNoticed: Bool) -> Bool {
        guard let backup else { return false }
        crashed(kernelLives: true)
        journal = backup
        isRestored = isNoticed
        var kept: [DeliveryKey] = []
        for peer in backup.peers {
            for row in peer.rows(.outbox) + peer.rows(.inbox) {
                guard let stanza = try? world.reader.read(ByteBuffer(bytes: row.payload)),
                    let key = world.oracle.key(of: stanza)
                else { continue }
                kept.append(key)
            }
        }
        world.oracle.restored(site: index, kept: kept)
        if world.sabotage == .losesRestored, index == 0 {
            for peer in journal.peers.indices { journal.peers[peer].tables[Int(JournalTable.outbox.rawValue)] = [:] }
        }
        return true
    }
}
