package import NIOCore
package import ServerStreams
package import XMPP

// What happens at the site. Inputs of the local side have the names they have there and are passed through.
extension SiteStateMachine {
    // MARK: Life

    /// The runtime is ready.
    package mutating func started(now: NIODeadline) {
        self.now = now
        local.started(now: now)
    }

    /// Ends everything in good order: nothing new is taken on, what is under way becomes durable, streams are closed.
    package mutating func shutdownRequested(now: NIODeadline) {
        self.now = now
        guard !isStopping else { return }
        isStopping = true
        for peer in peers {
            peer.machine.shutdownRequested(now: now)
            mark(peer)
        }
    }

    // MARK: The local side

    package mutating func connectionAccepted(_ id: ConnectionID, now: NIODeadline) {
        self.now = now
        local.connectionAccepted(id, now: now)
    }

    package mutating func dialSucceeded(_ token: DialToken, connection id: ConnectionID, now: NIODeadline) {
        self.now = now
        dialled.insert(id)
        local.dialSucceeded(token, connection: id, now: now)
    }

    package mutating func dialFailed(_ token: DialToken, reason: String, now: NIODeadline) {
        self.now = now
        local.dialFailed(token, reason: reason, now: now)
    }

    package mutating func streamOpened(
        _ id: ConnectionID, header: StreamHeader, streamID: String, now: NIODeadline
    ) {
        self.now = now
        local.streamOpened(id, header: header, streamID: streamID, now: now)
    }

    package mutating func stanzaReceived(_ id: ConnectionID, _ stanza: Stanza, now: NIODeadline) {
        self.now = now
        local.stanzaReceived(id, stanza, now: now)
    }

    package mutating func oversizeReceived(_ id: ConnectionID, _ stub: Stanza, now: NIODeadline) {
        self.now = now
        local.oversizeReceived(id, stub, now: now)
    }

    package mutating func streamClosed(_ id: ConnectionID, now: NIODeadline) {
        self.now = now
        local.streamClosed(id, now: now)
    }

    package mutating func streamFailed(_ id: ConnectionID, _ error: StreamError, now: NIODeadline) {
        self.now = now
        local.streamFailed(id, error, now: now)
    }

    package mutating func tlsEstablished(_ id: ConnectionID, peer: CertificateIdentities?, now: NIODeadline) {
        self.now = now
        local.tlsEstablished(id, peer: peer, now: now)
    }

    /// A connection that the bridge dialled and that takes nothing holds up the links for a while.
    package mutating func writabilityChanged(_ id: ConnectionID, isWritable: Bool, now: NIODeadline) {
        self.now = now
        local.writabilityChanged(id, isWritable: isWritable, now: now)
        if dialled.contains(id) { pressureChanged(id, isBlocked: !isWritable) }
    }

    /// The kernel took so many more stanzas of this connection, the oldest first.
    package mutating func stanzasWritten(_ id: ConnectionID, count: Int, now: NIODeadline) {
        self.now = now
        local.stanzasWritten(id, count: count, now: now)
    }

    package mutating func connectionClosed(_ id: ConnectionID, reason: String? = nil, now: NIODeadline) {
        self.now = now
        if dialled.remove(id) != nil { pressureChanged(id, isBlocked: false) }
        local.connectionClosed(id, reason: reason, now: now)
    }

    /// Takes a stanza of a remote domain for the local server past all peers: for a probe.
    package mutating func deliver(_ stanza: Stanza, now: NIODeadline) {
        self.now = now
        local.deliver(stanza, now: now)
    }

    // MARK: Links

    /// The link is up. It is not asked to take anything before `linkReady`.
    package mutating func linkConnected(peer: Int, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkConnected(now: now)
        mark(peers[peer])
    }

    /// The link can take a batch or a block.
    package mutating func linkReady(peer: Int, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkReady(now: now)
        mark(peers[peer])
    }

    /// The link can take a block or a batch that is urgent, and overtakes others with it.
    package mutating func linkReadyForUrgent(peer: Int, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkReadyForUrgent(now: now)
        mark(peers[peer])
    }

    /// Of the blocks given since the link came up so many, from the first on, are where the peer is, in dialect `skywave`.
    package mutating func linkBlocksBrought(peer: Int, _ count: Int, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkBlocksBrought(count, now: now)
        mark(peers[peer])
    }

