package import HFNode
package import NIOCore
import STANAG5066

/// Writes what passes a pair of nodes as a pcapng file that Wireshark opens: the D_PDUs of each node on an interface of
/// its own, of the link type for STANAG 5066 D_PDUs (237), and the connections of clients as TCP with port 5066 on a
/// third one (101).
///
/// The addresses, ports and numbers of the TCP segments are made up, as if nothing was lost on that side. Bytes come
/// out in the order in which they are to stand in the file; ``header`` first.
package struct LinkCapture: Sendable {
    /// One direction of a connection.
    private struct Stream {
        var sequence: UInt32
        var isFinished = false
    }

    private struct Connection {
        let port: UInt16
        var client: Stream
        var node: Stream
    }

    private enum Interface: UInt32 {
        case clients
        case firstNode
        case secondNode

        init(_ side: HFNodeSide) { self = side == .first ? .firstNode : .secondNode }
    }

    private struct Flags {
        static let fin: UInt8 = 0x01
        static let syn: UInt8 = 0x02
        static let push: UInt8 = 0x08
        static let ack: UInt8 = 0x10
    }

    /// The port of the subnetwork interface.
    package static let port: UInt16 = 5066
    /// Bytes of a segment, as on Ethernet.
    private static let segmentBytes = 1460
    private var connections: [NodeConnection: Connection] = [:]
    /// D_PDUs whose time has not come, so that the file is in the order of time.
    private var coming: [(time: NIODeadline, interface: Interface, packet: ByteBuffer)] = []
    /// Added to the times of D_PDUs and connections, in nanoseconds since 1970.
    private let origin: UInt64
    private let start: NIODeadline

    /// - Parameters:
    ///   - start: the time of the nodes that is shown as `origin`.
    ///   - origin: nanoseconds since 1970.
    package init(start: NIODeadline, origin: UInt64) {
        self.start = start
        self.origin = origin
    }

    // MARK: The file

    /// Section header and interfaces.
    package var header: ByteBuffer {
        var bytes = ByteBuffer()
        Self.writeBlock(0x0A0D_0D0A, to: &bytes) { body in
            body.writeInteger(0x1A2B_3C4D as UInt32, endianness: .little)
            body.writeMultipleIntegers(1 as UInt16, 0 as UInt16, endianness: .little)
            // Length of the section: not known.
            body.writeInteger(-1 as Int64, endianness: .little)
        }
        let rawIP: UInt16 = 101
        let dpdus: UInt16 = 237
        for (name, type) in [("SIS", rawIP), ("node 1", dpdus), ("node 2", dpdus)] {
            Self.writeBlock(1, to: &bytes) { body in
                body.writeMultipleIntegers(type, 0 as UInt16, endianness: .little)
                body.writeInteger(0 as UInt32, endianness: .little)
                Self.writeOption(2, Array(name.utf8), to: &body)
                // Times in nanoseconds.
                Self.writeOption(9, [9], to: &body)
                Self.writeOption(0, [], to: &body)
            }
        }
        return bytes
    }

    /// The D_PDUs of a burst that begins at `start`, each at the time at which its first bit is sent. They come out
    /// with what is later, or at the end.
    package mutating func transmitted(_ side: HFNodeSide, _ burst: Burst, at start: NIODeadline) -> ByteBuffer {
        let bytes = takeComing(until: start)
        for element in burst.elements {
            let time = start + burst.timing.untilData + burst.timing.airTime(bits: 8 * element.offset)
            coming.append((time, Interface(side), element.bytes))
        }
        // Bursts of both sides overlap only when they collide.
        coming.sort { $0.time < $1.time }
        return bytes
    }

    /// Nothing more comes.
    package mutating func finished() -> ByteBuffer { takeComing(until: .distantFuture) }

    private mutating func takeComing(until time: NIODeadline) -> ByteBuffer {
        var bytes = ByteBuffer()
        let due = coming.prefix { $0.time <= time }
        for item in due { writePacket(item.packet, on: item.interface, at: item.time, to: &bytes) }
        coming.removeFirst(due.count)
        return bytes
    }

    // MARK: Connections

    package mutating func opened(_ id: NodeConnection, at time: NIODeadline) -> ByteBuffer {
        var bytes = takeComing(until: time)
        // Numbers as good as any, told apart by connection.
        let port = 49_152 + UInt16(truncatingIfNeeded: id.number % 16_384)
        connections[id] = Connection(port: port, client: Stream(sequence: 1_000), node: Stream(sequence: 2_000))
        writeSegment(id, fromClient: true, Flags.syn, ByteBuffer(), at: time, to: &bytes)
        writeSegment(id, fromClient: false, Flags.syn | Flags.ack, ByteBuffer(), at: time, to: &bytes)
        writeSegment(id, fromClient: true, Flags.ack, ByteBuffer(), at: time, to: &bytes)
        return bytes
    }

    package mutating func passed(
        _ id: NodeConnection, fromClient: Bool, _ data: ByteBuffer, at time: NIODeadline
    ) -> ByteBuffer {
        var bytes = takeComing(until: time)
        guard data.readableBytes > 0 else { return bytes }
        var rest = data
        while let part = rest.readSlice(length: min(Self.segmentBytes, rest.readableBytes)), part.readableBytes > 0 {
            let flags = rest.readableBytes == 0 ? Flags.push | Flags.ack : Flags.ack
            writeSegment(id, fromClient: fromClient, flags, part, at: time, to: &bytes)
        }
        writeSegment(id, fromClient: !fromClient, Flags.ack, ByteBuffer(), at: time, to: &bytes)
        return bytes
    }

    /// - Parameter byClient: who ended it.
    package mutating func closed(_ id: NodeConnection, byClient: Bool, at time: NIODeadline) -> ByteBuffer {
        var bytes = takeComing(until: time)
        writeSegment(id, fromClient: byClient, Flags.fin | Flags.ack, ByteBuffer(), at: time, to: &bytes)
        writeSegment(id, fromClient: !byClient, Flags.fin | Flags.ack, ByteBuffer(), at: time, to: &bytes)
        writeSegment(id, fromClient: byClient, Flags.ack, ByteBuffer(), at: time, to: &bytes)
        connections[id] = nil
        return bytes
    }

    // MARK: Segments

    private mutating func writeSegment(
        _ id: NodeConnection, fromClient: Bool, _ flags: UInt8, _ data: ByteBuffer, at time: NIODeadline,
        to bytes: inout ByteBuffer
    ) {
        guard var connection = connections[id] else { return }
        let sender = fromClient ? connection.client : connection.node
        let other = fromClient ? connection.node : connection.client
        let number: UInt8 = id.side == .first ? 1 : 2
        let client: [UInt8] = [10, 0, 0, 100 + number]
        let node: [UInt8] = [10, 0, 0, number]
        let (from, to) = fromClient ? (client, node) : (node, client)
        let (fromPort, toPort) = fromClient ? (connection.port, Self.port) : (Self.port, connection.port)
        var segment = ByteBuffer()
        let acknowledged: UInt32 = flags & Flags.ack == 0 ? 0 : other.sequence
        segment.writeMultipleIntegers(fromPort, toPort, sender.sequence, acknowledged)
        segment.writeMultipleIntegers(5 << 4 as UInt8, flags, 0xFFFF as UInt16, 0 as UInt16, 0 as UInt16)
        segment.writeImmutableBuffer(data)
        // The checksum covers addresses, protocol and length too.
        var pseudo = ByteBuffer(bytes: from + to)
        pseudo.writeMultipleIntegers(6 as UInt16, UInt16(clamping: segment.readableBytes))
        pseudo.writeImmutableBuffer(segment)
        segment.setInteger(Self.checksum(pseudo), at: segment.readerIndex + 16)
        var packet = ByteBuffer()
        packet.writeMultipleIntegers(
            0x4500 as UInt16, UInt16(clamping: 20 + segment.readableBytes), 0 as UInt16, 0x4000 as UInt16, 0x4006 as UInt16,
            0 as UInt16)
        packet.writeBytes(from + to)
        packet.setInteger(Self.checksum(packet), at: 10)
        packet.writeImmutableBuffer(segment)
        writePacket(packet, on: .clients, at: time, to: &bytes)
        let isCounted: UInt32 = flags & (Flags.syn | Flags.fin) == 0 ? 0 : 1
        let next = sender.sequence &+ UInt32(data.readableBytes) &+ isCounted
        if fromClient { connection.client.sequence = next } else { connection.node.sequence = next }
        connections[id] = connection
    }

    private static func checksum(_ bytes: ByteBuffer) -> UInt16 {
        var sum: UInt32 = 0
        var rest = bytes
        while let word = rest.readInteger(as: UInt16.self) { sum += UInt32(word) }
        if let last = rest.readInteger(as: UInt8.self) { sum += UInt32(last) << 8 }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return ~UInt16(truncatingIfNeeded: sum)
    }

    // MARK: Blocks

    private func writePacket(_ packet: ByteBuffer, on interface: Interface, at time: NIODeadline, to bytes: inout ByteBuffer) {
        let since = time > start ? UInt64((time - start).nanoseconds) : 0
        let stamp = origin + since
        Self.writeBlock(6, to: &bytes) { body in
            let length = UInt32(packet.readableBytes)
            body.writeMultipleIntegers(
                interface.rawValue, UInt32(stamp >> 32), UInt32(truncatingIfNeeded: stamp), length, length,
                endianness: .little)
            body.writeImmutableBuffer(packet)
            Self.pad(&body)
        }
    }

    private static func writeBlock(_ type: UInt32, to bytes: inout ByteBuffer, _ write: (inout ByteBuffer) -> Void) {
        var body = ByteBuffer()
        write(&body)
        let length = UInt32(body.readableBytes + 12)
        bytes.writeMultipleIntegers(type, length, endianness: .little)
        bytes.writeBuffer(&body)
        bytes.writeInteger(length, endianness: .little)
    }

    private static func writeOption(_ code: UInt16, _ value: [UInt8], to body: inout ByteBuffer) {
        body.writeMultipleIntegers(code, UInt16(value.count), endianness: .little)
        body.writeBytes(value)
        pad(&body)
    }

    private static func pad(_ body: inout ByteBuffer) {
        body.writeRepeatingByte(0, count: (4 - body.readableBytes % 4) % 4)
    }
}
