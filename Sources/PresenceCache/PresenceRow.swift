import NIOCore
package import Outbox
import XMPP

/// How what is durable of a pair is kept in the table `presence`: one row a pair, with a number of its own.
///
/// Durable is who may see whom, since it takes a subscription to learn it anew, and which `subscribe` is unanswered,
/// which servers repeat at every login. Who is online is not: it changes more often than a journal likes, and after a
/// restart it might have changed unseen, so that it would have to be asked for all the same.
enum PresenceRow {
    private static let version: UInt8 = 1

    static func write(
        _ flags: PresencePair.Flags, remote: UnsafeRawBufferPointer, local: UnsafeRawBufferPointer,
        subscribe: UnsafeRawBufferPointer
    ) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.writeInteger(version)
        buffer.writeInteger(flags.intersection(.durable).rawValue)
        func write(_ text: UnsafeRawBufferPointer) {
            buffer.writeInteger(UInt16(clamping: text.count))
            unsafe buffer.writeBytes(text)
        }
        unsafe write(remote)
        unsafe write(local)
        unsafe write(subscribe)
        return Array(buffer.readableBytesView)
    }

    struct Pair {
        var flags: PresencePair.Flags
        var remote: [UInt8]
        var local: [UInt8]
        var subscribe: [UInt8]
    }

    /// What a row says; nil where it cannot be read: who is forgotten is asked for.
    static func read(_ bytes: [UInt8]) -> Pair? {
        var buffer = ByteBuffer(bytes: bytes)
        guard buffer.readInteger(as: UInt8.self) == version, let flags = buffer.readInteger(as: UInt16.self),
            let remote = text(&buffer), let local = text(&buffer), let subscribe = text(&buffer),
            isBareAddress(remote), isBareAddress(local)
        else { return nil }
        return Pair(
            flags: PresencePair.Flags(rawValue: flags).intersection(.durable), remote: remote, local: local,
            subscribe: subscribe)
    }

    private static func text(_ buffer: inout ByteBuffer) -> [UInt8]? {
        guard let count = buffer.readInteger(as: UInt16.self) else { return nil }
        return buffer.readBytes(length: Int(count))
    }

    private static func isBareAddress(_ bytes: [UInt8]) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let address = JID(text) else { return false }
        return address.isBare && address.description == text
    }
}

extension PeerPresence {
    /// What is to be written since the last call.
    ///
    /// - Parameter time: service time in milliseconds (``ServiceClock``).
    package mutating func takeRecords(time: UInt64) -> [JournalRecord] {
        var records: [JournalRecord] = []
        for index in changedPairs where store[pair: index].flags.contains(.changed) {
            let pair = store[pair: index]
            store[pair: index].flags.remove(.changed)
            guard !pair.flags.isDisjoint(with: .durable) else {
                if pair.row != 0 { removedRows.append(UInt64(pair.row)) }
                store[pair: index].row = 0
                continue
            }
            if pair.row == 0 {
                store[pair: index].row = nextRow
                nextRow += 1
            }
            var subscribe: [UInt8] = []
            store.texts.append(subscribes[index]?.payload ?? 0, to: &subscribe)
            let payload = unsafe subscribe.withUnsafeBytes { subscribe in
                unsafe PresenceRow.write(
                    pair.flags, remote: store.texts.bytes(pair.remote), local: store.texts.bytes(pair.local),
                    subscribe: subscribe)
            }
            records.append(.put(.presence, id: UInt64(store[pair: index].row), .bytes(payload), time: time))
        }
        changedPairs.removeAll(keepingCapacity: changedPairs.count < 1_024)
        if !removedRows.isEmpty {
            records.append(.remove(.presence, ids: removedRows))
            removedRows = []
        }
        return records
    }

    mutating func recover(_ rows: [RecoveredPeer.Row]) {
        for row in rows {
            guard let id = UInt32(exactly: row.id), id > 0 else { continue }
            nextRow = max(nextRow, id + 1)
            guard let kept = PresenceRow.read(row.payload), !kept.flags.isEmpty, let pair = recoverPair(kept) else {
                removedRows.append(row.id)
                continue
            }
            if store[pair: pair].row != 0 { removedRows.append(UInt64(store[pair: pair].row)) }
            store[pair: pair].row = id
            store[pair: pair].flags = kept.flags
            guard kept.flags.contains(.subscribing) else { continue }
            if let payload = unsafe kept.subscribe.withUnsafeBytes({ unsafe store.texts.hold($0, isPayload: true) }) {
                subscribes[pair] = PendingSubscribe(payload: payload, at: 0)
            } else {
                store[pair: pair].flags.remove(.subscribing)
            }
        }
    }

    private mutating func recoverPair(_ kept: PresenceRow.Pair) -> Int32? {
        unsafe kept.remote.withUnsafeBytes { remote in
            unsafe kept.local.withUnsafeBytes { local in
                let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
                let parties = unsafe Parties(
                    remote: remote, remoteResource: nothing, local: local, localResource: nothing)
                return store.find(parties) ?? store.add(parties)
            }
        }
    }
}
