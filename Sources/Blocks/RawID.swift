/// Ids that are bytes in disguise: how they are recognised, and how the characters become bytes and characters again.
///
/// An id is taken only where the way back gives exactly the same characters; everything else stays text.
enum RawID {
    static let minimumHexadecimal = 8
    static let minimumBase64 = 16
    static let maximumCharacters = 128

    struct Kind: Equatable {
        /// One of ``TextMark``'s marks for ids.
        var mark: UInt8
        /// Bytes in the raw section.
        var count: Int

        /// UUIDs have one length; the others say theirs.
        var lengthByte: UInt8? {
            mark == TextMark.uuid || mark == TextMark.capitalUUID ? nil : 0x20 + UInt8(truncatingIfNeeded: count)
        }
    }

    /// What a character is; bits of `classes`.
    private static let lowerHexadecimal: UInt8 = 1
    private static let upperHexadecimal: UInt8 = 2
    private static let url: UInt8 = 4
    private static let standard: UInt8 = 8

    private static let classes: [UInt8] = (0...255).map { byte in
        switch UInt8(byte) {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): lowerHexadecimal | upperHexadecimal | url | standard
        case UInt8(ascii: "a")...UInt8(ascii: "f"): lowerHexadecimal | url | standard
        case UInt8(ascii: "A")...UInt8(ascii: "F"): upperHexadecimal | url | standard
        case UInt8(ascii: "g")...UInt8(ascii: "z"), UInt8(ascii: "G")...UInt8(ascii: "Z"): url | standard
        case UInt8(ascii: "-"), UInt8(ascii: "_"): url
        case UInt8(ascii: "+"), UInt8(ascii: "/"): standard
        default: 0
        }
    }

    /// Recognises an id, and appends its bytes to `raw`.
    static func pack(_ id: UnsafeRawBufferPointer, into raw: inout [UInt8]) -> Kind? {
        let count = id.count
        guard count >= minimumHexadecimal, count <= maximumCharacters else { return nil }
        let dash = UInt8(ascii: "-")
        if unsafe count == 36 && id[8] == dash && id[13] == dash && id[18] == dash && id[23] == dash,
            let isCapital = unsafe packUUID(id, into: &raw)
        {
            return Kind(mark: isCapital ? TextMark.capitalUUID : TextMark.uuid, count: 16)
        }
        var common: UInt8 = 0x0F
        unsafe classes.withUnsafeBufferPointer { classes in
            for unsafe byte in unsafe id { common &= unsafe classes[Int(byte)] }
        }
        if common & (lowerHexadecimal | upperHexadecimal) != 0, count.isMultiple(of: 2) {
            for index in stride(from: 0, to: count, by: 2) {
                unsafe raw.append(digit(id[index]) << 4 | digit(id[index + 1]))
            }
            let isLower = common & lowerHexadecimal != 0
            return Kind(mark: isLower ? TextMark.hexadecimal : TextMark.capitalHexadecimal, count: count / 2)
        }
        guard common & (url | standard) != 0, count >= minimumBase64 else { return nil }
        return unsafe packBase64(id, isURL: common & url != 0, into: &raw)
    }

    /// - Returns: whether the letters are capitals, nil where it is no UUID of one case.
    private static func packUUID(_ id: UnsafeRawBufferPointer, into raw: inout [UInt8]) -> Bool? {
        var common = lowerHexadecimal | upperHexadecimal
        for index in 0..<36 where index != 8 && index != 13 && index != 18 && index != 23 {
            common &= unsafe classes[Int(id[index])]
        }
        guard common != 0 else { return nil }
        var index = 0
        while index < 36 {
            unsafe raw.append(digit(id[index]) << 4 | digit(id[index + 1]))
            index += index == 6 || index == 11 || index == 16 || index == 21 ? 3 : 2
        }
        return common & lowerHexadecimal == 0
    }

    private static func packBase64(_ id: UnsafeRawBufferPointer, isURL: Bool, into raw: inout [UInt8]) -> Kind? {
        let count = id.count
        let rest = count % 4
        guard rest != 1 else { return nil }
        // The bits that are left over must be nothing, else the way back would not give the same characters.
        let unused: UInt8 = rest == 2 ? 0x0F : rest == 3 ? 0x03 : 0
        guard unsafe value(id[count - 1]) & unused == 0 else { return nil }
        var bits: UInt32 = 0
        var held = 0
        for unsafe byte in unsafe id {
            bits = bits << 6 | UInt32(value(byte))
            held += 6
            if held >= 8 {
                held -= 8
                raw.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            }
        }
        return Kind(mark: isURL ? TextMark.base64URL : TextMark.base64, count: count * 3 / 4)
    }

    /// Appends the characters of an id.
    static func unpack(_ bytes: ArraySlice<UInt8>, _ mark: UInt8, into output: inout [UInt8]) {
        switch mark {
        case TextMark.uuid, TextMark.capitalUUID:
            for (index, byte) in bytes.enumerated() {
                if index == 4 || index == 6 || index == 8 || index == 10 { output.append(UInt8(ascii: "-")) }
                appendHexadecimal(byte, isCapital: mark == TextMark.capitalUUID, to: &output)
            }
        case TextMark.hexadecimal, TextMark.capitalHexadecimal:
            for byte in bytes { appendHexadecimal(byte, isCapital: mark == TextMark.capitalHexadecimal, to: &output) }
        default:
            var bits: UInt32 = 0
            var held = 0
            for byte in bytes {
                bits = bits << 8 | UInt32(byte)
                held += 8
                while held >= 6 {
                    held -= 6
                    output.append(character(bits >> UInt32(held) & 63, isURL: mark == TextMark.base64URL))
                }
            }
            if held > 0 { output.append(character(bits << UInt32(6 - held) & 63, isURL: mark == TextMark.base64URL)) }
        }
    }

    @inline(__always)
    private static func digit(_ byte: UInt8) -> UInt8 { byte <= UInt8(ascii: "9") ? byte & 0x0F : (byte & 0x0F) + 9 }

    private static func value(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"), UInt8(ascii: "+"): 62
        default: 63
        }
    }

    private static func character(_ value: UInt32, isURL: Bool) -> UInt8 {
        let value = UInt8(truncatingIfNeeded: value)
        return switch value {
        case ..<26: UInt8(ascii: "A") + value
        case ..<52: UInt8(ascii: "a") + value - 26
        case ..<62: UInt8(ascii: "0") + value - 52
        case 62: isURL ? UInt8(ascii: "-") : UInt8(ascii: "+")
        default: isURL ? UInt8(ascii: "_") : UInt8(ascii: "/")
        }
    }

    private static func appendHexadecimal(_ byte: UInt8, isCapital: Bool, to output: inout [UInt8]) {
        let letters: UInt8 = isCapital ? 0x37 : 0x57
        for digit in [byte >> 4, byte & 0x0F] { output.append(digit < 10 ? 0x30 + digit : letters + digit) }
    }
}
