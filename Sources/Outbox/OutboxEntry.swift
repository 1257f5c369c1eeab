package import XMPP

/// A stanza that was taken from the local server and is not known to have reached the peer.
package struct OutboxEntry: Equatable, Sendable {
    /// Grows with every stanza that was ever taken; names the row of the journal.
    package let id: UInt64
    package let stanza: Stanza
    /// When it came for the first time, in milliseconds of service time.
    package let arrival: UInt64
    /// Whether the journal has a row for it.
    package internal(set) var isRecorded: Bool
    /// How often it was handed to the link and came back in doubt.
    package var attempts: UInt8 = 0

    package init(id: UInt64, stanza: Stanza, arrival: UInt64, isRecorded: Bool) {
        self.id = id
        self.stanza = stanza
        self.arrival = arrival
        self.isRecorded = isRecorded
    }
}

/// A stanza with the number under which the peer knows it.
package struct NumberedEntry: Equatable, Sendable {
    package let number: UInt64
    package internal(set) var entry: OutboxEntry
}
