package import NIOCore
package import ServerStreams
package import XMPP

/// Everything that a ``SiteStateMachine`` has to know about its site.
package struct SiteMachineConfiguration: Sendable {
    package var local: LocalSideConfiguration
    /// The agreements with the peers; a peer's place here is its number everywhere.
    package var peers: [PeerPolicy]
    /// Domains of this site whose addresses are rooms.
    package var rooms: [Domain] = []
    /// How long a local server that reads too slowly may hold up the links of peers without a journal.
    package var backPressure: TimeAmount = .seconds(10)
    /// Pauses before a failed commit is tried again: the first, and the longest after doubling.
    package var commitRetryMinimum: TimeAmount = .milliseconds(100)
    package var commitRetryMaximum: TimeAmount = .seconds(5)
    /// Off while a probe stands where the peers otherwise do: stanzas of the local server are handed out.
    package var routesStanzas = true

    package init(local: LocalSideConfiguration, peers: [PeerPolicy]) {
        self.local = local
        self.peers = peers
    }
}
