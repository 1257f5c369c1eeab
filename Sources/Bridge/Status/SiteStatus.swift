package import BridgeCore
package import NIOCore
package import ServerStreams
package import Transports
package import XMPP

/// The site at one moment, for `skywave status`.
package struct SiteStatus: Sendable {
    package struct Peer: Sendable {
        package var name: String
        package var domains: [String]
        package var core: PeerStatus
        package var link: LinkStatus
    }

    package var version: String
    package var takenAt: NIODeadline
    package var uptime: TimeAmount
    package var domains: [Domain]
    package var server: String
    package var attachment: String
    package var local: LocalSideStatus
    /// Open TCP connections with the local server, accepted and dialled.
    package var localConnections: Int
    package var refusedConnections: UInt64
    package var stanzasFromServer: UInt64
    /// XML that the server wrote to the bridge, without what TLS adds: to be held against the bytes on the links.
    package var bytesFromServer: UInt64
    package var stanzasToServer: UInt64
    package var linkPauses: UInt64
    package var journalMode: JournalMode
    package var journal: SiteJournalStatus
    /// Why the journal takes nothing at the moment.
    package var journalFailure: String?
    /// The directory with the journal.
    package var stateDirectory: String
    /// Addresses that were listened at and are no more.
    package var closedListeners: [String]
    package var isStopping: Bool
    package var peers: [Peer]
}

extension SiteRuntime {
    func status() -> SiteStatus {
        let now = NIODeadline.now()
        return SiteStatus(
            version: BridgeVersion.current, takenAt: now, uptime: now - startedAt, domains: configuration.domains,
            server: configuration.server.description,
            attachment: configuration.attachment == .server ? "s2s" : "component", local: site.localSnapshot,
            localConnections: connections.count, refusedConnections: counters.refusedConnections,
            stanzasFromServer: site.siteCounters.stanzasFromServer,
            bytesFromServer: counters.localBytesReceived, stanzasToServer: site.siteCounters.stanzasToServer,
            linkPauses: site.siteCounters.linkPauses, journalMode: configuration.journal, journal: site.journalSnapshot,
            journalFailure: journalFailure, stateDirectory: configuration.state,
            closedListeners: zip(configuration.listen, listeners).filter { !$1.isActive }.map { $0.0.description }
                + linkListeners.filter { !$0.isListening }.map(\.place),
            isStopping: isStopping,
            peers: peers.map { peer in
                SiteStatus.Peer(
                    name: peer.configuration.name, domains: peer.configuration.domains.map(\.description),
                    core: site.peerSnapshot(peer.number), link: peer.link.status)
            })
    }
}
