/// Which bytes and lengths the parts of an address may have (RFC 7622 §3).
enum JIDRules {
    /// Greatest length of each part in bytes of UTF-8 (RFC 7622 §3.2–3.4).
    static let partBytes = 1023

    /// Whether an ASCII byte may stand in a localpart (RFC 7622 §3.3.1, with its eight forbidden characters).
    static func isLocal(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x20, 0x7f: false
        case UInt8(ascii: "\""), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "/"), UInt8(ascii: ":"),
            UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "@"):
            false
        default: true
        }
    }

    /// Whether an ASCII byte may stand in a domainpart: a host name, or an IP literal (RFC 7622 §3.2).
    static func isDomain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: byte >= 0x80
        }
    }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    /// The case-folded form of a localpart, or `nil` where RFC 7622 §3.3 forbids it.
    static func localpart(_ text: Substring) -> String? {
        let folded = folded(text)
        guard (1...self.partBytes).contains(folded.utf8.count), folded.utf8.allSatisfy(self.isLocal) else { return nil }
        return self.hasForbiddenScalar(folded) ? nil : folded
    }

    /// The case-folded form of a domainpart without its final dot, or `nil` where RFC 7622 §3.2 forbids it.
    static func domainpart(_ text: Substring) -> String? {
        var folded = folded(text)
        if folded.hasSuffix(".") { folded.removeLast() }
        guard (1...self.partBytes).contains(folded.utf8.count), folded.utf8.allSatisfy(self.isDomain),
            !folded.hasPrefix("."), !folded.hasSuffix("."), !folded.utf8.elementsEqualAdjacentDots
        else { return nil }
        return self.hasForbiddenScalar(folded) ? nil : folded
    }

    /// A resourcepart as it stands: it is opaque, only its length and control characters are checked (RFC 7622 §3.4).
    static func resourcepart(_ text: Substring) -> String? {
        guard (1...self.partBytes).contains(text.utf8.count), !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f })
        else { return nil }
        return String(text)
    }

    private static func folded(_ text: Substring) -> String {
        text.utf8.allSatisfy { $0 < 0x80 && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
            ? String(text) : text.lowercased()
    }

    /// Spaces, controls and unassigned or private scalars outside ASCII, which PRECIS forbids in local and domain
    /// parts.
    private static func hasForbiddenScalar(_ text: String) -> Bool {
        guard text.utf8.contains(where: { $0 >= 0x80 }) else { return false }
        return text.unicodeScalars.contains { scalar in
            guard scalar.value >= 0x80 else { return false }
            switch scalar.properties.generalCategory {
            case .control, .format, .spaceSeparator, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate,
                .unassigned:
                return true
            default:
                return false
            }
        }
    }
}

extension String.UTF8View {
    /// Whether two dots stand side by side: an empty label in a host name.
    fileprivate var elementsEqualAdjacentDots: Bool {
        var previous: UInt8 = 0
        for byte in self {
            if byte == UInt8(ascii: "."), previous == byte { return true }
            previous = byte
        }
        return false
    }
}

/// A set of ASCII bytes: asking costs no branch. No byte beyond ASCII is in it.
struct ByteSet {
    private let low: UInt64
    private let high: UInt64

    init(_ contains: (UInt8) -> Bool) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        for byte in UInt8(0)..<64 where contains(byte) { low |= 1 << UInt64(byte) }
        for byte in UInt8(64)..<128 where contains(byte) { high |= 1 << UInt64(byte - 64) }
        self.low = low
        self.high = high
    }

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let half = byte < 64 ? self.low : byte < 128 ? self.high : 0
        return (half >> UInt64(byte & 63)) & 1 == 1
    }
}
