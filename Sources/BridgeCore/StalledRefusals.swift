import DequeModule
import XMPP

/// Errors for local stanzas that were refused while the journal took nothing.
///
/// Such an error cannot wait for a commit: its sender is told at once. Its row follows with the next batch, if the server has
/// not got it by then. The refused stanza counts as handled when the server has the error, or when its row is durable,
/// whichever comes first; if the bridge ends before both, the server still has the stanza, and its sender hears of it all the
/// same.
struct StalledRefusals {
    private struct Entry {
        /// The place of the error in the inbox.
        var id: UInt64
        /// Of the refused stanza.
        var receipt: LocalReceipt?
        var mark: StanzaMark?
        /// The batch with the row; nil while there is none.
        var batch: UInt64?
    }

    /// In order of id.
    private var entries: Deque<Entry> = []
    /// Those behind have no row yet.
    private var writtenCount = 0
    /// The error for the stanza at hand is among the entries, as the last one.
    private var isCurrent = false

    /// The stanza at hand was answered with the error that has this id.
    mutating func answered(_ id: UInt64) {
        entries.append(Entry(id: id))
        isCurrent = true
    }

    /// The stanza at hand is done with. False when it was not answered here, and `receipt` is nobody's.
    mutating func stanzaEnded(_ receipt: LocalReceipt?, _ mark: @autoclosure () -> StanzaMark?) -> Bool {
        guard isCurrent else { return false }
        isCurrent = false
        entries[entries.count - 1].receipt = receipt
        entries[entries.count - 1].mark = mark()
        return true
    }

    /// Those that need a row now, and by what the refused stanza is known again; `batch` is the one that gets them.
    mutating func takeUnwritten(batch: UInt64) -> [(id: UInt64, mark: StanzaMark?)] {
        defer { writtenCount = entries.count }
        return entries.indices[writtenCount...].map { place in
            entries[place].batch = batch
            return (entries[place].id, entries[place].mark)
        }
    }

    var hasUnwritten: Bool { writtenCount < entries.count }

    /// The batch, and all before it, are durable.
    ///
    /// - Returns: receipts of stanzas that are handled with it.
    mutating func committed(_ batch: UInt64) -> [LocalReceipt] {
        var receipts: [LocalReceipt] = []
        while let first = entries.first, let written = first.batch, written <= batch {
            entries.removeFirst()
            writtenCount -= 1
            if let receipt = first.receipt { receipts.append(receipt) }
        }
        return receipts
    }

    /// The server has the error with this id, or never will.
    ///
    /// - Returns: the receipt of the refused stanza, which is handled now.
    mutating func settled(_ id: UInt64) -> LocalReceipt? {
        guard let place = place(of: id) else { return nil }
        if place < writtenCount { writtenCount -= 1 }
        return entries.remove(at: place).receipt
    }

    private func place(of id: UInt64) -> Int? {
        guard let first = entries.first, id >= first.id else { return nil }
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].id == id ? low : nil
    }
}
