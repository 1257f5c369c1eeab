import Outbox

/// What a row of the table `entry` is, as it stands in the column `kind`.
///
/// A peer's tables and values, its name and its marks are all rows of one shape, each with its own checksum, so that a
/// repair finds them without knowing anything else.
enum EntryKind {
    /// The peer's name; id 0.
    static let name: Int64 = 200
    /// Present while the peer has to begin a new epoch; id 0.
    static let needsNewEpoch: Int64 = 201

    static func table(_ table: JournalTable) -> Int64 { Int64(table.rawValue) }
    static func value(_ value: JournalValue) -> Int64 { 100 + Int64(value.rawValue) }

    static func table(of kind: Int64) -> JournalTable? {
        (1..<100).contains(kind) ? JournalTable(rawValue: UInt8(kind)) : nil
    }

    static func value(of kind: Int64) -> JournalValue? {
        (101..<200).contains(kind) ? JournalValue(rawValue: UInt8(kind - 100)) : nil
    }

    /// The stored form of an id; ids beyond `Int64.max` are negative there.
    static func stored(_ id: UInt64) -> Int64 { Int64(bitPattern: id) }

    /// The ranges of stored ids that are the range of ids.
    static func stored(_ range: ClosedRange<UInt64>) -> [ClosedRange<Int64>] {
        let middle = UInt64(Int64.max)
        guard range.lowerBound <= middle, range.upperBound > middle else {
            return [stored(range.lowerBound)...stored(range.upperBound)]
        }
        return [stored(range.lowerBound)...Int64.max, Int64.min...stored(range.upperBound)]
    }
}
