/// How a sender chooses the rate of its next burst among the modes of a ``RateLadder``.
///
/// Pure: the next mode follows from the present one and from what is known of the last burst. Only for waveforms whose
/// receivers recognise the rate (``WaveformFamily/isAutobaud``).
package enum RatePolicy: Hashable, Sendable {
    /// The rate stays as it is configured.
    case off
    /// By the share of frames that were lost: down above a limit, up below another (Trinder and Gillespie, MILCOM 2001;
    /// the limits are derived from published bit error rates for frames of 2000 bits).
    case trinder
    /// The highest rate whose required SNR is so many dB below what the receiver measured (3 when nothing else is
    /// known, unverified).
    case snr(margin: Double)

    /// What the sender knows of its last burst.
    package struct Report: Hashable, Sendable {
        /// Data frames that were sent.
        package var framesSent: Int
        /// Those of them that the other side lacks; all when it did not answer.
        package var framesLost: Int
        /// What the other modem measured, in dB; nil when it did not say, as when it heard nothing.
        package var estimatedSNR: Double?

        package init(framesSent: Int, framesLost: Int, estimatedSNR: Double?) {
            self.framesSent = framesSent
            self.framesLost = framesLost
            self.estimatedSNR = estimatedSNR
        }
    }

    /// The mode for the next burst.
    ///
    /// - Parameters:
    ///   - current: the mode of the burst that the report is about.
    ///   - channelClass: the kind of channel whose thresholds `snr` goes by. A modem does not know it; an operator
    ///     does.
    package func next(
        after current: Waveform, _ report: Report, in ladder: RateLadder, channelClass: SNRThresholds.ChannelClass
    ) -> Waveform {
        switch self {
        case .off:
            return current
        case .trinder:
            guard report.framesSent > 0 else { return current }
            let lost = Double(report.framesLost) / Double(report.framesSent)
            if lost > Self.limitDown(current.narrowbandRate) { return ladder.below(current) }
            if lost < Self.limitUp(current.narrowbandRate) { return ladder.above(current, skips2400: true) }
            return current
        case .snr(let margin):
            guard let snr = report.estimatedSNR else {
                let isSilent = report.framesSent > 0 && report.framesLost == report.framesSent
                return isSilent ? ladder.below(current) : current
            }
            return ladder.waveforms.last { ($0.requiredSNR(channelClass) ?? .infinity) + margin <= snr }
                ?? ladder.waveforms.first ?? current
        }
    }

    /// Above this share of lost frames the rate goes down. Rates are those of the modulation in 3 kHz.
    private static func limitDown(_ narrowbandRate: Int) -> Double {
        switch narrowbandRate {
        case ...4_800: 0.5
        case ...6_400: 0.35
        case ...8_000: 0.15
        default: 0.05
        }
    }

    /// Below this share of lost frames the rate goes up.
    private static func limitUp(_ narrowbandRate: Int) -> Double {
        switch narrowbandRate {
        case ...1_200: 0.2
        case ...3_200: 0.1
        case ...6_400: 0.05
        default: 0.02
        }
    }
}
