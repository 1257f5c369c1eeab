import Blocks
import NIOCore
import TestSupport
import Testing
import XMPP

/// Peers d8: limits on what compressed input may expand to, wherever it expands.
@Suite(.serialized) struct DecompressionBombTests {
    enum Place: String, CaseIterable, Sendable {
        case whitespaceBetweenStanzas, bodyText, attribute, manyStanzas, unfinishedTag

        /// Text that is repeated after `start` to make the bomb.
        var parts: (start: String, repeated: String) {
            let addresses = "to='a@b.example' from='c@d.example'"
            return switch self {
            case .whitespaceBetweenStanzas: ("", String(repeating: " ", count: 4_096))
            case .bodyText: ("<message \(addresses)><body>", String(repeating: "a", count: 4_096))
            case .attribute: ("<message \(addresses) id='", String(repeating: "a", count: 4_096))
            case .manyStanzas: ("", String(repeating: "<presence \(addresses)/>", count: 64))
            case .unfinishedTag: ("<", String(repeating: "a", count: 4_096))
            }
        }
    }

    /// Compresses `megabytes` of the bomb. At level 9 about a thousandth of it remains.
    private func bomb(_ place: Place, megabytes: Int) -> ByteBuffer {
        var deflater = Deflater(level: 9)
        var bytes = ByteBuffer()
        deflater.add(ByteBuffer(string: place.parts.start), into: &bytes)
        let repeated = ByteBuffer(string: place.parts.repeated)
        for _ in 0..<(megabytes << 20) / repeated.readableBytes { deflater.add(repeated, into: &bytes) }
        deflater.flush(into: &bytes)
        return bytes
    }

    @Test(arguments: Place.allCases)
    func `peers d8: a bomb is refused with policy-violation`(place: Place) throws {
        let outcome = explode(place)
        #expect(outcome.failure?.condition == .policyViolation)
        #expect(outcome.compressed < 1 << 20)
        #expect(outcome.expanded < 8 << 20)
    }

    /// In a process of its own: what other tests allocate meanwhile does not count.
    @Test func `peers d8: memory stays flat while bombs are refused`() async {
        await #expect(processExitsWith: .success) {
            for place in Place.allCases {
                let growth = DecompressionBombTests().explode(place).growth
                precondition(growth < 8 << 20, "\(place): grew by \(growth) bytes")
            }
        }
    }

    private struct Outcome {
        var failure: StreamError?
        var compressed: Int
        var expanded: Int
        /// Of the process's resident memory, in bytes.
        var growth: Int
    }

    private func explode(_ place: Place) -> Outcome {
        var bytes = bomb(place, megabytes: 64)
        let compressed = bytes.readableBytes
        let decoder = LinkStreamDecoder(compression: true, limits: .link)
        let before = residentBytes()
        var peak = before
        decoder.read(&bytes)
        var failure: StreamError?
        while let event = decoder.nextEvent() {
            if case .failed(let error) = event { failure = error }
            peak = max(peak, residentBytes())
        }
        return Outcome(
            failure: failure, compressed: compressed, expanded: Int(decoder.byteCounts.expanded), growth: peak - before)
    }

    /// In a process of its own: what other tests allocate meanwhile does not count.
    @Test func `peers d8: without a ratio cap memory is flat all the same`() async {
        await #expect(processExitsWith: .success) {
            let (count, growth) = DecompressionBombTests().drawWithoutRatioCap()
            precondition(count > 300_000 && growth < 8 << 20, "\(count) stanzas, grew by \(growth) bytes")
        }
    }

    private func drawWithoutRatioCap() -> (stanzas: Int, growth: Int) {
        // 16 MB of stanzas that are all drawn: only the piece in hand is ever in memory.
        var bytes = bomb(.manyStanzas, megabytes: 16)
        let limits = InflateLimits(
            maximumRatio: 1 << 20, allowanceBytes: 1 << 30, unfinishedStanzaBytes: 1 << 20, pieceBytes: 16 << 10)
        let decoder = LinkStreamDecoder(compression: true, limits: .link, inflateLimits: limits)
        let before = residentBytes()
        var peak = before
        var count = 0
        decoder.read(&bytes)
        while let event = decoder.nextEvent() {
            guard case .stanza = event else { break }
            count += 1
            if count % 1_000 == 0 { peak = max(peak, residentBytes()) }
        }
        return (count, peak - before)
    }

    @Test func `nothing is inflated before an event is asked for`() {
        var bytes = bomb(.manyStanzas, megabytes: 1)
        let decoder = LinkStreamDecoder(compression: true, limits: .link)
        decoder.read(&bytes)
        #expect(decoder.byteCounts.expanded == 0)
        #expect(decoder.nextEvent() != nil)
        #expect(decoder.byteCounts.expanded <= 16 << 10)
    }

    @Test(arguments: [1, 6, 9] as [Int32])
    func `no user can break the link with text that compresses too well`(level: Int32) throws {
        // The largest message that the bridge takes, all of one letter, again and again: ten times the ratio that is allowed.
        let body = String(repeating: "a", count: 500_000)
        let message = try stanza("<message to='a@b.example' from='c@d.example'><body>\(body)</body></message>")
        let small = traffic(50, seed: 77)
        let encoder = LinkStreamEncoder(compression: .deflate(level: level))
        let decoder = LinkStreamDecoder(compression: true, limits: .link)
        var random = SeededGenerator(seed: 1)
        for round in 0..<15 {
            var bytes = ByteBuffer()
            let batch = [message] + small.prefix(3 * round) + (round % 3 == 0 ? [message, message] : [])
            encoder.encode(batch, into: &bytes)
            let found = events(
                of: decoder, reading: Array(bytes.readableBytesView), largestPiece: 1_400, random: &random)
            #expect(found.stanzas == batch)
            #expect(found.failure == nil)
        }
        let counts = encoder.byteCounts
        #expect(counts.encoded < counts.uncompressed / 100)
    }

    @Test func `ordinary traffic is not padded`() {
        let sent = traffic(2_000, seed: 21)
        let encoder = LinkStreamEncoder(compression: .deflate(level: 6))
        let unlimited = LinkStreamEncoder(
            compression: .deflate(level: 6),
            inflateLimits: InflateLimits(
                maximumRatio: 1 << 20, allowanceBytes: 1 << 40, unfinishedStanzaBytes: 1 << 20, pieceBytes: 1 << 14))
        var bytes = ByteBuffer()
        var reference = ByteBuffer()
        for batch in sent.chunked(by: 64) {
            encoder.encode(batch, into: &bytes)
            unlimited.encode(batch, into: &reference)
        }
        #expect(bytes == reference)
    }
}
