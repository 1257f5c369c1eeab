/// A set of places in one stanza's index. Allocates nothing for a stanza of up to 64 elements.
package struct ElementSet: Equatable, Sendable {
    private var first: UInt64 = 0
    /// Places from 64 on; empty where there are none.
    private var rest: [UInt64] = []

    package init() {}

    package var isEmpty: Bool { self.first == 0 && self.rest.isEmpty }

    @inline(__always)
    package mutating func insert(_ index: Int) {
        if index < 64 {
            self.first |= 1 << UInt64(index)
        } else {
            self.insertHigh(index)
        }
    }

    @inline(never)
    private mutating func insertHigh(_ index: Int) {
        let word = index / 64 - 1
        while self.rest.count <= word { self.rest.append(0) }
        self.rest[word] |= 1 << UInt64(index & 63)
    }

    @inline(__always)
    package func contains(_ index: Int) -> Bool {
        if index < 64 { return self.first & (1 << UInt64(index)) != 0 }
        let word = index / 64 - 1
        return word < self.rest.count && self.rest[word] & (1 << UInt64(index & 63)) != 0
    }
}
