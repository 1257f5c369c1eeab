import Glibc
import HFNode
import NIOCore
import STANAG5066
import Testing

/// Row V3 of the validation for white noise, from the outside: D_PDUs of real bursts through a ``RadioChannel``, counted.
@Suite("Frames at the threshold of white noise")
struct FrameFateTests {
    /// A mode, the SNR at which its coded bit error rate is 1e-5 on white noise, and how much better the modem is than that.
    struct Mode: Sendable, CustomTestStringConvertible {
        var family: WaveformFamily
        var rate: Int
        var interleaver: Interleaver
        /// As published, in dB: for 4539 and 110A in a study of rate change (GitHub, VascoSequeira/drc-algorithms), for 110D the
        /// limits of MIL-STD-188-110D Appendix D. Written down again, and not read from the tables that the model goes by.
        var threshold: Double
        var advantage = 0.0
        var testDescription: String { "\(family.name) \(rate) \(interleaver.symbol)" }
    }

    private static let modes = [
        Mode(family: .stanag4539, rate: 75, interleaver: .long, threshold: -6.75),
        Mode(family: .serialTone, rate: 300, interleaver: .short, threshold: -1.5),
        Mode(family: .serialTone, rate: 1_200, interleaver: .none, threshold: 5.25),
        Mode(family: .stanag4539, rate: 2_400, interleaver: .short, threshold: 10.75),
        Mode(family: .stanag4539, rate: 4_800, interleaver: .ultraShort, threshold: 12.29),
        Mode(family: .stanag4539, rate: 9_600, interleaver: .veryLong, threshold: 20.48),
        Mode(family: .wideband(.twentyFour), rate: 76_800, interleaver: .medium, threshold: 21, advantage: 2),
    ]

    private struct Count {
        var bursts = 0
        var heard = 0
        var intact = 0
        var headers = 0
        var lost = 0
        var frames: Int { intact + headers + lost }
    }

    /// A burst full of frames of 200 bytes, as a node sends it.
    private static func burst(_ timing: TransmissionTiming) throws -> Burst {
        let run = PairRun(timing, channel: ClearBurstChannel())
        for _ in 0..<16 { run.send(.first, size: 1_996) }
        run.run(for: .minutes(20)) { run.bursts.contains { $0.side == .first && $0.burst.byteCount > 100 } }
        return try #require(run.bursts.first { $0.side == .first && $0.burst.byteCount > 100 }).burst
    }

    private static func count(_ burst: Burst, _ waveform: Waveform, at decibels: Double) -> Count {
        let configuration = ChannelConfiguration(mode: .fading, meanSNR: .constant(decibels))
        var channel = RadioChannel(
            forward: configuration, reverse: configuration, seed: 7, origin: .uptimeNanoseconds(0),
            modes: [burst.timing: waveform])
        var count = Count()
        while count.bursts * burst.elements.count < 8_000 {
            count.bursts += 1
            let fate = channel.fate(of: burst, from: .first, at: .uptimeNanoseconds(0) + .minutes(Int64(3 * count.bursts)))
            guard fate.isHeard else { continue }
            count.heard += 1
            for element in fate.elements {
                switch element {
                case .intact: count.intact += 1
                case .segmentDamaged: count.headers += 1
                case .lost: count.lost += 1
                }
            }
        }
        return count
    }

    /// One decade of bit errors for each dB, 1e-5 at the threshold; a frame needs its header, and then its segment.
    @Test(arguments: modes) func `frames fare as the bit error rate says, at the threshold and around it`(_ mode: Mode) throws {
        let waveform = try #require(Waveform(mode.family, bitsPerSecond: mode.rate, interleaver: mode.interleaver))
        let burst = try Self.burst(waveform.timing())
        // 18 bytes of header, 200 of segment and 4 of its checksum.
        #expect(burst.elements.allSatisfy { $0.headerBytes == 18 && $0.bytes.readableBytes == 222 })
        for decibels in [-1.0, 0, 1] {
            let count = Self.count(burst, waveform, at: mode.threshold - mode.advantage + decibels)
            let bitErrors = 1e-5 * pow(10, -decibels)
            let (header, segment) = (pow(1 - bitErrors, 144), pow(1 - bitErrors, 1_632))
            func check(_ what: String, _ found: Int, of all: Int, _ expected: Double) {
                // Four standard deviations, and one frame where hardly any is expected.
                let allowed = 4 * (Double(all) * expected * (1 - expected)).squareRoot() + 1
                #expect(
                    abs(Double(found) - Double(all) * expected) <= allowed,
                    "\(what) at \(decibels) dB: \(found) of \(all), expected \(Double(all) * expected)")
            }
            check("lost", count.lost, of: count.frames, 1 - header)
            check("header alone", count.headers, of: count.frames, header * (1 - segment))
            check("intact", count.intact, of: count.frames, header * segment)
            // A preamble is found by half 4 dB below the threshold, and by more with each dB.
            check("heard", count.heard, of: count.bursts, 1 / (1 + exp(-(decibels + 4))))
        }
    }

    /// As one would measure it: the SNR at which the frames that arrive stand for a bit error rate of 1e-5.
    @Test(arguments: modes) func `the threshold that frames show is within half a dB of the published one`(_ mode: Mode) throws {
        let waveform = try #require(Waveform(mode.family, bitsPerSecond: mode.rate, interleaver: mode.interleaver))
        let burst = try Self.burst(waveform.timing())
        // A straight line through the decades of the bit error rate at three points.
        let points = [-1.0, 0, 1].map { decibels in
            let count = Self.count(burst, waveform, at: mode.threshold - mode.advantage + decibels)
            let rate = -log(Double(count.intact) / Double(count.frames)) / Double(8 * 222)
            return (decibels, log10(rate) + 5)
        }
        let slope = (points[2].1 - points[0].1) / 2
        let mean = points.map(\.1).reduce(0, +) / 3
        #expect((-1.3...(-0.7)).contains(slope), "\(slope) decades to the dB")
        #expect(abs(-mean / slope) < 0.5, "off by \(-mean / slope) dB")
    }
}
