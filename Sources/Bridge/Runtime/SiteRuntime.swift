import BridgeCore
import DequeModule
import Logging
import NIOCore
import NIOPosix
import ServerStreams
import TLS
import Transports
import XMPP

/// The running site: the machine of the local side, one machine per peer, and everything that carries out what they
/// want.
///
/// Confined to one event loop. Work is done in *turns*: whatever one read, timer or link event brings in is fed to the
/// machines, their actions are carried out until none is left, and then each connection that was written to gets one
/// write. No stanza hops to another thread or task on its way, and none allocates anything here.
final class SiteRuntime {
    let configuration: SiteConfiguration
    let eventLoop: any EventLoop
    let logger: Logger
    let startedAt: NIODeadline
    var local: LocalSide
    var peers: [PeerRuntime] = []
    var linkListeners: [LinkListener] = []
    let tls: LocalTLS?
    var router: StanzaRouter
    var admission: LocalAdmission
    let localLimits: XMLLimits

    var connections: [ConnectionID: LocalConnection] = [:]
    var nextConnection: UInt64 = 1
    var listeners: [any Channel] = []

    var localTimer: Scheduled<Void>?
    var marked: Deque<PeerRuntime> = []
    var written: [LocalConnection] = []
    var isDraining = false
    var isFlushing = false
    /// A turn was to be ended while actions were being carried out, for instance because one closed a connection.
    var isTurnWanted = false
    var pressure = BackPressure()
    var isStopping = false
    /// Succeeds when the local side is shut down.
    var stopped: EventLoopPromise<Void>?
    var counters = SiteCounters()
    /// Sees what comes from the local server before it is routed; `check --dial` stands where peers otherwise do.
    var probe: (any SiteProbe)?

    /// - Parameter peers: those whose domains are routed; none when a probe takes all.
    init(
        _ configuration: SiteConfiguration, peers: [PeerConfiguration], secrets: any ServerStreamSecrets,
        tls: LocalTLS?, serverAddress: SocketAddress?,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.tls = tls
        startedAt = .now()
        router = StanzaRouter(peers: peers.map(\.domains))
        admission = LocalAdmission(configuration.limits, server: serverAddress)
        var limits = XMLLimits.local
        limits.stanzaBytes = configuration.limits.stanzaBytes
        limits.skippedBytes = max(limits.skippedBytes, 4 * limits.stanzaBytes)
        localLimits = limits
        local = LocalSide(configuration: SiteRuntime.localSide(configuration), secrets: secrets)
    }

    static func localSide(_ configuration: SiteConfiguration) -> LocalSideConfiguration {
        var local = LocalSideConfiguration(
            localDomains: configuration.domains, remoteDomains: configuration.remoteDomains)
        switch configuration.attachment {
        case .server: local.attachment = .server
        case .components(let secrets): local.attachment = .components(secrets.mapValues(\.text))
        }
        local.encryption =
            switch configuration.tls.mode {
            case .off: .off
            case .optional: .optional
            case .required: .required
            }
        local.authentication =
            switch configuration.tls.authentication {
            case .dialback: .dialback
            case .certificateOrDialback: .certificateOrDialback
            case .certificate: .certificate
            }
        local.negotiationTimeout = configuration.limits.negotiationTimeout
        local.maximumInboundConnections = configuration.limits.connections
        local.queuedBytes = configuration.limits.queueBytes
        local.queuedBytesPerPair = min(local.queuedBytesPerPair, configuration.limits.queueBytes)
        local.queuedStanzasPerPair = configuration.limits.queueStanzas
        local.jitterSeed = SecureRandom.uniform(in: 0..<UInt64.max)
        return local
    }

    // MARK: Turns

    /// Remembers that a peer's machine may have something to do.
    func mark(_ peer: PeerRuntime) {
        guard !peer.isMarked else { return }
        peer.isMarked = true
        marked.append(peer)
    }

    /// Carries out what the machines want and writes what that produced.
    func endTurn() {
        guard !isDraining, !isFlushing else {
            isTurnWanted = true
            return
        }
        isFlushing = true
        repeat {
            isTurnWanted = false
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
        updatePressure(BackPressure.queue, isBlocked: local.isQueueHalfFull)
        if isStopping, local.isShutDown, let stopped {
            self.stopped = nil
            stopped.succeed()
        }
    }

    /// Carries out actions until no machine has any. Does nothing when called from within itself: the outer loop sees
    /// what was added.
    func drain() {
        guard !isDraining else { return }
        isDraining = true
        while true {
            if let action = local.nextAction() {
                perform(action)
            } else if let peer = marked.popFirst() {
                peer.isMarked = false
                while let action = peer.machine.nextAction() { perform(action, peer) }
            } else {
                break
            }
        }
        isDraining = false
        // No other event may come to end this turn: the connection that it belongs to may be gone.
        if isTurnWanted, !isFlushing { endTurn() }
    }
}

/// What the runtime itself counts.
struct SiteCounters {
    var acceptedConnections: UInt64 = 0
    var refusedConnections: UInt64 = 0
    var localBytesReceived: UInt64 = 0
    var localStanzasReceived: UInt64 = 0
    var localStanzasSent: UInt64 = 0
    var localOversize: UInt64 = 0
    var linkPauses: UInt64 = 0
}
