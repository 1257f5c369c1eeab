package import NIOCore
package import STANAG5066

/// `[peer.transport]` with `kind = "stanag5066"`: through a STANAG 5066 node, RCOP on its subnetwork interface (XEP-0365).
///
/// Peers with the same `node` and `sap` share one bind; what concerns it must then be the same for all of them.
package struct NodeTransportConfiguration: Equatable, Sendable {
    /// `[peer.transport.class.NAME]`: how units of one class cross. `normal`: blocks; in dialect `xep` messages, IQs,
    /// subscriptions. `urgent`: what may overtake. `presence`, dialect `xep` only: presence that the next one replaces.
    package struct Class: Equatable, Sendable {
        /// `connection`: RCOP connection, 0…15, the same at both ends. Classes of different priority need different ones.
        /// Default: normal 0, urgent 1, presence as normal, so that the node keeps its order among messages.
        package var connection: Int
        /// `priority`: in the node, 0…15, larger is more urgent. Default: normal 6, urgent 12, presence as normal.
        package var priority: Int
        /// `confirm`: `"node"`: the far node has it; `"client"`: the far bridge was given it, which costs another turn of the link.
        /// Default: `"node"`; in dialect `xep`, where no bridge acknowledges, `"client"` except for presence.
        package var confirmation: DeliveryConfirmation
        /// `lifetime`: how long the node tries, 2s…15d. Default: 1h, presence 30m.
        package var lifetime: TimeAmount

        package init(connection: Int, priority: Int, confirmation: DeliveryConfirmation, lifetime: TimeAmount) {
            self.connection = connection
            self.priority = priority
            self.confirmation = confirmation
            self.lifetime = lifetime
        }
    }

    /// `node`: `"HOST:PORT"` of the node's subnetwork interface; nodes mostly listen on 5066. Required.
    package var node: Endpoint
    /// `sap`: the service access point to bind, 0…15. Default 6, RCOP (STANAG 5066 Annex F); XEP-0365 0.2.1 recommends 2.
    package var sap: SAP
    /// `remote`: the address of the peer's node, as `"10.1.2.3"`. Required.
    package var remote: NodeAddress
    /// `remote-sap`: what the peer is bound to there, 0…15. Default: as `sap`.
    package var remoteSAP: SAP
    /// `rank`: of this client at its node, 0…14 (15 is for clients that may change the node, §A.2.1.1). Default 0.
    package var rank: Int
    /// `app-id`: the RCOP application identifier, 0…65535, the same at both ends; up to 32767 NATO assigns them. Default 33634
    /// (0x8362), in dialect `xep` 33633.
    package var application: RCOPApplication
    /// `address-alignment`: `"right"` (default) or `"left"`, for nodes that write short addresses so.
    package var alignment: NodeAddress.Alignment
    /// `in-node`: at most so many bytes of this peer are inside the node at a time, 4 KiB…4 MiB. Default 256 KiB. Less is used
    /// while the link carries less in a turn: what is inside the node can no longer be overtaken.
    package var bytesInNode: Int
    /// `keep-alive`: the node is asked whether it lives when it has said nothing for so long, 2m…24h. Default: only when it owes
    /// an answer.
    package var keepAlive: TimeAmount?
    /// `reserve-link`: the node is asked to keep the link to the peer up at all times (a hard link, STANAG 5066 §A.2.1.18), which
    /// saves the call before the first message and occupies the frequency. For one peer of a bind at most. Default: false.
    package var reservesLink: Bool
    /// `[peer.transport.class]`.
    package var normal: Class
    package var urgent: Class
    package var presence: Class
}
