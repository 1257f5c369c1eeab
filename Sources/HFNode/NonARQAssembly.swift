import NIOCore

/// Puts C_PDUs together that nobody acknowledges (STANAG 5066 Ed. 3 §C.4.2): error-free delivery, copies of the same
/// segment are expected. Types 7 and 8 have an assembly each, since they count apart.
struct NonARQAssembly: Sendable {
    private struct Partial: Sendable {
        let unit: UInt16
        let size: Int
        var expires: NIODeadline
        var segments: [(offset: Int, bytes: ByteBuffer)] = []
        var isComplete = false
    }

    private var partials: [Partial] = []
    /// C_PDUs under way from one node.
    private static let maximumPartials = 16

    /// - Returns: the C_PDU that the segment completes.
    mutating func received(_ frame: DPDU.NonARQFrame, now: NIODeadline) -> ByteBuffer? {
        partials.removeAll { $0.expires <= now }
        let size = Int(frame.unitSize)
        let offset = Int(frame.offset)
        guard size > 0, frame.segment.readableBytes > 0, offset + frame.segment.readableBytes <= size else { return nil }
        // The number may be used again when the window is over; an announced window of nothing still covers copies.
        let expires = now + .milliseconds(500 * Int64(max(4, frame.receptionWindow)))
        let place: Int
        if let known = partials.firstIndex(where: { $0.unit == frame.unit && $0.size == size }) {
            place = known
        } else {
            if partials.count == Self.maximumPartials { partials.removeFirst() }
            partials.append(Partial(unit: frame.unit, size: size, expires: expires))
            place = partials.count - 1
        }
        guard !partials[place].isComplete else { return nil }
        partials[place].expires = expires
        guard !partials[place].segments.contains(where: { $0.offset == offset }) else { return nil }
        partials[place].segments.append((offset, frame.segment))
        partials[place].segments.sort { $0.offset < $1.offset }
        var unit = ByteBuffer()
        for segment in partials[place].segments {
            guard segment.offset <= unit.readableBytes else { return nil }
            var rest = segment.bytes
            rest.moveReaderIndex(forwardBy: min(rest.readableBytes, unit.readableBytes - segment.offset))
            unit.writeBuffer(&rest)
        }
        guard unit.readableBytes == size else { return nil }
        partials[place].isComplete = true
        partials[place].segments = []
        return unit
    }
}
