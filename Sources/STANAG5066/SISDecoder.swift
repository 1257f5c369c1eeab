package import NIOCore

/// Cuts the bytes of a connection between a client and its node into primitives, for either of the two.
///
/// Give it bytes as they come, then draw ``next()`` until it says that there is no more. At most one unfinished primitive is
/// kept, 65 540 bytes. What comes after a fatal error is ignored: a U_PDU may hold the preamble, so nothing can be found again
/// in a stream that is out of step.
package struct SISDecoder: Sendable {
    package enum Event: Equatable, Sendable {
        case primitive(SISPrimitive)
        /// A primitive that cannot be read, of which the size is sound; the next one follows.
        case skipped(SISError)
    }

    private let reader: SISPrimitive.Reader
    private let alignment: NodeAddress.Alignment
    private var buffer = ByteBuffer()
    private var failure: SISError?

    /// - Parameters:
    ///   - reader: who reads; what only the other may be sent is skipped.
    ///   - alignment: of node addresses with a size below 7.
    package init(for reader: SISPrimitive.Reader, alignment: NodeAddress.Alignment = .right) {
        self.reader = reader
        self.alignment = alignment
    }

    /// Takes all of `bytes`.
    package mutating func read(_ bytes: ByteBuffer) {
        guard failure == nil else { return }
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.discardReadBytes()
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next primitive, or nil when more bytes are needed.
    ///
    /// - Throws: a fatal ``SISError``, and the same at every later call.
    package mutating func next() throws(SISError) -> Event? {
        if let failure { throw failure }
        do throws(SISError) {
            return try decode()
        } catch {
            guard error.isFatal else { return .skipped(error) }
            failure = error
            buffer = ByteBuffer()
            throw error
        }
    }

    private mutating func decode() throws(SISError) -> Event? {
        let start = buffer.readerIndex
        guard let first: UInt8 = buffer.getInteger(at: start) else {
            // What was given is not kept for its capacity.
            buffer = ByteBuffer()
            return nil
        }
        guard first == 0x90 else { throw .badPreamble(first) }
        guard let second: UInt8 = buffer.getInteger(at: start + 1) else { return nil }
        guard second == 0xEB else { throw .badPreamble(second) }
        guard let version: UInt8 = buffer.getInteger(at: start + 2) else { return nil }
        guard version == 0 else { throw .unsupportedVersion(version) }
        guard let size: UInt16 = buffer.getInteger(at: start + 3) else { return nil }
        guard size > 0 else { throw .tooShort(type: nil, size: size) }
        guard let type: UInt8 = buffer.getInteger(at: start + SISPrimitive.headerBytes) else { return nil }
        let shape = SISPrimitive.Shape[type]
        if let shape, size < shape.minimumSize { throw .tooShort(type: type, size: size) }
        guard buffer.readableBytes >= SISPrimitive.headerBytes + Int(size) else { return nil }
        let fields = buffer.getSlice(at: start + SISPrimitive.headerBytes + 1, length: Int(size) - 1) ?? ByteBuffer()
        buffer.moveReaderIndex(forwardBy: SISPrimitive.headerBytes + Int(size))
        guard let shape else { throw .unknownType(type) }
        if let only = shape.reader, only != reader { throw .wrongDirection(type: type) }
        return .primitive(try SISPrimitive(type: type, fields: fields, alignment: alignment))
    }
}
