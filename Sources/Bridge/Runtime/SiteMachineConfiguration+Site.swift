import Blocks
import BridgeCore
import NIOCore
import Outbox
import PresenceCache
import Profiles
import ServerStreams
import TLS
import XMPP

// What a configuration file says, in the words of the machines.
extension SiteMachineConfiguration {
    /// - Parameter dictionaries: by their paths.
    init(_ site: SiteConfiguration, withLinks: Bool, dictionaries: [String: BlockDictionary]) {
        let peers = site.peers.map { peer in
            PeerPolicy(peer, site: site, dictionary: peer.block.dictionary.flatMap { dictionaries[$0] })
        }
        self.init(local: SiteMachineConfiguration.localSide(site), peers: withLinks ? peers : [])
        rooms = site.rooms
        backPressure = site.limits.backPressure
        routesStanzas = withLinks
    }

    private static func localSide(_ configuration: SiteConfiguration) -> LocalSideConfiguration {
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
}

extension PeerPolicy {
    /// - Parameter dictionary: what the file of that name holds.
    init(_ peer: PeerConfiguration, site: SiteConfiguration, dictionary: BlockDictionary?) {
        self.init(
            name: peer.name, localDomains: site.domains, remoteDomains: peer.domains,
            roomDomains: site.rooms + peer.rooms)
        profile = CompiledProfile(peer.profile)
        isJournaled = site.journal == .durable
        outboxBytes = peer.outbox.maximumBytes
        outboxStanzas = peer.outbox.maximumStanzas
        messageLifetime = peer.outbox.messageLifetime
        iqTimeout = peer.outbox.iqTimeout
        presenceLifetime = peer.outbox.presenceLifetime
        journalsPresence = peer.outbox.journalsPresence
        foldsIDs = peer.outbox.foldsIDs
        cachesPresence = true
        presence.markAfter = peer.profile.presence.linkDown?.markAfter
        presence.unavailableAfter = peer.profile.presence.linkDown?.unavailableAfter
        classes.urgent = peer.outbox.urgent.priority
        classes.message = peer.outbox.message.priority
        classes.request = peer.outbox.request.priority
        classes.presence = peer.outbox.presence.priority
        classes.supersedesPresence = peer.outbox.supersedesPresence
        classes.urgentAddresses = peer.outbox.urgentAddresses
        inboxBytes = peer.inbox.maximumBytes
        inboxStanzas = peer.inbox.maximumStanzas
        switch peer.dialect {
        case .xep:
            dialect = .xep
            batchBytes = peer.transport.batchBytes
            hold = peer.transport.node == nil ? .time(peer.transport.hold) : .turn
            confirmsStanzas = peer.transport.node != nil
        case .skywave:
            dialect = .skywave
            blockBytes = peer.block.size
            hold =
                switch peer.block.hold {
                case .turn: .turn
                case .duration(let time): .time(time)
                case .bytes(let bytes): .bytes(bytes, longest: .minutes(1))
                }
            linkSession.level = Int32(truncatingIfNeeded: peer.block.level)
            linkSession.paddingMultiple = max(1, peer.block.padTo)
            linkSession.limits.stanzaBytes = peer.transport.stanzaBytes
            linkSession.deadAfter = peer.transport.deadAfter
            linkSession.dictionary = dictionary ?? .standard
            if peer.transport.node != nil { takeNode(peer.transport.deadAfter) }
            linkSession.profile = UInt32(truncatingIfNeeded: StableHash.of(peer.profile.name))
        }
    }

    /// A radio link: minutes from a block to its acknowledgement, which costs a turn where it does not ride on a block; and a node
    /// may lose what it confirmed.
    private mutating func takeNode(_ deadAfter: TimeAmount) {
        if case .time = hold { hold = .turn }
        isReachedWhenUp = false
        linkSession.repeatAfter = .nanoseconds(deadAfter.nanoseconds / 2)
        // It does so for certain where the other bridge starts after this one.
        linkSession.firstRepeatAfter = .nanoseconds(deadAfter.nanoseconds / 12)
        // An acknowledgement that takes as long as what it prevents is of no use, where somebody wants it short.
        linkSession.acknowledgementDelay = min(.seconds(20), .nanoseconds(deadAfter.nanoseconds / 6))
        linkSession.windowText = 4 << 20
        linkSession.waitsForTransport = true
    }
}
