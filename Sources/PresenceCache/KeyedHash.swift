/// A 64-bit hash whose collisions nobody can make who does not know the key: peers and users choose the addresses and
/// the presence that are hashed. It only finds candidates; what is found is compared.
struct KeyedHash {
    private let key: (UInt64, UInt64)

    init(key: (UInt64, UInt64)) {
        self.key = (key.0 ^ 0x9e37_79b9_7f4a_7c15, key.1 ^ 0xd1b5_4a32_d192_ed03)
    }

    /// Both halves of the product, folded: every bit of the input reaches every bit of the result.
    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    func of(_ bytes: UnsafeRawBufferPointer, after start: UInt64 = 0) -> UInt64 {
        var state = start ^ self.key.0
        var offset = 0
        while offset + 16 <= bytes.count {
            let first = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let second = unsafe bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
            state = Self.fold(first ^ self.key.1, second ^ state)
            offset += 16
        }
        var first: UInt64 = 0
        var second: UInt64 = 0
        if offset + 8 <= bytes.count {
            first = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        while offset < bytes.count {
            second = second << 8 | UInt64(unsafe bytes[offset])
            offset += 1
        }
        state = Self.fold(first ^ self.key.1, second ^ state)
        return Self.fold(state ^ UInt64(bytes.count), self.key.0 ^ self.key.1)
    }
}
