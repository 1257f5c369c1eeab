import DequeModule
import XMPP

/// The stanzas of one lane that have a number and are not acknowledged, in order of number.
///
/// A number is given once, when a stanza is first cut into a block, and holds across sessions and restarts: so the peer can
/// tell what it has had. Numbers grow; they have gaps where a restart lost presence that was not recorded. Stanzas that cross
/// as one record share a number, and stand beside each other.
package struct SentLane: Sendable {
    /// One row of the journal: the ids of stanzas with numbers from `first` on.
    private struct Row {
        var first: UInt64
        /// Numbers.
        var count: UInt64
    }

    /// What a row of the journal says of one stanza.
    package struct RowEntry: Equatable, Sendable {
        /// Nil for what the journal did not hold any more.
        package var entry: OutboxEntry?
        /// Whether it has the number of the one before it.
        package var sharesNumber: Bool

        package init(_ entry: OutboxEntry?, sharesNumber: Bool = false) {
            self.entry = entry
            self.sharesNumber = sharesNumber
        }
    }

    private var entries: Deque<NumberedEntry> = []
    private var rows: Deque<Row> = []
    /// How many of ``entries`` were cut in this session; the rest have to be cut again.
    private var cutCount = 0
    package private(set) var byteCount = 0

    package init() {}

    /// Stanzas.
    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    /// Whether something has to be cut again in this session.
    package var hasUncut: Bool { cutCount < entries.count }
    package var nextUncut: NumberedEntry? { hasUncut ? entries[cutCount] : nil }
    /// Whether ``nextUncut`` shares its number with others.
    package var isNextUncutShared: Bool {
        cutCount + 1 < entries.count && entries[cutCount].number == entries[cutCount + 1].number
    }
    package var oldestArrival: UInt64? { entries.lazy.map(\.entry.arrival).min() }

    /// The pairs of addresses that have something here: a pair uses one lane at a time, since only inside a lane is the order
    /// certain. Asked where there is something in both lanes, which is rare; so it is not kept up to date at a cost.
    package var pairs: Set<UInt64> { Set(entries.lazy.map(\.entry.stanza.pairHash)) }

    package subscript(index: Int) -> NumberedEntry { entries[index] }

    /// Gives numbers from `first` on, in order, one to each record.
    ///
    /// - Parameter areCut: true when the caller cuts them all now; false for a stanza that goes in parts.
    package mutating func number(_ new: OutboxRecords, from first: UInt64, areCut: Bool) {
        precondition(!hasUncut, "what has a number goes first")
        rows.append(Row(first: first, count: UInt64(new.count)))
        var number = first
        new.forEach { record in
            for entry in record { append(entry, number: number) }
            number &+= 1
        }
        if areCut { cutCount = entries.count }
    }

    /// A row that the journal held.
    package mutating func restore(row found: [RowEntry], from first: UInt64) {
        var number = first
        var last: UInt64?
        for (index, item) in found.enumerated() {
            if index > 0, !item.sharesNumber { number &+= 1 }
            guard let entry = item.entry else { continue }
            append(entry, number: number)
            last = number
        }
        // No acknowledgement will come for numbers at the end whose stanzas are gone: the row goes with those before them.
        if let last { rows.append(Row(first: first, count: last &- first &+ 1)) }
    }

    /// Says that all stanzas have rows of their own from now on.
    ///
    /// - Returns: those that had none, and what no row of numbers names for certain, to be given one under its first number.
    package mutating func recordAll() -> (entries: [OutboxEntry], numbers: [(first: UInt64, records: OutboxRecords)]) {
        var changed: [OutboxEntry] = []
        var numbers: [(first: UInt64, records: OutboxRecords)] = []
        var place = 0
        for row in rows {
            let start = place
            while place < entries.count, entries[place].number < row.first + row.count { place += 1 }
            let named = entries[start..<place]
            guard let first = named.first else { continue }
            if !named.contains(where: { $0.entry.isRecorded }) {
                numbers.append((first.number, OutboxRecords(Array(named))))
            }
            for index in start..<place where !entries[index].entry.isRecorded {
                entries[index].entry.isRecorded = true
                changed.append(entries[index].entry)
            }
        }
        return (changed, numbers)
    }

    private mutating func append(_ entry: OutboxEntry, number: UInt64) {
        entries.append(NumberedEntry(number: number, entry: entry))
        byteCount += entry.stanza.byteCount
    }

    /// A session begins: everything has to be cut again.
    package mutating func sessionStarted() { cutCount = 0 }

    /// The last part of ``nextUncut`` was cut.
    package mutating func lastPartCut() { cutCount = min(cutCount + 1, entries.count) }

    /// Takes what goes into the next block of those that have to be cut again: contiguous numbers, as long as `fits` says so
    /// of the stanzas of each.
    package mutating func recut(while fits: ([OutboxEntry]) -> Bool) -> [NumberedEntry] {
        var block: [NumberedEntry] = []
        while hasUncut {
            let number = entries[cutCount].number
            if let last = block.last, number != last.number + 1 { break }
            let record = Array(entries[cutCount...].prefix { $0.number == number })
            guard fits(record.map(\.entry)) else { break }
            block += record
            cutCount += record.count
        }
        return block
    }

    /// The peer has everything up to this number.
    ///
    /// - Returns: what is done with, and up to which id rows of numbers can be removed.
    package mutating func acknowledged(through number: UInt64) -> (entries: [OutboxEntry], rows: UInt64?) {
        var done: [OutboxEntry] = []
        while let first = entries.first, first.number <= number {
            entries.removeFirst()
            cutCount = max(0, cutCount - 1)
            byteCount -= first.entry.stanza.byteCount
            done.append(first.entry)
        }
        var gone: UInt64?
        while let row = rows.first, row.first + row.count - 1 <= number {
            rows.removeFirst()
            gone = row.first
        }
        return (done, gone)
    }

    /// Takes everything away, numbers forgotten.
    package mutating func removeAll() -> [OutboxEntry] {
        defer { self = SentLane() }
        return entries.map(\.entry)
    }
}
