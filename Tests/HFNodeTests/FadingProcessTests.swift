import NIOCore
import Testing

@testable import HFNode

@Suite("Fading, variation, blackouts and schedules")
struct FadingProcessTests {
    private static func powers(_ spread: Double, seed: UInt64, count: Int, step: Double) -> [Double] {
        var process = FadingProcess(dopplerSpread: spread, noise: NoiseStream(seed: seed))
        return (0..<count).map { process.power(at: Double($0) * step) }
    }

    @Test(arguments: [0.1, 1, 10, 30])
    func `two Rayleigh paths of mean power one`(spread: Double) {
        // Samples four fading periods apart are independent.
        let powers = Self.powers(spread, seed: 1, count: 4_000, step: 4 / spread)
        let mean = powers.reduce(0, +) / 4_000
        #expect(abs(mean - 1) < 0.05, "\(mean)")
        // Twice the power is a gamma variable of shape 2: P(p < 0.1) = 1 − 1.2 e^−0.2.
        let faded = Double(powers.count { $0 < 0.1 }) / 4_000
        #expect(abs(faded - 0.0175) < 0.007, "\(faded)")
        let above = Double(powers.count { $0 > 2 }) / 4_000
        #expect(abs(above - 0.0916) < 0.016, "\(above)")
    }

    @Test(arguments: [(1.0, 0.1), (1.0, 0.3), (0.1, 2.0), (0.5, 0.5)])
    func `the autocorrelation is that of a Gaussian Doppler spectrum`(spread: Double, lag: Double) {
        var process = FadingProcess(dopplerSpread: spread, noise: NoiseStream(seed: 2))
        let count = 4_000
        var (product, square) = (0.0, 0.0)
        for index in 0..<count {
            let time = Double(index) * 3 / spread
            let (now, later) = (process.power(at: time) - 1, process.power(at: time + lag) - 1)
            product += now * later
            square += now * now
        }
        // That of the power is the square of that of the amplitude, exp(−(π d τ)² / 2).
        let exponent = Double.pi * spread * lag
        let expected = exp(-exponent * exponent)
        #expect(abs(product / square - expected) < 0.06, "\(product / square), expected \(expected)")
    }

    private func exp(_ value: Double) -> Double {
        // e^x by squaring a short series: enough for a comparison to a few percent.
        var result = 1 + value / 1_024
        for _ in 0..<10 { result *= result }
        return result
    }

    @Test func `the signal at a time does not depend on what was asked before`() {
        let times = (0..<300).map { Double($0) * 7.3 }
        var forwards = FadingProcess(dopplerSpread: 1, noise: NoiseStream(seed: 9))
        var backwards = forwards
        var slowForwards = VariationProcess(IntermediateTermVariation(), noise: NoiseStream(seed: 9))
        var slowBackwards = slowForwards
        let first = times.map { [forwards.power(at: $0), slowForwards.value(at: $0)] }
        let second = times.reversed().map { [backwards.power(at: $0), slowBackwards.value(at: $0)] }
        #expect(first == second.reversed())
    }

    @Test func `variation has its deviation and its memory`() {
        var process = VariationProcess(IntermediateTermVariation(), noise: NoiseStream(seed: 4))
        let count = 4_000
        var (square, product) = (0.0, 0.0)
        for index in 0..<count {
            let time = Double(index) * 40
            let value = process.value(at: time)
            square += value * value
            product += value * process.value(at: time + 10)
        }
        let deviation = (square / Double(count)).squareRoot()
        #expect(abs(deviation - 4) < 0.2, "\(deviation)")
        #expect(abs(product / square - 0.368) < 0.06, "\(product / square)")
    }

    @Test func `blackouts last as long and come as often as said`() {
        let blackouts = Blackouts(duration: .minutes(10), meanInterval: .hours(2))
        let noise = NoiseStream(seed: 7)
        var (dark, beginnings, wasDark) = (0, 0, false)
        let minutes = 200 * 24 * 60
        for minute in 0..<minutes {
            let isDark = blackouts.overlap(from: Double(minute) * 60, to: Double(minute) * 60 + 0.01, noise)
            if isDark { dark += 1 }
            if isDark, !wasDark { beginnings += 1 }
            wasDark = isDark
        }
        // Dark is a share of 1 − exp(−10/120); overlapping ones begin once.
        let share = Double(dark) / Double(minutes)
        #expect(abs(share - 0.08) < 0.006, "\(share)")
        let hoursApart = Double(minutes) / 60 / Double(beginnings)
        #expect((2.0...2.4).contains(hoursApart), "\(hoursApart)")
        #expect(!blackouts.overlap(from: -100, to: -1, noise))
    }

    @Test func `schedules follow their shapes`() {
        func close(_ schedule: SNRSchedule, _ seconds: Double, _ expected: Double) -> Bool {
            abs(schedule.decibels(at: seconds) - expected) < 1e-6
        }
        #expect(close(.constant(-3), 1e6, -3))
        let points = [
            SNRSchedule.Point(time: .minutes(1), decibels: 10), SNRSchedule.Point(time: .minutes(3), decibels: -10)
        ]
        for (seconds, expected) in [(0.0, 10.0), (60, 10), (120, 0), (150, -5), (180, -10), (9_999, -10)] {
            #expect(close(.points(points, period: nil), seconds, expected), "at \(seconds) s")
        }
        #expect(close(.points(points, period: .minutes(4)), 240 + 120, 0))
        let sinusoid = SNRSchedule.sinusoid(mean: 15, amplitude: 10, period: .minutes(10))
        for (seconds, expected) in [(0.0, 15.0), (150, 25), (300, 15), (450, 5), (1_050, 5)] {
            #expect(close(sinusoid, seconds, expected), "at \(seconds) s")
        }
        let sweep = SNRSchedule.sweep(from: -5, to: 30, duration: .minutes(60))
        for (seconds, expected) in [(0.0, -5.0), (1_800, 12.5), (3_600, 30), (5_400, 12.5), (7_200, -5)] {
            #expect(close(sweep, seconds, expected), "at \(seconds) s")
        }
    }
}
