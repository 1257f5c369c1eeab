import BridgeCore
import NIOCore
import Outbox
import Store
import XMPP

extension RunningSite {
    /// What waits for the links.
    ///
    /// - Parameter peer: only this one; nil for all.
    package func queue(peer: String?, limit: Int) async throws -> QueueReport {
        try await with { runtime in
            let now = NIODeadline.now()
            let peers = runtime.peers.filter { peer == nil || $0.configuration.name == peer }.map { runtimePeer in
                let entries = runtime.site.queueEntries(peer: runtimePeer.number, limit: limit + 1, now: now)
                return QueueReport.Peer(
                    name: runtimePeer.configuration.name, entries: Array(entries.prefix(limit)),
                    isCut: entries.count > limit)
            }
            return QueueReport(peers: peers, isStopped: false)
        }
    }

    /// One stanza that waits; nil when there is none.
    package func queuedStanza(peer: String, id: UInt64) async throws -> StanzaReport? {
        try await with { runtime in
            guard let found = runtime.peers.first(where: { $0.configuration.name == peer }) else { return nil }
            return runtime.site.queuedStanza(peer: found.number, id: id)
                .map { StanzaReport(peer: peer, id: id, stanza: $0) }
        }
    }

    /// What was set aside because it could not be read.
    ///
    /// - Parameter peer: only of this one; nil for all.
    package func setAside(peer: String?) async throws -> SetAsideList {
        try await with { runtime in
            let now = NIODeadline.now()
            let peers = runtime.peers.filter { peer == nil || $0.configuration.name == peer }.map {
                SetAsideList.Peer(
                    name: $0.configuration.name, entries: runtime.site.setAside(peer: $0.number, now: now))
            }
            return SetAsideList(peers: peers, isStopped: false)
        }
    }

    /// One thing that was set aside; nil when there is none.
    package func setAside(peer: String, id: UInt64) async throws -> SetAsideReport? {
        try await setAside(peer: peer).report(id)
    }

    /// Ends something that was set aside.
    package func dropSetAside(peer: String, id: UInt64) async throws -> SetAsideDrop {
        try await with { runtime in
            guard let found = runtime.peers.first(where: { $0.configuration.name == peer }) else { return .unknownPeer }
            let isDropped = runtime.site.dropSetAside(peer: found.number, id, now: .now())
            runtime.endTurn()
            return isDropped ? .dropped : .notThere
        }
    }

    /// Takes a stanza out of the queue; its sender is told.
    package func cancel(peer: String, id: UInt64) async throws -> QueueCancellation {
        try await with { runtime in
            guard let found = runtime.peers.first(where: { $0.configuration.name == peer }) else { return .unknownPeer }
            let isCancelled = runtime.site.cancel(peer: found.number, id, now: .now())
            runtime.endTurn()
            if isCancelled { return .cancelled }
            return runtime.site.queuedStanza(peer: found.number, id: id) == nil ? .notThere : .inFlight
        }
    }
}

/// What became of the wish to take a stanza out of a queue.
package enum QueueCancellation: Equatable, Sendable, CaseIterable {
    case cancelled
    case inFlight
    case notThere
    case unknownPeer

    /// One plain sentence.
    package var sentence: String {
        switch self {
        case .cancelled: "Cancelled; the sender gets the stanza back as an error."
        case .inFlight:
            "Not cancelled: it has been sent and is not acknowledged yet, so it may be with the peer already; a bounce "
                + "could tell the sender that a message was lost which then arrives."
        case .notThere: "Not cancelled: no such stanza waits; it was delivered, has expired, or the id is wrong."
        case .unknownPeer: "Not cancelled: there is no such peer; skywave status lists them."
        }
    }

    /// HTTP status code.
    package var status: Int {
        switch self {
        case .cancelled: 200
        case .inFlight: 409
        case .notThere, .unknownPeer: 404
        }
    }
}

/// What became of the wish to end something that was set aside.
package enum SetAsideDrop: Equatable, Sendable, CaseIterable {
    case dropped
    case notThere
    case unknownPeer

    /// One plain sentence.
    package var sentence: String {
        switch self {
        case .dropped: "Dropped."
        case .notThere: "Not dropped: nothing with this id is set aside; skywave queue aside lists what is."
        case .unknownPeer: "Not dropped: there is no such peer; skywave status lists them."
        }
    }

    /// HTTP status code.
    package var status: Int { self == .dropped ? 200 : 404 }
}

/// The queues of a bridge that does not run, out of its journal, which is only read.
package struct StoredQueues {
    private let site: SiteConfiguration
    private let recovered: RecoveredSite
    private let now: NIODeadline

    /// - Throws: `StoreError`.
    package init(_ site: SiteConfiguration) throws {
        try self.init(site, recovered: Journal.readOnly(directory: site.state))
    }

    init(_ site: SiteConfiguration, recovered: RecoveredSite) throws {
        self.site = site
        self.recovered = recovered
        now = .now()
    }

    package func report(peer: String?, limit: Int) -> QueueReport {
        let peers = site.peers.filter { peer == nil || $0.name == peer }.map { configuration in
            var machine = machine(configuration)
            let entries = machine.queueEntries(limit: limit + 1, now: now)
            return QueueReport.Peer(
                name: configuration.name, entries: Array(entries.prefix(limit)), isCut: entries.count > limit)
        }
        return QueueReport(peers: peers, isStopped: true)
    }

    package func stanza(peer: String, id: UInt64) -> StanzaReport? {
        guard let configuration = site.peers.first(where: { $0.name == peer }) else { return nil }
        var machine = machine(configuration)
        return machine.queuedStanza(id).map { StanzaReport(peer: peer, id: id, stanza: $0) }
    }

    /// What was set aside, and what of the journal the daemon would set aside when it starts.
    package func setAside(peer: String?) -> SetAsideList {
        let peers = site.peers.filter { peer == nil || $0.name == peer }.map {
            SetAsideList.Peer(name: $0.name, entries: machine($0).setAside(now: now))
        }
        return SetAsideList(peers: peers, isStopped: true)
    }

    package func setAside(peer: String, id: UInt64) -> SetAsideReport? { setAside(peer: peer).report(id) }

    /// The machine that the daemon would build; what it wants done is not carried out.
    private func machine(_ peer: PeerConfiguration) -> PeerStateMachine {
        let clock = ServiceClock(last: recovered.serviceTime, wallGap: recovered.wallGap, now: now)
        return PeerStateMachine(
            policy: PeerPolicy(peer, site: site, dictionary: nil), recovered: recovered[peer.name], clock: clock,
            now: now, random: 0)
    }
}
