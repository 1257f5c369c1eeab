import NIOCore
package import Outbox
package import XMPP

/// What an operator may see of a stanza that waits for the link: everything but its content.
package struct QueueEntry: Equatable, Sendable {
    package enum State: String, Equatable, Sendable {
        /// Not sent yet; can be cancelled.
        case waiting
        /// Sent, and not acknowledged by the peer.
        case inFlight = "in flight"
    }

    /// Names the stanza for ``PeerStateMachine/cancel(_:now:)``.
    package var id: UInt64
    package var stanzaClass: StanzaClass
    package var from: String
    package var to: String
    package var kind: StanzaKind
    package var type: StanzaType
    /// Canonical bytes.
    package var bytes: Int
    /// How long it has waited, in milliseconds of service time.
    package var age: UInt64
    package var state: State
}
