import COpenSSL

/// Random numbers from the system's cryptographic generator (docs/lessons.md, d20: every id and key comes from it).
package enum SecureRandom {
    /// `count` random bytes.
    package static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // Without random numbers nothing may go on: a guessable key would be worse than a stop.
        guard unsafe RAND_bytes(&bytes, Int32(count)) == 1 else {
            fatalError("the system's random number generator failed")
        }
        return bytes
    }

    /// `bytes` random bytes as twice as many lower-case hexadecimal digits.
    package static func hex(bytes: Int) -> String {
        Hexadecimal.lowercase(self.bytes(bytes))
    }

    /// A number in the range, every one equally likely. The range must not be empty.
    package static func uniform<Number: FixedWidthInteger>(in range: Range<Number>) -> Number {
        var generator = Generator()
        return Number.random(in: range, using: &generator)
    }

    /// The same source for whatever takes a `RandomNumberGenerator`.
    package struct Generator: RandomNumberGenerator {
        package init() {}

        package mutating func next() -> UInt64 {
            SecureRandom.bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
        }
    }
}

/// Bytes as hexadecimal text.
enum Hexadecimal {
    static func lowercase(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            text.append(Self.digit(byte >> 4))
            text.append(Self.digit(byte & 15))
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
