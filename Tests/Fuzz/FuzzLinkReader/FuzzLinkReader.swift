import Blocks
import NIOCore
import XMPP

/// libFuzzer's entry for the reader of a XEP-0361 link, plain and compressed.
///
/// The first byte chooses: bit 0 whether the rest is read as compressed bytes as it stands, bit 1 whether it is compressed
/// first, so that the fuzzer reaches the XML behind a sound DEFLATE stream; the other bits give the size of the pieces.
/// Whatever comes in, nothing may trap; events end with the first failure or close; memory and work are bounded; and each
/// stanza that was read is written as bytes that read as the same stanza.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLinkReader(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start = unsafe start, count > 0 else { return 0 }
    let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    let choice = input[0]
    var bytes = ByteBuffer(bytes: input.dropFirst())
    let isCompressed = choice & 1 == 1
    if isCompressed, choice & 2 == 2 {
        var deflater = Deflater(level: 1)
        var compressed = ByteBuffer()
        deflater.add(bytes, into: &compressed)
        deflater.flush(into: &compressed)
        bytes = compressed
    }
    let received = bytes.readableBytes
    let piece = [1, 2, 3, 7, 16, 64, 1_000, .max][Int(choice >> 2) & 7]
    let limits = InflateLimits(
        maximumRatio: 100, allowanceBytes: 1 << 20, unfinishedStanzaBytes: 1 << 20, pieceBytes: 4_096)
    let decoder = LinkStreamDecoder(compression: isCompressed, limits: .link, inflateLimits: limits)
    let stanzas = LinkReading.drain(decoder, &bytes, piece: piece)
    precondition(decoder.byteCounts.received == UInt64(received), "bytes were not all taken")
    precondition(
        decoder.byteCounts.expanded <= UInt64(limits.allowanceBytes + limits.maximumRatio * received + limits.pieceBytes),
        "more was expanded than the limits allow")
    LinkReading.checkFixedPoint(stanzas)
    return 0
}

enum LinkReading {
    /// Reads everything and returns the stanzas.
    static func drain(_ decoder: LinkStreamDecoder, _ bytes: inout ByteBuffer, piece: Int) -> [Stanza] {
        var stanzas: [Stanza] = []
        var isOver = false
        while bytes.readableBytes > 0 {
            guard var part = bytes.readSlice(length: min(piece, bytes.readableBytes)) else { break }
            decoder.read(&part)
            while let event = decoder.nextEvent() {
                precondition(!isOver, "an event after the last")
                switch event {
                case .stanza(let stanza): stanzas.append(stanza)
                case .oversize: break
                case .opened: preconditionFailure("a header on a link that has none")
                case .closed, .failed: isOver = true
                }
            }
        }
        return stanzas
    }

    /// What was read is written and read again, compressed this time: the stanzas must be the same.
    static func checkFixedPoint(_ stanzas: [Stanza]) {
        guard !stanzas.isEmpty else { return }
        let encoder = LinkStreamEncoder(compression: .deflate(level: 1))
        var bytes = ByteBuffer()
        encoder.encode(stanzas, into: &bytes)
        encoder.encodeClose(into: &bytes)
        let decoder = LinkStreamDecoder(compression: true, limits: .link)
        let again = drain(decoder, &bytes, piece: .max)
        precondition(again == stanzas, "a stanza read back differs from the one written")
    }
}
