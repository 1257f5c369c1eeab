import NIOCore
import Outbox

/// A stanza that arrives in parts.
struct FragmentAssembly {
    /// The number of the stanza; 0 when there is none.
    private(set) var number: UInt64 = 0
    private(set) var total = 0
    private(set) var bytes = ByteBuffer()
    private(set) var ageSeconds: UInt32 = 0

    init() {}

    /// What the journal kept, part by part.
    init(_ rows: [RecoveredPeer.Row]) {
        for row in rows {
            var payload = ByteBuffer(bytes: row.payload)
            guard let (number, total, age) = payload.readMultipleIntegers(as: (UInt64, UInt32, UInt32).self),
                number != 0, self.number == 0 || self.number == number, row.id == UInt64(bytes.readableBytes) + 1
            else { break }
            self.number = number
            self.total = Int(total)
            ageSeconds = age
            bytes.writeBuffer(&payload)
        }
    }

    var isComplete: Bool { number != 0 && bytes.readableBytes == total }

    /// Adds a part; what is there already is passed over.
    ///
    /// - Returns: the records that keep it; none when it brought nothing new.
    /// - Throws: ``BlockError`` when it does not fit to what came before.
    mutating func add(
        number: UInt64, _ piece: ByteBuffer, offset: Int, total: Int, ageSeconds: UInt32
    ) throws(BlockError) -> [JournalRecord] {
        var records: [JournalRecord] = []
        if self.number != number {
            if self.number != 0 { records.append(.removeAbove(.fragments, id: 0)) }
            self = FragmentAssembly()
            self.number = number
            self.total = total
            self.ageSeconds = ageSeconds
        }
        guard total == self.total, offset + piece.readableBytes <= total else { throw .malformed("a part that does not fit") }
        guard offset <= bytes.readableBytes else { throw .malformed("a part after one that is missing") }
        let known = bytes.readableBytes - offset
        guard known < piece.readableBytes, let new = piece.getSlice(
            at: piece.readerIndex + known, length: piece.readableBytes - known)
        else { return records }
        var payload = ByteBuffer()
        payload.writeMultipleIntegers(number, UInt32(clamping: total), ageSeconds)
        payload.writeImmutableBuffer(new)
        records.append(
            .put(.fragments, id: UInt64(bytes.readableBytes) + 1, .bytes(Array(payload.readableBytesView)), time: 0))
        bytes.writeImmutableBuffer(new)
        return records
    }

    /// Forgets everything; returns the record for it, if there was something.
    mutating func clear() -> [JournalRecord] {
        guard number != 0 else { return [] }
        self = FragmentAssembly()
        return [.removeAbove(.fragments, id: 0)]
    }
}
