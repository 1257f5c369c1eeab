import NIOCore

/// One unit that is being put together from its segments.
///
/// Segments may come in any order and more than once. Each is kept as it came until the unit is whole.
struct RCOPAssembly {
    enum Outcome: Equatable {
        case waiting
        case duplicate
        /// XML only: a segment that is there already came with other bytes, so it is of another unit.
        case conflict
        /// Without the prefix.
        case complete(ByteBuffer)
        case dropped(RCOPDropReason)
    }

    private struct Segment {
        var data: ByteBuffer
        var fingerprint: UInt64
    }

    private enum End {
        /// With the prefix once segment 0 is there.
        case delimited(RCOPUnitPrefix?)
        case xml(XMLDepthScanner)
    }

    let number: UInt8
    let application: RCOPApplication
    /// 0, or the segment that follows what was delivered under the same number (XML only: one unit may hold several
    /// stanzas).
    let firstSegment: Int
    /// A unit that was delivered lately had this number, and what came first of this one does not tell them apart.
    let mayBeRepeat: Bool
    private(set) var lastArrival: NIODeadline
    private var segments: [Int: Segment] = [:]
    private var dataBytes = 0
    private var end: End
    /// Without a gap, segments are there up to this one, which is missing.
    private var next: Int
    /// Bytes of the segments before ``next``.
    private var bytesBeforeNext = 0
    /// Delimited only: segments that came again with other bytes, and bytes of which the checksum was wrong.
    private var replacements = 0
    private var mismatchedBytes = 0

    /// What an assembly and a segment cost beyond their data.
    static let overhead = 256
    static let segmentOverhead = 64
    /// More than a sender explains that has started again, or cuts a unit anew for a smaller MTU.
    private static let maximumReplacements = 1_024
    /// Where a new unit takes the place of an old one of the same size, each of its segments may complete a mixture of the
    /// two. So it is work that is bounded: this many checksums of the longest unit, and many more of usual ones.
    private static let maximumMismatches = 64

    init(
        number: UInt8, application: RCOPApplication, firstSegment: Int = 0, mayBeRepeat: Bool = false,
        framing: RCOPFraming, now: NIODeadline
    ) {
        self.number = number
        self.application = application
        self.firstSegment = firstSegment
        self.mayBeRepeat = mayBeRepeat
        lastArrival = now
        next = firstSegment
        end =
            switch framing {
            case .delimited: .delimited(nil)
            case .xml(let depth): .xml(XMLDepthScanner(maximumDepth: depth))
            }
    }

    /// Memory that it counts for.
    var heldBytes: Int { Self.overhead + dataBytes + segments.count * Self.segmentOverhead }

    /// Of the segments before ``nextSegment``.
    var fingerprints: [UInt64] { (firstSegment..<next).compactMap { segments[$0]?.fingerprint } }
    var nextSegment: Int { next }

    /// Why the unit is lost if nothing more comes.
    var reasonWhenLate: RCOPDropReason { mismatchedBytes > 0 ? .badChecksum : .timedOut }

    func has(_ segment: Int) -> Bool { segments[segment] != nil }

    func has(_ segment: Int, withBytes data: ByteBuffer) -> Bool { segments[segment]?.data == data }

    /// Takes a segment.
    ///
    /// - Parameter unitBytes: the greatest size of a unit.
    mutating func add(
        _ segment: Int, _ data: ByteBuffer, fingerprint: UInt64, unitBytes: Int, now: NIODeadline
    ) -> Outcome {
        if let known = segments[segment] {
            guard known.data != data else { return .duplicate }
            guard case .delimited = end else { return .conflict }
            replacements += 1
            guard replacements <= Self.maximumReplacements else { return .dropped(.badChecksum) }
            dataBytes -= known.data.readableBytes
            if segment < next { bytesBeforeNext += data.readableBytes - known.data.readableBytes }
        }
        // Copied: a slice would keep all that was read from the node together with it.
        segments[segment] = Segment(data: ByteBuffer(bytes: data.readableBytesView), fingerprint: fingerprint)
        dataBytes += data.readableBytes
        lastArrival = now
        guard dataBytes <= unitBytes + RCOPUnitPrefix.severalByteCount else { return .dropped(.tooLarge) }
        switch end {
        case .delimited(var prefix):
            if segment == 0 {
                var first = data
                do throws(RCOPDropReason) {
                    prefix = try RCOPUnitPrefix(reading: &first)
                } catch { return .dropped(error) }
                end = .delimited(prefix)
            }
            return delimitedOutcome(prefix, unitBytes: unitBytes)
        case .xml(var scanner):
            while let segment = segments[next] {
                scanner.scan(segment.data.readableBytesView)
                next += 1
            }
            end = .xml(scanner)
            return xmlOutcome(scanner)
        }
    }

    // MARK: Delimited

    private mutating func delimitedOutcome(_ prefix: RCOPUnitPrefix?, unitBytes: Int) -> Outcome {
        guard let prefix else { return .waiting }
        guard prefix.length <= unitBytes else { return .dropped(.tooLarge) }
        let total = prefix.byteCount + prefix.length
        guard let checksum = prefix.checksum else {
            guard segments[0]?.data.readableBytes == total else { return .dropped(.malformed) }
            next = 1
            return .complete(joined(skipping: prefix.byteCount, total: total))
        }
        // Not beyond the end: what is there may be of another unit that had this number, or of this one before it was
        // cut anew.
        while bytesBeforeNext >= total, next > 1, let last = segments[next - 1] {
            bytesBeforeNext -= last.data.readableBytes
            next -= 1
        }
        while bytesBeforeNext < total, let segment = segments[next] {
            bytesBeforeNext += segment.data.readableBytes
            next += 1
        }
        guard bytesBeforeNext == total else { return .waiting }
        let unit = joined(skipping: prefix.byteCount, total: total)
        if CRC32.of(unit.readableBytesView) == checksum { return .complete(unit) }
        // Those that are wrong may still be replaced.
        mismatchedBytes += max(total, 1)
        return mismatchedBytes > Self.maximumMismatches * unitBytes ? .dropped(.badChecksum) : .waiting
    }

    private func joined(skipping prefix: Int, total: Int) -> ByteBuffer {
        var unit = ByteBuffer()
        unit.reserveCapacity(total)
        for segment in firstSegment..<next {
            if let data = segments[segment]?.data { unit.writeImmutableBuffer(data) }
        }
        unit.moveReaderIndex(forwardBy: prefix)
        return unit
    }

    // MARK: XML

    private func xmlOutcome(_ scanner: XMLDepthScanner) -> Outcome {
        guard !scanner.hasFailed else { return .dropped(.malformed) }
        guard next > firstSegment, scanner.isAtRest, segments.count == next - firstSegment else { return .waiting }
        guard scanner.elements > 0 else { return .dropped(scanner.hasClosingTag ? .closingTag : .empty) }
        return .complete(joined(skipping: 0, total: dataBytes))
    }
}
