import DequeModule
import Outbox

/// What could not be read and was set aside, with as much of its content as is kept.
package struct SetAside: Equatable, Sendable {
    package var status: PeerStatus.Poison
    /// The beginning of what was set aside, at most 64 KiB.
    package var content: [UInt8]
    /// How long ago, in milliseconds of service time.
    package var age: UInt64
}

/// What could not be read and was set aside for the operator: the newest, a bounded number. Up to 4 MiB of content.
struct PoisonList {
    static let maximum = 64
    /// More of it is not kept.
    static let keptBytes = 64 << 10

    private(set) var entries: Deque<PeerStatus.Poison> = []
    private var contents: [UInt64: [UInt8]] = [:]

    /// - Returns: the id of the entry that had to go for it.
    mutating func add(_ entry: PeerStatus.Poison, content: some Sequence<UInt8>) -> UInt64? {
        entries.append(entry)
        contents[entry.id] = Array(content.prefix(Self.keptBytes))
        guard entries.count > Self.maximum, let old = entries.popFirst() else { return nil }
        contents[old.id] = nil
        return old.id
    }

    /// - Returns: whether there was such an entry.
    mutating func remove(_ id: UInt64) -> Bool {
        guard let place = entries.firstIndex(where: { $0.id == id }) else { return false }
        entries.remove(at: place)
        contents[id] = nil
        return true
    }

    func content(of id: UInt64) -> [UInt8] { contents[id] ?? [] }

    /// The row: the reason, a zero byte, what was set aside.
    static func row(_ bytes: some Collection<UInt8>, reason: String) -> [UInt8] {
        Array(reason.utf8.filter { $0 != 0 }) + [0] + bytes.prefix(keptBytes)
    }

    /// What a row says, of what was set aside in an earlier life of the process.
    mutating func restore(_ row: RecoveredPeer.Row) -> UInt64? {
        let reason = row.payload.prefix { $0 != 0 }
        let content = row.payload.dropFirst(reason.count + 1)
        return add(
            PeerStatus.Poison(
                id: row.id, bytes: content.count, reason: String(decoding: reason, as: UTF8.self), since: row.time),
            content: content)
    }
}
