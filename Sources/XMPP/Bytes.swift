import Glibc

/// Bytes that somebody else owns, for the length of one call.
@safe struct Bytes {
    let start: UnsafePointer<UInt8>
    let count: Int

    @inline(__always)
    init(_ start: UnsafePointer<UInt8>, _ count: Int) {
        unsafe self.start = unsafe start
        self.count = count
    }

    /// A C string.
    @inline(__always)
    init(_ string: UnsafePointer<CChar>) {
        let start = unsafe UnsafeRawPointer(string).assumingMemoryBound(to: UInt8.self)
        unsafe self.init(start, strlen(string))
    }

    @inline(__always)
    subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < self.count, "outside the bytes")
        return unsafe self.start[index]
    }

    @inline(__always)
    func dropFirst(_ number: Int) -> Bytes {
        unsafe Bytes(self.start + number, self.count - number)
    }

    @inline(__always)
    func prefix(_ number: Int) -> Bytes {
        unsafe Bytes(self.start, number)
    }

    /// Where a byte stands first.
    @inline(__always)
    func firstIndex(of byte: UInt8) -> Int? {
        guard self.count > 0, let found = unsafe memchr(self.start, Int32(byte), self.count) else { return nil }
        return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(self.start)
    }

    /// A part; the range must lie within.
    func slice(_ range: ByteRange) -> Bytes {
        precondition(range.end <= self.count, "outside the bytes")
        return unsafe Bytes(self.start + Int(range.start), Int(range.count))
    }

    @inline(__always)
    func equals(_ literal: StaticString) -> Bool {
        unsafe self.count == literal.utf8CodeUnitCount && memcmp(self.start, literal.utf8Start, self.count) == 0
    }

    @inline(__always)
    func equals(_ other: Bytes) -> Bool {
        unsafe self.count == other.count && memcmp(self.start, other.start, self.count) == 0
    }

    func equals(_ text: String) -> Bool {
        guard self.count == text.utf8.count else { return false }
        var text = text
        return text.withUTF8 { bytes in
            guard let start = bytes.baseAddress else { return true }
            return unsafe memcmp(self.start, start, self.count) == 0
        }
    }

    /// Order of bytes; a prefix comes first.
    func precedes(_ other: Bytes) -> Bool {
        let order = unsafe memcmp(self.start, other.start, min(self.count, other.count))
        return order == 0 ? self.count < other.count : order < 0
    }

    /// Eight bytes as one number, the first the lowest.
    @inline(__always)
    func word(at offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset + 8 <= self.count, "outside the bytes")
        return unsafe UInt64(
            littleEndian: UnsafeRawPointer(self.start).loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Whether no byte is beyond ASCII.
    var isASCII: Bool {
        var all: UInt64 = 0
        var offset = 0
        while offset + 8 <= self.count {
            all |= self.word(at: offset)
            offset += 8
        }
        while offset < self.count {
            all |= UInt64(self[offset])
            offset += 1
        }
        return all & 0x8080_8080_8080_8080 == 0
    }

    /// ``StableHash`` of these bytes, taken eight at a time.
    @inline(__always)
    var hash: UInt64 {
        var hash = StableHash()
        var offset = 0
        while offset + 8 <= self.count {
            hash.combine(self.word(at: offset))
            offset += 8
        }
        if offset < self.count {
            if self.count >= 8 {
                hash.combine(self.word(at: self.count - 8))
            } else {
                var word: UInt64 = 0
                for index in 0..<self.count { word |= UInt64(unsafe self.start[index]) << UInt64(index * 8) }
                hash.combine(word)
            }
        }
        hash.combine(UInt64(truncatingIfNeeded: self.count))
        return hash.value
    }

    var string: String {
        unsafe String(decoding: UnsafeBufferPointer(start: self.start, count: self.count), as: UTF8.self)
    }
}

extension String {
    /// The UTF-8 of a string, for the length of one call.
    func withBytes<R>(_ body: (Bytes) -> R) -> R {
        var copy = self
        return copy.withUTF8 { buffer in
            if let start = buffer.baseAddress { return unsafe body(Bytes(start, buffer.count)) }
            var nothing: UInt8 = 0
            return unsafe withUnsafePointer(to: &nothing) { unsafe body(Bytes($0, 0)) }
        }
    }
}
