import DequeModule
package import NIOCore

/// A C_PDU on its way through ARQ.
package struct ARQUnit: Equatable, Sendable {
    /// Names it here; never on the air.
    package let id: UInt64
    package let bytes: ByteBuffer
    /// The receiver gives it up only after all that came before it.
    package let isInOrder: Bool

    package init(id: UInt64, bytes: ByteBuffer, isInOrder: Bool) {
        self.id = id
        self.bytes = bytes
        self.isInOrder = isInOrder
    }
}

/// The sending half of selective-repeat ARQ towards one node (STANAG 5066 Ed. 3 §C.4.1, §C.6.2).
///
/// C_PDUs are cut into segments, segments get sequence numbers modulo 256 when they are sent for the first time, and at
/// most ``window`` numbers are out at once. A C_PDU is complete when all of its segments are acknowledged, and one that
/// is to be given up in order not before all segments that were sent before it: until then the receiver only keeps it,
/// and a reset of the windows would throw it away.
package struct ARQSender: Sendable {
    struct Frame: Sendable {
        let unit: UInt64
        let isStart: Bool
        var isEnd: Bool
        let isInOrder: Bool
        var isDropped = false
        var segment: ByteBuffer
        var isAcknowledged = false
        var isInLastBurst = false
    }

    private struct Progress: Sendable {
        let unit: ARQUnit
        /// Segments that are not acknowledged.
        var open: Int
        /// Segments that the lower edge of the window has not passed.
        var ahead: Int
        var isDropped = false
    }

    package enum Outcome: Equatable, Sendable {
        /// - Parameters:
        ///   - completed: C_PDUs that are complete now, in order.
        ///   - acknowledged: of the frames of the last burst.
        case inSync(completed: [UInt64], acknowledged: Int)
        /// The acknowledgement cannot be about this window (§C.6.3.2, equations 4 and 5).
        case outOfSync
    }

    /// Frames that may be out at once, 1 to 128.
    package let window: Int
    /// Bytes of a segment but the last, 1 to 1023.
    package let segmentBytes: Int
    package static let maximumWindow = 128

    /// The oldest number that is not acknowledged: TX LWE.
    package private(set) var lowerEdge: UInt8 = 0
    /// Frames that have a number, from the lower edge on.
    private(set) var frames: Deque<Frame> = []
    /// Segments without a number yet.
    private var waiting: Deque<Frame> = []
    private var units: Deque<Progress> = []
    private var lastBurst = 0

    package init(window: Int, segmentBytes: Int) {
        self.window = min(max(1, window), Self.maximumWindow)
        self.segmentBytes = min(max(1, segmentBytes), DPDU.maximumSegment)
    }

    /// The newest number that was sent: TX UWE.
    package var upperEdge: UInt8 { lowerEdge &+ UInt8(truncatingIfNeeded: frames.count) &- 1 }

    /// Something is not acknowledged or not sent.
    package var hasWork: Bool { !frames.isEmpty || !waiting.isEmpty }

    /// All segments of the C_PDUs so far have been sent once, and another frame may go.
    package var wantsUnit: Bool { waiting.isEmpty && frames.count < window }

    /// Frames of the last burst that carried data.
    package var framesOfLastBurst: Int { lastBurst }

    /// C_PDUs that are not complete, oldest first.
    package var unitIDs: [UInt64] { units.map(\.unit.id) }

    package mutating func append(_ unit: ARQUnit) {
        var rest = unit.bytes
        var count = 0
        repeat {
            let segment = rest.prefix(segmentBytes)
            rest.moveReaderIndex(forwardBy: segment.readableBytes)
            waiting.append(
                Frame(
                    unit: unit.id, isStart: count == 0, isEnd: rest.readableBytes == 0, isInOrder: unit.isInOrder,
                    segment: segment))
            count += 1
        } while rest.readableBytes > 0
        units.append(Progress(unit: unit, open: count, ahead: count))
    }

    // MARK: Building a burst

    package mutating func burstBegan() {
        for index in frames.indices { frames[index].isInLastBurst = false }
        lastBurst = 0
    }

    /// Places of frames that have to be sent again, oldest first.
    package var unacknowledged: [Int] { frames.indices.filter { !frames[$0].isAcknowledged } }

    func segmentSize(at place: Int) -> Int { frames[place].segment.readableBytes }

    /// The size of the next segment that has no number, if the window lets it go.
    var nextSegmentSize: Int? {
        guard frames.count < window else { return nil }
        return waiting.first?.segment.readableBytes
    }

    /// Gives the next segment its number.
    ///
    /// - Returns: its place; nil if there is none or the window is full.
    package mutating func number() -> Int? {
        guard frames.count < window, let frame = waiting.popFirst() else { return nil }
        frames.append(frame)
        return frames.count - 1
    }

    /// The frame is part of the burst that is built.
    package mutating func include(_ place: Int) {
        guard !frames[place].isInLastBurst else { return }
        frames[place].isInLastBurst = true
        lastBurst += 1
    }

    /// The frame as it is sent, with the window as it is now: to be asked when the burst is complete.
    package func dataFrame(at place: Int) -> DPDU.DataFrame {
        let frame = frames[place]
        let sequence = lowerEdge &+ UInt8(truncatingIfNeeded: place)
        var data = DPDU.DataFrame(sequence: sequence, segment: frame.segment)
        data.isStart = frame.isStart
        data.isEnd = frame.isEnd
        data.isInOrder = frame.isInOrder
        data.isDropped = frame.isDropped
        data.isLowerEdge = place == 0
        data.isUpperEdge = place == frames.count - 1
        return data
    }

    // MARK: Acknowledgements and ends

    package mutating func acknowledgementReceived(_ part: DPDU.Acknowledgement) -> Outcome {
        let passed = Int(part.lowerEdge &- lowerEdge)
        guard passed <= frames.count else { return .outOfSync }
        // What the receiver says is missing was there before: it has lost its state.
        if passed < frames.count, frames[passed].isAcknowledged { return .outOfSync }
        var places: [Int] = []
        for (index, byte) in part.bitmap.enumerated() where byte != 0 {
            for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 {
                let place = passed + 1 + 8 * index + bit
                guard place < frames.count else { return .outOfSync }
                places.append(place)
            }
        }
        var acknowledged = 0
        for place in Array(0..<passed) + places where !frames[place].isAcknowledged {
            frames[place].isAcknowledged = true
            if frames[place].isInLastBurst { acknowledged += 1 }
            let unit = frames[place].unit
            if let index = units.firstIndex(where: { $0.unit.id == unit }) { units[index].open -= 1 }
        }
        for place in 0..<passed {
            let unit = frames[place].unit
            if let index = units.firstIndex(where: { $0.unit.id == unit }) { units[index].ahead -= 1 }
        }
        frames.removeFirst(passed)
        lowerEdge = part.lowerEdge
        var completed: [UInt64] = []
        units.removeAll { progress in
            let isComplete = progress.unit.isInOrder || progress.isDropped ? progress.ahead == 0 : progress.open == 0
            guard isComplete else { return false }
            if !progress.isDropped { completed.append(progress.unit.id) }
            return true
        }
        return .inSync(completed: completed, acknowledged: acknowledged)
    }

    /// Gives up a C_PDU. If parts of it have been sent, the receiver is told so by frames without data (§C.3.3).
    ///
    /// - Returns: false if it is too late: the receiver has all of it.
    package mutating func unitDropped(_ id: UInt64) -> Bool {
        guard let index = units.firstIndex(where: { $0.unit.id == id && !$0.isDropped }) else { return true }
        guard units[index].open > 0 else { return false }
        let unsent = waiting.count { $0.unit == id }
        guard frames.contains(where: { $0.unit == id }) || unsent < segmentCount(units[index].unit) else {
            waiting.removeAll { $0.unit == id }
            units.remove(at: index)
            return true
        }
        units[index].isDropped = true
        for place in frames.indices where frames[place].unit == id && !frames[place].isAcknowledged {
            frames[place].isDropped = true
            frames[place].segment = ByteBuffer()
        }
        guard unsent > 0, let last = waiting.lastIndex(where: { $0.unit == id }) else { return true }
        // One frame is enough to end it.
        waiting[last].isDropped = true
        waiting[last].segment = ByteBuffer()
        waiting = Deque(waiting.indices.filter { $0 == last || waiting[$0].unit != id }.map { waiting[$0] })
        units[index].open -= unsent - 1
        units[index].ahead -= unsent - 1
        return true
    }

    /// Back to the initial values (§C.6.3.1).
    ///
    /// - Returns: the C_PDUs that are not complete, oldest first, to be appended again.
    package mutating func reset() -> [ARQUnit] {
        defer {
            frames = []
            waiting = []
            units = []
            lowerEdge = 0
            lastBurst = 0
        }
        return units.filter { !$0.isDropped }.map(\.unit)
    }

    private func segmentCount(_ unit: ARQUnit) -> Int {
        max(1, (unit.bytes.readableBytes + segmentBytes - 1) / segmentBytes)
    }
}
