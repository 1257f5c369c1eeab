import DequeModule
import NIOCore

/// A C_PDU of the node that goes by ARQ: a client's unit, or a confirmation of the node itself.
struct OutboundUnit: Sendable {
    /// Names it in the node.
    let number: UInt64
    /// What the client asked for; nil for what the node itself has to say.
    let submitted: SubmittedUnit?
    let bytes: ByteBuffer
    let priority: UInt8
    let isInOrder: Bool
    /// Never delivered later than that.
    let expires: NIODeadline
}

/// The C_PDUs that wait for one node: by priority, then first come first served (STANAG 5066 Ed. 3 §A.2.1.6).
struct UnitQueue: Sendable {
    private var lanes: [Deque<OutboundUnit>] = Array(repeating: [], count: 16)
    private(set) var count = 0
    /// No unit expires earlier.
    private(set) var earliestExpiry: NIODeadline?

    var isEmpty: Bool { count == 0 }

    /// The highest priority that waits.
    var priority: UInt8? { lanes.lastIndex { !$0.isEmpty }.map { UInt8($0) } }

    mutating func append(_ unit: OutboundUnit) {
        lanes[Int(unit.priority & 0x0F)].append(unit)
        noteAdded(unit)
    }

    /// Puts it before all others of its priority.
    mutating func prepend(_ unit: OutboundUnit) {
        lanes[Int(unit.priority & 0x0F)].prepend(unit)
        noteAdded(unit)
    }

    private mutating func noteAdded(_ unit: OutboundUnit) {
        count += 1
        earliestExpiry = min(earliestExpiry ?? unit.expires, unit.expires)
    }

    mutating func popFirst() -> OutboundUnit? {
        guard let lane = lanes.lastIndex(where: { !$0.isEmpty }), let unit = lanes[lane].popFirst() else { return nil }
        count -= 1
        if count == 0 { earliestExpiry = nil }
        return unit
    }

    /// Takes out what has expired.
    mutating func removeExpired(now: NIODeadline) -> [OutboundUnit] {
        guard let earliestExpiry, earliestExpiry <= now else { return [] }
        var expired: [OutboundUnit] = []
        for lane in lanes.indices {
            lanes[lane].removeAll { unit in
                guard unit.expires <= now else { return false }
                expired.append(unit)
                return true
            }
        }
        count -= expired.count
        self.earliestExpiry = lanes.joined().map(\.expires).min()
        return expired
    }

    mutating func removeAll() -> [OutboundUnit] {
        defer { self = UnitQueue() }
        return lanes.reversed().flatMap { Array($0) }
    }
}
