import NIOCore
import XMPP

/// The last text of one direction, addressed by position, from which both ends take compression history.
struct LinkText {
    /// How much text a session goes on from. DEFLATE refers to its last 32 768 bytes (RFC 1951 §2); phrases that were defined
    /// before that are still found in the rest.
    static let window = 65_535

    private var bytes = ByteBuffer()
    private let keep: Int
    /// The position after the last byte, counted from the start of the epoch or from where history began anew.
    private(set) var end: UInt64 = 0

    /// - Parameter keep: bytes that stay available, at least ``window``.
    init(keep: Int) {
        self.keep = max(keep, Self.window)
    }

    private var start: UInt64 { end - UInt64(bytes.readableBytes) }

    mutating func append(_ text: ByteBuffer) {
        bytes.writeImmutableBuffer(text)
        end += UInt64(text.readableBytes)
        if bytes.readableBytes > 2 * keep {
            bytes.moveReaderIndex(forwardBy: bytes.readableBytes - keep)
            bytes.discardReadBytes()
        }
    }

    /// Begins anew at position 0.
    mutating func clear() {
        bytes = ByteBuffer()
        end = 0
    }

    /// Forgets what stands after a position that is still there.
    mutating func truncate(at position: UInt64) {
        guard position >= start, position <= end else { return }
        bytes.moveWriterIndex(to: bytes.readerIndex + Int(position - start))
        end = position
    }

    /// Restores stored text that ends at `position`; a hole before it leaves only what follows the hole.
    mutating func restore(_ text: [UInt8], endingAt position: UInt64) {
        guard UInt64(text.count) <= position else { return }
        if position - UInt64(text.count) != end { bytes = ByteBuffer() }
        end = position
        bytes.writeBytes(text)
        if bytes.readableBytes > 2 * keep { bytes.moveReaderIndex(forwardBy: bytes.readableBytes - keep) }
    }

    /// Forgets what stands before a position.
    mutating func forget(before position: UInt64) {
        guard position > start, position <= end else { return }
        bytes.moveReaderIndex(forwardBy: Int(position - start))
    }

    /// The bytes before a position: `length` of them, or as many as are here, at most a window; nil when they are not.
    func tail(at position: UInt64, length: Int? = nil) -> ByteBuffer? {
        guard position <= end, position >= start else { return nil }
        let wanted = length ?? Int(min(UInt64(Self.window), position - start))
        guard wanted <= Self.window, UInt64(wanted) <= position - start else { return nil }
        let offset = bytes.readerIndex + Int(position - UInt64(wanted) - start)
        return bytes.getSlice(at: offset, length: wanted)
    }

    /// As much of the tail at the end as is here.
    var tail: ByteBuffer {
        tail(at: end, length: min(Self.window, bytes.readableBytes)) ?? ByteBuffer()
    }

    static func hash(_ text: ByteBuffer) -> UInt64 {
        var hash = StableHash()
        for byte in text.readableBytesView { hash.combine(byte) }
        return hash.value
    }
}
