import Glibc

/// The sender's side of the phrases of one compression context: which are defined, and which have been seen before.
///
/// Policy, not protocol: the receiver only follows definitions. A phrase is defined when it is seen for the second time.
/// When all slots are taken, one that was not used lately makes room (second chance).
struct PhraseTable {
    /// After so much text it is time to see which phrases are in use: a new session has the last
    /// ``ContextLimits/historyBytes`` of it, and there it should find the phrases that it will need.
    private static let refreshDistance = 24_576
    /// Used so often in that time, a phrase is written out again; DEFLATE still has the last time in its window.
    private static let refreshUses = 3

    private static let ways = 4
    private static let buckets = 1_024
    private static let none = UInt16.max

    private var phrases: [[UInt8]] = []
    private var hashes: [UInt64] = []
    /// From where in the context's text the uses of each are counted.
    private var countedFrom: [Int] = []
    private var wasUsed: [Bool] = []
    /// How often each was used from there on.
    private var uses: [Int] = []
    private var isDefined: [Bool] = []
    private var hand = 0
    private var places = [UInt16](repeating: none, count: ways * buckets)
    /// Upper halves of hashes of what was seen once.
    private var seen = [UInt32](repeating: 0, count: 4_096)

    /// - Parameter history: the context's text so far; the positions that other methods take count from its beginning.
    init(history: [UInt8]) {
        for definition in PhraseScan.definitions(in: history) {
            let phrase = Array(definition.phrase)
            grow(to: definition.slot + 1)
            set(definition.slot, phrase, hash: Self.hash(phrase[...]), position: definition.offset)
        }
    }

    /// The slot of a phrase that is defined.
    mutating func slot(of phrase: ArraySlice<UInt8>, hash: UInt64) -> Int? {
        let bucket = Self.bucket(hash)
        for place in bucket..<bucket + Self.ways {
            let slot = Int(places[place])
            guard slot < hashes.count, hashes[slot] == hash, isDefined[slot] else { continue }
            if Self.equal(phrases[slot], phrase) {
                wasUsed[slot] = true
                return slot
            }
        }
        return nil
    }

    /// A phrase is about to be used at `position`. Whether it should be written out again there.
    mutating func use(_ slot: Int, position: Int) -> Bool {
        uses[slot] += 1
        guard position - countedFrom[slot] > Self.refreshDistance else { return false }
        defer {
            countedFrom[slot] = position
            uses[slot] = 0
        }
        return uses[slot] >= Self.refreshUses
    }

    /// Whether this was seen before; from now on it was.
    mutating func noteSeen(_ hash: UInt64) -> Bool {
        let place = Int(truncatingIfNeeded: hash & 4_095)
        let mark = UInt32(truncatingIfNeeded: hash >> 32) | 1
        defer { seen[place] = mark }
        return seen[place] == mark
    }

    /// Gives the phrase a slot.
    mutating func define(_ phrase: ArraySlice<UInt8>, hash: UInt64, position: Int) -> Int {
        let slot = freeSlot()
        set(slot, Array(phrase), hash: hash, position: position)
        return slot
    }

    private mutating func freeSlot() -> Int {
        if hashes.count < ContextLimits.slots {
            grow(to: hashes.count + 1)
            return hashes.count - 1
        }
        while true {
            defer { hand = (hand + 1) % ContextLimits.slots }
            guard wasUsed[hand] else { return hand }
            wasUsed[hand] = false
        }
    }

    private mutating func grow(to count: Int) {
        while hashes.count < count {
            phrases.append([])
            hashes.append(0)
            countedFrom.append(0)
            wasUsed.append(false)
            uses.append(0)
            isDefined.append(false)
        }
    }

    private mutating func set(_ slot: Int, _ phrase: [UInt8], hash: UInt64, position: Int) {
        phrases[slot] = phrase
        hashes[slot] = hash
        countedFrom[slot] = position
        uses[slot] = 0
        wasUsed[slot] = true
        isDefined[slot] = true
        let bucket = Self.bucket(hash)
        var place = bucket + Int(truncatingIfNeeded: hash >> 62)
        for candidate in bucket..<bucket + Self.ways {
            let other = Int(places[candidate])
            // Empty, or left behind by a phrase that lost its slot since.
            if other >= hashes.count || other == slot || Self.bucket(hashes[other]) != bucket {
                place = candidate
                break
            }
        }
        places[place] = UInt16(truncatingIfNeeded: slot)
    }

    @inline(__always)
    private static func bucket(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: (hash >> 20) & UInt64(buckets - 1)) * ways
    }

    private static func equal(_ left: [UInt8], _ right: ArraySlice<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        return unsafe left.withUnsafeBufferPointer { left in
            unsafe right.withUnsafeBufferPointer { right in
                guard let one = left.baseAddress, let other = right.baseAddress else { return true }
                return unsafe memcmp(one, other, left.count) == 0
            }
        }
    }

    /// The same in every process: what is sent depends on it.
    static func hash(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        unsafe bytes.withUnsafeBytes { unsafe hash($0) }
    }

    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15 ^ UInt64(truncatingIfNeeded: bytes.count)
        var offset = 0
        while offset + 8 <= bytes.count {
            state = unsafe (state ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian) &* 0xff51_afd7_ed55_8ccd
            state ^= state >> 32
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < bytes.count {
            rest = unsafe rest << 8 | UInt64(bytes[offset])
            offset += 1
        }
        state = (state ^ rest) &* 0xc4ce_b9fe_1a85_ec53
        return state ^ (state >> 29)
    }
}
