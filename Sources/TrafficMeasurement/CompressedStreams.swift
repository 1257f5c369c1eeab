import Blocks
import NIOCore

/// The same traffic as servers send it with stream compression (XEP-0138, XEP-0229): one zlib stream for each direction, at
/// level 9, flushed after every stanza so that it arrives at once.
struct CompressedStreams {
    private let streams = [DeflaterBox(), DeflaterBox()]
    private(set) var byteCount = 0

    private final class DeflaterBox {
        var deflater = Deflater(level: 9)
        var isNew = true
    }

    /// zlib's header (RFC 1950); its checksum comes with the end of the stream, which never comes.
    private static let headerBytes = 2

    /// - Returns: the bytes that this stanza costs.
    @discardableResult
    mutating func add(_ written: [UInt8], side: Int) -> Int {
        let box = streams[side]
        var output = ByteBuffer()
        box.deflater.add(ByteBuffer(bytes: written), into: &output)
        box.deflater.partialFlush(into: &output)
        let bytes = output.readableBytes + (box.isNew ? Self.headerBytes : 0)
        box.isNew = false
        byteCount += bytes
        return bytes
    }
}
