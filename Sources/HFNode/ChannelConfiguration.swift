/// What a radio channel does to bursts: one direction's worth of it, as a link file describes it.
package struct ChannelConfiguration: Hashable, Sendable {
    package var mode: Mode
    /// Nil for a ground wave: white noise and no fading.
    package var fading: FadingClass?
    /// Mean SNR, in the noise bandwidth of the waveform's thresholds.
    package var meanSNR: SNRSchedule
    /// Nil for a ground wave, and where it shall be left out.
    package var variation: IntermediateTermVariation?
    package var blackouts: Blackouts?

    package enum Mode: String, Hashable, Sendable, CaseIterable {
        /// Nothing is ever lost: two modems on a cable.
        case clean
        /// Blocks are good or bad by the published threshold for the class of fading; cheap.
        case table
        /// The fading itself, sampled within each block: the reference.
        case fading
    }

    package init(
        mode: Mode, fading: FadingClass? = nil, meanSNR: SNRSchedule = .constant(0),
        variation: IntermediateTermVariation? = nil, blackouts: Blackouts? = nil
    ) {
        self.mode = mode
        self.fading = fading
        self.meanSNR = meanSNR
        self.variation = variation
        self.blackouts = blackouts
    }

    /// Two modems on a cable.
    package static let clean = ChannelConfiguration(mode: .clean)

    /// The class whose thresholds count here.
    package var channelClass: SNRThresholds.ChannelClass { fading?.channelClass ?? .awgn }
}

/// Which way a burst goes between the two nodes of a link.
package enum ChannelDirection: UInt64, Hashable, Sendable, CaseIterable {
    case forward = 1
    case reverse = 2
}
