/// SHA-1 (FIPS 180-4 §6.1). It names clients' abilities (XEP-0115) and photos (XEP-0153) here and protects nothing: who
/// can make collisions can make two sets of abilities with one name, and show himself as either.
enum SHA1 {
    static func digest(_ message: [UInt8]) -> [UInt8] {
        var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
        var schedule = [UInt32](repeating: 0, count: 80)
        MessageBlocks.forEach(message) { block in
            for index in 0..<16 { schedule[index] = block[index] }
            for index in 16..<80 {
                let word = schedule[index - 3] ^ schedule[index - 8] ^ schedule[index - 14] ^ schedule[index - 16]
                schedule[index] = word.rotatedLeft(1)
            }
            var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
            for index in 0..<80 {
                let mixed: UInt32
                switch index {
                case ..<20: mixed = (b & c | ~b & d) &+ 0x5a82_7999
                case ..<40: mixed = (b ^ c ^ d) &+ 0x6ed9_eba1
                case ..<60: mixed = (b & c | b & d | c & d) &+ 0x8f1b_bcdc
                default: mixed = (b ^ c ^ d) &+ 0xca62_c1d6
                }
                let next = a.rotatedLeft(5) &+ mixed &+ e &+ schedule[index]
                (a, b, c, d, e) = (next, a, b.rotatedLeft(30), c, d)
            }
            for (index, word) in [a, b, c, d, e].enumerated() { state[index] &+= word }
        }
        return state.flatMap(\.bigEndianBytes)
    }
}

/// What SHA-1 and SHA-256 share: the message, padded, in blocks of sixteen words (FIPS 180-4 §5.1.1, §5.2.1).
enum MessageBlocks {
    static func forEach(_ message: [UInt8], _ body: ([UInt32]) -> Void) {
        var padded = message
        padded.append(0x80)
        while padded.count % 64 != 56 { padded.append(0) }
        let bits = UInt64(message.count) &* 8
        for shift in stride(from: 56, through: 0, by: -8) {
            padded.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
        }
        var words = [UInt32](repeating: 0, count: 16)
        for start in stride(from: 0, to: padded.count, by: 64) {
            for index in 0..<16 {
                let at = start + index * 4
                words[index] =
                    UInt32(padded[at]) << 24 | UInt32(padded[at + 1]) << 16 | UInt32(padded[at + 2]) << 8
                    | UInt32(padded[at + 3])
            }
            body(words)
        }
    }
}

extension UInt32 {
    func rotatedLeft(_ bits: UInt32) -> UInt32 { self << bits | self >> (32 - bits) }
    func rotatedRight(_ bits: UInt32) -> UInt32 { self >> bits | self << (32 - bits) }

    var bigEndianBytes: [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: self >> UInt32($0)) }
    }
}
