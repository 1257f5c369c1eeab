/// Where a D_PDU lies in the bits of a burst. Bit 0 is the first behind the preamble.
package struct DPDUExtent: Hashable, Sendable {
    /// Synchronisation and header, up to the header's CRC and with it.
    package var header: Range<Int>
    /// Segment and its CRC; nil for a D_PDU without a segment.
    package var segment: Range<Int>?

    package init(header: Range<Int>, segment: Range<Int>?) {
        self.header = header
        self.segment = segment
    }

    /// - Parameters:
    ///   - offset: bytes of the burst before this D_PDU.
    ///   - headerBytes: with the two bytes of synchronisation and the header's CRC.
    ///   - segmentBytes: with the segment's CRC; 0 without a segment.
    package init(offset: Int, headerBytes: Int, segmentBytes: Int) {
        let middle = 8 * (offset + headerBytes)
        header = 8 * offset..<middle
        segment = segmentBytes == 0 ? nil : middle..<middle + 8 * segmentBytes
    }
}

/// What became of a D_PDU on the air.
package enum DPDUFate: Hashable, Sendable {
    /// Not recognised: nothing of it counts.
    case lost
    /// The header can be read and its CRC is right, the segment's is not. The header counts (STANAG 5066 §C.3.2).
    case headerOnly
    case intact
}

/// What a receiver got of a burst.
package struct BurstReception: Hashable, Sendable {
    /// Whether its modem found the burst at all. If not, every D_PDU is lost.
    package var isHeard: Bool
    /// In the order in which the D_PDUs were given.
    package var dpdus: [DPDUFate]
    /// What the modem says of the signal, in dB: the mean over the burst, and an error of 1 dB (standard deviation).
    /// ``cableSNR`` on a clean channel, at least ``darkSNR``; nil for a burst that was not heard.
    package var estimatedSNR: Double?

    package static let cableSNR = 60.0
    package static let darkSNR = -30.0
}
