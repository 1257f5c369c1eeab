/// The recipient lists of one compression context.
///
/// Entries are canonical attribute values, escaped as they stand between the quotes. Sender and receiver apply the same
/// changes in the same order, so that no list is ever asked for.
struct RecipientLists {
    private var lists: [[[UInt8]]?] = Array(repeating: nil, count: ContextLimits.lists)
    /// The sender's memory of when each was used.
    private var usedAt: [Int] = Array(repeating: 0, count: ContextLimits.lists)
    private var uses = 0

    subscript(slot: Int) -> [[UInt8]]? {
        lists.indices.contains(slot) ? lists[slot] : nil
    }

    /// Whether a list may exist.
    static func isAcceptable(_ list: [[UInt8]]) -> Bool {
        !list.isEmpty && list.count <= ContextLimits.recipients
            && list.reduce(0, { $0 + $1.count }) <= ContextLimits.listBytes
    }

    mutating func set(_ slot: Int, _ list: [[UInt8]]) { lists[slot] = list }

    /// `list` without the entries at `removed` and with `added` at its end.
    static func changed(_ list: [[UInt8]], removed: [Int], added: [[UInt8]]) -> [[UInt8]] {
        let removed = Set(removed)
        return list.indices.filter { !removed.contains($0) }.map { list[$0] } + added
    }

    enum Spelling: Equatable {
        case reference(Int)
        case definition(Int)
        case change(Int, removed: [Int], added: [[UInt8]])
    }

    /// The sender's choice: how to name these recipients in the fewest bytes. The table is as the receiver's will be.
    mutating func spell(_ recipients: [[UInt8]]) -> Spelling {
        uses += 1
        let wanted = Set(recipients)
        var best: (slot: Int, cost: Int, removed: [Int], added: [[UInt8]])?
        for (slot, list) in lists.enumerated() {
            guard let list else { continue }
            let removed = list.indices.filter { !wanted.contains(list[$0]) }
            let kept = Set(list)
            let added = recipients.filter { !kept.contains($0) }
            let cost = removed.count * 2 + added.reduce(0) { $0 + $1.count + 1 }
            if cost < best?.cost ?? Int.max { best = (slot, cost, removed, added) }
        }
        let whole = recipients.reduce(0) { $0 + $1.count + 1 }
        if let best, best.cost < whole / 2, let list = lists[best.slot] {
            usedAt[best.slot] = uses
            guard best.cost > 0 else { return .reference(best.slot) }
            let changed = Self.changed(list, removed: best.removed, added: best.added)
            if Self.isAcceptable(changed) {
                lists[best.slot] = changed
                return .change(best.slot, removed: best.removed, added: best.added)
            }
        }
        let slot = lists.firstIndex { $0 == nil } ?? usedAt.indices.min { usedAt[$0] < usedAt[$1] } ?? 0
        lists[slot] = recipients
        usedAt[slot] = uses
        return .definition(slot)
    }
}
