import HFNode
import Testing

@Suite("Rate policies")
struct RatePolicyTests {
    private let ladder = RateLadder(.stanag4539, interleaver: .long, rates: 75...9_600)

    private func mode(_ rate: Int) throws -> Waveform {
        try #require(ladder.waveforms.first { $0.bitsPerSecond == rate })
    }

    private func next(_ policy: RatePolicy, _ rate: Int, lost: Int, of sent: Int = 1_000, snr: Double? = nil) throws
        -> Int
    {
        policy.next(
            after: try mode(rate), .init(framesSent: sent, framesLost: lost, estimatedSNR: snr), in: ladder,
            channelClass: .poor
        ).bitsPerSecond
    }

    @Test func `a ladder has each rate with the nearest interleaver`() {
        #expect(
            ladder.waveforms.map(\.bitsPerSecond) == [
                75, 150, 300, 600, 1_200, 2_400, 3_200, 4_800, 6_400, 8_000, 9_600
            ])
        #expect(ladder.waveforms.allSatisfy { $0.interleaver == .long })
        let short = RateLadder(.stanag4539, interleaver: .veryShort, rates: 1_200...4_800)
        #expect(short.waveforms.map(\.description) == ["4539 1200S", "4539 2400S", "4539 3200VS", "4539 4800VS"])
        let medium = RateLadder(.stanag4539, interleaver: .medium, rates: 2_400...3_200)
        #expect(medium.waveforms.map(\.description) == ["4539 2400L", "4539 3200M"])
        #expect(RateLadder(.stanag4529, interleaver: .long, rates: 75...1_200).waveforms.isEmpty)
        #expect(RateLadder(.stanag4539, interleaver: .none, rates: 75...12_800).waveforms.last?.bitsPerSecond == 9_600)
    }

    @Test func `off changes nothing`() throws {
        #expect(try next(.off, 600, lost: 1_000) == 600)
        #expect(try next(.off, 600, lost: 0, snr: 50) == 600)
    }

    @Test(arguments: [
        // Rate, the most lost frames of 1000 that keep it, the next rate below.
        (150, 500, 75), (4_800, 500, 3_200), (6_400, 350, 4_800), (8_000, 150, 6_400), (9_600, 50, 8_000),
        (2_400, 500, 1_200)
    ])
    func `trinder goes down above its limit`(rate: Int, limit: Int, below: Int) throws {
        #expect(try next(.trinder, rate, lost: limit) == rate)
        #expect(try next(.trinder, rate, lost: limit + 1) == below)
        #expect(try next(.trinder, rate, lost: 1_000) == below)
    }

    @Test(arguments: [
        (75, 200, 150), (600, 200, 1_200), (1_200, 200, 3_200), (2_400, 100, 3_200), (3_200, 100, 4_800),
        (4_800, 50, 6_400),
        (6_400, 50, 8_000), (8_000, 20, 9_600)
    ])
    func `trinder goes up below its limit, past 2400`(rate: Int, limit: Int, above: Int) throws {
        #expect(try next(.trinder, rate, lost: limit) == rate)
        #expect(try next(.trinder, rate, lost: limit - 1) == above)
    }

    @Test func `trinder stays within the ladder and without evidence where it is`() throws {
        #expect(try next(.trinder, 75, lost: 1_000) == 75)
        #expect(try next(.trinder, 9_600, lost: 0) == 9_600)
        #expect(try next(.trinder, 600, lost: 0, of: 0) == 600)
        // Where 2400 is the top it is used.
        let serial = RateLadder(.serialTone, interleaver: .short, rates: 75...2_400)
        let top = RatePolicy.trinder.next(
            after: serial.waveforms[4], .init(framesSent: 10, framesLost: 0, estimatedSNR: nil), in: serial,
            channelClass: .poor)
        #expect(top.bitsPerSecond == 2_400)
    }

    @Test(arguments: [
        (-10.0, 75), (0.4, 75), (0.6, 75), (2.1, 150), (4, 300), (10.2, 600), (13.1, 1_200), (22.8, 4_800), (60, 9_600)
    ])
    func `snr takes the highest rate that the signal carries with a margin`(decibels: Double, rate: Int) throws {
        #expect(try next(.snr(margin: 3), 1_200, lost: 0, snr: decibels) == rate)
    }

    @Test func `snr goes a step down when nobody answers, and stays when nothing was sent`() throws {
        #expect(try next(.snr(margin: 3), 1_200, lost: 1_000) == 600)
        #expect(try next(.snr(margin: 3), 1_200, lost: 100) == 1_200)
        #expect(try next(.snr(margin: 3), 1_200, lost: 0, of: 0) == 1_200)
    }

    @Test func `wideband rates go by their modulation`() throws {
        let wide = RateLadder(.wideband(.fortyEight), interleaver: .long, rates: 0...240_000)
        let tenth = try #require(wide.waveforms.first { $0.waveformNumber == 10 })
        func after(lost: Int) -> Int? {
            RatePolicy.trinder.next(
                after: tenth, .init(framesSent: 100, framesLost: lost, estimatedSNR: nil), in: wide, channelClass: .poor
            ).waveformNumber
        }
        #expect(after(lost: 1) == 11)
        #expect(after(lost: 4) == 10)
        #expect(after(lost: 6) == 9)
    }
}
