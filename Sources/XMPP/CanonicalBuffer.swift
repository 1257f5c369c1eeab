/// Growing storage for canonical XML: the one place that escapes.
///
/// Canonical form: single quotes; `&`, `<` and, after `]]`, `>` escaped in text; `&`, `<`, `'`, tab and line ends in
/// attribute values; a carriage return always, since a parser would turn it into a line feed.
@safe struct CanonicalBuffer: ~Copyable {
    private(set) var base: UnsafeMutablePointer<UInt8>
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int = 1_024) {
        self.capacity = capacity
        unsafe self.base = .allocate(capacity: capacity)
    }

    deinit {
        unsafe self.base.deallocate()
    }

    /// Forgets the content, and gives back memory beyond what an ordinary stanza needs.
    mutating func clear() {
        self.count = 0
        guard self.capacity > 65_536 else { return }
        unsafe self.base.deallocate()
        self.capacity = 4_096
        unsafe self.base = .allocate(capacity: self.capacity)
    }

    mutating func truncate(to count: Int) {
        precondition(count <= self.count, "a buffer cannot be truncated to more than it holds")
        self.count = count
    }

    @inline(__always)
    mutating func reserve(_ more: Int) {
        if self.count + more > self.capacity { self.grow(more) }
    }

    @inline(never)
    private mutating func grow(_ more: Int) {
        let capacity = max(self.capacity * 2, self.count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        unsafe larger.update(from: self.base, count: self.count)
        unsafe self.base.deallocate()
        unsafe self.base = larger
        self.capacity = capacity
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        self.reserve(1)
        unsafe self.base[self.count] = byte
        self.count += 1
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafePointer<UInt8>, _ length: Int) {
        self.reserve(length)
        unsafe (self.base + self.count).update(from: bytes, count: length)
        self.count += length
    }

    /// What stands before an attribute's value: ` name='`.
    @inline(__always)
    mutating func appendAttributeStart(_ name: Bytes) {
        self.reserve(name.count + 3)
        unsafe self.base[self.count] = UInt8(ascii: " ")
        unsafe (self.base + self.count + 1).update(from: name.start, count: name.count)
        unsafe self.base[self.count + 1 + name.count] = UInt8(ascii: "=")
        unsafe self.base[self.count + 2 + name.count] = UInt8(ascii: "'")
        self.count += name.count + 3
    }

    /// Appends bytes with the capital letters of ASCII made small.
    @inline(__always)
    mutating func appendLowercased(_ bytes: Bytes) {
        self.reserve(bytes.count)
        for index in 0..<bytes.count {
            let byte = unsafe bytes.start[index]
            unsafe self.base[self.count + index] = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
        }
        self.count += bytes.count
    }

    /// The bytes from `offset` on, for the length of one call.
    @inline(__always)
    func bytes(from offset: Int, _ length: Int) -> Bytes {
        precondition(offset >= 0 && length >= 0 && offset + length <= self.count, "outside the buffer")
        return unsafe Bytes(self.base + offset, length)
    }

    /// Appends bytes of this same buffer again.
    mutating func appendCopy(at offset: Int, count length: Int) {
        self.reserve(length)
        unsafe (self.base + self.count).update(from: self.base + offset, count: length)
        self.count += length
    }

    @inline(__always)
    mutating func append(_ literal: StaticString) {
        unsafe self.append(literal.utf8Start, literal.utf8CodeUnitCount)
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            if let start = bytes.baseAddress { unsafe self.append(start, bytes.count) }
        }
    }

    mutating func appendText(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            if let start = bytes.baseAddress { unsafe self.appendText(start, bytes.count) }
        }
    }

    mutating func appendAttributeValue(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            if let start = bytes.baseAddress { unsafe self.appendAttributeValue(start, bytes.count) }
        }
    }

    /// Character data, escaped.
    mutating func appendText(_ bytes: UnsafePointer<UInt8>, _ length: Int) {
        var start = 0
        var index = 0
        self.reserve(length)
        let whole = unsafe Bytes(bytes, length)
        while index < length {
            if index + 8 <= length, !Self.mayNeedEscapeInText(whole.word(at: index)) {
                index += 8
                continue
            }
            let byte = unsafe bytes[index]
            if byte > UInt8(ascii: ">") || (byte > UInt8(ascii: "&") && byte < UInt8(ascii: "<")) || byte == 0x20 {
                index += 1
                continue
            }
            let escape: StaticString?
            switch byte {
            case UInt8(ascii: "&"): escape = "&amp;"
            case UInt8(ascii: "<"): escape = "&lt;"
            case UInt8(ascii: ">"):
                unsafe self.append(bytes + start, index - start)
                start = index
                escape = self.endsWithTwoBrackets ? "&gt;" : nil
            case 0x0d: escape = "&#13;"
            default: escape = nil
            }
            if let escape {
                unsafe self.append(bytes + start, index - start)
                self.append(escape)
                start = index + 1
            }
            index += 1
        }
        unsafe self.append(bytes + start, length - start)
    }

    // Eight bytes at a time: the top bit of each byte in the result says that it matches. A byte above a matching one
    // may be named by mistake; that only costs a second look.

    @inline(__always)
    private static func matches(_ word: UInt64, _ byte: UInt64) -> UInt64 {
        let difference = word ^ (byte &* 0x0101_0101_0101_0101)
        return (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
    }

    /// `&`, `<`, `>` (one bit from `<`), carriage return.
    @inline(__always)
    private static func mayNeedEscapeInText(_ word: UInt64) -> Bool {
        let angles = self.matches(word & 0xfdfd_fdfd_fdfd_fdfd, 0x3c)
        return angles | self.matches(word, 0x26) | self.matches(word, 0x0d) != 0
    }

    /// `&` and `'` (one bit from `&`), `<`, all below the space.
    @inline(__always)
    private static func mayNeedEscapeInAttribute(_ word: UInt64) -> Bool {
        let quotes = self.matches(word & 0xfefe_fefe_fefe_fefe, 0x26)
        let controls = (word &- 0x2020_2020_2020_2020) & ~word & 0x8080_8080_8080_8080
        return quotes | self.matches(word, 0x3c) | controls != 0
    }

    private var endsWithTwoBrackets: Bool {
        guard self.count >= 2 else { return false }
        return unsafe self.base[self.count - 1] == UInt8(ascii: "]")
            && self.base[self.count - 2] == UInt8(ascii: "]")
    }

    /// An attribute's value, escaped; the quotes are the caller's.
    mutating func appendAttributeValue(_ bytes: UnsafePointer<UInt8>, _ length: Int) {
        var start = 0
        var index = 0
        self.reserve(length)
        let whole = unsafe Bytes(bytes, length)
        while index < length {
            if index + 8 <= length, !Self.mayNeedEscapeInAttribute(whole.word(at: index)) {
                index += 8
                continue
            }
            let byte = unsafe bytes[index]
            if byte > UInt8(ascii: "<") || (byte > UInt8(ascii: "'") && byte < UInt8(ascii: "<")) {
                index += 1
                continue
            }
            let escape: StaticString?
            switch byte {
            case UInt8(ascii: "&"): escape = "&amp;"
            case UInt8(ascii: "<"): escape = "&lt;"
            case UInt8(ascii: "'"): escape = "&apos;"
            case 0x09: escape = "&#9;"
            case 0x0a: escape = "&#10;"
            case 0x0d: escape = "&#13;"
            default: escape = nil
            }
            if let escape {
                unsafe self.append(bytes + start, index - start)
                self.append(escape)
                start = index + 1
            }
            index += 1
        }
        unsafe self.append(bytes + start, length - start)
    }

    /// The content as text; for the few strings that are made outside stanzas.
    consuming func takeText() -> String {
        unsafe String(decoding: UnsafeBufferPointer(start: self.base, count: self.count), as: UTF8.self)
    }
}
