/// A family of HF data waveforms: modes among which one modem can change.
package enum WaveformFamily: Hashable, Sendable {
    /// The serial-tone main body of MIL-STD-188-110A and B; its 75 bit/s is STANAG 4415. 75 to 2400 bit/s.
    case serialTone
    /// STANAG 4539: the serial-tone rates, and 3200 to 9600 bit/s coded (MIL-STD-188-110B Appendix C).
    case stanag4539
    /// MIL-STD-188-110D Appendix D, STANAG 5069.
    case wideband(WidebandChannel)
    /// STANAG 4285: 75 to 2400 bit/s coded, continuous, no automatic recognition of the rate. Block lengths are
    /// unverified.
    case stanag4285
    /// STANAG 4529: as 4285 in 1240 Hz, 75 to 1200 bit/s. Timing only: its lengths are taken for twice those of 4285
    /// (unverified), and its signal-to-noise ratios are published for one mode alone.
    case stanag4529

    /// All families, in the order of the catalogue.
    package static let all: [WaveformFamily] =
        [.serialTone, .stanag4539] + WidebandChannel.allCases.map { .wideband($0) } + [.stanag4285, .stanag4529]

    /// Its name in link files.
    package var name: String {
        switch self {
        case .serialTone: "110a"
        case .stanag4539: "4539"
        case .wideband(let channel): "110d-\(channel.rawValue)k"
        case .stanag4285: "4285"
        case .stanag4529: "4529"
        }
    }

    /// Whether a receiver recognises rate and interleaver from the preamble. Where it does not, both ends are preset,
    /// and a rate cannot change from one burst to the next.
    package var isAutobaud: Bool {
        switch self {
        case .serialTone, .stanag4539, .wideband: true
        case .stanag4285, .stanag4529: false
        }
    }

    /// Rates of user data in bit/s, lowest first.
    package var rates: [Int] {
        switch self {
        case .serialTone, .stanag4285: SerialTone.rates
        case .stanag4539: SerialTone.rates + HighRate4539.rates
        case .wideband(let channel): channel.modes.map(\.bitsPerSecond).sorted()
        case .stanag4529: SerialTone.rates.filter { $0 <= 1_200 }
        }
    }

    /// The interleavers that can be chosen at a rate; empty for a rate that the family lacks.
    package func interleavers(at bitsPerSecond: Int) -> [Interleaver] {
        guard rates.contains(bitsPerSecond) else { return [] }
        return switch self {
        case .serialTone: [.none, .short, .long]
        case .stanag4539 where bitsPerSecond <= 2_400: [.none, .short, .long]
        case .stanag4539:
            bitsPerSecond == HighRate4539.uncodedRate
                ? [.none] : [.ultraShort, .veryShort, .short, .medium, .long, .veryLong]
        // Of the shortest interleaver of WN 0 no length is known.
        case .wideband(let channel):
            channel.waveformNumber(of: bitsPerSecond) == 0
                ? [.short, .medium, .long] : [.ultraShort, .short, .medium, .long]
        case .stanag4285, .stanag4529: [.short, .long]
        }
    }
}
