import NIOCore

/// A unit under one number of a connection, cut into segments.
struct RCOPOutgoingUnit {
    private enum Segment: Equatable {
        case waiting
        /// Handed to the node.
        case underWay(ticket: UInt64)
        case confirmed
    }

    private struct State {
        var segment = Segment.waiting
        var attempts = 0
    }

    /// The owner's name for it.
    let token: UInt64
    /// Its place among all units that were accepted.
    let order: UInt64
    let number: UInt8
    /// Without the prefix.
    let bytes: ByteBuffer
    /// Times that this unit was begun before, under other numbers.
    let attempts: Int
    private let prefix: RCOPUnitPrefix?
    private let segmentBytes: Int
    private var segments: [State]
    private var confirmedCount = 0
    private var waitingCount: Int
    /// No segment before this one waits.
    private var firstWaiting = 0
    /// Tickets that were given out, and for which segment.
    private(set) var tickets: [UInt64] = []

    static let maximumSegments = 65_536

    /// - Parameter segmentBytes: data of one segment, at least 10.
    /// - Returns: nil for a unit that is too large.
    init?(
        token: UInt64, order: UInt64, number: UInt8, bytes: ByteBuffer, attempts: Int, framing: RCOPFraming,
        segmentBytes: Int
    ) {
        var prefix: RCOPUnitPrefix?
        if framing == .delimited {
            guard let made = RCOPUnitPrefix(for: bytes, segmentBytes: segmentBytes) else { return nil }
            prefix = made
        }
        let total = bytes.readableBytes + (prefix?.byteCount ?? 0)
        // A unit without bytes is one segment without data.
        let count = max(1, (total + segmentBytes - 1) / segmentBytes)
        guard count <= Self.maximumSegments else { return nil }
        self.token = token
        self.order = order
        self.number = number
        self.bytes = bytes
        self.attempts = attempts
        self.prefix = prefix
        self.segmentBytes = segmentBytes
        segments = Array(repeating: State(), count: count)
        waitingCount = count
    }

    /// Size of the data of a unit's first segment.
    static func firstDataBytes(of bytes: ByteBuffer, framing: RCOPFraming, segmentBytes: Int) -> Int {
        guard framing == .delimited else { return min(bytes.readableBytes, segmentBytes) }
        let single = bytes.readableBytes + RCOPUnitPrefix.singleByteCount
        if single <= segmentBytes, bytes.readableBytes <= RCOPUnitPrefix.maximumSingleLength { return single }
        return min(bytes.readableBytes + RCOPUnitPrefix.severalByteCount, segmentBytes)
    }

    var isFinished: Bool { confirmedCount == segments.count }
    var isWaiting: Bool { waitingCount > 0 }

    /// Whether every U_PDU that is not confirmed fits.
    func fits(segmentBytes: Int) -> Bool {
        segmentBytes >= self.segmentBytes || segments.count == 1 && dataBytes(of: 0) <= segmentBytes
    }

    /// The same unit under the same number in smaller segments; nil where it is then too large.
    func cutAnew(framing: RCOPFraming, segmentBytes: Int) -> RCOPOutgoingUnit? {
        RCOPOutgoingUnit(
            token: token, order: order, number: number, bytes: bytes, attempts: attempts, framing: framing,
            segmentBytes: segmentBytes)
    }

    /// Size of the data of the segment that goes next; nil when none waits.
    mutating func nextDataBytes() -> Int? { nextWaiting().map { dataBytes(of: $0) } }

    /// The segment that goes next, for the node.
    ///
    /// - Returns: which it is, how often it was handed over with this time, and its U_PDU.
    mutating func takeNext(
        ticket: UInt64, connection: UInt8, application: RCOPApplication
    ) -> (segment: Int, attempts: Int, bytes: ByteBuffer)? {
        guard let index = nextWaiting() else { return nil }
        segments[index].segment = .underWay(ticket: ticket)
        segments[index].attempts += 1
        waitingCount -= 1
        tickets.append(ticket)
        let header = RCOPHeader(
            connection: connection, unit: number, segment: UInt16(truncatingIfNeeded: index), application: application)
        var uPDU = ByteBuffer()
        uPDU.reserveCapacity(RCOPHeader.byteCount + dataBytes(of: index))
        header.encode(into: &uPDU)
        // The prefix fits into the first segment.
        let shift = prefix?.byteCount ?? 0
        if index == 0 { prefix?.encode(into: &uPDU) }
        let start = max(0, index * segmentBytes - shift)
        let end = min(bytes.readableBytes, (index + 1) * segmentBytes - shift)
        if let data = bytes.getSlice(at: bytes.readerIndex + start, length: end - start) {
            uPDU.writeImmutableBuffer(data)
        }
        return (index, segments[index].attempts, uPDU)
    }

    private func dataBytes(of index: Int) -> Int {
        let total = bytes.readableBytes + (prefix?.byteCount ?? 0)
        return min(segmentBytes, total - index * segmentBytes)
    }

    private mutating func nextWaiting() -> Int? {
        guard waitingCount > 0 else { return nil }
        while firstWaiting < segments.count, segments[firstWaiting].segment != .waiting { firstWaiting += 1 }
        return firstWaiting < segments.count ? firstWaiting : nil
    }

    // MARK: Outcomes

    /// The segment arrived, whichever time it was sent.
    mutating func confirmed(_ index: Int) {
        guard segments.indices.contains(index) else { return }
        switch segments[index].segment {
        case .confirmed: return
        case .waiting: waitingCount -= 1
        case .underWay: break
        }
        segments[index].segment = .confirmed
        confirmedCount += 1
    }

    /// The segment did not arrive, or nobody knows; it waits again.
    ///
    /// - Returns: how often it was sent; nil where the outcome is of an earlier time, or known better.
    mutating func failed(_ index: Int, ticket: UInt64) -> Int? {
        guard segments.indices.contains(index), segments[index].segment == .underWay(ticket: ticket) else { return nil }
        segments[index].segment = .waiting
        waitingCount += 1
        firstWaiting = min(firstWaiting, index)
        return segments[index].attempts
    }
}
