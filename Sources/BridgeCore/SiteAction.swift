package import NIOCore
package import Outbox
package import ServerStreams

/// What the runtime, or the simulator in its place, has to do for a ``SiteStateMachine``, in order. Peers are named by
/// their place in the configuration.
package enum SiteAction: Equatable, Sendable {
    /// Something of the local side: bytes to write, dials, closes, TLS, notes.
    ///
    /// Never `arm`, `disarm` or `delivered`. Stanzas come as `received`, `oversize` and `undeliverable` only where
    /// ``SiteMachineConfiguration/routesStanzas`` is off.
    case local(LocalAction)
    /// Something for a peer's link: what to send, a wish for a connection, an end; and notes.
    ///
    /// Never `deliver`, `handled`, `holdLink`, `stopReading`, `arm` or `disarm`.
    case link(Int, PeerAction)
    /// Stop reading a peer's link, or go on. Said once per change.
    case holdLink(Int, Bool)
    /// Make these batches durable, all or none, and say `committed` or `commitFailed`. The next commit comes only after
    /// that; after a failure the same one comes again, later. Without batches it only finds out how the disk is.
    case commit(UInt64, [PeerJournalBatch])
    /// Call ``SiteStateMachine/deadlineReached(now:)`` at this time; replaces an earlier one.
    case arm(NIODeadline)
    /// No call is needed any more.
    case disarm
    /// Something worth a line in the log.
    case note(SiteNote)
}

/// What one peer wants to have written.
package struct PeerJournalBatch: Equatable, Sendable {
    /// The peer's place in the configuration.
    package var peer: Int
    package var batch: JournalBatch

    package init(peer: Int, batch: JournalBatch) {
        self.peer = peer
        self.batch = batch
    }
}

/// What happens to the site as a whole.
package enum SiteNote: Equatable, Sendable {
    /// The local server reads too slowly; what comes for it is queued now.
    case serverReadsSlowly
    /// The journal takes nothing, or nothing new: no space, most likely. Local senders are refused; while it takes nothing at
    /// all the links are not read.
    case journalStalled
    /// The journal takes records again.
    case journalRecovered(after: TimeAmount)
    /// The journal of this peer is new, restored or repaired: the link starts a new epoch.
    case newEpoch(peer: Int)
}
