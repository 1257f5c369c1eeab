package import Outbox

/// What the journal of a site held when it was opened.
package struct RecoveredSite: Sendable {
    /// By name. Peers that are no longer configured are in it as well.
    package var peers: [String: RecoveredPeer]
    /// Service time of the last commit in milliseconds, 0 for a new journal (``ServiceClock``).
    package var serviceTime: UInt64
    /// Milliseconds of wall time since the last commit, as far as the wall clock can be believed; negative when it was
    /// set back.
    package var wallGap: Int64
    /// What the operator should read in the log, each a sentence: that the journal is new, was restored or repaired.
    package var notes: [String]

    package init(
        peers: [String: RecoveredPeer] = [:], serviceTime: UInt64 = 0, wallGap: Int64 = 0, notes: [String] = []
    ) {
        self.peers = peers
        self.serviceTime = serviceTime
        self.wallGap = wallGap
        self.notes = notes
    }

    /// What is known of a peer; for one that the journal has never seen, an empty journal that needs a new epoch.
    package subscript(peer: String) -> RecoveredPeer { self.peers[peer] ?? RecoveredPeer() }
}
