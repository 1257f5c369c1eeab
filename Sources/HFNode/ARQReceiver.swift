import DequeModule
package import NIOCore

/// The receiving half of selective-repeat ARQ from one node (STANAG 5066 Ed. 3 §C.4.1, §C.6.2, §C.6.3).
///
/// ```
///      assembled │ window of 128 numbers
///    ────────────┼─■─■───■──────────────
///                └ lower edge: the oldest that is missing      ■ received, waits
/// ```
package struct ARQReceiver: Sendable {
    private struct Slot: Sendable {
        let frame: DPDU.DataFrame
        /// Given up already, as part of a C_PDU that need not be in order.
        var isDelivered = false
    }

    package enum Outcome: Equatable, Sendable {
        case accepted
        /// It was here before; it is acknowledged again.
        case duplicate
        /// The header is good, the segment is not.
        case damaged
        /// It cannot be from this window (§C.6.3.1, equations 1 to 3).
        case outOfSync
    }

    /// The oldest number that is missing: RX LWE.
    package private(set) var lowerEdge: UInt8 = 0
    /// Numbers from the lower edge to the newest that was received.
    private var reach = 0
    private var slots: [Slot?]
    /// The C_PDU that the lower edge cuts.
    private var assembly: ByteBuffer?
    private var isAssemblyDropped = false
    private var units: Deque<ByteBuffer> = []
    /// Bytes of a C_PDU beyond which it is thrown away.
    private let maximumUnit: Int
    /// C_PDUs thrown away because their frames did not make sense.
    package private(set) var malformed = 0

    private static let window = ARQSender.maximumWindow

    package init(maximumUnit: Int) {
        self.maximumUnit = maximumUnit
        slots = Array(repeating: nil, count: 256)
    }

    package mutating func frameReceived(_ frame: DPDU.DataFrame, isIntact: Bool) -> Outcome {
        let offset = Int(frame.sequence &- lowerEdge)
        let isAhead = offset < Self.window
        let behind = 256 - offset
        if isAhead {
            // Marked as acknowledged there, but never received here.
            if frame.isLowerEdge, offset > 0 { return .outOfSync }
            // Received here, but never sent there.
            if frame.isUpperEdge, offset < reach - 1 { return .outOfSync }
        } else {
            guard behind <= Self.window - reach else { return .outOfSync }
            if frame.isUpperEdge, reach > 0 || behind > 1 { return .outOfSync }
            return .duplicate
        }
        guard slots[Int(frame.sequence)] == nil else { return .duplicate }
        guard isIntact || frame.isDropped else { return .damaged }
        slots[Int(frame.sequence)] = Slot(frame: frame)
        reach = max(reach, offset + 1)
        if !frame.isInOrder { deliverEarly(around: frame.sequence) }
        while let slot = slots[Int(lowerEdge)] {
            slots[Int(lowerEdge)] = nil
            lowerEdge &+= 1
            reach -= 1
            assemble(slot)
        }
        return .accepted
    }

    /// A C_PDU that is whole, in the order in which they are given up.
    package mutating func nextUnit() -> ByteBuffer? { units.popFirst() }

    /// What is here (§C.3.4).
    package var acknowledgement: DPDU.Acknowledgement {
        var bitmap = [UInt8](repeating: 0, count: max(0, reach - 1 + 7) / 8)
        for offset in 1..<max(1, reach) where slots[Int(lowerEdge &+ UInt8(offset))] != nil {
            bitmap[(offset - 1) / 8] |= 1 << UInt8((offset - 1) % 8)
        }
        return DPDU.Acknowledgement(lowerEdge: lowerEdge, bitmap: bitmap)
    }

    /// Back to the initial values; what is not complete is thrown away (§C.6.3.1).
    package mutating func reset() {
        lowerEdge = 0
        reach = 0
        slots = Array(repeating: nil, count: 256)
        assembly = nil
        isAssemblyDropped = false
    }

    /// After a reset: the other side goes on with this number.
    mutating func moveEmptyWindow(to edge: UInt8) {
        guard reach == 0 else { return }
        lowerEdge = edge
    }

    // MARK: Assembly

    private mutating func assemble(_ slot: Slot) {
        guard !slot.isDelivered else { return }
        let frame = slot.frame
        if frame.isStart {
            if assembly != nil { malformed += 1 }
            assembly = ByteBuffer()
            isAssemblyDropped = false
        }
        guard var unit = assembly else {
            malformed += 1
            return
        }
        assembly = nil
        var segment = frame.segment
        if frame.isDropped {
            isAssemblyDropped = true
        } else if !isAssemblyDropped {
            unit.writeBuffer(&segment)
            if unit.readableBytes > maximumUnit {
                isAssemblyDropped = true
                malformed += 1
            }
        }
        if isAssemblyDropped { unit.clear() }
        guard frame.isEnd else {
            assembly = unit
            return
        }
        if !isAssemblyDropped { units.append(unit) }
    }

    /// Gives up the C_PDU around a frame, if all of its frames are in the window and it need not be in order.
    private mutating func deliverEarly(around sequence: UInt8) {
        var first = sequence
        while let slot = slots[Int(first)], !slot.frame.isStart {
            guard first != lowerEdge else { return }
            first &-= 1
        }
        var last = sequence
        while let slot = slots[Int(last)], !slot.frame.isEnd {
            guard last != lowerEdge &+ UInt8(Self.window - 1) else { return }
            last &+= 1
        }
        guard slots[Int(first)] != nil, slots[Int(last)] != nil else { return }
        let places = (0...Int(last &- first)).map { Int(first &+ UInt8($0)) }
        var unit = ByteBuffer()
        for place in places {
            guard let frame = slots[place]?.frame, !frame.isDropped, !frame.isInOrder else { return }
            var segment = frame.segment
            unit.writeBuffer(&segment)
        }
        guard unit.readableBytes <= maximumUnit else { return }
        for place in places { slots[place]?.isDelivered = true }
        units.append(unit)
    }
}
