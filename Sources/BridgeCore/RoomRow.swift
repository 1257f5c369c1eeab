import NIOCore
import Outbox
import XMPP

/// How a membership is kept in the table `rooms`: three rows, by how often they change. The id of a row is the
/// membership's key times four, plus which of the three it is.
enum RoomRow {
    /// Who joined where, and how.
    private static let join: UInt64 = 0
    /// What he has had of the room's messages.
    private static let seen: UInt64 = 1
    /// Whom he knows to be in it.
    private static let known: UInt64 = 2
    private static let version: UInt8 = 1

    static func ids(of key: UInt64) -> [UInt64] { [join, seen, known].map { key << 2 | $0 } }

    static func records(of entry: RoomMembership) -> [JournalRecord] {
        var records: [JournalRecord] = []
        func put(_ part: UInt64, _ fill: (inout ByteBuffer) -> Void) {
            var buffer = ByteBuffer()
            buffer.writeInteger(version)
            fill(&buffer)
            records.append(
                .put(.rooms, id: entry.key << 2 | part, .bytes(Array(buffer.readableBytesView)), time: entry.lastSeen))
        }
        if entry.changed.contains(.join) {
            put(join) { buffer in
                buffer.writeInteger(entry.joinedAt)
                writeText(entry.nick, to: &buffer)
                writeStanza(entry.join, to: &buffer)
                if let update = entry.update { writeStanza(update, to: &buffer) }
            }
        }
        if entry.changed.contains(.seen) {
            put(seen) { buffer in
                buffer.writeInteger(entry.lostSince.map { min($0, entry.lastSeen) } ?? entry.lastSeen)
                buffer.writeInteger(UInt8(entry.subject == nil ? 0 : 1))
                buffer.writeInteger(entry.subject ?? 0)
                for fingerprint in entry.orderedSeen { buffer.writeInteger(fingerprint) }
            }
        }
        if entry.changed.contains(.known) {
            put(known) { buffer in
                buffer.writeInteger(UInt8(entry.isKnownIncomplete ? 1 : 0))
                for nick in entry.known.keys.sorted() {
                    writeText(nick, to: &buffer)
                    buffer.writeInteger(entry.known[nick] ?? 0)
                }
            }
        }
        return records
    }

    /// What rows say. Rows that cannot be read are passed over: a membership that is forgotten costs its occupant a
    /// join, one that is made up would cost more.
    static func memberships(_ rows: [RecoveredPeer.Row], reader: StanzaReader) -> [RoomMembership] {
        var memberships: [RoomMembership] = []
        for row in rows {
            var buffer = ByteBuffer(bytes: row.payload)
            guard buffer.readInteger(as: UInt8.self) == version else { continue }
            switch row.id & 3 {
            case join:
                if let membership = membership(key: row.id >> 2, &buffer, time: row.time, reader) {
                    memberships.append(membership)
                }
            case let part:
                guard let last = memberships.indices.last, memberships[last].key == row.id >> 2 else { continue }
                if part == seen { readSeen(&buffer, &memberships[last]) }
                if part == known { readKnown(&buffer, &memberships[last]) }
            }
        }
        return memberships
    }

    private static func membership(
        key: UInt64, _ buffer: inout ByteBuffer, time: UInt64, _ reader: StanzaReader
    ) -> RoomMembership? {
        guard let joinedAt = buffer.readInteger(as: UInt64.self), let nick = readText(&buffer),
            let join = readStanza(&buffer, reader), join.kind == .presence
        else {
            return nil
        }
        let room = join.toText.prefix { $0 != "/" }
        guard join.to != nil, join.from?.isBare == false, !nick.isEmpty else { return nil }
        var membership = RoomMembership(
            key: key, pair: RoomMemberships.pairHash(room: join.bareToHash, occupant: join.bareFromHash),
            occupant: join.fromText, room: String(room), roomDomain: join.toDomain, nick: nick, join: join,
            lastSeen: time)
        membership.joinedAt = joinedAt
        membership.update = readStanza(&buffer, reader)
        return membership
    }

    private static func readSeen(_ buffer: inout ByteBuffer, _ membership: inout RoomMembership) {
        guard let last = buffer.readInteger(as: UInt64.self), let hasSubject = buffer.readInteger(as: UInt8.self),
            let subject = buffer.readInteger(as: UInt64.self)
        else { return }
        membership.lastSeen = last
        membership.subject = hasSubject == 1 ? subject : nil
        while membership.seen.count < RoomMembership.seenMessages, let next = buffer.readInteger(as: UInt64.self) {
            membership.seen.append(next)
        }
    }

    private static func readKnown(_ buffer: inout ByteBuffer, _ membership: inout RoomMembership) {
        membership.isKnownIncomplete = buffer.readInteger(as: UInt8.self) != 0
        while let nick = readText(&buffer), let fingerprint = buffer.readInteger(as: UInt64.self) {
            membership.known[nick] = fingerprint
        }
    }

    private static func writeText(_ text: String, to buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt16(text.utf8.count))
        buffer.writeString(text)
    }

    private static func readText(_ buffer: inout ByteBuffer) -> String? {
        guard let count = buffer.readInteger(as: UInt16.self) else { return nil }
        return buffer.readString(length: Int(count))
    }

    private static func writeStanza(_ stanza: Stanza, to buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt32(stanza.byteCount))
        stanza.write(to: &buffer)
    }

    private static func readStanza(_ buffer: inout ByteBuffer, _ reader: StanzaReader) -> Stanza? {
        guard let count = buffer.readInteger(as: UInt32.self), let bytes = buffer.readSlice(length: Int(count)) else {
            return nil
        }
        return try? reader.read(bytes)
    }
}
