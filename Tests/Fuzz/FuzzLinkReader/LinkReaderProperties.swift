import Blocks
import NIOCore
import TestSupport
import XMPP

/// What must hold of the reader of a XEP-0361 link for any input whatever, plain or compressed.
///
/// The first byte chooses: bit 0 whether the rest is read as compressed bytes, bit 1 whether it is compressed first, so that
/// the fuzzer reaches the XML behind a sound DEFLATE stream; the second byte seeds the split.
enum LinkReaderProperties {
    private static let limits = InflateLimits(
        maximumRatio: 100, allowanceBytes: 1 << 20, unfinishedStanzaBytes: 1 << 20, pieceBytes: 4_096)

    /// Checks all of them on one input.
    ///
    /// - Returns: what does not hold, or nil.
    static func violation(in input: [UInt8]) -> String? {
        guard input.count >= 2 else { return nil }
        let isCompressed = input[0] & 1 == 1
        var bytes = Array(input[2...])
        if isCompressed, input[0] & 2 == 2 {
            var deflater = Deflater(level: 1)
            var compressed = ByteBuffer()
            deflater.add(ByteBuffer(bytes: bytes), into: &compressed)
            deflater.flush(into: &compressed)
            bytes = Array(compressed.readableBytesView)
        }
        let whole = LinkStreamDecoder(compression: isCompressed, limits: .link, inflateLimits: limits)
        var stanzas: [Stanza] = []
        if let violation = read([bytes[...]], by: whole, into: &stanzas) { return violation }
        let split = LinkStreamDecoder(compression: isCompressed, limits: .link, inflateLimits: limits)
        var random = SeededGenerator(seed: UInt64(input[1]))
        var again: [Stanza] = []
        if let violation = read(random.pieces(of: bytes, largest: 40), by: split, into: &again) { return violation }
        if again != stanzas { return "the split changes what is read" }
        return fixedPointViolation(stanzas)
    }

    private static func read(
        _ pieces: [ArraySlice<UInt8>], by decoder: LinkStreamDecoder, into stanzas: inout [Stanza]
    ) -> String? {
        var isOver = false
        var received = 0
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            received += piece.count
            decoder.read(&buffer)
            if buffer.readableBytes > 0 { return "bytes were left unread" }
            while let event = decoder.nextEvent() {
                if isOver { return "an event after the last" }
                switch event {
                case .stanza(let stanza): stanzas.append(stanza)
                case .oversize: break
                case .opened: return "a header on a link that has none"
                case .closed, .failed: isOver = true
                }
            }
            // The piece in which the limit is met may go over it.
            let most = limits.allowanceBytes + limits.maximumRatio * received + limits.pieceBytes
            if decoder.byteCounts.expanded > UInt64(most) { return "more was expanded than the limits allow" }
        }
        return nil
    }

    /// What was read is written, compressed, and read again: the stanzas must be the same.
    private static func fixedPointViolation(_ stanzas: [Stanza]) -> String? {
        guard !stanzas.isEmpty else { return nil }
        let encoder = LinkStreamEncoder(compression: .deflate(level: 1), inflateLimits: limits)
        var bytes = ByteBuffer()
        encoder.encode(stanzas, into: &bytes)
        encoder.encodeClose(into: &bytes)
        let decoder = LinkStreamDecoder(compression: true, limits: .link, inflateLimits: limits)
        var again: [Stanza] = []
        if let violation = read([Array(bytes.readableBytesView)[...]], by: decoder, into: &again) { return violation }
        return again == stanzas ? nil : "a stanza read back differs from the one written"
    }
}
