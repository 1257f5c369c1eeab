import IdentifierFolding
import NIOCore
import Outbox
import TestSupport
import XMPP

/// Reads one stanza from XML text, as it comes on a server-to-server stream.
func stanza(_ xml: String) throws -> Stanza { try StanzaText.read(xml) }

/// Bytes that are not what a reader makes of them.
struct NotCanonical: Error { var text: String }

/// The journal of one peer, as far as ids go.
struct TestJournal {
    private(set) var recovered = RecoveredPeer(needsNewEpoch: false)
    private(set) var puts = 0

    mutating func apply(_ records: [JournalRecord]) {
        for record in records {
            switch record {
            case .put(let table, let id, .bytes(let bytes), let time):
                puts += 1
                let row = RecoveredPeer.Row(id: id, payload: bytes, time: time)
                var rows = recovered.rows.removeValue(forKey: table) ?? []
                if let place = rows.lastIndex(where: { $0.id <= id }) {
                    if rows[place].id == id { rows[place] = row } else { rows.insert(row, at: place + 1) }
                } else {
                    rows.insert(row, at: 0)
                }
                recovered.rows[table] = rows
            case .put(_, _, .stanza, _): preconditionFailure("ids are not kept as stanzas")
            case .remove(let table, let ids): recovered.rows[table]?.removeAll { ids.contains($0.id) }
            case .removeThrough(let table, let id): recovered.rows[table]?.removeAll { $0.id <= id }
            case .removeAbove(let table, let id): recovered.rows[table]?.removeAll { $0.id > id }
            case .set(let value, let bytes): recovered.values[value] = bytes
            }
        }
    }

    mutating func update(_ change: (inout RecoveredPeer) -> Void) { change(&recovered) }

    func rows(_ table: JournalTable) -> Int { recovered[table].count }
}

/// One bridge's end of one link: a folder with its journal, or none where the bridge does not fold.
final class FolderEnd {
    private struct Holder: ~Copyable { var folder: IdentifierFolder }

    private let isHighSide: Bool
    private let limits: IdentifierLimits
    private var holder: Holder
    private let folds: Bool
    private let foldsStanzaIDs: Bool
    private let reader = StanzaReader()
    private var time: UInt64 = 1_000
    var journal = TestJournal()

    init(
        isHighSide: Bool, folds: Bool = true, foldsStanzaIDs: Bool = false, limits: IdentifierLimits = .standard,
        seed: UInt64 = 0x1234_5678
    ) {
        self.isHighSide = isHighSide
        self.folds = folds
        self.foldsStanzaIDs = foldsStanzaIDs
        self.limits = limits
        holder = Holder(
            folder: IdentifierFolder(
                limits: limits, isHighSide: isHighSide, seed: seed, recovered: RecoveredPeer(needsNewEpoch: true)))
        holder.folder.foldsStanzaIDs = foldsStanzaIDs
        journal.apply(holder.folder.takeRecords())
    }

    private var evictedBefore: UInt64 = 0

    var counters: IdentifierCounters { holder.folder.counters }
    /// Tokens forgotten since the beginning, restarts included.
    var evicted: UInt64 { evictedBefore + holder.folder.counters.evicted }
    var count: Int { holder.folder.count }

    /// Another profile: whether rooms' ids get new tokens.
    func set(foldsStanzaIDs: Bool) { holder.folder.foldsStanzaIDs = foldsStanzaIDs }

    func outbound(_ stanza: Stanza) throws -> Stanza {
        guard folds else { return stanza }
        time += 1
        let out = holder.folder.outbound(stanza, now: time)
        journal.apply(holder.folder.takeRecords())
        return try checked(out)
    }

    func inbound(_ stanza: Stanza) throws -> Stanza {
        guard folds else { return stanza }
        time += 1
        let out = holder.folder.inbound(stanza, now: time)
        journal.apply(holder.folder.takeRecords())
        return try checked(out)
    }

    /// What came out is in canonical form, with the index that a reader makes.
    private func checked(_ stanza: Stanza) throws -> Stanza {
        var bytes = ByteBuffer()
        stanza.write(to: &bytes)
        let again = try reader.read(bytes)
        guard again == stanza, again.idRange == stanza.idRange, again.elementCount == stanza.elementCount else {
            throw NotCanonical(text: stanza.text)
        }
        return stanza
    }

    /// Begins again with what the journal holds.
    func restart(needsNewEpoch: Bool = false, seed: UInt64 = 0x0BAD_CAFE) {
        evictedBefore += holder.folder.counters.evicted
        var recovered = journal.recovered
        recovered.needsNewEpoch = needsNewEpoch
        holder = Holder(
            folder: IdentifierFolder(limits: limits, isHighSide: isHighSide, seed: seed, recovered: recovered))
        holder.folder.foldsStanzaIDs = foldsStanzaIDs
        journal.apply(holder.folder.takeRecords())
    }
}

extension Stanza {
    /// The `id` of the first element with this name below the stanza, at any depth.
    func idIn(_ name: String) -> String? {
        func find(_ element: Element) -> Element? {
            for child in element.children {
                if child.name == name { return child }
                if let found = find(child) { return found }
            }
            return nil
        }
        return find(root)?.attribute("id")
    }

    /// The texts of all elements with this name, at any depth.
    func texts(of name: String) -> [String] {
        func collect(_ element: Element) -> [String] {
            element.children.flatMap { ($0.name == name ? [$0.text] : []) + collect($0) }
        }
        return collect(root)
    }

    var threadText: String? { root.children.first { $0.name == "thread" }?.text }
}

/// Whether an id has the shape of a token.
func isToken(_ id: String?) -> Bool {
    guard let id else { return false }
    return id.utf8.count == 8 && id.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
}
