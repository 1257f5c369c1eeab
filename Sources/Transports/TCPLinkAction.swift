package import Blocks
package import NIOCore
package import XMPP

/// Names one TCP connection of a link; never used twice.
package struct LinkConnectionID: Hashable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }
}

/// When a link dials.
package enum DialPolicy: Equatable, Sendable {
    /// The peer dials.
    case never
    /// When there is something to send; `atStart` also once at the start.
    case whenNeeded(atStart: Bool)
    /// Whenever the link is down.
    case always
}

/// The rules of one link, as ``TCPLinkStateMachine`` needs them.
package struct TCPLinkPolicy: Equatable, Sendable {
    package var dial: DialPolicy
    package var dialect = LinkDialect.xep
    package var reconnectMinimum: TimeAmount = .seconds(1)
    package var reconnectMaximum: TimeAmount = .seconds(60)
    /// How long to wait before a peer that speaks another version is dialled again; never less than `reconnectMaximum`.
    package var versionRetry: TimeAmount = .minutes(10)
    /// For TCP and TLS together; see ``TCPLinkConfiguration/identificationTime(deadAfter:usesTLS:)``.
    package var dialTimeout: TimeAmount = .seconds(60)
    /// How long the closing tag of the peer, or the end of its stream, is waited for.
    package var closeTimeout: TimeAmount = .seconds(5)
    /// A connection that lived this long, or on which a stanza came, has worked: the next wait is short again.
    package var stableAfter: TimeAmount = .seconds(30)
    /// How long after dialling a refusal may still come in. With TLS 1.3 the dialler may write before the peer has
    /// looked at its certificate (RFC 8446 §2), and without TLS before the peer has looked at its address.
    package var refusalWindow: TimeAmount = .seconds(15)

    package init(dial: DialPolicy) {
        self.dial = dial
    }
}

/// What ``TCPLinkStateMachine`` wants done, in this order.
package enum TCPLinkAction: Equatable, Sendable {
    /// Open a connection; answer with `dialSucceeded` or `dialFailed`.
    case dial
    /// Give up the connection that is being opened; no answer is expected.
    case abandonDial
    /// Stanzas go out on this connection from now on.
    case connected(LinkConnectionID)
    /// The connection that stanzas went out on is gone. A batch that was in flight on it is in doubt; so are all batches
    /// that were written to it when `refused` is true.
    case disconnected(LinkEnd, batchInFlight: Bool, refused: Bool)
    /// The peer will not refuse this connection any more: batches that were written to it need not be kept.
    case proven(LinkConnectionID)
    /// One batch may be offered.
    case ready
    /// Encode the offered batch for this connection and write it; answer with `batchWritten` when the kernel has it.
    case write(LinkConnectionID)
    /// The offered batch cannot be sent; it never left.
    case returnBatch
    case writeClose(LinkConnectionID)
    /// Write the block that names our version of the link protocol, and ignore what else the peer says.
    case writeRefusal(LinkConnectionID)
    /// Write the stream error and the closing tag.
    case writeError(LinkConnectionID, StreamError)
    /// End the connection when everything is written; answer with `connectionClosed`.
    case close(LinkConnectionID)
    /// End the connection at once; nothing it says is of interest any more.
    case drop(LinkConnectionID)
    /// For status and log: a connection or a dial came to this end.
    case note(LinkEnd)
    /// Call `deadlineReached` then; replaces the deadline before.
    case arm(NIODeadline)
    case disarm
    /// Everything is closed for good.
    case closed
}
