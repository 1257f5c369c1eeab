import DequeModule
import XMPP

/// The stanzas of one lane that have a number and are not acknowledged, in order of number.
///
/// A number is given once, when a stanza is first cut into a block, and holds across sessions and restarts: so the peer can
/// tell what it has had. Numbers grow; they have gaps where a restart lost presence that was not recorded.
package struct SentLane: Sendable {
    /// One row of the journal: the ids of stanzas with numbers from `first` on.
    private struct Row {
        var first: UInt64
        var count: UInt64
    }

    private var entries: Deque<NumberedEntry> = []
    private var rows: Deque<Row> = []
    /// How many of ``entries`` were cut in this session; the rest have to be cut again.
    private var cutCount = 0
    package private(set) var byteCount = 0

    package init() {}

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    /// Whether something has to be cut again in this session.
    package var hasUncut: Bool { cutCount < entries.count }
    package var nextUncut: NumberedEntry? { hasUncut ? entries[cutCount] : nil }
    package var oldestArrival: UInt64? { entries.lazy.map(\.entry.arrival).min() }

    /// The pairs of addresses that have something here: a pair uses one lane at a time, since only inside a lane is the order
    /// certain. Asked where there is something in both lanes, which is rare; so it is not kept up to date at a cost.
    package var pairs: Set<UInt64> { Set(entries.lazy.map(\.entry.stanza.pairHash)) }

    package subscript(index: Int) -> NumberedEntry { entries[index] }

    /// Gives numbers from `first` on, in order.
    ///
    /// - Parameter areCut: true when the caller cuts them all now; false for a stanza that goes in parts.
    package mutating func number(_ new: [OutboxEntry], from first: UInt64, areCut: Bool) {
        precondition(!hasUncut, "what has a number goes first")
        rows.append(Row(first: first, count: UInt64(new.count)))
        restore(new, from: first)
        if areCut { cutCount = entries.count }
    }

    /// A row that the journal held; `found` is nil for what it did not hold any more.
    package mutating func restore(row found: [OutboxEntry?], from first: UInt64) {
        // No acknowledgement will come for numbers at the end whose stanzas are gone: the row goes with those before them.
        guard let last = found.lastIndex(where: { $0 != nil }) else { return }
        rows.append(Row(first: first, count: UInt64(last + 1)))
        for (index, entry) in found.enumerated() {
            if let entry { restore([entry], from: first &+ UInt64(index)) }
        }
    }

    private mutating func restore(_ new: [OutboxEntry], from first: UInt64) {
        for (index, entry) in new.enumerated() {
            entries.append(NumberedEntry(number: first &+ UInt64(index), entry: entry))
            byteCount += entry.stanza.byteCount
        }
    }

    /// A session begins: everything has to be cut again.
    package mutating func sessionStarted() { cutCount = 0 }

    /// The last part of ``nextUncut`` was cut.
    package mutating func lastPartCut() { cutCount = min(cutCount + 1, entries.count) }

    /// Takes what goes into the next block of those that have to be cut again: contiguous numbers, as long as `fits` says so.
    package mutating func recut(while fits: (OutboxEntry) -> Bool) -> [NumberedEntry] {
        var block: [NumberedEntry] = []
        while hasUncut {
            let next = entries[cutCount]
            if let last = block.last, next.number != last.number + 1 { break }
            guard fits(next.entry) else { break }
            block.append(next)
            cutCount += 1
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
