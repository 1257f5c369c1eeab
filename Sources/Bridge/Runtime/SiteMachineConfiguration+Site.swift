import Blocks
import BridgeCore
import NIOCore
import ServerStreams
import TLS
import XMPP

// What a configuration file says, in the words of the machines.
extension SiteMachineConfiguration {
    init(_ site: SiteConfiguration, withLinks: Bool) {
        self.init(
            local: SiteMachineConfiguration.localSide(site),
            peers: withLinks ? site.peers.map { PeerPolicy($0, site: site) } : [])
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
    init(_ peer: PeerConfiguration, site: SiteConfiguration) {
        self.init(
            name: peer.name, localDomains: site.domains, remoteDomains: peer.domains,
            roomDomains: site.rooms + peer.rooms)
        isJournaled = site.journal == .durable
        dialect = peer.dialect == .skywave ? .skywave : .xep
        outboxBytes = peer.outbox.maximumBytes
        outboxStanzas = peer.outbox.maximumStanzas
        messageLifetime = peer.outbox.messageLifetime
        iqTimeout = peer.outbox.iqTimeout
        presenceLifetime = peer.outbox.presenceLifetime
        batchBytes = peer.transport.batchBytes
        hold = .time(peer.transport.hold)
    }
}
