package import NIOCore
package import XMPP

/// What the runtime has to do for a ``LocalSide``, in order.
package enum LocalAction: Equatable, Sendable {
    /// Send stream-level XML.
    case write(ConnectionID, String)
    /// Send a stanza. If the connection dies before the kernel had it, give it back with ``LocalSide/connectionClosed``.
    case writeStanza(ConnectionID, Stanza)
    /// Begin the TLS handshake on a connection, after what was written before has left in the clear.
    ///
    /// - domain: whose certificate the bridge shows; as client also the domain that it speaks for.
    /// - peerName: as client the name to ask for and to check; `nil` as server.
    indirect case startTLS(ConnectionID, asServer: Bool, domain: Domain, peerName: Domain?)
    /// Forget the stream so far, unread bytes included, and expect a new header.
    case restartReader(ConnectionID)
    /// Something was proved: raise the reader's limits.
    case authenticated(ConnectionID)
    /// Dial the local server; answer with the token.
    case dial(DialToken)
    /// Close the connection when everything written has left.
    case close(ConnectionID)
    /// A stanza from the local server whose domains are proved.
    case received(Stanza)
    /// A stanza over the size limit: its start tag alone, domains proved.
    case oversize(Stanza)
    /// A stanza given to ``LocalSide/deliver(_:now:)`` that will not be delivered. Never an error stanza.
    case undeliverable(Stanza, StanzaErrorCondition, StanzaErrorType)
    /// Call ``LocalSide/deadlineReached(now:)`` at this time; replaces the time named before.
    case arm(NIODeadline)
    /// No time is awaited.
    case disarm
    /// Something worth a log line and a counter.
    indirect case note(LocalNote)
}
