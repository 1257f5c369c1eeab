import DequeModule
import NIOCore

/// Blocks that arrived while nothing can be taken from the peer: the inbox is full, or the journal takes nothing.
///
/// They are kept instead of left in the socket, so that acknowledgements in their headers count at once, and the peer goes on
/// hearing that this side lives: trouble of the local server must not make the radio repeat anything, nor stop what goes the
/// other way.
struct HeldBlocks {
    private var blocks: Deque<ByteBuffer> = []
    private var byteCount = 0
    /// Reading was stopped, since the peer sends more than it may have under way.
    var hasStoppedReading = false

    /// A peer has at most 120 blocks of each lane unacknowledged.
    private static let most = 256
    private static let mostBytes = 4 << 20

    var isEmpty: Bool { blocks.isEmpty }
    var isFull: Bool { blocks.count >= Self.most || byteCount >= Self.mostBytes }

    mutating func append(_ block: ByteBuffer) {
        byteCount += block.readableBytes
        blocks.append(block)
    }

    mutating func popFirst() -> ByteBuffer? {
        guard let block = blocks.popFirst() else { return nil }
        byteCount -= block.readableBytes
        return block
    }

    /// The connection is gone, and with it what was not read of it.
    mutating func removeAll() {
        blocks = []
        byteCount = 0
    }
}
