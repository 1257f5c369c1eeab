package import NIOCore
package import XMPP

/// The rules of one peer's Skywave link.
package struct LinkSessionConfiguration: Equatable, Sendable {
    /// zlib's level, 1 to 9.
    package var level: Int32 = 6
    /// Bodies are padded to a multiple of so many bytes; 1 for not.
    package var paddingMultiple = 1
    package var limits = BlockLimits()
    /// Blocks of a lane that may be unacknowledged, at most 120.
    package var windowBlocks = 100
    /// Bytes of text of the normal lane that may be unacknowledged; one block is always allowed.
    package var windowText = 256 << 10
    /// How long an acknowledgement waits for a block to ride on.
    package var acknowledgementDelay = TimeAmount.milliseconds(200)
    /// Blocks that stay unacknowledged for longer are sent again; nil where the transport loses nothing while it is up.
    package var repeatAfter: TimeAmount?
    /// The first block of a session, while nothing of it is acknowledged, is sent again sooner: so long after the transport has had
    /// nothing else to do, then when as much time again has passed as it has waited; nil for as any other. For transports that
    /// call arrived what they brought to a place where nobody was yet.
    package var firstRepeatAfter: TimeAmount?
    /// The transport says when it has all of a block (``LinkSession/blocksTaken(_:now:)``). Before, a block is neither missing nor
    /// unanswered, however long that takes.
    package var waitsForTransport = false
    /// What stays unacknowledged for longer ends the connection; nil never.
    package var deadAfter: TimeAmount?
    /// Names the profile, for information.
    package var profile: UInt32 = 0
    /// For first contact: the preset dictionary and its id; must be known to the other side.
    package var dictionary: BlockDictionary?

    package init() {}
}

/// Text that both ends have from a file.
package struct BlockDictionary: Equatable, Sendable {
    /// The first eight bytes of the SHA-256 of the file.
    package var id: UInt64
    package var text: ByteBuffer

    package init(id: UInt64, text: ByteBuffer) {
        self.id = id
        self.text = text
    }
}

/// A stanza to be cut into a block: one record.
package struct OutgoingStanza: Sendable {
    package var stanza: Stanza
    /// Values of `to`, in order, where it crosses once for several; empty for a stanza that goes as it is.
    package var recipients: [[UInt8]]
    /// How long it has waited, where the other side is to stamp that; else 0.
    package var ageSeconds: UInt32

    package init(stanza: Stanza, recipients: [[UInt8]] = [], ageSeconds: UInt32) {
        self.stanza = stanza
        self.recipients = recipients
        self.ageSeconds = ageSeconds
    }
}

/// What arrived: to be committed to the inbox in order, together with the session's records.
package enum ReceivedItem: Equatable, Sendable {
    /// `ageSeconds`: how long it waited at the other side; 0 where that was not told.
    case stanza(Stanza, ageSeconds: UInt32)
    /// To be set aside and named to the operator.
    case poison(ByteBuffer, reason: String)
}

/// What ``LinkSession`` reports.
package enum LinkSessionEvent: Equatable, Sendable {
    /// New stanzas, in order, none of them seen before. When they are durable, call ``LinkSession/committed(_:now:)``.
    case received([ReceivedItem], ordinal: UInt64)
    /// The peer has committed all stanzas of the lane up to this number.
    case acknowledged(Lane, through: UInt64)
    /// A session begins: everything numbered and not acknowledged has to be cut again, from the lowest number on.
    case sessionStarted
    /// A new epoch begins before the session: what was numbered loses its numbers and is numbered anew from 1.
    case epochStarted
    /// The peer's first block was read; the text says what is worth knowing (a different profile, an unknown dictionary).
    case peerRecognised(remark: String?)
    /// The link cannot go on with this peer; one sentence.
    case failed(LinkSessionFailure)
    /// Something to count and to tell the operator.
    case noted(LinkSessionNote)
}

package enum LinkSessionFailure: Equatable, Sendable {
    /// The peer speaks another version; both ends say so.
    case version(own: UInt8, peer: UInt8)
    /// A block was malformed.
    case malformed(BlockError)
    /// The peer made us begin again and again, and acknowledged nothing in between.
    case unsettled
    /// What was sent stayed unacknowledged for longer than `deadAfter`.
    case silent
}

package enum LinkSessionNote: String, Equatable, Sendable, CaseIterable {
    case historyRefused = "history that the other side does not have; began again with less"
    case peerRestored = "the peer began a new epoch: its journal is new or was restored"
    case selfRestored = "our journal was older than what the peer has seen; began a new epoch"
    case duplicateBlock = "block that had arrived already"
    case duplicateStanza = "stanza that had arrived already"
    case lateBlock = "block of an earlier session"
    case gap = "block missing before one that arrived"
    case blockRepeated = "block sent again"
    case numbersSkipped = "numbers that the peer never sent"
    case damagedBlock = "block that could not be read"
}
