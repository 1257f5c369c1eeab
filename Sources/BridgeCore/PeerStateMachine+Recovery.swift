import Blocks
import NIOCore
import Outbox
import XMPP

// What the journal held at the start.
extension PeerStateMachine {
    /// Builds everything up again: order, numbers and ages kept. A row that cannot be read is set aside and counted; it costs
    /// one stanza, not the service.
    mutating func recover(_ recovered: RecoveredPeer, now: NIODeadline) {
        let reader = StanzaReader()
        if let known = PeerIDs(recovered.values[.counters]) { ids = known }
        // First, so that what is set aside now is the newest.
        for row in recovered[.poison] {
            ids.poison = max(ids.poison, row.id)
            if let old = poison.restore(row) { journal.remove(.poison, id: old) }
        }
        recoverOutbox(recovered, reader, now: now)
        inbox.idsUsed(through: ids.inbox)
        for row in recovered[.inbox] {
            // Whatever becomes of it: what gets an id from here on must not share it, or goes when this row is removed.
            inbox.idsUsed(through: row.id)
            guard let stanza = read(row, .inbox, reader, now: now) else { continue }
            switch rooms.linkStanzaReceived(stanza, id: row.id, now: now) {
            case .pass: inbox.restore(stanza, id: row.id, arrival: row.time)
            case .swallow: journal.remove(.inbox, id: row.id)
            case .hold: break
            }
        }
        drawRooms(now: now)
        for row in recovered[.localRequests] {
            ids.requests = max(ids.requests, row.id)
            guard let stanza = read(row, .localRequests, reader, now: now) else { continue }
            _ = localRequests.restore(stanza, row: row.id, deadline: clock.deadline(row.time) + policy.iqTimeout)
        }
        for row in recovered[.remoteRequests] {
            ids.requests = max(ids.requests, row.id)
            guard let stanza = read(row, .remoteRequests, reader, now: now) else { continue }
            _ = remoteRequests.restore(stanza, row: row.id, deadline: clock.deadline(row.time) + policy.iqTimeout)
        }
        for row in recovered[.taken] {
            ids.taken = max(ids.taken, row.id)
            let words = JournalWords.decode(row.payload)
            fingerprints.restore(id: row.id, count: words.count)
            suspects += words.map(StanzaMark.init(word:))
        }
    }

    private mutating func recoverOutbox(_ recovered: RecoveredPeer, _ reader: StanzaReader, now: NIODeadline) {
        var entries: [UInt64: OutboxEntry] = [:]
        for row in recovered[.outbox] {
            outbox.idsUsed(through: row.id)
            guard let stanza = read(row, .outbox, reader, now: now) else { continue }
            entries[row.id] = OutboxEntry(id: row.id, stanza: stanza, arrival: row.time, isRecorded: true)
            presenceRecovered(stanza, now: now)
        }
        outbox.idsUsed(through: ids.outbox)
        if speaksBlocks {
            for lane in Lane.allCases {
                for row in recovered[lane.numbers] {
                    let found = Self.numbered(row.payload, of: &entries)
                    // Numbers of nothing but presence that was not recorded: no acknowledgement will ever come for them.
                    guard found.contains(where: { $0.entry != nil }) else {
                        journal.remove(lane.numbers, id: row.id)
                        continue
                    }
                    sent[lane].restore(row: found, from: row.id)
                }
            }
            outbox.sentStanzas = sent[Lane.normal].count + sent[Lane.express].count
            outbox.sentBytes = sent[Lane.normal].byteCount + sent[Lane.express].byteCount
        }
        for row in recovered[.outbox] {
            if let entry = entries[row.id] { outbox.restore(entry) }
        }
    }

    /// Takes the entries that a row of numbers names. What shares a number without being like the others of it, as no row of ours
    /// says, waits anew.
    private static func numbered(_ row: [UInt8], of entries: inout [UInt64: OutboxEntry]) -> [SentLane.RowEntry] {
        var record: FoldedRecord?
        return NumbersRow.decode(row).map { id, sharesNumber in
            if !sharesNumber { record = nil }
            guard let entry = entries[id] else { return SentLane.RowEntry(nil, sharesNumber: sharesNumber) }
            if record == nil {
                record = FoldedRecord(entry.stanza)
            } else if record?.addIfLike(entry.stanza) != true {
                return SentLane.RowEntry(nil, sharesNumber: sharesNumber)
            }
            entries[id] = nil
            return SentLane.RowEntry(entry, sharesNumber: sharesNumber)
        }
    }

    private mutating func read(
        _ row: RecoveredPeer.Row, _ table: JournalTable, _ reader: StanzaReader, now: NIODeadline
    ) -> Stanza? {
        do throws(StreamError) {
            return try reader.read(ByteBuffer(bytes: row.payload))
        } catch {
            journal.remove(table, id: row.id)
            setAside(row.payload, reason: "row \(row.id) of \(table): \(error.condition.rawValue)", .unreadableRow, now: now)
            return nil
        }
    }
}
