import Outbox

/// A row of the journal that says which stanzas have numbers: outbox ids in order, 8 bytes each, the first with the number that
/// names the row. The top bit of a word says that the stanza shares the number of the one before it; ids stay below.
enum NumbersRow {
    private static let sharesNumber: UInt64 = 1 << 63

    static func encode(_ records: OutboxRecords) -> [UInt8] {
        var words: [UInt64] = []
        words.reserveCapacity(records.entries.count)
        records.forEach { record in
            for index in record.indices {
                words.append(record[index].id | (index == record.startIndex ? 0 : Self.sharesNumber))
            }
        }
        return JournalWords.encode(words)
    }

    static func decode(_ bytes: [UInt8]) -> [(id: UInt64, sharesNumber: Bool)] {
        JournalWords.decode(bytes).map { ($0 & ~Self.sharesNumber, $0 & Self.sharesNumber != 0) }
    }
}
