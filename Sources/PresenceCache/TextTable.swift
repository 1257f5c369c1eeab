import Glibc

/// Byte strings, each kept once however often it is used: addresses, resources and what presence says.
///
/// A string is named by a number of four bytes, and equal strings have equal numbers for as long as somebody holds one.
/// Strings lie in chunks of one mebibyte behind a header of 16 bytes; what is given back is cut to what is wanted next.
/// No allocation per string, no class, no String. Found by a keyed hash, decided by the bytes. The unsafe code of the
/// target is here.
@safe struct TextTable: ~Copyable {
    /// The name of a string; 0 is the empty one.
    typealias ID = UInt32

    /// Longer strings are not taken.
    static let longest = 16_000

    private struct Header {
        var references: UInt32
        var hash: UInt32
        /// The next in the bucket.
        var next: ID
        /// Bytes as they are kept; the highest bit says that they are in ``PayloadShorthand``.
        var size: UInt32

        var count: Int { Int(size & ~Self.short) }
        var isShort: Bool { size & Self.short != 0 }
        static let short: UInt32 = 1 << 31
    }

    @safe private struct Chunk {
        let start: UnsafeMutableRawPointer
    }

    private static let unit = 8
    private static let headerUnits = 2
    private static let chunkUnits = 1 << 17
    private static let largestUnits = (longest + 7) / unit + headerUnits

    private let hash: KeyedHash
    private let maximumChunks: Int
    private var chunks: [Chunk] = []
    /// Where the last chunk goes on.
    private var nextUnit = 0
    /// Free pieces by size in units; the next one is named in the piece's own bytes.
    private var free = [ID](repeating: 0, count: largestUnits + 1)
    /// Which of them there are, one bit a size.
    private var sizes = [UInt64](repeating: 0, count: largestUnits / 64 + 1)
    private var buckets = [ID](repeating: 0, count: 1_024)

    /// How many strings are kept.
    private(set) var count = 0
    /// Bytes of the strings that are kept, with their headers.
    private(set) var byteCount = 0

    init(maximumBytes: Int, key: (UInt64, UInt64)) {
        hash = KeyedHash(key: key)
        maximumChunks = max(1, maximumBytes / (Self.chunkUnits * Self.unit))
    }

    deinit {
        for chunk in chunks { unsafe chunk.start.deallocate() }
    }

    // MARK: Keeping

    /// The name of a string, which is held until ``release(_:)``; nil where it is too long or there is no room.
    ///
    /// - Parameter isPayload: it may be kept in ``PayloadShorthand``; it is read by ``append(_:to:)`` then.
    mutating func hold(_ bytes: UnsafeRawBufferPointer, isPayload: Bool = false) -> ID? {
        guard unsafe !bytes.isEmpty else { return 0 }
        guard bytes.count <= Self.longest else { return nil }
        let hash = UInt32(truncatingIfNeeded: unsafe hash.of(bytes))
        if let found = unsafe find(bytes, hash) {
            retain(found)
            return found
        }
        if count >= buckets.count { growBuckets() }
        guard isPayload, let short = unsafe PayloadShorthand.shortened(bytes) else {
            return unsafe add(bytes, hash, isShort: false)
        }
        return unsafe short.withUnsafeBytes { unsafe add($0, hash, isShort: true) }
    }

    private mutating func add(_ bytes: UnsafeRawBufferPointer, _ hash: UInt32, isShort: Bool) -> ID? {
        guard let id = allocate(Self.units(bytes.count)), let start = bytes.baseAddress else { return nil }
        let bucket = Int(hash) & (buckets.count - 1)
        let header = unsafe header(id)
        unsafe header.pointee = Header(
            references: 1, hash: hash, next: buckets[bucket], size: UInt32(bytes.count) | (isShort ? Header.short : 0))
        unsafe memcpy(header + 1, start, bytes.count)
        buckets[bucket] = id
        count += 1
        byteCount += Self.units(bytes.count) * Self.unit
        return id
    }

    /// The name of a string that is kept; nil where it is not.
    func find(_ bytes: UnsafeRawBufferPointer) -> ID? {
        unsafe bytes.isEmpty ? 0 : unsafe find(bytes, UInt32(truncatingIfNeeded: hash.of(bytes)))
    }

    private func find(_ bytes: UnsafeRawBufferPointer, _ hash: UInt32) -> ID? {
        var id = buckets[Int(hash) & (buckets.count - 1)]
        while id != 0 {
            let header = unsafe header(id)
            if unsafe header.pointee.hash == hash, unsafe equals(id, bytes) { return id }
            id = unsafe header.pointee.next
        }
        return nil
    }

    func retain(_ id: ID) {
        guard id != 0 else { return }
        unsafe header(id).pointee.references += 1
    }

