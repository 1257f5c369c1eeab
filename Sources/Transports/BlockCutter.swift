import Blocks
import NIOCore

/// Cuts the bytes of one connection into blocks (docs/link-protocol.md, "On a stream").
///
/// Understands no more of a block than how long it is, and keeps no more than one unfinished block of at most the
/// greatest size, however the bytes come in.
struct BlockCutter {
    private let maximumBytes: Int
    private var bytes = ByteBuffer()
    /// Size of the block at the front, as soon as its header is whole.
    private var length: Int?
    private var hasFailed = false

    /// A header that goes on for longer is none: the longest possible one has less than half of this.
    static let maximumHeaderBytes = 256

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// Received and not given out yet.
    var pendingBytes: Int { bytes.readableBytes }

    /// Memory that is held for them.
    var capacity: Int { bytes.capacity }

    /// Takes all of `more`.
    mutating func append(_ more: inout ByteBuffer) {
        guard !hasFailed else { return more.clear() }
        if bytes.readableBytes == 0 {
            // Shared, not copied.
            bytes = more
            more.moveReaderIndex(to: more.writerIndex)
        } else {
            bytes.writeBuffer(&more)
        }
    }

    /// The next whole block; nil when more bytes are needed.
    ///
    /// - Throws: ``BlockError`` for what can never become a block, once; after that nothing is taken any more.
    mutating func next() throws(BlockError) -> ByteBuffer? {
        guard !hasFailed else { return nil }
        do throws(BlockError) {
            let block = try cut()
            if block == nil { forgetCutBlocks() }
            return block
        } catch {
            hasFailed = true
            bytes = ByteBuffer()
            throw error
        }
    }

    private mutating func cut() throws(BlockError) -> ByteBuffer? {
        guard bytes.readableBytes > 0 else { return nil }
        if length == nil {
            length = try BlockHeader.blockLength(in: bytes)
            guard length != nil || bytes.readableBytes <= Self.maximumHeaderBytes else {
                throw .malformed("a header without end")
            }
        }
        guard let length else { return nil }
        guard length <= maximumBytes else {
            throw .tooLarge("a block of \(length) bytes where \(maximumBytes) are allowed")
        }
        guard let block = bytes.readSlice(length: length) else { return nil }
        self.length = nil
        return block
    }

    /// What is left is a part of the next block: it must not hold on to all that came before.
    private mutating func forgetCutBlocks() {
        guard bytes.readerIndex > 0 else { return }
        bytes = bytes.readableBytes == 0 ? ByteBuffer() : ByteBuffer(bytes: bytes.readableBytesView)
    }
}
