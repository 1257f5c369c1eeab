package import XMPP

/// The tables of a peer's journal. The raw value is what is stored.
package enum JournalTable: UInt8, CaseIterable, Sendable {
    /// Stanzas that wait for the link or for its acknowledgement, as they were taken; the id grows with every stanza.
    case outbox = 1
    /// Numbers given in the normal lane: the id is the first number, the payload the outbox ids in order, 8 bytes each.
    case normalNumbers = 2
    /// The same for the express lane.
    case expressNumbers = 3
    /// Stanzas that wait for the local server; the id grows with every stanza.
    case inbox = 4
    /// IQ requests of local users that the peer has not answered.
    case localRequests = 5
    /// IQ requests of the peer's users that our side has not answered.
    case remoteRequests = 6
    /// Text of acknowledged blocks, kept as link history; the id is the position at which it ends.
    case sentText = 7
    /// Text of received blocks, kept as link history; the id is the position at which it ends.
    case receivedText = 8
    /// Received parts of a stanza that is not complete; the id is the offset of the part.
    case fragments = 9
    /// Who is in which room.
    case rooms = 10
    /// Fingerprints of stanzas taken lately from the local server, 8 bytes each; the id grows.
    case taken = 11
    /// Stanzas set aside because nobody could take them; the id grows.
    case poison = 12
    /// Who may see whose presence, and subscriptions asked for.
    case presence = 13
    /// Ids of local users that crossed as tokens (`IdentifierFolding`); the id is the token's number.
    case identifiers = 14
    /// Ids of the peer's users that must cross unchanged when they come back; the id grows.
    case foreignIdentifiers = 15
}

/// Single values of a peer's journal. The raw value is what is stored.
package enum JournalValue: UInt8, CaseIterable, Sendable {
    /// The sending epoch and session of the link (``LinkSession``).
    case sending = 1
    /// What was received from which epoch of the peer (``LinkSession``).
    case receiving = 2
    /// The ids given out so far, so that none is given twice.
    case counters = 3
    /// From where on tokens for ids may be given (`IdentifierFolding`).
    case identifiers = 4
}

/// What a row holds.
package enum JournalPayload: Equatable, Sendable {
    /// The canonical bytes of a stanza.
    case stanza(Stanza)
    case bytes([UInt8])
}

/// One change of a peer's journal. Changes are made in order.
package enum JournalRecord: Equatable, Sendable {
    /// Adds a row, or replaces the one with this id. `time` is service time in milliseconds (``ServiceClock``).
    case put(JournalTable, id: UInt64, JournalPayload, time: UInt64)
    /// Removes rows; ids that do not exist are passed over.
    case remove(JournalTable, ids: [UInt64])
    /// Removes all rows with this id or a smaller one.
    case removeThrough(JournalTable, id: UInt64)
    /// Removes all rows with a greater id.
    case removeAbove(JournalTable, id: UInt64)
    case set(JournalValue, [UInt8])
}

/// Changes that become durable together or not at all.
package struct JournalBatch: Equatable, Sendable {
    /// 1 for the first batch that a machine gives out, then counting on.
    package var number: UInt64
    package var records: [JournalRecord]

    package init(number: UInt64, records: [JournalRecord]) {
        self.number = number
        self.records = records
    }
}

/// What a peer's journal held at the start.
package struct RecoveredPeer: Equatable, Sendable {
    package struct Row: Equatable, Sendable {
        package var id: UInt64
        package var payload: [UInt8]
        /// Service time in milliseconds.
        package var time: UInt64

        package init(id: UInt64, payload: [UInt8], time: UInt64) {
            self.id = id
            self.payload = payload
            self.time = time
        }
    }

    /// In order of id.
    package var rows: [JournalTable: [Row]] = [:]
    package var values: [JournalValue: [UInt8]] = [:]
    /// The journal is fresh, or older than what the peer may have seen of us (restored or repaired): numbers must not be
    /// continued.
    package var needsNewEpoch: Bool

    package init(rows: [JournalTable: [Row]] = [:], values: [JournalValue: [UInt8]] = [:], needsNewEpoch: Bool = true) {
        self.rows = rows
        self.values = values
        self.needsNewEpoch = needsNewEpoch
    }

    package subscript(table: JournalTable) -> [Row] { rows[table] ?? [] }
}
