/// The recipient lists of one compression context.
///
/// Entries are canonical attribute values, escaped as they stand between the quotes. Sender and receiver apply the same
/// changes in the same order, so that no list is ever asked for.
struct RecipientLists {
    private var lists: [[[UInt8]]?] = Array(repeating: nil, count: ContextLimits.lists)
    /// The sender's memory of when each was used.
    private var usedAt: [Int] = Array(repeating: 0, count: ContextLimits.lists)
    private var uses = 0
    /// The sender's: which lists an entry stands in, a bit for each slot.
    private var slots: [[UInt8]: UInt64] = [:]

    subscript(slot: Int) -> [[UInt8]]? {
        lists.indices.contains(slot) ? lists[slot] : nil
    }

    /// Whether a list may exist.
    static func isAcceptable(_ list: [[UInt8]]) -> Bool {
        !list.isEmpty && isAcceptable(count: list.count, bytes: list.reduce(0) { $0 + $1.count })
    }

    static func isAcceptable(count: Int, bytes: Int) -> Bool {
        count <= ContextLimits.recipients && bytes <= ContextLimits.listBytes
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
    ///
    /// What comes out may be in another order, but for the addresses of one user: their stanzas keep theirs.
    mutating func spell(_ recipients: [[UInt8]]) -> Spelling {
        uses += 1
        let whole = recipients.reduce(0) { $0 + $1.count + 1 }
        for slot in candidates(recipients, whole: whole) {
            guard let list = lists[slot] else { continue }
            let wanted = Set(recipients)
            let removed = list.indices.filter { !wanted.contains(list[$0]) }
            let added = recipients.filter { slots[$0, default: 0] & 1 << UInt64(slot) == 0 }
            guard removed.count * 2 + added.reduce(0, { $0 + $1.count + 1 }) < whole / 2 else { continue }
            let changed = removed.isEmpty && added.isEmpty ? list : Self.changed(list, removed: removed, added: added)
            guard Self.isAcceptable(changed), Self.keepsOrder(changed, of: recipients) else { continue }
            usedAt[slot] = uses
            guard !removed.isEmpty || !added.isEmpty else { return .reference(slot) }
            replace(slot, with: changed)
            return .change(slot, removed: removed, added: added)
        }
        let slot = lists.firstIndex { $0 == nil } ?? usedAt.indices.min { usedAt[$0] < usedAt[$1] } ?? 0
        replace(slot, with: recipients)
        usedAt[slot] = uses
        return .definition(slot)
    }

    /// The few lists that are most like these recipients, the best first.
    private func candidates(_ recipients: [[UInt8]], whole: Int) -> ArraySlice<Int> {
        var kept = Array(repeating: 0, count: lists.count)
        for recipient in recipients {
            var mask = slots[recipient] ?? 0
            while mask != 0 {
                kept[mask.trailingZeroBitCount] += 1
                mask &= mask - 1
            }
        }
        let mean = whole / max(1, recipients.count)
        return lists.indices.compactMap { slot -> (slot: Int, cost: Int)? in
            guard kept[slot] > 0, let list = lists[slot] else { return nil }
            return (slot, (list.count - kept[slot]) * 2 + (recipients.count - kept[slot]) * mean)
        }.filter { $0.cost < whole }.sorted { ($0.cost, $0.slot) < ($1.cost, $1.slot) }.map(\.slot).prefix(4)
    }

    private mutating func replace(_ slot: Int, with list: [[UInt8]]) {
        let bit: UInt64 = 1 << UInt64(slot)
        for entry in lists[slot] ?? [] {
            let rest = slots[entry, default: 0] & ~bit
            slots[entry] = rest == 0 ? nil : rest
        }
        for entry in list { slots[entry, default: 0] |= bit }
        lists[slot] = list
    }

    /// Whether addresses of one user stand in `list` as they do in `recipients`; both hold the same.
    private static func keepsOrder(_ list: [[UInt8]], of recipients: [[UInt8]]) -> Bool {
        if list == recipients { return true }
        let users = Dictionary(grouping: recipients) { $0.prefix { $0 != UInt8(ascii: "/") } }
        guard users.count < recipients.count else { return true }
        let listed = Dictionary(grouping: list) { $0.prefix { $0 != UInt8(ascii: "/") } }
        return users.allSatisfy { $0.value.count == 1 || listed[$0.key] == $0.value }
    }
}
