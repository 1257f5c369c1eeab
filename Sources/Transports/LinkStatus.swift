package import NIOCore

/// What an operator is told about a link.
package struct LinkStatus: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Not started, or closed for good.
        case stopped
        /// Neither connected nor about to dial: the peer dials, or there is nothing to send.
        case resting
        case dialling
        /// Dials again at the given time.
        case waiting(until: NIODeadline)
        case connected
        case closing
    }

    /// One open connection.
    package struct Connection: Equatable, Sendable {
        /// Who and how, for example `dialled 10.1.2.3:5269, TLS, certificate SHA-256 4F:…`.
        package var description: String
        package var since: NIODeadline
        /// True for the connection that our stanzas go out on; both directions are read on every connection.
        package var sends: Bool
        package var bytesReceived: UInt64
        package var bytesSent: UInt64
    }

    package var peer: String
    package var state: State
    package var since: NIODeadline
    package var connections: [Connection] = []
    /// On a link without protection, what that means; through a node, why nothing moves although the link is up. To be
    /// shown wherever the link is.
    package var warning: String?
    /// Payload of TCP in both directions since the start, TLS included, of all connections.
    package var bytesReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0
    /// Dialect `skywave`: blocks; there batches and stanzas are not the transport's to count.
    package var blocksSent: UInt64 = 0
    package var blocksReceived: UInt64 = 0
    package var batchesSent: UInt64 = 0
    package var stanzasSent: UInt64 = 0
    /// Given to the kernel and not acknowledged by the peer's TCP: what would be in doubt if the connection died now.
    package var stanzasUnacknowledged: UInt64 = 0
    package var stanzasReceived: UInt64 = 0
    /// Stanzas over the limit that were skipped.
    package var oversizeReceived: UInt64 = 0
    /// Through a node: units that have come and are not taken, since they could be neither recorded nor delivered. In dialect `xep` their
    /// sender believes them delivered.
    package var heldUnits = 0
    package var heldBytes = 0
    /// Through a node: its bind.
    package var bind: NodeBindStatus?
    /// How often stanzas could be sent again after an interruption.
    package var reconnects: UInt64 = 0
    /// One sentence on what went wrong last; `nil` when nothing did.
    package var lastError: String?

    /// The state as a sentence with what happens next.
    package func sentence(now: NIODeadline) -> String {
        switch state {
        case .stopped: "The link is stopped."
        case .resting: "Not connected; the link comes up when the peer dials or when there is something to send."
        case .dialling: "Dialling."
        case .waiting(let until): "Not connected; dialling again \(Self.wait(until - now))."
        case .connected: "Connected: " + connections.map(\.description).joined(separator: "; ") + "."
        case .closing: "Closing; waiting for the peer to answer."
        }
    }

    private static func wait(_ amount: TimeAmount) -> String {
        let seconds = (amount.nanoseconds + 999_999_999) / 1_000_000_000
        return seconds <= 0 ? "now" : "in \(seconds) s"
    }
}
