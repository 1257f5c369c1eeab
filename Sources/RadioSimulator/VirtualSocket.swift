import HFNode
import NIOCore
import STANAG5066

/// A client's end of its TCP connection to a node, in virtual time: it carries everything at once, and a node that does not read
/// holds up its client.
struct VirtualSocket {
    let side: HFNodeSide
    /// While a connection is up.
    private(set) var connection: NodeConnection?
    /// Names the last connection for the client's machine.
    private(set) var id = SISConnectionID(0)
    /// The node does not read: what was written waits in the connection.
    private var isHeldUp = false
    private var pipe = ByteBuffer()

    init(side: HFNodeSide) { self.side = side }

    /// - Returns: nil when the node takes no connection.
    mutating func dial(_ nodes: inout RadioNodes, now: NIODeadline) -> SISConnectionID? {
        guard let connection = nodes.connected(to: side, now: now) else { return nil }
        self.connection = connection
        isHeldUp = false
        pipe = ByteBuffer()
        id = SISConnectionID(connection.number)
        return id
    }

    /// - Returns: the bytes that the node has been given.
    @discardableResult
    mutating func write(
        _ primitive: SISPrimitive, _ id: SISConnectionID, to nodes: inout RadioNodes, now: NIODeadline
    ) -> ByteBuffer? {
        guard id == self.id, let connection else { return nil }
        var bytes = ByteBuffer()
        primitive.encode(into: &bytes)
        guard !isHeldUp else {
            pipe.writeImmutableBuffer(bytes)
            return nil
        }
        nodes.bytesReceived(connection, bytes, now: now)
        return bytes
    }

    /// - Returns: the bytes that the node has been given.
    @discardableResult
    mutating func readingChanged(_ isOn: Bool, _ nodes: inout RadioNodes, now: NIODeadline) -> ByteBuffer? {
        isHeldUp = !isOn
        guard isOn, let connection, pipe.readableBytes > 0 else { return nil }
        let bytes = pipe
        pipe = ByteBuffer()
        nodes.bytesReceived(connection, bytes, now: now)
        return bytes
    }

    /// The client ends the connection.
    ///
    /// - Returns: whether there was one of this name.
    mutating func close(_ id: SISConnectionID, _ nodes: inout RadioNodes, now: NIODeadline) -> Bool {
        guard id == self.id, let connection else { return false }
        self.connection = nil
        nodes.connectionClosed(connection, now: now)
        return true
    }

    /// The node has ended the connection.
    mutating func closedByNode() { connection = nil }
}
