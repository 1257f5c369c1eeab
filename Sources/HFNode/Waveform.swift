package import NIOCore

/// One mode of an HF modem: rate and interleaver, with all that a model needs of it.
///
/// Sources: MIL-STD-188-110A/B/D and STANAG 4539, 4415, 4285, 4529 as modem makers and open implementations publish
/// them; what is not published is said at the table in question.
package struct Waveform: Hashable, Sendable {
    package let family: WaveformFamily
    /// User data in bit/s.
    package let bitsPerSecond: Int
    package let interleaver: Interleaver
    /// The number of a mode of 110D, 0 to 13; nil for other families.
    package let waveformNumber: Int?
    /// Length of one interleaver block on the air; zero without an interleaver.
    package let blockDuration: TimeAmount
    /// What a receiver needs to find the burst, before the first block. A modem may be set to another length.
    package var preamble: TimeAmount
    /// Bits that end the message and empty the coder, sent behind the data.
    package let tailBits: Int
    /// Nil where nothing is published: such a mode has a timing and no channel.
    package let thresholds: SNRThresholds?
    /// Constant of the effective-SNR map (``EffectiveSNR``). It says how much a fade within a block hurts: the smaller,
    /// the more.
    package let kappa: Double
    /// What a modem needs beyond the thresholds, in dB; negative for a modem that does better.
    package var implementationMargin: Double

    /// The mode of a family, or nil when the family does not have it.
    package init?(_ family: WaveformFamily, bitsPerSecond: Int, interleaver: Interleaver) {
        guard family.interleavers(at: bitsPerSecond).contains(interleaver) else { return nil }
        switch family {
        case .serialTone:
            self.init(family, bitsPerSecond, interleaver, serialTone: ())
        case .stanag4539 where bitsPerSecond <= 2_400:
            self.init(family, bitsPerSecond, interleaver, serialTone: ())
        case .stanag4539:
            self.init(
                family, bitsPerSecond, interleaver, number: nil, block: HighRate4539.blockDuration(interleaver),
                preamble: HighRate4539.preamble, tailBits: 32, HighRate4539.performance(bitsPerSecond), margin: 0)
        case .wideband(let channel):
            guard let number = channel.waveformNumber(of: bitsPerSecond) else { return nil }
            self.init(
                family, bitsPerSecond, interleaver, number: number,
                block: WidebandChannel.blockDuration(of: number, interleaver), preamble: WidebandChannel.superframe,
                tailBits: 32, WidebandChannel.performance(of: number), margin: -2)
        case .stanag4285:
            self.init(
                family, bitsPerSecond, interleaver, number: nil, block: STANAG4285.blockDuration(interleaver),
                preamble: .zero, tailBits: 32, SerialTone.performance(bitsPerSecond), margin: 0)
        case .stanag4529:
            self.init(
                family, bitsPerSecond, interleaver, number: nil,
                block: .nanoseconds(2 * STANAG4285.blockDuration(interleaver).nanoseconds), preamble: .zero,
                tailBits: 32, WaveformPerformance(thresholds: nil, kappa: 0.36), margin: 0)
        }
    }

    private init(_ family: WaveformFamily, _ bitsPerSecond: Int, _ interleaver: Interleaver, serialTone: Void) {
        self.init(
            family, bitsPerSecond, interleaver, number: nil, block: SerialTone.blockDuration(interleaver),
            preamble: SerialTone.preamble(interleaver), tailBits: SerialTone.tailBits,
            SerialTone.performance(bitsPerSecond), margin: 0)
    }

    private init(
        _ family: WaveformFamily, _ bitsPerSecond: Int, _ interleaver: Interleaver, number: Int?, block: TimeAmount,
        preamble: TimeAmount, tailBits: Int, _ performance: WaveformPerformance, margin: Double
    ) {
        self.family = family
        self.bitsPerSecond = bitsPerSecond
        self.interleaver = interleaver
        waveformNumber = number
        blockDuration = block
        self.preamble = preamble
        self.tailBits = tailBits
        thresholds = performance.thresholds
        kappa = performance.kappa
        implementationMargin = margin
    }

    /// The rate of the same modulation in 3 kHz: what a rule that speaks of rates goes by.
    package var narrowbandRate: Int {
        guard let waveformNumber else { return bitsPerSecond }
        return WidebandChannel.narrow.modes.first { $0.number == waveformNumber }?.bitsPerSecond ?? bitsPerSecond
    }

    /// Bits of user data in one block; 0 without an interleaver.
    package var bitsPerBlock: Int {
        Int((Double(bitsPerSecond) * Double(blockDuration.nanoseconds) / 1e9).rounded())
    }

    /// The SNR in dB that this modem needs for a bit error rate of 1e-5, its own margin included; nil where none is
    /// published.
    package func requiredSNR(_ channelClass: SNRThresholds.ChannelClass) -> Double? {
        thresholds.map { $0.decibels(for: channelClass) + implementationMargin }
    }
}

/// How well a mode does, apart from its timing.
struct WaveformPerformance: Hashable, Sendable {
    var thresholds: SNRThresholds?
    var kappa: Double
}

extension Waveform: CustomStringConvertible {
    /// As in `110a 1200L`.
    package var description: String { "\(family.name) \(bitsPerSecond)\(interleaver.symbol)" }
}
