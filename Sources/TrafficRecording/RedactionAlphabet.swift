/// A set of characters that may stand for one another: same kind, same script where it is a common one, and the same
/// number of bytes in UTF-8.
struct RedactionAlphabet: Equatable {
    /// The first character, the distance from one to the next, and how many there are.
    private var start: UInt32
    private var stride: UInt32 = 1
    let count: UInt32
    /// How much further the eleventh and those after it are: from `9` to `a` or `A`.
    private var jump: UInt32 = 0

    private init(_ range: ClosedRange<UInt32>) {
        start = range.lowerBound
        count = range.upperBound - range.lowerBound + 1
    }

    private init(start: UInt32, stride: UInt32 = 1, count: UInt32, jump: UInt32 = 0) {
        self.start = start
        self.stride = stride
        self.count = count
        self.jump = jump
    }

    static let hexadecimal = RedactionAlphabet(start: 0x30, count: 16, jump: 0x61 - 0x3A)
    static let capitalHexadecimal = RedactionAlphabet(start: 0x30, count: 16, jump: 0x41 - 0x3A)

    /// Letters whose neighbours are letters of the same kind.
    private static let ranges: [ClosedRange<UInt32>] = [
        0x30...0x39, 0x41...0x5A, 0x61...0x7A,  // ASCII
        0xC0...0xD6, 0xD8...0xDE, 0xDF...0xF6, 0xF8...0xFF,  // Latin-1, × and ÷ left out
        0x391...0x3A1, 0x3A3...0x3A9, 0x3B1...0x3C9,  // Greek
        0x410...0x42F, 0x430...0x44F,  // Cyrillic
        0x5D0...0x5EA, 0x627...0x63A, 0x641...0x64A,  // Hebrew, Arabic
        0x3041...0x3093, 0x30A1...0x30F3, 0x4E00...0x9FA5, 0xAC00...0xD7A3,  // kana, Han, Hangul
    ]

    /// The alphabet of a character; nil for one that stays: a space, a mark of punctuation, a combining accent.
    static func of(_ character: Unicode.Scalar) -> RedactionAlphabet? {
        let value = character.value
        if value < 0x80 {
            return switch value {
            case 0x30...0x39: RedactionAlphabet(ranges[0])
            case 0x41...0x5A: RedactionAlphabet(ranges[1])
            case 0x61...0x7A: RedactionAlphabet(ranges[2])
            default: nil
            }
        }
        if let range = ranges.first(where: { $0.contains(value) }) { return RedactionAlphabet(range) }
        // Capitals and small letters alternate.
        if (0x100...0x24F).contains(value) {
            return RedactionAlphabet(start: value & ~31 | value & 1, stride: 2, count: 16)
        }
        return switch character.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber, .otherSymbol, .unassigned, .privateUse:
            RedactionAlphabet(start: value & ~31, count: value | 31 == 0xFFFF ? 30 : 32)
        // Vowels of Indic scripts and the like are marks.
        case .nonspacingMark, .spacingMark:
            value < 0x590 || value > 0x1FFF ? nil : RedactionAlphabet(start: value & ~31, count: 32)
        default: nil
        }
    }

    /// The place of a character that is in the alphabet.
    func place(of character: Unicode.Scalar) -> UInt32 {
        let distance = character.value - start
        return jump > 0 && distance >= 10 ? distance - jump : distance / stride
    }

    func character(at place: UInt32) -> Unicode.Scalar {
        Unicode.Scalar(start + place * stride + (place >= 10 ? jump : 0)) ?? Unicode.Scalar(UInt8(ascii: "x"))
    }
}
