/// A short id that stands for a longer one on the link: eight hexadecimal digits, which a block carries as four bytes.
///
/// Tokens are given out in order from a random start, so their first digits tell one site's from another's. The highest
/// bit says at which end of the link the token was made: the two ends can never give the same one.
struct IdentifierToken: Hashable {
    let value: UInt32

    static let highBit: UInt32 = 0x8000_0000

    init(value: UInt32) { self.value = value }

    /// - Parameter word: eight characters as one number, the first the lowest; `nil` where they are no token.
    init?(word: UInt64) {
        var value: UInt32 = 0
        for place in 0..<8 {
            let byte = UInt8(truncatingIfNeeded: word >> UInt64(place * 8))
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte & 0x0F
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte &- 0x57
            default: return nil
            }
            value = value << 4 | UInt32(digit)
        }
        self.value = value
    }

    init?(_ text: String) {
        guard text.utf8.count == 8 else { return nil }
        var word: UInt64 = 0
        for byte in text.utf8.reversed() { word = word << 8 | UInt64(byte) }
        self.init(word: word)
    }

    /// The eight characters as one number, the first the lowest.
    var word: UInt64 {
        // One half byte to each byte, the highest first.
        var word = UInt64(self.value.byteSwapped)
        word = (word | word << 16) & 0x0000_ffff_0000_ffff
        word = (word | word << 8) & 0x00ff_00ff_00ff_00ff
        word = (word >> 4 & 0x000f_000f_000f_000f) | (word & 0x000f_000f_000f_000f) << 8
        let letters = (word &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return word &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }
}
