import Blocks
import NIOCore
import TestSupport

/// Blocks that only the framing looks at.
enum TestBlocks {
    /// A block with a body of `bytes` bytes that carries `number`, so that blocks can be told from each other.
    static func block(_ number: Int, bytes: Int = 20) -> ByteBuffer {
        var header = BlockHeader(session: 3, acknowledgedSession: 5, acknowledgedNormal: 200)
        var body = BlockHeader.Body()
        body.block = UInt8(truncatingIfNeeded: number)
        body.length = bytes
        header.body = body
        var block = ByteBuffer()
        header.encode(into: &block)
        block.writeRepeatingByte(UInt8(truncatingIfNeeded: number &* 7), count: bytes)
        return block
    }

    /// The first block of a session.
    static func opening(version: UInt8 = BlockOpening.version) -> ByteBuffer {
        var header = BlockHeader(session: 1, acknowledgedSession: 0, acknowledgedNormal: 0)
        header.opening = .session(SessionOpening(epoch: 0x0102_0304_0506_0708, session: 1))
        var block = ByteBuffer()
        header.encode(into: &block)
        // The version follows the three bytes of the usual header.
        block.setInteger(version, at: block.readerIndex + 3)
        return block
    }

    /// What a bridge that speaks `version` answers to any other.
    static func refusal(version: UInt8) -> ByteBuffer {
        var header = BlockHeader(session: 0, acknowledgedSession: 0, acknowledgedNormal: 0)
        header.opening = .refusal(.version(version))
        var block = ByteBuffer()
        header.encode(into: &block)
        return block
    }
}

extension ByteBuffer {
    var bytes: [UInt8] { Array(readableBytesView) }
}
