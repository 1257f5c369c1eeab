import SeededRandom

/// A random number generator whose whole sequence follows from its seed (SplitMix64).
///
/// Tests print the seed with a failure, so that the failing case can be run again. The sequence does not depend
/// on the process, unlike Swift's own hashing and `SystemRandomNumberGenerator`.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var generator: SplitMix64

    package init(seed: UInt64) {
        generator = SplitMix64(seed: seed)
    }

    package mutating func next() -> UInt64 { generator.next() }
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
