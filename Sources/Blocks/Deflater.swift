import CZlib
package import NIOCore

/// A raw DEFLATE compressor (RFC 1951) with one history for the life of a connection.
///
/// The caller adds bytes piece by piece and ends each batch with ``flush(into:)``: only then is everything that was added
/// decodable by the other side (zlib's sync flush: the output ends on a byte boundary, with an empty stored block).
/// The only memory it takes after its creation is what the output buffer grows by.
@safe
package struct Deflater: ~Copyable {
    /// zlib checks that its state stays at one address, so the state lives outside of this movable value.
    private let stream: UnsafeMutablePointer<z_stream>

    /// An empty stored block (RFC 1951 §3.2.4). It may be appended after any ``flush(into:)``: it decodes to nothing.
    package static let emptyBlock: [UInt8] = [0x00, 0x00, 0x00, 0xFF, 0xFF]

    /// - Parameters:
    ///   - level: zlib's level, 0 (stored) to 9 (smallest); values outside are clamped.
    ///   - memoryLevel: zlib's memory level, 1 to 9; values outside are clamped. 8 is zlib's default and the fastest by
    ///     measurement on s2s traffic: 9 shares fewer hash chains but leaves the processor's caches, 7 and less share more.
    package init(level: Int32, memoryLevel: Int32 = 8) {
        unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe deflateInit2_(
            stream, min(max(level, 0), 9), Z_DEFLATED, -15, min(max(memoryLevel, 1), 9), Z_DEFAULT_STRATEGY,
            zlibVersion(), Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib refused to make a compressor: out of memory")
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Gives the compressor text that the other side has as well; only before the first ``add(_:into:)-(UnsafeRawBufferPointer,_)``.
    package mutating func setHistory(_ history: ByteBuffer) {
        unsafe history.withUnsafeReadableBytes { bytes in
            let bytes = unsafe bytes.suffix(32_768)
            guard let base = unsafe UnsafeRawBufferPointer(rebasing: bytes).baseAddress else { return }
            _ = unsafe deflateSetDictionary(stream, base.assumingMemoryBound(to: Bytef.self), uInt(clamping: bytes.count))
        }
    }

    /// Searches less than zlib does at the level that it was made with: few places per match, and an end to the search at
    /// a match of 16 bytes. Only before the first input.
    package mutating func searchLess() {
        unsafe _ = deflateTune(stream, 4, 4, 16, 8)
    }

    /// Compresses `bytes`; what comes out may wait inside for ``flush(into:)``.
    package mutating func add(_ bytes: UnsafeRawBufferPointer, into output: inout ByteBuffer) {
        guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
        // zlib's pointer is not const for historical reasons; the input is only read.
        unsafe stream.pointee.next_in = unsafe UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: Bytef.self))
        unsafe stream.pointee.avail_in = uInt(clamping: bytes.count)
        repeat {
            step(Z_NO_FLUSH, into: &output)
        } while unsafe stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0
        unsafe stream.pointee.next_in = nil
    }

    /// Compresses the readable bytes of `bytes` and leaves them unread.
    package mutating func add(_ bytes: ByteBuffer, into output: inout ByteBuffer) {
        unsafe bytes.withUnsafeReadableBytes { unsafe add($0, into: &output) }
    }

    /// Ends a batch: everything added so far can be decoded from what `output` has received.
    package mutating func flush(into output: inout ByteBuffer) {
        repeat {
            step(Z_SYNC_FLUSH, into: &output)
        } while unsafe stream.pointee.avail_out == 0
    }

    /// The same with the smaller mark of XEP-0138's servers (zlib's partial flush): the output may end within a byte, so the last
    /// bits wait for the next batch.
    package mutating func partialFlush(into output: inout ByteBuffer) {
        repeat {
            step(Z_PARTIAL_FLUSH, into: &output)
        } while unsafe stream.pointee.avail_out == 0
    }

    private mutating func step(_ mode: Int32, into output: inout ByteBuffer) {
        let stream = unsafe stream
        // A sync flush that meets fewer than six free bytes is written twice, so small rests of a buffer are not used.
        let room = output.writableBytes >= 64 ? output.writableBytes : 1_024
        unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
            unsafe stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: Bytef.self)
            unsafe stream.pointee.avail_out = uInt(clamping: space.count)
            let available = unsafe Int(stream.pointee.avail_out)
            // Z_BUF_ERROR only says that there was nothing to do; no other failure is possible with a sound state.
            _ = unsafe deflate(stream, mode)
            return unsafe available - Int(stream.pointee.avail_out)
        }
        unsafe stream.pointee.next_out = nil
    }
}
