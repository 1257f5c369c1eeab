import DequeModule
import NIOCore
import Outbox
import XMPP

/// The IQ requests that crossed in one direction and are not answered yet.
///
/// Each gets exactly one answer: the one that crosses back, or the bridge's own when it fails or takes too long; what comes
/// afterwards is told apart by not being found here. The same addresses and `id` may be in flight more than once; then as
/// many answers pass.
struct RequestTracker: ~Copyable {
    enum Admission: Equatable {
        case accepted
        case full
        case noID
    }

    /// A request and the row of the journal that remembers it.
    struct Tracked: Equatable {
        /// Without its payload where that is large.
        var request: Stanza
        var row: UInt64
    }

    private struct Entry {
        /// Without its payload where that is large.
        var request: Stanza?
        var row: UInt64 = 0
        var hash: UInt64 = 0
        var deadline = NIODeadline.uptimeNanoseconds(0)
        /// The next request of the same hash.
        var next = Self.none
        var generation: UInt32 = 0

        static let none: Int32 = -1
    }

    private struct Chain {
        var first: Int32
        var last: Int32
    }

    var timeout: TimeAmount
    var maximumRequests: Int
    private var entries: [Entry] = []
    private var free: [Int32] = []
    private var chains: [UInt64: Chain] = [:]
    /// All requests in the order of their deadlines, with those that are gone.
    private var order: Deque<(index: Int32, generation: UInt32, deadline: NIODeadline)> = []

    private(set) var count = 0

    /// A request larger than this is kept without its payload.
    private static let keptBytes = 1_024

    init(timeout: TimeAmount, maximumRequests: Int) {
        self.timeout = timeout
        self.maximumRequests = maximumRequests
    }

    /// Remembers a request from now on.
    mutating func requestCrossed(_ request: Stanza, row: UInt64, now: NIODeadline) -> Admission {
        guard count < max(1, maximumRequests) else { return request.exchangeHash(isAnswer: false) == nil ? .noID : .full }
        return restore(request, row: row, deadline: now + timeout) ? .accepted : .noID
    }

    /// Remembers a request until `deadline`. False when it has no `id`.
    mutating func restore(_ request: Stanza, row: UInt64, deadline: NIODeadline) -> Bool {
        guard let hash = request.exchangeHash(isAnswer: false) else { return false }
        let index: Int32
        if let reused = free.popLast() {
            index = reused
        } else {
            index = Int32(truncatingIfNeeded: entries.count)
            entries.append(Entry())
        }
        entries[Int(index)].request = Self.withoutLargePayload(request)
        entries[Int(index)].hash = hash
        entries[Int(index)].row = row
        entries[Int(index)].deadline = deadline
        entries[Int(index)].next = Entry.none
        // At the end, but where the timeout has become shorter while others wait.
        var place = order.count
        while place > 0, order[place - 1].deadline > deadline { place -= 1 }
        order.insert((index, entries[Int(index)].generation, deadline), at: place)
        if let chain = chains[hash] {
            entries[Int(chain.last)].next = index
            chains[hash] = Chain(first: chain.first, last: index)
        } else {
            chains[hash] = Chain(first: index, last: index)
        }
        count += 1
        return true
    }

    /// Forgets the request that `answer` answers, and returns it; nil when there is none: too late, or never asked.
    mutating func answerCrossed(_ answer: Stanza) -> Tracked? {
        guard let hash = answer.exchangeHash(isAnswer: true) else { return nil }
        return take(hash) { answer.mirrors($0) }
    }

    /// Forgets a request that the bridge answers itself. Nil when it was answered already.
    mutating func remove(_ request: Stanza) -> Tracked? {
        guard let hash = request.exchangeHash(isAnswer: false) else { return nil }
        return take(hash) { request.hasSameAddressesAndID(as: $0) }
    }

    /// When the next request is overdue.
    var nextDeadline: NIODeadline? {
        mutating get {
            while let oldest = order.first {
                let entry = entries[Int(oldest.index)]
                if entry.generation == oldest.generation { return entry.deadline }
                order.removeFirst()
            }
            return nil
        }
    }

    /// Forgets the oldest overdue request and returns it.
    mutating func takeOverdue(now: NIODeadline) -> Tracked? {
        guard let deadline = nextDeadline, deadline <= now else { return nil }
        return takeOldest()
    }

    /// Forgets the oldest request and returns it.
    mutating func takeOldest() -> Tracked? {
        guard nextDeadline != nil, let oldest = order.popFirst() else { return nil }
        return take(entries[Int(oldest.index)].hash, index: oldest.index)
    }

    private mutating func take(_ hash: UInt64, where isIt: (Stanza) -> Bool) -> Tracked? {
        var index = chains[hash]?.first ?? Entry.none
        while index != Entry.none {
            if let request = entries[Int(index)].request, isIt(request) { return take(hash, index: index) }
            index = entries[Int(index)].next
        }
        return nil
    }

    private mutating func take(_ hash: UInt64, index: Int32) -> Tracked? {
        guard let chain = chains[hash] else { return nil }
        var previous = Entry.none
        var current = chain.first
        while current != Entry.none, current != index {
            previous = current
            current = entries[Int(current)].next
        }
        guard current == index else { return nil }
        let next = entries[Int(index)].next
        if previous != Entry.none { entries[Int(previous)].next = next }
        let first = previous == Entry.none ? next : chain.first
        let last = chain.last == index ? previous : chain.last
        chains[hash] = first == Entry.none ? nil : Chain(first: first, last: last)
        let tracked = entries[Int(index)].request.map { Tracked(request: $0, row: entries[Int(index)].row) }
        entries[Int(index)].request = nil
        entries[Int(index)].generation &+= 1
        free.append(index)
        count -= 1
        dropGoneEntries()
        return tracked
    }

    /// Answered requests leave their place in ``order`` behind until it is reached; on a busy link that is minutes later.
    private mutating func dropGoneEntries() {
        guard order.count > 2 * count + 256 else { return }
        order.removeAll { entries[Int($0.index)].generation != $0.generation }
    }

    /// Enough to answer the request; what it asked for may be half a megabyte.
    static func withoutLargePayload(_ request: Stanza) -> Stanza {
        guard request.byteCount > keptBytes, let to = request.to, let from = request.from, let id = request.id,
            let type = request.type.name
        else { return request }
        var writer = StanzaWriter()
        writer.start(
            "iq", XMLNamespace.server,
            [("to", to.description), ("from", from.description), ("type", type), ("id", id)])
        let stub = writer.finish()
        return stub.hasSameAddressesAndID(as: request) ? stub : request
    }
}
