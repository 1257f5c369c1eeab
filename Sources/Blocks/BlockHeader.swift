package import NIOCore

/// The header of a block on a Skywave link (docs/link-protocol.md, "Header").
///
/// ```
/// flags        1   opening 01, body 02, express 04, express acknowledgement 08, gap 10, context 20, jump 40, authenticated 80
/// sessions     1   low four bits of the sender's session, low four bits of the session it acknowledges
/// acknowledged 1   low eight bits of the number of normal blocks received in order
/// [express     1]  the same for the express lane, with 08
/// [opening     …]  with 01, see ``BlockOpening``
/// [block       1]  low eight bits of the block's number in its lane; this and the rest with 02 only
/// [base        1]  express lane: low eight bits of the number of normal blocks whose text is the history
/// [context     1]  with 20: the compression context, else 0
/// [jump        v]  with 40: the number of the first stanza, else one more than the lane's last
/// [length      v]  of the body that follows
/// ```
///
/// `v` is a variable-length integer: seven bits per byte, the least significant first, the top bit set on all but the last.
package struct BlockHeader: Equatable, Sendable {
    package struct Body: Equatable, Sendable {
        package var lane = Lane.normal
        /// Low eight bits of the block's number in its lane and session, counted from 0.
        package var block: UInt8 = 0
        /// Express lane only: low eight bits of the count of normal blocks whose text is the history.
        package var base: UInt8 = 0
        package var context: UInt8 = 0
        /// The number of the first stanza where it does not follow the lane's last.
        package var jump: UInt64?
        /// Bytes that follow the header.
        package var length = 0

        package init() {}
    }

    /// Low four bits of the sender's session.
    package var session: UInt8
    /// Low four bits of the receiver's session that the acknowledgements are about.
    package var acknowledgedSession: UInt8
    /// Low eight bits of the count of normal blocks received and committed in order.
    package var acknowledgedNormal: UInt8
    package var acknowledgedExpress: UInt8?
    /// A block after the acknowledged normal ones is missing, while later ones have arrived.
    package var hasGap = false
    package var opening: BlockOpening?
    package var body: Body?

    package init(session: UInt8, acknowledgedSession: UInt8, acknowledgedNormal: UInt8) {
        self.session = session & 0x0F
        self.acknowledgedSession = acknowledgedSession & 0x0F
        self.acknowledgedNormal = acknowledgedNormal
    }

    private enum Flag {
        static let opening: UInt8 = 0x01
        static let body: UInt8 = 0x02
        static let express: UInt8 = 0x04
        static let expressAcknowledgement: UInt8 = 0x08
        static let gap: UInt8 = 0x10
        static let context: UInt8 = 0x20
        static let jump: UInt8 = 0x40
        static let authenticated: UInt8 = 0x80
    }

    /// Appends the header.
    package func encode(into buffer: inout ByteBuffer) {
        var flags: UInt8 = 0
        if opening != nil { flags |= Flag.opening }
        if acknowledgedExpress != nil { flags |= Flag.expressAcknowledgement }
        if hasGap { flags |= Flag.gap }
        if let body {
            flags |= Flag.body
            if body.lane == .express { flags |= Flag.express }
            if body.context != 0 { flags |= Flag.context }
            if body.jump != nil { flags |= Flag.jump }
        }
        buffer.writeMultipleIntegers(flags, session << 4 | acknowledgedSession, acknowledgedNormal)
        if let acknowledgedExpress { buffer.writeInteger(acknowledgedExpress) }
        opening?.encode(into: &buffer)
        guard let body else { return }
        buffer.writeInteger(body.block)
        if body.lane == .express { buffer.writeInteger(body.base) }
        if body.context != 0 { buffer.writeInteger(body.context) }
        if let jump = body.jump { buffer.writeVariableInteger(jump) }
        buffer.writeVariableInteger(UInt64(body.length))
    }

    /// Reads a header from the front of `buffer`; nil, with nothing read, when more bytes are needed.
    ///
    /// - Throws: ``BlockError`` for what can never become a header.
    package init?(reading buffer: inout ByteBuffer) throws(BlockError) {
        var reader = buffer
        guard let (flags, sessions, acknowledged) = reader.readMultipleIntegers(as: (UInt8, UInt8, UInt8).self) else {
            return nil
        }
        guard flags & Flag.authenticated == 0 else { throw .reservedFlag }
        self.init(session: sessions >> 4, acknowledgedSession: sessions & 0x0F, acknowledgedNormal: acknowledged)
        hasGap = flags & Flag.gap != 0
        if flags & Flag.expressAcknowledgement != 0 {
            guard let count: UInt8 = reader.readInteger() else { return nil }
            acknowledgedExpress = count
        }
        if flags & Flag.opening != 0 {
            guard let opening = try BlockOpening(reading: &reader) else { return nil }
            self.opening = opening
        }
        if flags & Flag.body != 0 {
            guard let body = try Self.body(flags, &reader) else { return nil }
            self.body = body
        } else if flags & (Flag.express | Flag.context | Flag.jump) != 0 {
            throw .malformed("flags of a body without a body")
        }
        buffer = reader
    }

    private static func body(_ flags: UInt8, _ reader: inout ByteBuffer) throws(BlockError) -> Body? {
        var body = Body()
        guard let block: UInt8 = reader.readInteger() else { return nil }
        body.block = block
        if flags & Flag.express != 0 {
            body.lane = .express
            guard let base: UInt8 = reader.readInteger() else { return nil }
            body.base = base
        }
        if flags & Flag.context != 0 {
            guard let context: UInt8 = reader.readInteger() else { return nil }
            body.context = context
        }
        if flags & Flag.jump != 0 {
            guard let jump = try reader.readVariableInteger() else { return nil }
            body.jump = jump
        }
        guard let length = try reader.readVariableInteger() else { return nil }
        guard length <= UInt64(UInt32.max) else { throw .tooLarge("a body of \(length) bytes") }
        body.length = Int(length)
        return body
    }

    /// The size of the whole block at the front of `buffer`, header and body; nil when more bytes are needed to know.
    package static func blockLength(in buffer: ByteBuffer) throws(BlockError) -> Int? {
        var reader = buffer
        guard let header = try BlockHeader(reading: &reader) else { return nil }
        return buffer.readableBytes - reader.readableBytes + (header.body?.length ?? 0)
    }
}

extension ByteBuffer {
    /// Writes seven bits per byte, the least significant first.
    package mutating func writeVariableInteger(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writeInteger(UInt8(truncatingIfNeeded: rest))
    }

    /// Reads what ``writeVariableInteger(_:)`` wrote; nil when more bytes are needed.
    package mutating func readVariableInteger() throws(BlockError) -> UInt64? {
        var reader = self
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte: UInt8 = reader.readInteger() {
            // Ten bytes hold 64 bits; of the tenth only the lowest bit may be set.
            guard shift < 63 || shift == 63 && byte <= 1 else { throw .malformed("an integer of more than 64 bits") }
            guard byte != 0 || shift == 0 else { throw .malformed("an integer longer than necessary") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                self = reader
                return value
            }
            shift += 7
        }
        return nil
    }
}
