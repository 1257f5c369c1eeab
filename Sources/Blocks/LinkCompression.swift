/// How the bytes of a link are compressed. Both sides must be configured alike: nothing on the wire announces it.
package enum LinkCompression: Equatable, Sendable {
    /// One raw DEFLATE stream (RFC 1951) per direction and connection, flushed at the end of each batch.
    ///
    /// `level` is zlib's, 1 to 9; `memoryLevel` likewise; see ``Deflater``.
    case deflate(level: Int32, memoryLevel: Int32 = 8)
}

/// What a compressed link may expand to (XSF notice of 2014 on compression bombs; XEP-0361 itself knows no compression).
///
/// Memory does not depend on these limits, since the decoder inflates into a small fixed buffer; they bound the work that a
/// byte on the wire can cause. Both directions of Skywave count in the same way, and the encoder pads its output before it
/// would break the limit, so that no user can kill a link by sending text that compresses too well.
package struct InflateLimits: Equatable, Sendable {
    /// Bytes out per byte in, in the long run. Real traffic stays below 50; DEFLATE itself cannot exceed 1032.
    package var maximumRatio: Int
    /// Bytes that may come out without regard to the ratio; used allowance is earned back by input. Must be more than twice
    /// the largest stanza, so that one stanza of any content fits.
    package var allowanceBytes: Int
    /// Bytes out that may be spent on one stanza that is not finished, kept or skipped.
    package var unfinishedStanzaBytes: Int
    /// Size of the buffer that is inflated into, in bytes.
    package var pieceBytes: Int

    package static let standard = InflateLimits(
        maximumRatio: 200, allowanceBytes: 2 << 20, unfinishedStanzaBytes: 4 << 20, pieceBytes: 16 << 10)

    package init(maximumRatio: Int, allowanceBytes: Int, unfinishedStanzaBytes: Int, pieceBytes: Int) {
        self.maximumRatio = max(1, maximumRatio)
        self.allowanceBytes = max(1, allowanceBytes)
        self.unfinishedStanzaBytes = max(1, unfinishedStanzaBytes)
        self.pieceBytes = max(64, pieceBytes)
    }
}

/// The account of expanded bytes: earned by compressed input, spent by output.
struct ExpansionAllowance: Equatable {
    private let limits: InflateLimits
    private(set) var bytes: Int

    init(limits: InflateLimits) {
        self.limits = limits
        bytes = limits.allowanceBytes
    }

    mutating func earn(compressedBytes: Int) {
        let earned = compressedBytes.multipliedReportingOverflow(by: limits.maximumRatio)
        let sum = bytes.addingReportingOverflow(earned.partialValue)
        bytes = earned.overflow || sum.overflow ? limits.allowanceBytes : min(sum.partialValue, limits.allowanceBytes)
    }

    mutating func spend(expandedBytes: Int) {
        bytes -= expandedBytes
    }

    /// True when more came out than the input that came with it pays for.
    var isOverdrawn: Bool { bytes < 0 }

    /// How many compressed bytes must be added until `expandedBytes` can be spent with the allowance staying positive;
    /// at most what fills the allowance.
    func compressedBytesNeeded(forExpandedBytes expandedBytes: Int) -> Int {
        let target = min(expandedBytes, limits.allowanceBytes)
        guard bytes < target else { return 0 }
        return (target - bytes + limits.maximumRatio - 1) / limits.maximumRatio
    }
}
