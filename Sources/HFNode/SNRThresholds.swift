/// The signal-to-noise ratios at which a waveform has a coded bit error rate of 1e-5, in dB. Noise is counted in 3 kHz;
/// for a wideband waveform in the bandwidth of the channel.
///
/// A class for which nothing is published is nil, and ``decibels(for:)`` says what stands in for it.
package struct SNRThresholds: Hashable, Sendable {
    /// Steady signal and white noise.
    package var awgn: Double
    /// ITU-R “Poor”: two equal paths, 2 ms apart, Doppler spread 1 Hz.
    package var poor: Double?
    /// ITU-R “Good”: two equal paths, 0.5 ms apart, Doppler spread 0.1 Hz.
    package var good: Double?

    package init(awgn: Double, poor: Double? = nil, good: Double? = nil) {
        self.awgn = awgn
        self.poor = poor
        self.good = good
    }

    /// The kinds of channel for which thresholds are published.
    package enum ChannelClass: String, Hashable, Sendable, CaseIterable {
        case awgn, poor, good
    }

    /// The threshold for a class. Where none is published: for “Good” that of “Poor” (slow fading is never easier), for
    /// “Poor” 8 dB above white noise, which is between what is published for 8PSK and for 32QAM.
    package func decibels(for channelClass: ChannelClass) -> Double {
        switch channelClass {
        case .awgn: awgn
        case .poor: poor ?? awgn + 8
        case .good: good ?? poor ?? awgn + 8
        }
    }
}
