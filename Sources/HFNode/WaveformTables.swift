import NIOCore

/// The serial-tone waveforms of 75 to 2400 bit/s (MIL-STD-188-110A/B main body, STANAG 4539 low rates, STANAG 4415).
enum SerialTone {
    static let rates = [75, 150, 300, 600, 1_200, 2_400]
    /// 32 bits of end of message and 144 of flush (the latter unverified).
    static let tailBits = 176

    static func blockDuration(_ interleaver: Interleaver) -> TimeAmount {
        switch interleaver {
        case .none: .zero
        case .ultraShort, .veryShort, .short: .milliseconds(600)
        case .medium, .long, .veryLong: .milliseconds(4_800)
        }
    }

    static func preamble(_ interleaver: Interleaver) -> TimeAmount {
        interleaver == .long ? .milliseconds(4_800) : .milliseconds(600)
    }

    /// Thresholds published in a study of rate change, said there to come from STANAG 4539/4285 and 110B. Nothing is
    /// published for 2400 bit/s on “Poor”: 16 dB is an estimate (unverified).
    ///
    /// Each kappa is fitted so that a long run of “Poor” with the long interleaver has a bit error rate of 1e-5 at the
    /// published SNR; “Good” is then predicted and not fitted.
    static func performance(_ rate: Int) -> WaveformPerformance {
        switch rate {
        case 75: .init(thresholds: .init(awgn: -6.75, poor: -2.5, good: 1.75), kappa: 0.42)
        case 150: .init(thresholds: .init(awgn: -4, poor: -1, good: 2), kappa: 0.68)
        case 300: .init(thresholds: .init(awgn: -1.5, poor: 1, good: 5.5), kappa: 0.97)
        case 600: .init(thresholds: .init(awgn: 2.02, poor: 7.1, good: 12.18), kappa: 0.34)
        case 1_200: .init(thresholds: .init(awgn: 5.25, poor: 10.1, good: 14.95), kappa: 0.36)
        default: .init(thresholds: .init(awgn: 10.75, poor: 16, good: 19.45), kappa: 0.33)
        }
    }
}

/// The high rates of STANAG 4539 (MIL-STD-188-110B Appendix C).
enum HighRate4539 {
    static let rates = [3_200, 4_800, 6_400, 8_000, 9_600, uncodedRate]
    /// Without coding and interleaver. No threshold is published for it.
    static let uncodedRate = 12_800
    /// 287 symbols of 1/2400 s.
    private static let frameNanoseconds = 287.0 / 2_400 * 1e9
    /// 0.12 s and two blocks of 0.0767 s for gain control, of 0 to 7 that a modem may send (unverified).
    static let preamble = TimeAmount.nanoseconds(273_400_000)

    static func blockDuration(_ interleaver: Interleaver) -> TimeAmount {
        let frames: Double =
            switch interleaver {
            case .none: 0
            case .ultraShort: 1
            case .veryShort: 3
            case .short: 9
            case .medium: 18
            case .long: 36
            case .veryLong: 72
            }
        return .nanoseconds(Int64((frames * frameNanoseconds).rounded()))
    }

    /// From the same study as those of ``SerialTone``; fitted with the very long interleaver.
    static func performance(_ rate: Int) -> WaveformPerformance {
        switch rate {
        case 3_200: .init(thresholds: .init(awgn: 7.6, poor: 15, good: 21.4), kappa: 0.21)
        case 4_800: .init(thresholds: .init(awgn: 12.29, poor: 19.75, good: 25.21), kappa: 0.21)
        case 6_400: .init(thresholds: .init(awgn: 14.69, poor: 22.2, good: 30.71), kappa: 0.21)
        case 8_000: .init(thresholds: .init(awgn: 15.44, poor: 25.5, good: 35.56), kappa: 0.16)
        case 9_600: .init(thresholds: .init(awgn: 20.48, poor: 29.75, good: 42.02), kappa: 0.18)
        default: .init(thresholds: nil, kappa: 0.18)
        }
    }
}

/// The lengths of STANAG 4285 (unverified). It has no preamble of its own: synchronisation is sent all the time.
enum STANAG4285 {
    static func blockDuration(_ interleaver: Interleaver) -> TimeAmount {
        interleaver == .long ? .milliseconds(10_240) : .nanoseconds(853_333_333)
    }
}
