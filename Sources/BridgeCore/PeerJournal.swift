import DequeModule
import Outbox
import XMPP

/// What one peer's machine wants recorded, and how far that has got.
///
/// Records collect until the runtime takes them as one batch. What must not be seen outside before it is durable waits for
/// ``gate``. Without a journal there are no records, and everything is as good as committed.
struct PeerJournal {
    let isOn: Bool
    private var records: [JournalRecord] = []
    /// Rows to be removed, by table. Ids are never used again, so removals may stand at the end of a batch.
    private var removed: [[UInt64]] = Array(
        repeating: [], count: Int(JournalTable.allCases.map(\.rawValue).max() ?? 0) + 1)
    private var hasRemovals = false
    /// The last batch that was taken.
    private var taken: UInt64 = 0
    /// The last batch that is durable.
    private(set) var committed: UInt64 = 0
    /// Bytes of records that are not committed, stanzas aside: those are counted where they wait.
    private(set) var uncommittedBytes = 0
    private var collectedBytes = 0
    private var takenBytes: Deque<(batch: UInt64, bytes: Int)> = []
    /// What a record takes beside its bytes, roughly.
    private static let recordOverhead = 128

    init(isOn: Bool) { self.isOn = isOn }

    /// The batch that holds everything recorded so far.
    var gate: UInt64 { !isOn ? 0 : hasRecords ? taken + 1 : taken }
    /// The batch that gets what is recorded from now on.
    var nextBatch: UInt64 { taken + 1 }
    var hasRecords: Bool { !records.isEmpty || hasRemovals }

    mutating func add(_ record: JournalRecord) {
        guard isOn else { return }
        records.append(record)
        var bytes = Self.recordOverhead
        if case .put(_, _, .bytes(let payload), _) = record { bytes += payload.count }
        collectedBytes += bytes
        uncommittedBytes += bytes
    }

    mutating func put(_ table: JournalTable, id: UInt64, _ stanza: Stanza, time: UInt64) {
        if isOn { records.append(.put(table, id: id, .stanza(stanza), time: time)) }
    }

    mutating func remove(_ table: JournalTable, id: UInt64) {
        guard isOn else { return }
        removed[Int(table.rawValue)].append(id)
        hasRemovals = true
    }

    mutating func takeBatch() -> JournalBatch? {
        guard hasRecords else { return nil }
        for table in JournalTable.allCases where !removed[Int(table.rawValue)].isEmpty {
            records.append(.remove(table, ids: removed[Int(table.rawValue)]))
            removed[Int(table.rawValue)] = []
        }
        hasRemovals = false
        taken += 1
        if collectedBytes > 0 { takenBytes.append((taken, collectedBytes)) }
        collectedBytes = 0
        defer { records = [] }
        return JournalBatch(number: taken, records: records)
    }

    mutating func batchCommitted(_ number: UInt64) {
        precondition(number <= taken, "only what was taken can be committed")
        committed = max(committed, number)
        while let first = takenBytes.first, first.batch <= committed {
            takenBytes.removeFirst()
            uncommittedBytes -= first.bytes
        }
    }
}

/// The ids that were given out, as the journal keeps them, so that none is given twice.
struct PeerIDs: Equatable {
    var outbox: UInt64 = 0
    var inbox: UInt64 = 0
    var requests: UInt64 = 0
    var taken: UInt64 = 0
    var poison: UInt64 = 0

    init() {}

    init?(_ bytes: [UInt8]?) {
        guard let bytes, bytes.count == 40 else { return nil }
        let words = JournalWords.decode(bytes)
        (outbox, inbox, requests, taken, poison) = (words[0], words[1], words[2], words[3], words[4])
    }

    var bytes: [UInt8] { JournalWords.encode([outbox, inbox, requests, taken, poison]) }
}

/// Words of 8 bytes, the most significant first.
enum JournalWords {
    static func encode(_ words: some Sequence<UInt64>) -> [UInt8] {
        var bytes: [UInt8] = []
        for word in words {
            for shift in stride(from: UInt64(56), through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return bytes
    }

    /// Bytes after the last whole word are passed over.
    static func decode(_ bytes: [UInt8]) -> [UInt64] {
        (0..<bytes.count / 8).map { word in
            bytes[(word * 8)..<(word * 8 + 8)].reduce(0) { $0 << 8 | UInt64($1) }
        }
    }
}
