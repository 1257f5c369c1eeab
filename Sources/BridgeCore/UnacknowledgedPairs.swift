import Blocks

/// How many numbered stanzas of each pair of addresses are not acknowledged, by lane. A pair uses one lane at a time: only
/// inside a lane is the order certain.
struct UnacknowledgedPairs {
    private var counts: [UInt64: (normal: Int32, express: Int32)] = [:]

    /// Whether a pair has something on its way in the other lane.
    func isBarred(_ pair: UInt64, from lane: Lane) -> Bool {
        guard let count = counts[pair] else { return false }
        return lane == .normal ? count.express > 0 : count.normal > 0
    }

    mutating func add(_ pair: UInt64, _ lane: Lane) { change(pair, lane, by: 1) }
    mutating func remove(_ pair: UInt64, _ lane: Lane) { change(pair, lane, by: -1) }
    mutating func removeAll() { counts = [:] }

    private mutating func change(_ pair: UInt64, _ lane: Lane, by step: Int32) {
        var count = counts[pair] ?? (0, 0)
        if lane == .normal { count.normal += step } else { count.express += step }
        counts[pair] = count.normal <= 0 && count.express <= 0 ? nil : count
    }
}
