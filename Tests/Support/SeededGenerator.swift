/// A random number generator whose whole sequence follows from its seed (SplitMix64).
///
/// Tests print the seed with a failure, so that the failing case can be run again. The sequence does not depend
/// on the process, unlike Swift's own hashing and `SystemRandomNumberGenerator`.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension SeededGenerator {
    /// Cuts `bytes` into consecutive pieces of 1...`largest` bytes at seeded places.
    package mutating func pieces<Bytes: Collection>(of bytes: Bytes, largest: Int) -> [Bytes.SubSequence] {
        var pieces: [Bytes.SubSequence] = []
        var start = bytes.startIndex
        while start != bytes.endIndex {
            let length = Int.random(in: 1...max(1, largest), using: &self)
            let end = bytes.index(start, offsetBy: length, limitedBy: bytes.endIndex) ?? bytes.endIndex
            pieces.append(bytes[start..<end])
            start = end
        }
        return pieces
    }
}
