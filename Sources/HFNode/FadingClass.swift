/// A named fading channel of ITU-R F.1487, by the letters that simulators use: latitude (L low, M middle, H high) and
/// conditions (Q quiet, M moderate, D disturbed). Two independent paths of equal strength (Watterson).
package enum FadingClass: String, Hashable, Sendable, CaseIterable {
    case lowQuiet = "LQ"
    case lowModerate = "LM"
    /// Delay and spread are unverified.
    case lowDisturbed = "LD"
    /// CCIR 520 “Good”.
    case middleQuiet = "MQ"
    /// CCIR 520 “Moderate”.
    case middleModerate = "MM"
    /// CCIR 520 “Poor”.
    case middleDisturbed = "MD"
    /// Disturbed, near vertical incidence.
    case middleDisturbedNVIS = "MD-NVIS"
    case highQuiet = "HQ"
    case highModerate = "HM"
    case highDisturbed = "HD"

    /// Delay between the two paths, in milliseconds. The model counts two independent paths whatever the delay.
    package var delayMilliseconds: Double { figures.0 }

    /// Doppler spread in hertz: twice the standard deviation of the Gaussian spectrum.
    package var dopplerSpread: Double { figures.1 }

    private var figures: (Double, Double) {
        switch self {
        case .lowQuiet: (0.5, 0.5)
        case .lowModerate: (2, 1.5)
        case .lowDisturbed: (6, 10)
        case .middleQuiet: (0.5, 0.1)
        case .middleModerate: (1, 0.5)
        case .middleDisturbed: (2, 1)
        case .middleDisturbedNVIS: (7, 1)
        case .highQuiet: (1, 0.5)
        case .highModerate: (3, 10)
        case .highDisturbed: (7, 30)
        }
    }

    /// The published thresholds that come nearest: those of “Good” below 0.2 Hz, else those of “Poor”.
    package var channelClass: SNRThresholds.ChannelClass { dopplerSpread < 0.2 ? .good : .poor }

    /// Whether a modem can find and follow a waveform of this (narrowband) rate. Above 1200 bit/s the equalisers do not
    /// follow a spread of 10 Hz and more (an unverified rule).
    package func permits(narrowbandRate: Int) -> Bool { dopplerSpread < 10 || narrowbandRate <= 1_200 }
}
