import Glibc

/// The sender's memory of the ids that a context has sent lately.
///
/// The receiver keeps the same ring; see ``TextExpander``.
struct RecentIDs {
    private static let width = ContextLimits.recentIDBytes
    private static let count = ContextLimits.recentIDs

    private var characters = [UInt8](repeating: 0, count: width * count)
    private var lengths = [UInt8](repeating: 0, count: count)
    /// Which id was last put under a hash, counted from 1.
    private var places = [Int](repeating: 0, count: 512)
    /// Ids remembered so far.
    private var total = 0

    /// How far back the id is: 0 for the last one; nil where it is not remembered.
    mutating func find(_ id: UnsafeRawBufferPointer) -> Int? {
        guard id.count <= Self.width else { return nil }
        let number = unsafe places[Self.place(id)]
        guard number > 0, total - number < Self.count else { return nil }
        let index = number % Self.count
        guard Int(lengths[index]) == id.count else { return nil }
        let isEqual = unsafe characters.withUnsafeBufferPointer { characters in
            guard let start = characters.baseAddress, let other = id.baseAddress else { return false }
            return unsafe memcmp(start + index * Self.width, other, id.count) == 0
        }
        return isEqual ? total - number : nil
    }

    mutating func remember(_ id: UnsafeRawBufferPointer) {
        guard id.count <= Self.width else { return }
        total += 1
        let index = total % Self.count
        unsafe places[Self.place(id)] = total
        lengths[index] = UInt8(truncatingIfNeeded: id.count)
        unsafe characters.withUnsafeMutableBytes { characters in
            unsafe UnsafeMutableRawBufferPointer(rebasing: characters[(index * Self.width)...]).copyMemory(from: id)
        }
    }

    private static func place(_ id: UnsafeRawBufferPointer) -> Int {
        unsafe Int(truncatingIfNeeded: PhraseTable.hash(id) >> 16 & 511)
    }
}
