import Glibc
package import NIOCore

/// One address or a block of addresses, as `10.1.2.3`, `10.1.2.0/24` or `2001:db8::/32`.
package struct AddressRange: Hashable, Sendable, CustomStringConvertible {
    /// Network byte order, 4 or 16 bytes.
    private let bytes: [UInt8]
    private let prefixBits: Int
    package let description: String

    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let bytes = AddressRange.bytes(of: String(first)) else { return nil }
        var prefixBits = bytes.count * 8
        if parts.count == 2 {
            guard let bits = Int(parts[1]), (0...prefixBits).contains(bits), parts[1].first?.isNumber == true else {
                return nil
            }
            prefixBits = bits
        }
        // `10.1.2.3/24` is more likely a mistake than a wish.
        for bit in prefixBits..<(bytes.count * 8) where bytes[bit / 8] & (0x80 >> (bit % 8)) != 0 { return nil }
        self.bytes = bytes
        self.prefixBits = prefixBits
        self.description = text
    }

    package func contains(_ address: SocketAddress) -> Bool {
        guard let ip = address.ipAddress, var candidate = AddressRange.bytes(of: ip) else { return false }
        // A dual-stack listener shows IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
        if candidate.count == 16, bytes.count == 4, candidate.prefix(12).elementsEqual(AddressRange.mappedPrefix) {
            candidate.removeFirst(12)
        }
        guard candidate.count == bytes.count else { return false }
        let whole = prefixBits / 8
        guard candidate[..<whole] == bytes[..<whole] else { return false }
        let rest = prefixBits % 8
        guard rest > 0 else { return true }
        let mask = ~UInt8(0) << (8 - rest)
        return candidate[whole] & mask == bytes[whole] & mask
    }

    private static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

    /// The bytes of a textual address; zone identifiers are not taken.
    private static func bytes(of text: String) -> [UInt8]? {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var packed = [UInt8](repeating: 0, count: count)
            if unsafe inet_pton(family, text, &packed) == 1 { return packed }
        }
        return nil
    }
}
