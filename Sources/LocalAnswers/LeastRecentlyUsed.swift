/// A table that holds so many entries of so much weight and forgets what was not used for longest.
///
/// Entries are linked in the order of their use, so nothing hangs on the order of a hash table.
struct LeastRecentlyUsed<Key: Hashable, Value> {
    private struct Slot {
        var key: Key
        var value: Value
        var weight: Int
        var older = LeastRecentlyUsed.none
        var newer = LeastRecentlyUsed.none
    }

    private static var none: Int32 { -1 }

    let maximumCount: Int
    let maximumWeight: Int
    private var places: [Key: Int32] = [:]
    private var slots: [Slot?] = []
    private var free: [Int32] = []
    private var oldest = LeastRecentlyUsed.none
    private var newest = LeastRecentlyUsed.none
    /// Of all entries.
    private(set) var weight = 0

    init(count: Int, weight: Int = .max) {
        maximumCount = max(1, count)
        maximumWeight = max(1, weight)
    }

    var count: Int { places.count }
    var isEmpty: Bool { places.isEmpty }

    /// The value, without counting as a use.
    subscript(key: Key) -> Value? { places[key].flatMap { slots[Int($0)]?.value } }

    /// The value; it is the one used last from now on.
    mutating func use(_ key: Key) -> Value? {
        guard let place = places[key] else { return nil }
        unlink(place)
        link(place)
        return slots[Int(place)]?.value
    }

    /// Puts a value in, and forgets others where there is no room; false, and nothing under the key, where it is too
    /// heavy by itself.
    @discardableResult
    mutating func set(_ key: Key, _ value: Value, weight: Int = 1) -> Bool {
        remove(key)
        guard weight <= maximumWeight else { return false }
        while oldest != Self.none, count >= maximumCount || self.weight > maximumWeight - weight {
            guard let key = slots[Int(oldest)]?.key else { break }
            remove(key)
        }
        let place: Int32
        let slot = Slot(key: key, value: value, weight: weight)
        if let reused = free.popLast() {
            place = reused
            slots[Int(place)] = slot
        } else {
            place = Int32(truncatingIfNeeded: slots.count)
            slots.append(slot)
        }
        places[key] = place
        self.weight += weight
        link(place)
        return true
    }

    mutating func remove(_ key: Key) {
        guard let place = places.removeValue(forKey: key) else { return }
        unlink(place)
        weight -= slots[Int(place)]?.weight ?? 0
        slots[Int(place)] = nil
        free.append(place)
    }

    mutating func removeAll() { self = LeastRecentlyUsed(count: maximumCount, weight: maximumWeight) }

    /// Gives every entry to `body`, the least recently used first.
    func forEach(_ body: (Key, Value) -> Void) {
        var place = oldest
        while place != Self.none, let slot = slots[Int(place)] {
            body(slot.key, slot.value)
            place = slot.newer
        }
    }

    /// Changes every value, the least recently used first.
    mutating func mutateAll(_ body: (inout Value) -> Void) {
        var place = oldest
        while place != Self.none, var slot = slots[Int(place)] {
            body(&slot.value)
            slots[Int(place)] = slot
            place = slot.newer
        }
    }

    private mutating func link(_ place: Int32) {
        slots[Int(place)]?.older = newest
        slots[Int(place)]?.newer = Self.none
        if newest != Self.none { slots[Int(newest)]?.newer = place } else { oldest = place }
        newest = place
    }

    private mutating func unlink(_ place: Int32) {
        guard let slot = slots[Int(place)] else { return }
        if slot.older != Self.none { slots[Int(slot.older)]?.newer = slot.newer } else { oldest = slot.newer }
        if slot.newer != Self.none { slots[Int(slot.newer)]?.older = slot.older } else { newest = slot.older }
    }
}
