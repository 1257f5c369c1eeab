import Blocks
import BridgeCore
import Logging
import NIOCore
import NIOPosix
import Outbox
import ServerStreams
import Store
import TLS
import Transports
import XMPP

/// The running site: one machine, and everything that carries out what it wants – sockets, TLS, links, timer, journal.
///
/// Confined to one event loop. Work is done in *turns*: whatever one read, timer or link event brings in is fed to the
/// machine, its actions are carried out until none is left, each connection that was written to gets one write, and what
/// has to be durable goes to the journal in one commit. No stanza hops to another thread or task on its way, but for that
/// commit, and none allocates anything here.
final class SiteRuntime {
    /// As it runs: what a reload could not change is as it was.
    private(set) var configuration: SiteConfiguration
    let eventLoop: any EventLoop
    let logger: Logger
    let startedAt: NIODeadline
    var site: SiteStateMachine
    var peers: [PeerRuntime] = []
    var linkListeners: [LinkListener] = []
    let tls: LocalTLS?
    let journal: OpenJournal?
    let clock: ServiceClock
    /// Why the last commit failed.
    var journalFailure: String?
    var admission: LocalAdmission
    let localLimits: XMLLimits

    var connections: [ConnectionID: LocalConnection] = [:]
    var nextConnection: UInt64 = 1
    var listeners: [any Channel] = []

    var timer: Scheduled<Void>?
    var written: [LocalConnection] = []
    /// Connections of which the kernel took stanzas that the local side has not heard of.
    var taken: [LocalConnection] = []
    var isDraining = false
    var isFlushing = false
    /// A turn was to be ended while actions were being carried out, for instance because one closed a connection.
    var isTurnWanted = false
    private var nextWallClockReading = NIODeadline.uptimeNanoseconds(0)
    var isStopping = false
    /// Succeeds when the site's machine is shut down.
    var stopped: EventLoopPromise<Void>?
    var counters = RuntimeCounters()
    /// Sees what comes from the local server; `check --dial` stands where peers otherwise do.
    var probe: (any SiteProbe)?

    /// - Parameters:
    ///   - withLinks: false where a probe takes all stanzas.
    ///   - journal: nil to keep everything in memory.
    init(
        _ configuration: SiteConfiguration, withLinks: Bool, secrets: any ServerStreamSecrets,
        tls: LocalTLS?, serverAddress: SocketAddress?, journal: OpenJournal?,
        dictionaries: [String: BlockDictionary], eventLoop: any EventLoop, logger: Logger
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.tls = tls
        startedAt = .now()
        admission = LocalAdmission(configuration.limits, server: serverAddress)
        var limits = XMLLimits.local
        limits.stanzaBytes = configuration.limits.stanzaBytes
        limits.skippedBytes = max(limits.skippedBytes, 4 * limits.stanzaBytes)
        localLimits = limits
        self.journal = journal
        let recovered = journal?.recovered ?? RecoveredSite()
        clock = ServiceClock(last: recovered.serviceTime, wallGap: recovered.wallGap, now: startedAt)
        let machine = SiteMachineConfiguration(configuration, withLinks: withLinks, dictionaries: dictionaries)
        site = SiteStateMachine(
            machine, recovered: machine.peers.map { recovered[$0.name] }, clock: clock,
            secrets: secrets, random: SecureRandom.uniform(in: 0..<UInt64.max), now: startedAt)
    }

    /// Takes on what a running site can from a new configuration; links and streams do not notice.
    func reload(_ new: SiteConfiguration) -> ConfigurationChange {
        let change = ConfigurationChange(from: configuration, to: new)
        guard !change.changed.isEmpty else { return change }
        configuration.peers = configuration.peers.map { old in
            new.peers.first { $0.name == old.name }.map { ConfigurationChange.applied($0, to: old) } ?? old
        }
        let policies = zip(configuration.peers, site.configuration.peers).map { peer, running in
            PeerPolicy(peer, site: configuration, dictionary: running.linkSession.dictionary)
        }
        site.reloaded(policies, now: .now())
        for (peer, new) in zip(peers, configuration.peers) {
            (peer.link as? SubnetworkLinkTransport)?.classify = NodeLinks.classifier(new.outbox)
        }
        endTurn()
        return change
    }

    // MARK: Turns

    /// Carries out what the machine wants, writes what that produced, and has what must be durable committed.
    func endTurn() {
        guard !isDraining, !isFlushing else {
            isTurnWanted = true
            return
        }
        isFlushing = true
        repeat {
            isTurnWanted = false
            reportTaken()
            readWallClock()
            drain()
            site.turnEnded(now: .now())
            drain()
            var index = 0
            // Writing may change writability and so add to the list.
            while index < written.count {
                written[index].flush()
                index += 1
                if index == written.count { drain() }
            }
            written.removeAll(keepingCapacity: true)
        } while isTurnWanted
        isFlushing = false
        if isStopping, site.isShutDown, let stopped {
            self.stopped = nil
            stopped.succeed()
        }
    }

    /// Lets the machine know the time of day now and then; clocks are set.
    private func readWallClock() {
        let now = NIODeadline.now()
        guard now >= nextWallClockReading else { return }
        nextWallClockReading = now + .seconds(30)
        site.wallClockRead(WallClock.milliseconds(), now: now)
    }

    /// Carries out actions until the machine has none. Does nothing when called from within itself: the outer loop sees
    /// what was added.
    func drain() {
        guard !isDraining else { return }
        isDraining = true
        while let action = site.nextAction() { perform(action) }
        isDraining = false
        // No other event may come to end this turn: the connection that it belongs to may be gone.
        if isTurnWanted, !isFlushing { endTurn() }
    }
}

/// What the runtime itself counts.
struct RuntimeCounters {
    var acceptedConnections: UInt64 = 0
    var refusedConnections: UInt64 = 0
    var localBytesReceived: UInt64 = 0
}