    mutating func release(_ id: ID) {
        guard id != 0 else { return }
        let header = unsafe header(id)
        unsafe header.pointee.references -= 1
        guard unsafe header.pointee.references == 0 else { return }
        let units = unsafe Self.units(header.pointee.count)
        let bucket = unsafe Int(header.pointee.hash) & (buckets.count - 1)
        let next = unsafe header.pointee.next
        if buckets[bucket] == id {
            buckets[bucket] = next
        } else {
            var other = buckets[bucket]
            while unsafe self.header(other).pointee.next != id { other = unsafe self.header(other).pointee.next }
            unsafe self.header(other).pointee.next = next
        }
        count -= 1
        byteCount -= units * Self.unit
        give(id, units)
    }

    // MARK: Reading

    @inline(__always)
    func equals(_ id: ID, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard id != 0 else { return unsafe bytes.isEmpty }
        let header = unsafe header(id)
        if unsafe header.pointee.isShort { return unsafe PayloadShorthand.equals(kept(header), bytes) }
        guard unsafe header.pointee.count == bytes.count, let start = bytes.baseAddress else { return false }
        return unsafe memcmp(header + 1, start, bytes.count) == 0
    }

    /// The bytes, good until the table is changed. Not of a payload.
    func bytes(_ id: ID) -> UnsafeRawBufferPointer {
        guard id != 0 else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        let header = unsafe header(id)
        precondition(unsafe !header.pointee.isShort, "a payload is read by append(_:to:)")
        return unsafe kept(header)
    }

    private func kept(_ header: UnsafeMutablePointer<Header>) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: header + 1, count: header.pointee.count)
    }

    /// Appends the bytes of any string.
    func append(_ id: ID, to bytes: inout [UInt8]) {
        guard id != 0 else { return }
        let header = unsafe header(id)
        if unsafe header.pointee.isShort {
            unsafe PayloadShorthand.append(kept(header), to: &bytes)
        } else {
            unsafe bytes.append(contentsOf: kept(header))
        }
    }

    func string(_ id: ID) -> String { unsafe String(decoding: bytes(id), as: UTF8.self) }

    @inline(__always)
    private func header(_ id: ID) -> UnsafeMutablePointer<Header> {
        let chunk = chunks[Int(id) / Self.chunkUnits]
        return unsafe (chunk.start + Int(id) % Self.chunkUnits * Self.unit).assumingMemoryBound(to: Header.self)
    }

    // MARK: Room

    private static func units(_ count: Int) -> Int { headerUnits + (count + unit - 1) / unit }

    private mutating func allocate(_ units: Int) -> ID? {
        if free[units] != 0 { return take(units) }
        if !chunks.isEmpty, nextUnit + units <= Self.chunkUnits { return bump(units) }
        // A rest must be large enough for a header, so one unit more than wanted is no fit.
        if let larger = smallestSize(from: units + Self.headerUnits), let id = take(larger) {
            give(id + ID(units), larger - units)
            return id
        }
        guard chunks.count < maximumChunks else { return nil }
        giveRest()
        chunks.append(
            unsafe Chunk(start: .allocate(byteCount: Self.chunkUnits * Self.unit, alignment: 16)))
        // No string has the name 0.
        nextUnit = chunks.count == 1 ? 1 : 0
        return bump(units)
    }

    private mutating func bump(_ units: Int) -> ID {
        let id = ID((chunks.count - 1) * Self.chunkUnits + nextUnit)
        nextUnit += units
        return id
    }

    /// The end of a chunk that is too short for what is wanted.
    private mutating func giveRest() {
        guard !chunks.isEmpty else { return }
        let rest = Self.chunkUnits - nextUnit
        guard rest >= Self.headerUnits else { return }
        give(ID((chunks.count - 1) * Self.chunkUnits + nextUnit), rest)
        nextUnit = Self.chunkUnits
    }

    private mutating func give(_ id: ID, _ units: Int) {
        var id = id
        var units = units
        while units > Self.largestUnits {
            let rest = units - Self.largestUnits
            let part = rest >= Self.headerUnits ? Self.largestUnits : Self.largestUnits - Self.headerUnits
            give(id, part)
            id += ID(part)
            units -= part
        }
        unsafe header(id).pointee.next = free[units]
        free[units] = id
        sizes[units / 64] |= 1 << UInt64(units % 64)
    }

    private mutating func take(_ units: Int) -> ID? {
        let id = free[units]
        guard id != 0 else { return nil }
        free[units] = unsafe header(id).pointee.next
        if free[units] == 0 { sizes[units / 64] &= ~(1 << UInt64(units % 64)) }
        return id
    }

    private func smallestSize(from units: Int) -> Int? {
        guard units <= Self.largestUnits else { return nil }
        var word = units / 64
        var bits = sizes[word] & (~0 << UInt64(units % 64))
        while bits == 0 {
            word += 1
            guard word < sizes.count else { return nil }
            bits = sizes[word]
        }
        return word * 64 + bits.trailingZeroBitCount
    }

    private mutating func growBuckets() {
        var larger = [ID](repeating: 0, count: buckets.count * 2)
        for head in buckets {
            var id = head
            while id != 0 {
                let header = unsafe header(id)
                let next = unsafe header.pointee.next
                let bucket = unsafe Int(header.pointee.hash) & (larger.count - 1)
                unsafe header.pointee.next = larger[bucket]
                larger[bucket] = id
                id = next
            }
        }
        buckets = larger
    }
}
