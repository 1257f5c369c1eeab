import XMPP

/// Bytes on the link of one peer, in blocks.
package struct LinkTraffic: Equatable, Sendable {
    package private(set) var sentBlocks: UInt64 = 0
    package private(set) var sentBytes: UInt64 = 0
    package private(set) var receivedBlocks: UInt64 = 0
    package private(set) var receivedBytes: UInt64 = 0
    /// Canonical bytes of the stanzas that were cut into blocks, those cut again counted again.
    package private(set) var sentText: UInt64 = 0

    /// Stanzas that crossed in the record of another, so that they took their address alone; those cut again counted again.
    package private(set) var folded = PeerStatus.KindCounts()

    mutating func cut(text: Int) {
        sentText &+= UInt64(text)
    }

    /// A record for so many stanzas of a kind was cut.
    mutating func cutRecord(_ kind: StanzaKind, stanzas: Int) {
        folded.add(kind, stanzas - 1)
    }

    mutating func sentBlock(_ bytes: Int) {
        sentBlocks &+= 1
        sentBytes &+= UInt64(bytes)
    }

    mutating func receivedBlock(_ bytes: Int) {
        receivedBlocks &+= 1
        receivedBytes &+= UInt64(bytes)
    }

    /// How many bytes of stanzas one byte on the link carries, headers and acknowledgements included.
    package var ratio: Double { sentBytes == 0 ? 1 : Double(sentText) / Double(sentBytes) }
}
