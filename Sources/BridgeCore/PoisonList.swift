import DequeModule
import Outbox

/// What could not be read and was set aside for the operator: the newest, a bounded number.
struct PoisonList {
    static let maximum = 64
    /// More of it is not kept.
    static let keptBytes = 64 << 10

    private(set) var entries: Deque<PeerStatus.Poison> = []

    /// - Returns: the id of the entry that had to go for it.
    mutating func add(_ entry: PeerStatus.Poison) -> UInt64? {
        entries.append(entry)
        return entries.count > Self.maximum ? entries.popFirst()?.id : nil
    }

    /// The row: the reason, a zero byte, what was set aside.
    static func row(_ bytes: some Collection<UInt8>, reason: String) -> [UInt8] {
        Array(reason.utf8.filter { $0 != 0 }) + [0] + bytes.prefix(keptBytes)
    }

    static func entry(_ row: RecoveredPeer.Row) -> PeerStatus.Poison {
        let reason = row.payload.prefix { $0 != 0 }
        return PeerStatus.Poison(
            id: row.id, bytes: max(0, row.payload.count - reason.count - 1), reason: String(decoding: reason, as: UTF8.self),
            since: row.time)
    }
}
