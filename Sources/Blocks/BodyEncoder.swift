package import NIOCore
package import XMPP

/// Writes block bodies of one compression context: records of stanzas, compressed with a history that runs on from block
/// to block.
package struct BodyEncoder: ~Copyable {
    private var deflater: Deflater
    private var text = ByteBuffer()

    /// - Parameters:
    ///   - level: zlib's, 1 to 9.
    ///   - history: text that both ends have, at most its last 32 768 bytes count.
    package init(level: Int32, history: ByteBuffer) {
        deflater = Deflater(level: level)
        deflater.setHistory(history)
    }

    /// Bytes of text in the block under construction.
    package var textBytes: Int { text.readableBytes }

    /// Adds a stanza to the block under construction.
    ///
    /// - Parameter ageSeconds: how long it has waited; 0 where that need not be told.
    package mutating func append(_ stanza: Stanza, ageSeconds: UInt32) {
        text.writeInteger(UInt8(ageSeconds == 0 ? 1 : 2))
        if ageSeconds != 0 { text.writeVariableInteger(UInt64(ageSeconds)) }
        text.writeVariableInteger(UInt64(stanza.byteCount))
        stanza.write(to: &text)
    }

    /// Adds a part of a stanza's canonical bytes that begins at `offset`; the whole has `total` bytes.
    package mutating func appendFragment(_ bytes: ByteBuffer, offset: UInt32, total: UInt32, ageSeconds: UInt32) {
        text.writeInteger(UInt8(3))
        for value in [offset, total, ageSeconds, UInt32(bytes.readableBytes)] {
            text.writeVariableInteger(UInt64(value))
        }
        text.writeImmutableBuffer(bytes)
    }

    /// Appends the body to `block` and begins the next one.
    ///
    /// - Returns: the text of the block, which is history for the next.
    package mutating func finish(into block: inout ByteBuffer) -> ByteBuffer {
        deflater.add(text, into: &block)
        deflater.flush(into: &block)
        block.moveWriterIndex(to: block.writerIndex - 4)
        defer { text = ByteBuffer() }
        return text
    }
}
