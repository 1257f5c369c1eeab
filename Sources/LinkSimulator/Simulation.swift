import NIOCore
import Outbox
import XMPP

/// What one run came to.
package struct SimulationResult: Sendable {
    package let seed: UInt64
    package let failures: [String]
    package let trace: UInt64
    package let traceEntries: UInt64
    package let statistics: SimulationStatistics
}

/// One run: sites with bridges, servers and users, links between them, and what goes wrong, in virtual time from one seed.
///
/// The bridges are the machines that the daemon runs; everything round them is modelled. Faults end after a while, the
/// world heals, and when all is quiet the ``Oracle`` judges.
package final class Simulation {
    let seed: UInt64
    let sabotage: Sabotage?
    var random: SimulationRandom
    let scenario: Scenario
    var trace: SimulationTrace
    let oracle = Oracle()
    var statistics = SimulationStatistics()
    /// Nanoseconds since the run began.
    private(set) var now: Int64 = 0
    private var queue = SimulationQueue()
    private(set) var sites: [SimulatedSite] = []
    private(set) var links: [any SiteLink] = []
    var users: [SimulatedUser] = []
    var rooms: [Room] = []
    /// Faults are over; what is down comes up and stays.
    private(set) var isEnding = false
    /// The run is over; what is stopped stays so.
    private(set) var isOver = false
    let reader = StanzaReader()
    private var sockets: [UInt64: LocalSocket] = [:]
    private var nextSocket: UInt64 = 0
    var sabotageCount = 0
    var nextID = 0

    /// - Parameters:
    ///   - sabotage: what is broken on purpose in site 0.
    ///   - printer: takes the lines of the trace.
    package init(seed: UInt64, sabotage: Sabotage? = nil, printer: ((String) -> Void)? = nil) {
        self.seed = seed
        self.sabotage = sabotage
        var random = SimulationRandom(seed: seed)
        scenario = Scenario(&random)
        self.random = random
        trace = SimulationTrace(printer: printer)
        oracle.onFailure = { [unowned self] text in
            self.trace.record(self.now, "FAILURE", 0, 0, 0, text)
        }
        for (index, site) in scenario.sites.enumerated() {
            sites.append(
                SimulatedSite(
                    self, index: index, peers: scenario.sites.count - 1, hasManagement: site.hasManagement,
                    resends: site.resends))
        }
        for (number, link) in scenario.links.enumerated() {
            let (one, other) = (sites[link.one], sites[link.other])
            if let radio = link.radio {
                links.append(SimulatedRadio(self, number: number, one, other, radio))
            } else {
                links.append(SimulatedLink(self, number: number, one, other, link.quality))
            }
        }
        // Given to the server and not confirmed: a window for each of the two domains. Confirmed and not recorded: the bound of the
        // inbox, with the windows that pass it.
        if sabotage == nil || sabotage == .keepsInbox { oracle.maximumRepeats = (4 + Inbox.unrecordedWindows) * scenario.inboxWindow }
        makePeople()
    }

    /// Whether the run of a seed has HF nodes and a radio between sites.
    package static func hasRadio(seed: UInt64) -> Bool {
        var random = SimulationRandom(seed: seed)
        return Scenario(&random).links.contains { $0.radio != nil }
    }

    var cutsReads: Bool { scenario.cutsReads }

    // MARK: Time

    func at(_ time: Int64, _ step: @escaping () -> Void) { queue.enter(at: time, step) }
    func after(_ pause: Int64, _ step: @escaping () -> Void) { queue.enter(at: now + pause, step) }

    private func run(until end: Int64, unless isDone: () -> Bool = { false }) {
        var check = now
        while let next = queue.nextTime, next <= end {
            guard let (time, step) = queue.takeFirst() else { break }
            now = time
            step()
            if now >= check {
                if isDone() { return }
                check = now + 5_000_000_000
            }
            // Beyond this a run has become a storm, which is a failure by itself.
            if trace.entries > 3_000_000 {
                oracle.fail("the run never comes to rest")
                return
            }
        }
        now = max(now, end)
    }

    // MARK: The run

    package func run() -> SimulationResult {
        for site in sites { site.start() }
        for (time, act) in scenario.acts { at(time) { [unowned self] in self.perform(act) } }
        for fault in scenario.faults { at(fault.time) { [unowned self] in self.inject(fault.kind) } }
        if scenario.faults.contains(where: { $0.kind == .restoredBackup || $0.kind == .unnoticedRestore }) {
            at(scenario.duration / 4) { [unowned self] in for site in self.sites { site.makeBackup() } }
        }
        run(until: scenario.duration)
        heal()
        run(until: scenario.duration + 3 * 3_600_000_000_000) { [unowned self] in self.isQuiet }
        // A server may find a dead stream only now, and what that does to rooms has to be mended as well.
        run(until: now + 900_000_000_000)
        run(until: now + 3_600_000_000_000) { [unowned self] in self.isQuiet }
        let quietAt = now
        checkQuiet()
        isOver = true
        for site in sites { site.stop(restart: false) }
        run(until: now + 30_000_000_000)
        checkStopped()
        oracle.checkEnd()
        return result(quietAt)
    }

    private func heal() {
        isEnding = true
        trace.record(now, "heal")
        for site in sites {
            site.isDiskFull = false
            site.isDiskSlow = false
            site.wallOffset = SimulatedSite.epoch
            site.process?.fuse = nil
            startServer(site)
            site.server.setSlow(false)
            site.server.ignoresRequests = false
        }
        for link in links { link.heal() }
        for site in sites { after(1_000_000_000) { site.start() } }
    }

    /// Whether everything that was sent has found its end, and nothing waits anywhere.
    var isQuiet: Bool {
        guard sites.allSatisfy({ $0.process != nil && $0.server.isQuiet }), links.allSatisfy({ $0.isQuiet }) else { return false }
        return oracle.isSettled && sites.allSatisfy { $0.waiting == 0 }
    }

    private func result(_ quietAt: Int64) -> SimulationResult {
        statistics.runs = 1
        statistics.failedRuns = oracle.failures.isEmpty ? 0 : 1
        statistics.messages = oracle.records.count { $0.kind != .request }
        statistics.requests = oracle.records.count - statistics.messages
        statistics.delivered = oracle.delivered
        statistics.bounced = oracle.bounced
        statistics.answered = oracle.answered
        statistics.folded += sites.reduce(0) { $0 + ($1.process?.foldedStanzas ?? 0) }
        statistics.virtualSeconds = Int(quietAt / 1_000_000_000)
        statistics.blocks = links.reduce(0) { $0 + $1.blocks }
        statistics.blockBytes = links.reduce(0) { $0 + $1.bytes }
        let radios = links.compactMap { $0 as? SimulatedRadio }
        if !radios.isEmpty {
            statistics.radioRuns = 1
            statistics.bursts = radios.reduce(0) { $0 + $1.bursts }
            statistics.radioFaults = statistics.faults
        }
        statistics.largestJournal = sites.map(\.maximumRows).max() ?? 0
        statistics.repeatedInDoubt = oracle.repeatedInDoubt
        statistics.lostInDoubt = oracle.lostInDoubt
        statistics.bouncedInDoubt = oracle.bouncedInDoubt
        statistics.largestRepeat = oracle.largestRepeat
        statistics.largestWindow = sites.map(\.server.largestDoubt).max() ?? 0
        return SimulationResult(
            seed: seed, failures: oracle.failures, trace: trace.value, traceEntries: trace.entries,
            statistics: statistics)
    }

    // MARK: Sockets

    /// A connection between a site's bridge and its server.
    func makeSocket(_ site: SimulatedSite) -> LocalSocket? {
        nextSocket += 1
        let socket = LocalSocket(
            self, number: nextSocket, capacity: random.pick([2_048, 65_536, 262_144]),
            delay: Int64(random.spread(50, 3_000)) * 1_000)
        sockets[nextSocket] = socket
        return socket
    }

    func socketEnded(_ socket: LocalSocket) {
        sockets[socket.number] = nil
        socket.toServer.forget()
        socket.toBridge.forget()
    }
}
