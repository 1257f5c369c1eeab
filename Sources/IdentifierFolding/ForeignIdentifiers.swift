import DequeModule
import Outbox
import XMPP

/// Ids that came from the other side and may go back there as they are: those of messages to a room of this site, which
/// the room sends back to all, and threads, which both sides use.
///
/// Kept as hashes: two that are equal only leave an id as long as it was. The oldest is forgotten first.
struct ForeignIdentifiers {
    private let limit: Int
    private let isDurable: Bool
    private var order: Deque<(row: UInt64, hash: UInt64)> = []
    private var rows: [UInt64: UInt64] = [:]
    private var next: UInt64 = 1

    init(limit: Int, isDurable: Bool) {
        self.limit = limit
        self.isDurable = isDurable
    }

    private static func hash(_ bare: UInt64, _ id: String) -> UInt64 {
        var hash = StableHash()
        hash.combine(bare)
        hash.combine(StableHash.of(id))
        return hash.value
    }

    func contains(_ bare: UInt64, _ id: String) -> Bool {
        !self.rows.isEmpty && self.rows[Self.hash(bare, id)] != nil
    }

    /// - Parameter bare: ``Stanza/bareFromHash`` or ``Stanza/bareToHash``: in whose conversation the id is used.
    mutating func insert(_ bare: UInt64, _ id: String, now: UInt64, _ records: inout [JournalRecord]) {
        let hash = Self.hash(bare, id)
        // What is used stays: it is entered again before it would be forgotten.
        if let row = self.rows[hash], self.next - row < UInt64(max(1, self.limit / 2)) { return }
        let row = self.next
        self.add(row, hash)
        if self.isDurable {
            let bytes = (0..<8).map { UInt8(truncatingIfNeeded: hash >> UInt64(56 - $0 * 8)) }
            records.append(.put(.foreignIdentifiers, id: row, .bytes(bytes), time: now))
        }
        self.trim(&records)
    }

    private mutating func add(_ row: UInt64, _ hash: UInt64) {
        self.rows[hash] = row
        self.order.append((row, hash))
        self.next = row + 1
    }

    private mutating func trim(_ records: inout [JournalRecord]) {
        var last: UInt64?
        while self.order.count > self.limit, let first = self.order.popFirst() {
            if self.rows[first.hash] == first.row { self.rows[first.hash] = nil }
            last = first.row
        }
        if self.isDurable, let last { records.append(.removeThrough(.foreignIdentifiers, id: last)) }
    }

    /// - Parameter rows: in order of id, as they were put; others are passed over.
    mutating func recover(_ rows: [RecoveredPeer.Row], _ records: inout [JournalRecord]) {
        for row in rows where row.payload.count == 8 && row.id >= self.next && row.id < UInt64.max {
            self.add(row.id, row.payload.reduce(0) { $0 << 8 | UInt64($1) })
        }
        self.trim(&records)
    }
}
