package import NIOCore

/// A channel of MIL-STD-188-110D Appendix D, by its bandwidth in kHz, with the modes (“waveform numbers”) that it has.
///
/// Four of the bandwidths of Table D-II; of the others no table of rates was at hand.
package enum WidebandChannel: Int, Hashable, Sendable, CaseIterable {
    case narrow = 3
    case twelve = 12
    case twentyFour = 24
    case fortyEight = 48

    /// A waveform number, 0 to 13, and its rate.
    package struct Mode: Hashable, Sendable {
        package var number: Int
        package var bitsPerSecond: Int
    }

    /// In the order of the numbers. WN 13 exists in 3 kHz only.
    package var modes: [Mode] {
        let rates: [Int] =
            switch self {
            case .narrow:
                [75, 150, 300, 600, 1_200, 1_600, 3_200, 4_800, 6_400, 8_000, 9_600, 12_000, 16_000, 2_400]
            case .twelve:
                [300, 600, 1_200, 2_400, 4_800, 6_400, 12_800, 19_200, 25_600, 32_000, 38_400, 48_000, 64_000]
            case .twentyFour:
                [600, 1_200, 2_400, 4_800, 9_600, 12_800, 25_600, 38_400, 51_200, 64_000, 76_800, 96_000, 120_000]
            case .fortyEight:
                [1_200, 2_400, 4_800, 9_600, 16_000, 24_000, 48_000, 72_000, 96_000, 120_000, 144_000, 192_000, 240_000]
            }
        return rates.enumerated().map { Mode(number: $0.offset, bitsPerSecond: $0.element) }
    }

    func waveformNumber(of bitsPerSecond: Int) -> Int? {
        modes.first { $0.bitsPerSecond == bitsPerSecond }?.number
    }

    /// One super-frame of the preamble. A modem may send up to 32; one is what an attentive receiver needs.
    package static let superframe = TimeAmount.milliseconds(240)

    /// Derived from the counts of frames in the standard.
    static func blockDuration(of number: Int, _ interleaver: Interleaver) -> TimeAmount {
        // Ultra-short, short, medium, long; in units of 1/300 s.
        let lengths: (Int64, Int64, Int64, Int64) =
            switch number {
            case 0: (36, 160, 576, 2_304)
            case 1, 2, 11, 12: (48, 192, 768, 3_072)
            case 3, 4: (32, 128, 512, 2_048)
            default: (36, 144, 576, 2_304)
            }
        let units =
            switch interleaver {
            case .none: Int64(0)
            case .ultraShort, .veryShort: lengths.0
            case .short: lengths.1
            case .medium: lengths.2
            case .long, .veryLong: lengths.3
            }
        return .nanoseconds(units * 1_000_000_000 / 300)
    }

    /// Ceilings of the standard's acceptance tests, with the long interleaver and 20 super-frames. Modems do about 2 dB
    /// better, which is their ``Waveform/implementationMargin``. Nothing is published for “Good”, nor for WN 11 and 12
    /// on “Poor”. Each kappa is fitted to “Poor” as for the other families.
    static func performance(of number: Int) -> WaveformPerformance {
        switch number {
        case 0: .init(thresholds: .init(awgn: -6, poor: -1), kappa: 0.31)
        case 1: .init(thresholds: .init(awgn: -3, poor: 3), kappa: 0.24)
        case 2: .init(thresholds: .init(awgn: 0, poor: 5), kappa: 0.29)
        case 3: .init(thresholds: .init(awgn: 3, poor: 7), kappa: 0.39)
        case 4: .init(thresholds: .init(awgn: 5, poor: 10), kappa: 0.31)
        case 5: .init(thresholds: .init(awgn: 6, poor: 11), kappa: 0.31)
        case 6: .init(thresholds: .init(awgn: 9, poor: 14), kappa: 0.31)
        case 7: .init(thresholds: .init(awgn: 13, poor: 19), kappa: 0.26)
        case 8: .init(thresholds: .init(awgn: 16, poor: 23), kappa: 0.22)
        case 9: .init(thresholds: .init(awgn: 19, poor: 27), kappa: 0.195)
        case 10: .init(thresholds: .init(awgn: 21, poor: 31), kappa: 0.163)
        case 11: .init(thresholds: .init(awgn: 24), kappa: 0.18)
        case 12: .init(thresholds: .init(awgn: 30), kappa: 0.18)
        default: .init(thresholds: .init(awgn: 6, poor: 11), kappa: 0.31)
        }
    }
}
