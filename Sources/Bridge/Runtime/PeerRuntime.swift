import BridgeCore
import NIOCore
import Outbox
import TLS
import Transports
import XMPP

/// One peer: its machine, its link and its timer.
final class PeerRuntime {
    let configuration: PeerConfiguration
    let link: any LinkTransport
    var machine: PeerStateMachine
    var timer: Scheduled<Void>?
    /// Whether it waits in the list of machines with actions to draw.
    var isMarked = false

    init(_ configuration: PeerConfiguration, site: SiteConfiguration, link: any LinkTransport) {
        self.configuration = configuration
        self.link = link
        let now = NIODeadline.now()
        machine = PeerStateMachine(
            policy: PeerRuntime.policy(configuration, site: site), clock: ServiceClock(now: now), now: now,
            random: SecureRandom.uniform(in: 1..<UInt64.max))
    }

    private static func policy(_ peer: PeerConfiguration, site: SiteConfiguration) -> PeerPolicy {
        var policy = PeerPolicy(
            name: peer.name, localDomains: site.domains, remoteDomains: peer.domains,
            roomDomains: site.rooms + peer.rooms)
        policy.outboxBytes = peer.outbox.maximumBytes
        policy.outboxStanzas = peer.outbox.maximumStanzas
        policy.messageLifetime = peer.outbox.messageLifetime
        policy.iqTimeout = peer.outbox.iqTimeout
        policy.presenceLifetime = peer.outbox.presenceLifetime
        policy.batchBytes = peer.transport.batchBytes
        policy.holdTime = peer.transport.hold
        return policy
    }
}
