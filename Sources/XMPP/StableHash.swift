/// A 64-bit hash that is the same in every process.
///
/// Swift seeds `Hasher` per process, and nothing that is sent or printed may depend on that. The hash only finds
/// candidates: whoever decides by it compares the bytes as well, or (as for ordering keys) suffers nothing worse from a
/// collision than two pairs of addresses waiting for each other.
package struct StableHash {
    private var state: UInt64 = 0x9e37_79b9_7f4a_7c15

    package init() {}

    package mutating func combine(_ byte: UInt8) {
        self.state = (self.state ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
    }

    package mutating func combine(_ value: UInt64) {
        self.state = (self.state ^ value) &* 0xff51_afd7_ed55_8ccd
        self.state ^= self.state >> 33
    }

    /// The hash of what was combined so far.
    package var value: UInt64 {
        var mixed = self.state
        mixed ^= mixed >> 33
        mixed = mixed &* 0xff51_afd7_ed55_8ccd
        mixed ^= mixed >> 33
        return mixed
    }

    /// The hash of a text's UTF-8.
    package static func of(_ text: String) -> UInt64 {
        text.withBytes { $0.hash }
    }
}
