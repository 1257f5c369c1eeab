import Blocks
import Outbox
import XMPP

/// What goes into one block: of one compression context, up to its size. What differs in `to` alone shares a record.
struct BlockSelection {
    /// Stanzas of one block, each recipient of a record counted.
    static let maximumStanzas = 1_024
    /// Canonical bytes of all stanzas of a block of more than one record, each recipient counted: what any block may expand to, so that
    /// none has to be padded for it.
    static let maximumExpandedBytes = BlockLimits().allowanceBytes

    let maximumBytes: Int
    let maximumRecords: Int
    var contexts: LabelContexts
    /// Canonical bytes, a stanza for several counted once, with their addresses.
    private var bytes = 0
    private var expandedBytes = 0
    private var stanzas = 0
    private(set) var records = 0
    /// Nil while nothing was taken.
    private(set) var context: UInt8?
    private(set) var isUrgent = false
    private var folder: StanzaFolder
    /// Something found no room: only what joins a record is taken from now on.
    private var isFull = false
    /// How many were passed over since something was taken, the block being full.
    private var passedOver = 0
    /// So many stanzas behind the end of a full block are looked at for one that joins a record of it. What a server writes
    /// for many waits beside each other, with little between.
    private static let reach = 16

    /// - Parameter waiting: how many stanzas may be offered at most.
    init(maximumBytes: Int, maximumRecords: Int, contexts: LabelContexts, waiting: Int) {
        self.maximumBytes = maximumBytes
        self.maximumRecords = max(1, maximumRecords)
        self.contexts = contexts
        folder = StanzaFolder(capacity: min(waiting, Self.maximumStanzas))
    }

    /// A stanza without a number.
    mutating func offer(_ entry: OutboxEntry, _ stanzaClass: StanzaClass, lane: Lane) -> OutboxOffer {
        let stanza = entry.stanza
        guard stanzas < Self.maximumStanzas else { return .stop }
        let own = contexts.context(of: stanza)
        let isLarge = stanza.byteCount > maximumBytes
        // What has no history of its own goes by the lane in which every block of a label stands alone.
        if own == LabelContexts.overflow, lane == .normal, !isLarge { return leave() }
        if let context, context != own { return leave() }
        let place = isLarge ? StanzaFolder.Place.own : folder.place(for: entry)
        let size = place.joinsRecord ? place.addressBytes : stanza.byteCount
        if records > 0 {
            let hasRoom = bytes + size <= maximumBytes && expandedBytes + stanza.byteCount <= Self.maximumExpandedBytes
            let mayGo = place.joinsRecord || !isFull && records < maximumRecords
            guard hasRoom, mayGo else {
                isFull = true
                return leave()
            }
        }
        // A large stanza goes in parts, and only the normal lane has those.
        if lane == .express, isLarge { return .passOver }
        folder.add(entry, place)
        take(own, records: place.joinsRecord ? 0 : 1, stanzas: 1, bytes: size, expandedBytes: stanza.byteCount)
        passedOver = 0
        if stanzaClass == .urgent { isUrgent = true }
        return .take
    }

    /// What becomes of a stanza that does not go into this block.
    private mutating func leave() -> OutboxOffer {
        guard isFull || records >= maximumRecords else { return .passOver }
        passedOver += 1
        return passedOver > Self.reach ? .stop : .passOver
    }

    /// The stanzas of one number, which go in this lane and together, whatever they are.
    ///
    /// - Returns: false where the block has no room for them.
    mutating func offerAgain(_ record: [OutboxEntry], isUrgent: Bool) -> Bool {
        guard let first = record.first else { return false }
        let own = contexts.context(of: first.stanza)
        let addresses = record.dropFirst().reduce(0) { $0 + (FoldableStanza($1.stanza)?.valueBytes ?? 0) + 1 }
        let size = first.stanza.byteCount + addresses
        let expanded = record.reduce(0) { $0 + $1.stanza.byteCount }
        if records > 0 {
            guard records < maximumRecords, stanzas + record.count <= Self.maximumStanzas, context == own,
                bytes + size <= maximumBytes, expandedBytes + expanded <= Self.maximumExpandedBytes
            else { return false }
        }
        take(own, records: 1, stanzas: record.count, bytes: size, expandedBytes: expanded)
        if isUrgent { self.isUrgent = true }
        return true
    }

    private mutating func take(_ own: UInt8, records: Int, stanzas: Int, bytes: Int, expandedBytes: Int) {
        context = own
        self.records += records
        self.stanzas += stanzas
        self.bytes += bytes
        self.expandedBytes += expandedBytes
    }

    /// What was taken by ``offer(_:_:lane:)``, in that order, brought into records.
    func ordered(_ entries: [OutboxEntry]) -> OutboxRecords { folder.ordered(entries) }
}
