import HFNode
import Testing

@Suite("Rate of a node")
struct RateControlTests {
    private let ladder = RateLadder(.serialTone, interleaver: .short, rates: 75...2_400)

    private func control(_ policy: RatePolicy, start: Int) throws -> RateControl {
        RateControl(policy: policy, ladder: ladder, channelClass: .poor, start: try mode(start))
    }

    private func mode(_ rate: Int) throws -> Waveform {
        try #require(ladder.waveforms.first { $0.bitsPerSecond == rate })
    }

    @Test func `a node without data answers in the mode that it hears`() throws {
        var control = try control(.trinder, start: 300)
        control.burstHeard(try mode(2_400))
        #expect(control.current.bitsPerSecond == 2_400)
        control.burstHeard(try mode(75))
        #expect(control.current.bitsPerSecond == 75)
    }

    @Test func `a node with data goes by what becomes of them, for some bursts`() throws {
        var control = try control(.trinder, start: 300)
        control.burstAssessed(.init(framesSent: 10, framesLost: 0, estimatedSNR: nil))
        #expect(control.current.bitsPerSecond == 600)
        for _ in 0..<3 {
            control.burstHeard(try mode(75))
            #expect(control.current.bitsPerSecond == 600)
        }
        control.burstHeard(try mode(75))
        #expect(control.current.bitsPerSecond == 75)
    }

    @Test func `calls become more robust, and the next link begins where all do`() throws {
        var control = try control(.snr(margin: 3), start: 300)
        control.callFailed()
        #expect(control.current.bitsPerSecond == 150)
        control.callFailed()
        control.callFailed()
        #expect(control.current.bitsPerSecond == 75)
        control.burstAssessed(.init(framesSent: 10, framesLost: 0, estimatedSNR: 60))
        #expect(control.current.bitsPerSecond == 2_400)
        control.linkEnded()
        #expect(control.current.bitsPerSecond == 300)
    }

    @Test func `without a policy nothing changes, and foreign modes are not taken over`() throws {
        var fixed = try control(.off, start: 300)
        fixed.burstHeard(try mode(75))
        fixed.callFailed()
        fixed.burstAssessed(.init(framesSent: 10, framesLost: 10, estimatedSNR: nil))
        #expect(fixed.current.bitsPerSecond == 300)
        var control = try control(.trinder, start: 300)
        control.burstHeard(try #require(Waveform(.serialTone, bitsPerSecond: 600, interleaver: .long)))
        #expect(control.current.bitsPerSecond == 300)
    }
}
