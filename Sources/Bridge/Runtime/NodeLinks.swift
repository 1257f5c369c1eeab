import Blocks
import Logging
import NIOCore
import Outbox
import STANAG5066
import TLS
import Transports
import XMPP

/// Makes the links that go through STANAG 5066 nodes: one bind for all peers behind one service access point of a node.
struct NodeLinks {
    private struct Bind: Hashable {
        var node: Endpoint
        var sap: SAP
    }

    /// By the names of the peers.
    private(set) var links: [String: SubnetworkLinkTransport] = [:]

    init(_ peers: [PeerConfiguration], eventLoop: any EventLoop, logger: Logger) {
        var order: [Bind] = []
        var members: [Bind: [(peer: PeerConfiguration, node: NodeTransportConfiguration)]] = [:]
        for peer in peers {
            guard let node = peer.transport.node else { continue }
            let bind = Bind(node: node.node, sap: node.sap)
            if members[bind] == nil { order.append(bind) }
            members[bind, default: []].append((peer, node))
        }
        for bind in order {
            guard let group = members[bind], let first = group.first?.node else { continue }
            var client = SISClientConfiguration(
                bind: BindRequest(
                    sap: bind.sap, rank: UInt8(first.rank), service: ServiceType(.arq, confirmation: .node)))
            client.alignment = first.alignment
            client.keepAliveInterval = first.keepAlive
            client.bytesPerDestination = group.map(\.node.bytesInNode).max() ?? client.bytesPerDestination
            client.bytesInNode = group.map(\.node.bytesInNode).reduce(0, +)
            // So that those who do not answer leave room for the others.
            client.unitsInNode = SubnetworkPeerConfiguration.unitsInNode * group.count
            let binding = SubnetworkBinding(
                SISSocket.Node(host: bind.node.host, port: bind.node.port), client: client,
                peers: group.map { Self.subnetworkPeer($0.peer, $0.node) }, eventLoop: eventLoop,
                seed: SecureRandom.uniform(in: 0..<UInt64.max), logger: logger)
            for (place, member) in group.enumerated() {
                var limits = XMLLimits.link
                limits.stanzaBytes = member.peer.transport.stanzaBytes
                limits.skippedBytes = max(limits.skippedBytes, 4 * limits.stanzaBytes)
                links[member.peer.name] = SubnetworkLinkTransport(
                    name: member.peer.name, peer: place, dialect: member.peer.dialect == .skywave ? .skywave : .xep,
                    description: "node \(bind.node), \(member.node.remote) SAP \(member.node.remoteSAP)", binding: binding,
                    limits: limits, classify: Self.classifier(member.peer.outbox))
            }
        }
    }

    /// How stanzas cross, in dialect `xep`.
    static func classifier(_ outbox: OutboxConfiguration) -> (Stanza) -> SubnetworkLinkTransport.Service {
        var classes = OutboxClasses()
        classes.urgentAddresses = outbox.urgentAddresses
        return { [classes] stanza in
            if classes.stanzaClass(stanza) == .urgent { return .urgent }
            return stanza.isVolatile ? .presence : .normal
        }
    }

    private static func subnetworkPeer(
        _ peer: PeerConfiguration, _ node: NodeTransportConfiguration
    ) -> SubnetworkPeerConfiguration {
        let services = [node.normal, node.urgent, node.presence].map { unitClass in
            UnitService(
                connection: UInt8(unitClass.connection), priority: UInt8(unitClass.priority),
                confirmation: unitClass.confirmation, timeToLive: TimeToLive(unitClass.lifetime))
        }
        let isXEP = peer.dialect == .xep
        var subnetwork = SubnetworkPeerConfiguration(
            name: peer.name, node: node.remote, sap: node.remoteSAP, application: node.application,
            framing: isXEP ? .stanzas : .delimited, repetition: isXEP ? .unit : .segment,
            services: isXEP ? services : Array(services.prefix(2)))
        subnetwork.reservesLink = node.reservesLink
        subnetwork.bytesInNode = node.bytesInNode
        return subnetwork
    }
}
