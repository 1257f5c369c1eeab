import HFNode
import NIOCore
import Testing

struct TransmissionTimingTests {
    /// MIL-STD-188-110A, short interleaver.
    private func short(_ rate: Int) -> TransmissionTiming {
        TransmissionTiming(bitsPerSecond: rate, interleaver: .milliseconds(600), preamble: .milliseconds(600), tailBits: 176)
    }

    @Test func `data fill whole interleaver blocks`() {
        let timing = short(1200)
        #expect(timing.blocks(bytes: 0) == 1)
        // 720 bits a block, 176 of them the tail of the last one.
        #expect(timing.blocks(bytes: 68) == 1)
        #expect(timing.blocks(bytes: 69) == 2)
        #expect(timing.duration(bytes: 69) == .milliseconds(200 + 600 + 1200))
        #expect(timing.dataDuration(bytes: 69) == .milliseconds(1200))
    }

    @Test(arguments: [75, 300, 1200, 2400, 9600, 240_000]) func `capacity is the most that fits`(rate: Int) {
        for line in [TransmissionTiming.ModemLine.packet, .synchronous] {
            for interleaver in [0, 120, 600, 1076, 4800, 8610] {
                let timing = TransmissionTiming(
                    bitsPerSecond: rate, interleaver: .milliseconds(Int64(interleaver)), preamble: .milliseconds(600),
                    tailBits: 32, line: line)
                let limit = TimeAmount.milliseconds(127_500)
                let bytes = timing.capacity(within: limit)
                #expect(timing.dataDuration(bytes: bytes) <= limit)
                #expect(timing.dataDuration(bytes: bytes + 1) > limit)
            }
        }
        #expect(short(75).capacity(within: .milliseconds(500)) == 0)
    }

    @Test func `what ends in a block can be read after the block and the decoding delay`() {
        let timing = short(1200)
        // 90 bytes a block.
        #expect(timing.availability(afterBytes: 90) == .milliseconds(200 + 600 + 600 + 100))
        #expect(timing.availability(afterBytes: 91) == .milliseconds(200 + 600 + 1200 + 100))
        #expect(timing.durationUntilRead(bytes: 91) == .milliseconds(200 + 600 + 1200 + 100))
        var synchronous = timing
        synchronous.line = .synchronous
        synchronous.interleaver = .milliseconds(4800)
        // The preamble covers 0.6 s of the 4.8 s that the modem waits for its first block; the last comes out 4.8 s
        // later.
        #expect(synchronous.leadIn == .milliseconds(4200))
        #expect(synchronous.availability(afterBytes: 1) == .milliseconds(200 + 600 + 4200 + 4800 + 4800 + 100))
        #expect(synchronous.duration(bytes: 1) == .milliseconds(200 + 600 + 4200 + 4800))
    }

    @Test func `a modem without interleaver rounds nothing`() {
        let timing = TransmissionTiming(
            bitsPerSecond: 1000, interleaver: .zero, preamble: .zero, keyUp: .zero, decode: .zero, tailBits: 0)
        #expect(timing.dataDuration(bytes: 125) == .seconds(1))
        #expect(timing.availability(afterBytes: 125) == .seconds(1))
        #expect(timing.capacity(within: .seconds(2)) == 250)
    }

    @Test func `the end of transmission is in half-seconds, rounded up`() {
        let timing = short(1200)
        #expect(timing.endOfTransmission(offset: 0, total: .milliseconds(1200)) == 3)
        #expect(timing.endOfTransmission(offset: 30, total: .milliseconds(1200)) == 2)
        #expect(timing.endOfTransmission(offset: 180, total: .milliseconds(1200)) == 0)
        #expect(timing.endOfTransmission(offset: 0, total: .seconds(127)) == 254)
        #expect(timing.endOfTransmission(offset: 0, total: .minutes(10)) == 255)
    }
}