    /// The link has so many bytes on their way at most, in dialect `skywave`; said before `linkReady`.
    package mutating func linkRoomChanged(peer: Int, bytes: Int, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkRoomChanged(bytes: bytes, now: now)
        mark(peers[peer])
    }

    /// What is sent now leaves at once, or waits for the end of what the link works on.
    package mutating func linkTurnChanged(peer: Int, isOpen: Bool, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkTurnChanged(isOpen: isOpen, now: now)
        mark(peers[peer])
    }

    /// Stanzas have arrived, as far as the link can know, in dialect `xep` over a link that says so.
    package mutating func linkConfirmed(peer: Int, _ stanzas: [Stanza], now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkConfirmed(stanzas, now: now)
        mark(peers[peer])
    }

    /// Single stanzas came back from a link that is up, in dialect `xep`.
    package mutating func linkReturned(peer: Int, unsent: [Stanza], inDoubt: [Stanza], now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkReturned(unsent: unsent, inDoubt: inDoubt, now: now)
        mark(peers[peer])
    }

    package mutating func linkDisconnected(peer: Int, unsent: [Stanza], inDoubt: [Stanza], now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkDisconnected(unsent: unsent, inDoubt: inDoubt, now: now)
        mark(peers[peer])
    }

    /// A stanza came over a link in dialect `xep`.
    package mutating func linkStanzaReceived(peer: Int, _ stanza: Stanza, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkStanzaReceived(stanza, now: now)
        mark(peers[peer])
    }

    /// The stub of a stanza that was larger than `limit` bytes and skipped, in dialect `xep`.
    package mutating func linkOversizeReceived(peer: Int, _ stub: Stanza, limit: Int, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkOversizeReceived(stub, limit: limit, now: now)
        mark(peers[peer])
    }

    /// A block came over a link in dialect `skywave`.
    package mutating func linkBlockReceived(peer: Int, _ block: ByteBuffer, now: NIODeadline) {
        self.now = now
        peers[peer].machine.linkBlockReceived(block, now: now)
        mark(peers[peer])
    }

    // MARK: The operator and the clock

    /// The wall clock was read: milliseconds since 1970. Needed only to tell people how old a stanza is.
    package mutating func wallClockRead(_ milliseconds: Int64, now: NIODeadline) {
        self.now = now
        for peer in peers { peer.machine.wallClockRead(milliseconds, now: now) }
    }

    /// What waits for a peer's link, first what leaves first, at most `limit` of it.
    package mutating func queueEntries(peer: Int, limit: Int, now: NIODeadline) -> [QueueEntry] {
        peers[peer].machine.queueEntries(limit: limit, now: now)
    }

    /// One stanza that waits for a peer's link or is in flight on it.
    package mutating func queuedStanza(peer: Int, id: UInt64) -> Stanza? {
        peers[peer].machine.queuedStanza(id)
    }

    /// Takes a stanza out of a peer's queue and sends it back to its sender; false when it is not there or has left.
    package mutating func cancel(peer: Int, _ id: UInt64, now: NIODeadline) -> Bool {
        self.now = now
        defer { mark(peers[peer]) }
        return peers[peer].machine.cancel(id, now: now)
    }

    /// What a peer sent, or the journal held, and nobody could read; oldest first.
    package func setAside(peer: Int, now: NIODeadline) -> [SetAside] { peers[peer].machine.setAside(now: now) }

    /// Ends something that was set aside; false when there is no such thing.
    package mutating func dropSetAside(peer: Int, _ id: UInt64, now: NIODeadline) -> Bool {
        self.now = now
        defer { mark(peers[peer]) }
        return peers[peer].machine.dropSetAside(id, now: now)
    }

    /// The agreements were changed, as far as a running site can change them. In the order of the configuration.
    package mutating func reloaded(_ policies: [PeerPolicy], now: NIODeadline) {
        self.now = now
        precondition(policies.count == peers.count, "a reload neither adds nor removes peers")
        for (peer, policy) in zip(peers, policies) {
            peer.machine.policyChanged(policy, now: now)
            mark(peer)
        }
    }
}
