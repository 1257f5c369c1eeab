/// Names one stanza that the local server sent, so that it can be acknowledged (XEP-0198) when the bridge has made it its
/// own.
package struct LocalReceipt: Hashable, Sendable {
    /// The number of the connection it came on.
    package var connection: UInt64
    /// Its place on that connection, counted from 1.
    package var number: UInt64

    package init(connection: UInt64, number: UInt64) {
        self.connection = connection
        self.number = number
    }
}

/// Names one stanza that is being delivered to the local server: whose inbox it is in, and which.
package struct DeliveryTicket: Hashable, Sendable {
    /// The number of the peer.
    package var peer: Int32
    /// The id in the peer's inbox.
    package var id: UInt64

    package init(peer: Int32, id: UInt64) {
        self.peer = peer
        self.id = id
    }
}
