import Glibc

/// Payloads of presence as they are kept: the usual markup and runs of hexadecimal digits in less. Lossless for any bytes.
///
/// Where each user has a photo of his own no two payloads are alike, and a million of them are most of the cache
/// (docs/presence.md). The codes are bytes that occur in no UTF-8 (RFC 3629 §1).
enum PayloadShorthand {
    /// Before the number of a phrase.
    private static let phrase: UInt8 = 0xFD
    /// Before a number of bytes and so many bytes, written with two small hexadecimal digits each.
    private static let digits: UInt8 = 0xFE
    /// Before a byte that is one of these codes.
    private static let literal: UInt8 = 0xFF

    /// Less digits are not worth the code.
    private static let leastDigits = 8
    private static let mostDigits = 510

    /// As canonical stanzas have them; of those that begin alike the longest first.
    private static let phrases: [[UInt8]] = [
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='", "<c xmlns='http://jabber.org/protocol/caps' ",
        "<x xmlns='vcard-temp:x:update'><photo>", "<x xmlns='vcard-temp:x:update'/>", "</photo></x>", "' ver='", "'/>",
        "<show>away</show>", "<show>xa</show>", "<show>dnd</show>", "<show>chat</show>", "<priority>", "</priority>",
        "<status xml:lang='en'>", "<status>", "</status>", "<idle since='", "' xmlns='urn:xmpp:idle:1'/>",
    ].map { Array($0.utf8) }

    /// Nil where it would not be shorter.
    static func shortened(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        var short: [UInt8] = []
        short.reserveCapacity(bytes.count)
        var position = 0
        while position < bytes.count {
            let byte = unsafe bytes[position]
            if byte == UInt8(ascii: "<") || byte == UInt8(ascii: "'"),
                let found = phrases.firstIndex(where: { phrase in
                    unsafe phrase.withUnsafeBytes { unsafe starts(bytes, at: position, with: $0) }
                })
            {
                short.append(phrase)
                short.append(UInt8(found))
                position += phrases[found].count
                continue
            }
            let count = unsafe digitCount(bytes, from: position)
            if count >= leastDigits {
                short.append(digits)
                short.append(UInt8(count / 2))
                for pair in stride(from: position, to: position + count, by: 2) {
                    short.append(unsafe value(bytes[pair]) << 4 | value(bytes[pair + 1]))
                }
                position += count
                continue
            }
            if byte >= phrase { short.append(literal) }
            short.append(byte)
            position += 1
        }
        return short.count < bytes.count ? short : nil
    }

    /// Whether `short` stands for `bytes`.
    static func equals(_ short: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var position = 0
        let isAlike = unsafe read(short) { part in
            guard unsafe starts(bytes, at: position, with: part) else { return false }
            position += part.count
            return true
        }
        return isAlike && position == bytes.count
    }

    /// Writes out what `short` stands for.
    static func append(_ short: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        _ = unsafe read(short) { part in
            unsafe bytes.append(contentsOf: part)
            return true
        }
    }

    /// Gives one part after the other to `take`, until that says no. Only what ``shortened(_:)`` made comes here.
    private static func read(_ short: UnsafeRawBufferPointer, _ take: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        var position = 0
        var plain = 0
        while position < short.count {
            let code = unsafe short[position]
            guard code >= phrase else {
                position += 1
                continue
            }
            guard unsafe take(UnsafeRawBufferPointer(rebasing: short[plain..<position])) else { return false }
            let argument = unsafe short[position + 1]
            position += 2
            plain = position
            switch code {
            case phrase:
                guard unsafe phrases[Int(argument)].withUnsafeBytes({ unsafe take($0) }) else { return false }
            case digits:
                var text = InlineArray<510, UInt8>(repeating: 0)
                for index in 0..<Int(argument) {
                    let byte = unsafe short[position + index]
                    text[2 * index] = digit(byte >> 4)
                    text[2 * index + 1] = digit(byte & 15)
                }
                position += Int(argument)
                plain = position
                let isTaken = unsafe withUnsafeBytes(of: &text) { text in
                    unsafe take(UnsafeRawBufferPointer(rebasing: text[..<(2 * Int(argument))]))
                }
                guard isTaken else { return false }
            default:
                // The byte behind is a part of what follows.
                plain = position - 1
            }
        }
        return unsafe take(UnsafeRawBufferPointer(rebasing: short[plain..<short.count]))
    }

    private static func starts(
        _ bytes: UnsafeRawBufferPointer, at position: Int, with part: UnsafeRawBufferPointer
    ) -> Bool {
        guard part.count <= bytes.count - position else { return false }
        guard let start = bytes.baseAddress, let other = part.baseAddress else { return unsafe part.isEmpty }
        return unsafe memcmp(start + position, other, part.count) == 0
    }

    /// How many digits stand there, an even number.
    private static func digitCount(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var end = start
        while end < bytes.count, end - start < mostDigits, unsafe value(bytes[end]) < 16 { end += 1 }
        return (end - start) & ~1
    }

    /// 16: no small hexadecimal digit.
    private static func value(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x61...0x66: byte - 0x57
        default: 16
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
}
