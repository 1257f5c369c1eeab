package import NIOCore
package import XMPP

// What an operator does with what waits for the links.
extension SiteStateMachine {
    /// What waits for the link of a peer, first what leaves first.
    package func queueEntries(peer: Int, limit: Int, now: NIODeadline) -> [QueueEntry] {
        peers[peer].machine.queueEntries(limit: limit, now: now)
    }

    package func queuedStanza(peer: Int, id: UInt64) -> Stanza? {
        peers[peer].machine.queuedStanza(id)
    }

    /// Takes a stanza out of the queue of a peer; its sender is told.
    ///
    /// - Returns: false when it is not there, or has left already.
    package mutating func cancel(peer: Int, id: UInt64, now: NIODeadline) -> Bool {
        self.now = now
        let isCancelled = peers[peer].machine.cancel(id, now: now)
        mark(peers[peer])
        return isCancelled
    }
}
