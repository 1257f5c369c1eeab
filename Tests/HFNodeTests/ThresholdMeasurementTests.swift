import HFNode
import NIOCore
import Testing

/// Row V3 of the validation: the model against the published thresholds (Tables A and B).
@Suite("Thresholds of the channel model")
struct ThresholdMeasurementTests {
    // One run for all tests: an hour each, five of each channel.
    private static let measurement = ThresholdMeasurement(seconds: 3_600, runs: 5, seed: 5_066)

    @Test(arguments: ThresholdMeasurement.waveforms)
    func `measured thresholds are near the published ones`(waveform: Waveform) throws {
        let row = try #require(Self.measurement.row(waveform))
        #expect(row.disagreement == nil, "\(row.measured)")
        #expect((row.measured.poor == nil) == (row.published.poor == nil))
        #expect((row.measured.good == nil) == (row.published.good == nil))
    }

    @Test func `disagreement is told`() throws {
        let waveform = try #require(Waveform(.stanag4539, bitsPerSecond: 4_800, interleaver: .veryLong))
        func told(_ awgn: Double, _ poor: Double?, _ good: Double?) throws -> String? {
            let published = try #require(waveform.thresholds)
            return ThresholdMeasurement.Row(
                waveform: waveform, measured: SNRThresholds(awgn: awgn, poor: poor, good: good), published: published
            ).disagreement
        }
        #expect(try told(12.7, 20.6, 22) == nil)
        #expect(try told(12.9, 19.75, 25) == "AWGN is off")
        #expect(try told(12.29, 18.7, 25) == "Poor is off")
        #expect(try told(12.29, 19.75, 28.8) == "Good is off")
        #expect(try told(12.29, 19.75, 19.7) == "Good is off")
        let high = try #require(Waveform(.stanag4539, bitsPerSecond: 9_600, interleaver: .veryLong))
        let row = ThresholdMeasurement.Row(
            waveform: high, measured: SNRThresholds(awgn: 20.48, poor: 29.75, good: 29.7),
            published: try #require(high.thresholds))
        #expect(row.disagreement == "Good is not harder than Poor")
    }

    @Test func `both published tables are measured`() {
        #expect(ThresholdMeasurement.waveforms.count == 25)
        #expect(ThresholdMeasurement.waveforms.filter { $0.thresholds?.good != nil }.count == 11)
        #expect(ThresholdMeasurement.waveforms.filter { $0.thresholds?.poor == nil }.count == 2)
    }

    @Test func `a short interleaver costs several dB on fading channels`() throws {
        let long = try #require(Waveform(.serialTone, bitsPerSecond: 1_200, interleaver: .long))
        let short = try #require(Waveform(.serialTone, bitsPerSecond: 1_200, interleaver: .short))
        let cost =
            try #require(Self.measurement.row(short)?.measured.poor)
            - #require(Self.measurement.row(long)?.measured.poor)
        // The predicted figure is 7.8 dB in a long run; published advice says "large".
        #expect((5...10).contains(cost), "\(cost) dB")
    }

    @Test func `the model itself agrees with the measurement`() throws {
        let waveform = try #require(Waveform(.serialTone, bitsPerSecond: 600, interleaver: .long))
        var model = ChannelModel(
            ChannelConfiguration(mode: .fading, fading: .middleDisturbed, meanSNR: .constant(5.6)), seed: 3,
            direction: .forward, origin: .uptimeNanoseconds(0))
        let blocks = 400
        var rates: [Double] = []
        for block in 0..<blocks {
            rates.append(model.bitErrorRate(from: Double(block) * 4.8, to: Double(block + 1) * 4.8, waveform))
        }
        // The rates of blocks spread over decades, so their number beyond 1e-5 is compared: 43.7 % in a run of 40 000 s
        // with another implementation.
        let bad = Double(rates.count { $0 > 1e-5 }) / Double(blocks)
        #expect(abs(bad - 0.437) < 0.05, "\(bad)")
        let mean = rates.reduce(0, +) / Double(blocks)
        let measured = Self.measurement.errorRate(waveform, .poor, at: 5.6)
        #expect(mean > measured / 10 && mean < measured * 10, "model \(mean), measured \(measured)")
    }
}
