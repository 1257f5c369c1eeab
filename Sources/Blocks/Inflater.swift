import CZlib
package import NIOCore

/// Why a compressed stream cannot be read any further.
package enum InflateError: Error, Equatable, Sendable {
    /// The bytes are not DEFLATE, or refer to history that does not exist.
    case damaged
    /// zlib could not get memory.
    case outOfMemory
}

/// A raw DEFLATE decompressor (RFC 1951) that gives its output in pieces of the size the caller asks for.
///
/// It never holds more than zlib's own window (32 kB) and state, whatever the input expands to: the caller decides after
/// each piece whether to go on.
@safe
package struct Inflater: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// True after the sender's final block: no further byte can be decoded.
    package private(set) var isFinished = false

    package init() {
        unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe inflateInit2_(stream, -15, zlibVersion(), Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib refused to make a decompressor: out of memory")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Gives the decompressor text that the sender has as well; only before the first input.
    package mutating func setHistory(_ history: ByteBuffer) {
        unsafe history.withUnsafeReadableBytes { bytes in
            let bytes = unsafe bytes.suffix(32_768)
            guard let base = unsafe UnsafeRawBufferPointer(rebasing: bytes).baseAddress else { return }
            _ = unsafe inflateSetDictionary(stream, base.assumingMemoryBound(to: Bytef.self), uInt(clamping: bytes.count))
        }
    }

    /// Decodes one piece.
    ///
    /// - Parameters:
    ///   - input: what is consumed is read from it.
    ///   - output: receives at most `limit` bytes.
    /// - Returns: how many bytes `output` received. Less than `limit` means that the input is used up (or the stream is
    ///   finished); exactly `limit` means that there may be more even when the input is empty.
    package mutating func inflate(
        _ input: inout ByteBuffer, into output: inout ByteBuffer, limit: Int
    ) throws(InflateError) -> Int {
        guard !isFinished, limit > 0 else { return 0 }
        let stream = unsafe stream
        var status = Z_OK
        var produced = 0
        unsafe input.readWithUnsafeReadableBytes { compressed in
            // zlib wants a pointer even when there is nothing to read: output may still be waiting inside.
            var nothing: Bytef = 0
            let given = uInt(clamping: compressed.count)
            unsafe withUnsafeMutablePointer(to: &nothing) { placeholder in
                unsafe stream.pointee.next_in =
                    compressed.baseAddress.map {
                        unsafe UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: Bytef.self))
                    } ?? placeholder
                unsafe stream.pointee.avail_in = given
                produced = unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: limit) { space in
                    unsafe stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: Bytef.self)
                    unsafe stream.pointee.avail_out = uInt(clamping: limit)
                    status = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
                    return unsafe limit - Int(stream.pointee.avail_out)
                }
            }
            return unsafe Int(given - stream.pointee.avail_in)
        }
        unsafe stream.pointee.next_in = nil
        unsafe stream.pointee.next_out = nil
        switch status {
        case Z_OK, Z_BUF_ERROR:
            return produced
        case Z_STREAM_END:
            isFinished = true
            return produced
        case Z_MEM_ERROR:
            throw .outOfMemory
        default:  // Z_DATA_ERROR, and Z_NEED_DICT, which raw DEFLATE cannot ask for
            throw .damaged
        }
    }
}
