package import NIOCore
package import XMPP

/// What the runtime has to do for a ``LocalSide``, in order.
package enum LocalAction: Equatable, Sendable {
    /// Send stream-level XML.
    case write(ConnectionID, String)
    /// Send a stanza. When the kernel has taken all of it, say so with ``LocalSide/stanzasWritten(_:count:now:)``.
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
    /// A stanza from the local server whose domains are proved. When the bridge has made it its own (committed or
    /// answered), say so with ``LocalSide/stanzaHandled(_:now:)``: only then is it acknowledged.
    case received(Stanza, LocalReceipt)
    /// A stanza over the size limit: its start tag alone, domains proved.
    case oversize(Stanza)
    /// The local server is responsible for these stanzas now: it acknowledged them (XEP-0198), or where it does not
    /// speak that, the kernel took them.
    case delivered([DeliveryTicket])
    /// A stanza given to ``LocalSide/deliver(_:ticket:now:)`` that will not be delivered. Without a ticket never one that
    /// may not be answered with an error; with a ticket any stanza, for its ticket has to be settled.
    case undeliverable(Stanza, DeliveryTicket?, StanzaErrorCondition, StanzaErrorType)
    /// A stream with this domain of the site was proved, the first one or the first one since the last loss.
    case streamOpened(Domain)
    /// A stream with this domain of the site broke: the server ended it with an error, or the connection died; or the server
    /// wanted to open one and could not prove the domain. What the server knew of occupants may be gone. Not said of
    /// streams that are closed in good order.
    case streamLost(Domain)
    /// Call ``LocalSide/deadlineReached(now:)`` at this time; replaces the time named before.
    case arm(NIODeadline)
    /// No time is awaited.
    case disarm
    /// Something worth a log line and a counter.
    indirect case note(LocalNote)
}
