import HFNode
import NIOCore
import Testing

@Suite("Waveforms")
struct WaveformTests {
    private static func waveform(_ family: WaveformFamily, _ rate: Int, _ interleaver: Interleaver) throws -> Waveform {
        try #require(Waveform(family, bitsPerSecond: rate, interleaver: interleaver))
    }

    /// One line of the published tables.
    struct Line: Sendable, CustomTestStringConvertible {
        var family: WaveformFamily
        var rate: Int
        var interleaver: Interleaver
        /// Milliseconds.
        var block: Double
        var preamble: Double
        var tail: Int

        init(
            _ family: WaveformFamily, _ rate: Int, _ interleaver: Interleaver, _ block: Double, _ preamble: Double,
            _ tail: Int
        ) {
            (self.family, self.rate, self.interleaver) = (family, rate, interleaver)
            (self.block, self.preamble, self.tail) = (block, preamble, tail)
        }

        var testDescription: String { "\(family.name) \(rate)\(interleaver.symbol)" }
    }

    static let lines = [
        Line(.serialTone, 75, .short, 600, 600, 176), Line(.serialTone, 2_400, .long, 4_800, 4_800, 176),
        Line(.serialTone, 1_200, .none, 0, 600, 176), Line(.stanag4539, 300, .long, 4_800, 4_800, 176),
        Line(.stanag4539, 9_600, .ultraShort, 119.6, 273.4, 32), Line(.stanag4539, 3_200, .veryShort, 358.8, 273.4, 32),
        Line(.stanag4539, 9_600, .short, 1_076.3, 273.4, 32), Line(.stanag4539, 6_400, .medium, 2_152.5, 273.4, 32),
        Line(.stanag4539, 9_600, .long, 4_305, 273.4, 32), Line(.stanag4539, 8_000, .veryLong, 8_610, 273.4, 32),
        Line(.wideband(.narrow), 75, .short, 533.3, 240, 32), Line(.wideband(.narrow), 300, .ultraShort, 160, 240, 32),
        Line(.wideband(.narrow), 600, .medium, 1_706.7, 240, 32),
        Line(.wideband(.narrow), 2_400, .long, 7_680, 240, 32),
        Line(.wideband(.twentyFour), 76_800, .medium, 1_920, 240, 32),
        Line(.wideband(.fortyEight), 48_000, .long, 7_680, 240, 32),
        Line(.wideband(.twelve), 64_000, .long, 10_240, 240, 32),
        Line(.stanag4285, 300, .long, 10_240, 0, 32), Line(.stanag4529, 300, .long, 20_480, 0, 32)
    ]

    @Test(arguments: lines)
    func `lengths are those of the tables`(line: Line) throws {
        let waveform = try Self.waveform(line.family, line.rate, line.interleaver)
        let timing = waveform.timing()
        #expect(abs(Double(timing.interleaver.nanoseconds) / 1e6 - line.block) < 0.06)
        #expect(abs(Double(timing.preamble.nanoseconds) / 1e6 - line.preamble) < 0.06)
        #expect(timing.tailBits == line.tail)
        #expect(timing.bitsPerSecond == line.rate)
    }

    @Test func `every mode of the catalogue can be had, and no other`() {
        var count = 0
        for family in WaveformFamily.all {
            #expect(family.rates == family.rates.sorted())
            #expect(Set(family.rates).count == family.rates.count)
            for rate in family.rates + [0, 1, 12_345, Int.max] {
                for interleaver in Interleaver.allCases {
                    let waveform = Waveform(family, bitsPerSecond: rate, interleaver: interleaver)
                    #expect((waveform != nil) == family.interleavers(at: rate).contains(interleaver))
                    guard let waveform else { continue }
                    count += 1
                    #expect((waveform.blockDuration == .zero) == (interleaver == .none))
                    #expect(waveform.kappa > 0)
                    if let thresholds = waveform.thresholds {
                        #expect(thresholds.awgn < thresholds.decibels(for: .poor))
                        #expect(thresholds.decibels(for: .poor) <= thresholds.decibels(for: .good))
                    }
                }
            }
        }
        #expect(count == 18 + (18 + 31) + (14 * 4 - 1) + 3 * (13 * 4 - 1) + 12 + 10)
    }

    @Test func `longer interleavers are longer`() throws {
        for family in WaveformFamily.all {
            for rate in family.rates {
                let lengths = family.interleavers(at: rate).compactMap {
                    Waveform(family, bitsPerSecond: rate, interleaver: $0)?.blockDuration
                }
                #expect(lengths == lengths.sorted())
                #expect(Set(lengths).count == lengths.count)
            }
        }
    }

    @Test func `wideband modes keep their narrowband rate`() throws {
        #expect(try Self.waveform(.wideband(.twentyFour), 76_800, .medium).waveformNumber == 10)
        #expect(try Self.waveform(.wideband(.twentyFour), 76_800, .medium).narrowbandRate == 9_600)
        #expect(try Self.waveform(.wideband(.fortyEight), 48_000, .long).waveformNumber == 6)
        #expect(try Self.waveform(.wideband(.fortyEight), 48_000, .long).narrowbandRate == 3_200)
        #expect(try Self.waveform(.stanag4539, 4_800, .long).narrowbandRate == 4_800)
    }

    @Test func `modems of 110D do better than their acceptance limits`() throws {
        #expect(try Self.waveform(.wideband(.narrow), 9_600, .long).requiredSNR(.poor) == 29)
        #expect(try Self.waveform(.stanag4539, 9_600, .veryLong).requiredSNR(.poor) == 29.75)
        #expect(try Self.waveform(.stanag4529, 1_200, .long).requiredSNR(.poor) == nil)
    }

    @Test func `bits of a block`() throws {
        #expect(try Self.waveform(.serialTone, 75, .short).bitsPerBlock == 45)
        #expect(try Self.waveform(.serialTone, 2_400, .long).bitsPerBlock == 11_520)
        #expect(try Self.waveform(.stanag4539, 9_600, .ultraShort).bitsPerBlock == 1_148)
        #expect(try Self.waveform(.serialTone, 1_200, .none).bitsPerBlock == 0)
    }
}
