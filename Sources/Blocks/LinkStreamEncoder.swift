package import NIOCore
package import XMPP

/// Turns batches of stanzas into the bytes of one connection of a XEP-0361 link.
///
/// The stream has no header (XEP-0361 §4.1): the first byte is the first stanza's. Nothing is sent between stanzas. With
/// compression, each batch ends with a sync flush, so that the other side can read all of it at once.
package final class LinkStreamEncoder {
    private var deflater: Deflater?
    /// What the other side's decoder will count; see ``InflateLimits``.
    private var allowance: ExpansionAllowance
    private var uncompressedBytes: UInt64 = 0
    private var encodedBytes: UInt64 = 0

    /// Bytes of all stanzas before compression, and bytes given to the connection.
    package var byteCounts: (uncompressed: UInt64, encoded: UInt64) { (uncompressedBytes, encodedBytes) }

    package init(compression: LinkCompression?, inflateLimits: InflateLimits = .standard) {
        switch compression {
        case nil: deflater = nil
        case .deflate(let level, let memoryLevel): deflater = Deflater(level: level, memoryLevel: memoryLevel)
        }
        allowance = ExpansionAllowance(limits: inflateLimits)
    }

    /// Appends the bytes of `batch` to `output`. An empty batch gives no bytes.
    package func encode(_ batch: [Stanza], into output: inout ByteBuffer) {
        guard !batch.isEmpty else { return }
        let start = output.writerIndex
        if deflater == nil {
            for stanza in batch {
                stanza.write(to: &output)
                uncompressedBytes &+= UInt64(stanza.byteCount)
            }
        } else {
            var counted = start
            for stanza in batch {
                uncompressedBytes &+= UInt64(stanza.byteCount)
                unsafe stanza.withBytes { bytes in
                    unsafe compress(bytes, counted: &counted, into: &output)
                }
            }
            deflater?.flush(into: &output)
            allowance.earn(compressedBytes: output.writerIndex - counted)
        }
        encodedBytes &+= UInt64(output.writerIndex - start)
    }

    /// Appends the closing tag of the stream (XEP-0361 §4.1). Nothing may be encoded after it.
    package func encodeClose(into output: inout ByteBuffer) {
        let start = output.writerIndex
        let tag = ByteBuffer(staticString: "</stream:stream>")
        write(tag, into: &output)
        encodedBytes &+= UInt64(output.writerIndex - start)
    }

    /// Appends a stream error and the closing tag (RFC 6120 §4.9.1.1).
    package func encodeError(_ error: StreamError, into output: inout ByteBuffer) {
        let start = output.writerIndex
        write(ByteBuffer(string: error.element()), into: &output)
        encodedBytes &+= UInt64(output.writerIndex - start)
        encodeClose(into: &output)
    }

    private func write(_ bytes: ByteBuffer, into output: inout ByteBuffer) {
        uncompressedBytes &+= UInt64(bytes.readableBytes)
        if deflater == nil {
            var bytes = bytes
            output.writeBuffer(&bytes)
        } else {
            var counted = output.writerIndex
            unsafe bytes.withUnsafeReadableBytes { unsafe compress($0, counted: &counted, into: &output) }
            deflater?.flush(into: &output)
            allowance.earn(compressedBytes: output.writerIndex - counted)
        }
    }

    /// Compresses one piece after making sure that the decoder will be able to pay for it. `counted` is the place in
    /// `output` up to which bytes were credited.
    private func compress(_ bytes: UnsafeRawBufferPointer, counted: inout Int, into output: inout ByteBuffer) {
        let needed = 2 * bytes.count + Self.reserveBytes
        if allowance.bytes < needed {
            // The decoder credits a byte when it has consumed it, so only flushed bytes may be counted here.
            deflater?.flush(into: &output)
            allowance.earn(compressedBytes: output.writerIndex - counted)
            counted = output.writerIndex
            var padding = allowance.compressedBytesNeeded(forExpandedBytes: needed)
            while padding > 0 {
                output.writeBytes(Deflater.emptyBlock)
                padding -= Deflater.emptyBlock.count
            }
            allowance.earn(compressedBytes: output.writerIndex - counted)
            counted = output.writerIndex
        }
        unsafe deflater?.add(bytes, into: &output)
        allowance.spend(expandedBytes: bytes.count)
    }

    /// Kept free so that closing tag and stream error always fit, and differing counts of a byte or two do no harm.
    private static let reserveBytes = 4_096
}
