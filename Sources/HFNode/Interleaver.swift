/// The length class of an interleaver. What it means in seconds depends on the waveform.
package enum Interleaver: String, Hashable, Sendable, CaseIterable {
    /// “Zero” of the serial-tone modems: bits are not spread over time.
    case none
    case ultraShort = "ultra-short"
    case veryShort = "very-short"
    case short
    case medium
    case long
    case veryLong = "very-long"

    /// The letters by which modems and tables name it.
    package var symbol: String {
        switch self {
        case .none: "Z"
        case .ultraShort: "US"
        case .veryShort: "VS"
        case .short: "S"
        case .medium: "M"
        case .long: "L"
        case .veryLong: "VL"
        }
    }
}
