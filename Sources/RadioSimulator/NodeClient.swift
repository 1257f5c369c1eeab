import NIOCore
import STANAG5066

/// One connection of a client to a node.
final class NodeClient {
    let id: NodeConnection
    var server: SISServerStateMachine
    /// What the client has sent and the node has not looked at.
    private var input = ByteBuffer()
    /// Names the bind, so that answers to what was submitted in an earlier one are recognised.
    var bindNumber: UInt64 = 0
    /// The owner was told to read.
    var isReading = true

    init(id: NodeConnection, configuration: SISServerConfiguration) {
        self.id = id
        server = SISServerStateMachine(configuration)
    }

    func append(_ bytes: ByteBuffer) {
        guard input.readableBytes > 0 else {
            input = bytes
            return
        }
        input.discardReadBytes()
        input.writeImmutableBuffer(bytes)
    }

    /// The next whole primitive; so the node can stop between two. What is none, or no more than a part, is left to the
    /// decoder.
    func nextBytes() -> ByteBuffer? {
        guard input.readableBytes > 0 else { return nil }
        let start = input.readerIndex
        let isHeader: Bool =
            input.getInteger(at: start, as: UInt16.self) == 0x90EB && input.getInteger(at: start + 2, as: UInt8.self) == 0
        guard isHeader, let size = input.getInteger(at: start + 3, as: UInt16.self), size > 0 else {
            return input.readableBytes >= SISPrimitive.headerBytes || !isBeginning ? takeAll() : nil
        }
        let length = SISPrimitive.headerBytes + Int(size)
        guard input.readableBytes >= length else { return nil }
        return input.readSlice(length: length)
    }

    /// What is there may become the header of a primitive.
    private var isBeginning: Bool {
        input.readableBytesView.elementsEqual([0x90, 0xEB, 0x00].prefix(input.readableBytes))
            || input.readableBytes == 4 && input.readableBytesView.starts(with: [0x90, 0xEB, 0x00])
    }

    private func takeAll() -> ByteBuffer {
        defer { input = ByteBuffer() }
        return input
    }
}
