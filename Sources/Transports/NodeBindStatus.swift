package import STANAG5066

/// What a link through a STANAG 5066 node has thrown away, and the bind that it shares with other peers.
package struct NodeBindStatus: Equatable, Sendable {
    /// `HOST:PORT`, as configured.
    package var node: String
    package var sap: SAP
    /// U_PDUs of nodes and SAPs that no peer has, since the start; of the bind, so the same for all its peers.
    package var strangers: UInt64 = 0
    /// U_PDUs that came damaged or for another SAP than ours, since the start; of the bind as well.
    package var refused: UInt64 = 0
    /// What this peer sent and RCOP did not pass on, by reason; without those that did not happen.
    package var drops: [Drop] = []

    package struct Drop: Equatable, Sendable {
        package var reason: RCOPDropReason
        package var count: UInt64

        package init(reason: RCOPDropReason, count: UInt64) {
            self.reason = reason
            self.count = count
        }
    }

    package init(node: String, sap: SAP) {
        self.node = node
        self.sap = sap
    }
}
