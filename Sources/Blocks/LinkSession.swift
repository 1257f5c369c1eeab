package import NIOCore
package import Outbox
import XMPP

/// One peer's end of the Skywave link protocol, both directions (docs/link-protocol.md).
///
/// The owner keeps the stanzas and their numbers; this machine turns them into blocks, says what the other side has, and
/// turns blocks into stanzas that were never seen before. A *session* lasts as long as a connection of the transport.
///
/// Inputs are the methods in the past tense. After each the owner takes ``takeRecords()``, to be committed in one batch with
/// what the events cause, and draws ``nextEvent()``.
package struct LinkSession: ~Copyable {
    /// - Parameters:
    ///   - recovered: what the journal held; pass a fresh one for a link without a journal.
    ///   - random: a random number for a new epoch, from the system's generator.
    package init(_ configuration: LinkSessionConfiguration, recovered: RecoveredPeer, random: UInt64) { fatalError() }

    // MARK: The connection

    /// The transport is up: a session begins. The first block may be sent once the records are durable.
    package mutating func connected(now: NIODeadline) { fatalError() }
    package mutating func disconnected(now: NIODeadline) { fatalError() }
    /// A whole block arrived.
    package mutating func blockReceived(_ block: ByteBuffer, now: NIODeadline) { fatalError() }
    /// What ``LinkSessionEvent/received(_:ordinal:)`` brought is durable, and all before it.
    package mutating func committed(_ ordinal: UInt64, now: NIODeadline) { fatalError() }

    package mutating func nextEvent() -> LinkSessionEvent? { fatalError() }
    /// Changes of this machine's own durable state since the last call.
    package mutating func takeRecords() -> [JournalRecord] { fatalError() }
    /// When ``nextServiceBlock(now:)`` will have something by itself, or a dead link is to be noticed.
    package var nextDeadline: NIODeadline? { fatalError() }
    /// A deadline has come.
    package mutating func deadlineReached(now: NIODeadline) { fatalError() }

    // MARK: Sending. The owner calls these when the transport can take a block.

    /// Whether a block of the lane may be cut now: a session is open and its window has room.
    package func canCut(_ lane: Lane) -> Bool { fatalError() }

    /// Cuts stanzas with contiguous numbers into a block of the lane.
    ///
    /// - Parameters:
    ///   - firstNumber: within a session each lane's numbers only grow; a number that does not follow costs a few bytes.
    ///   - context: 0, or the number of a label set's compression context.
    /// - Returns: the finished block. It may leave when the numbering is durable.
    package mutating func cut(
        _ stanzas: [OutgoingStanza], lane: Lane, firstNumber: UInt64, context: UInt8 = 0, now: NIODeadline
    ) -> ByteBuffer { fatalError() }

    /// Cuts the next part of a stanza that is larger than a block, in the normal lane.
    ///
    /// - Parameter bytes: at most this much of the stanza's canonical text.
    /// - Returns: the block, and whether it completed the stanza. Between two parts only the express lane may be cut.
    package mutating func cutPart(
        of stanza: OutgoingStanza, number: UInt64, bytes: Int, now: NIODeadline
    ) -> (block: ByteBuffer, isComplete: Bool) { fatalError() }

    /// What has to be sent whether stanzas wait or not: a refusal, an opening with nothing to ride on, a repeat, an
    /// acknowledgement that has waited long enough. Nil when there is none.
    package mutating func nextServiceBlock(now: NIODeadline) -> ByteBuffer? { fatalError() }

    // MARK: Status

    /// Bytes of text per block that experience says fit into so many bytes on the wire.
    package func textBytes(forBlockBytes bytes: Int) -> Int { fatalError() }
    package var unacknowledgedBlocks: Int { fatalError() }
    package var epoch: UInt64 { fatalError() }
    package var sessionNumber: UInt64 { fatalError() }
}
