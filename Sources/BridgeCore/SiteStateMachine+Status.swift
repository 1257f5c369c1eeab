package import NIOCore
package import ServerStreams

extension SiteStateMachine {
    /// What `status` shows of the local side.
    package var localSnapshot: LocalSideStatus { local.snapshot }

    /// What `status` shows of the journal.
    package var journalSnapshot: SiteJournalStatus {
        SiteJournalStatus(
            commits: counters.commits, failedCommits: counters.failedCommits, stalledSince: stalledSince,
            isUnderWay: commit == .underWay)
    }

    package var siteCounters: SiteCounters { counters }

    /// What `status` shows of one peer.
    package func peerSnapshot(_ peer: Int) -> PeerStatus { peers[peer].machine.snapshot }

    /// State without content, for logs.
    package var debugState: String {
        "commit \(lastCommit) \(commit), \(local.snapshot.streams.count) streams; "
            + peers.map { $0.machine.debugState }.joined(separator: "; ")
    }
}

/// The journal at one moment.
package struct SiteJournalStatus: Equatable, Sendable {
    /// Commits that became durable since the start.
    package var commits: UInt64
    package var failedCommits: UInt64
    /// Since when the journal takes nothing; nil while all is well.
    package var stalledSince: NIODeadline?
    package var isUnderWay: Bool

    package init(commits: UInt64, failedCommits: UInt64, stalledSince: NIODeadline?, isUnderWay: Bool) {
        self.commits = commits
        self.failedCommits = failedCommits
        self.stalledSince = stalledSince
        self.isUnderWay = isUnderWay
    }
}
