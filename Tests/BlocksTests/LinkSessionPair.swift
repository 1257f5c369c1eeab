import Blocks
import NIOCore
import Outbox
import TestSupport
import XMPP

/// One end of a link with a journal: the owner of a ``LinkSession`` reduced to what the protocol needs of it.
final class SessionEnd {
    struct Waiting {
        var number: UInt64
        var stanza: Stanza
        var lane: Lane
    }

    let configuration: LinkSessionConfiguration
    var session: LinkSession
    var clock = NIODeadline.uptimeNanoseconds(1_000_000_000)
    /// What a journal holds: rows and values, as committed.
    var journal = RecoveredPeer(needsNewEpoch: true)
    /// Emitted and not committed yet.
    var records: [JournalRecord] = []
    /// Stanzas that have to arrive, not numbered yet.
    var queue: [Lane: [Stanza]] = [:]
    /// Numbered, unacknowledged; durable with the records that numbered them.
    var numbered: [Waiting] = []
    /// Next in line to be cut again, by lane.
    var resend: [Lane: Int] = [:]
    var delivered: [String] = []
    private var uncommitted: [String] = []
    var notes: [LinkSessionNote] = []
    var failures: [LinkSessionFailure] = []
    private var toConfirm: [UInt64] = []
    private let seed: UInt64
    private var restarts: UInt64 = 0

    init(_ configuration: LinkSessionConfiguration, seed: UInt64) {
        self.configuration = configuration
        self.seed = seed
        session = LinkSession(configuration, recovered: journal, random: seed)
        collect()
    }

    /// The process ends; what was committed remains, and the numbering is the sender's own.
    func restart() {
        restarts += 1
        session = LinkSession(configuration, recovered: journal, random: seed &+ 77 &* restarts)
        records = []
        toConfirm = []
        uncommitted = []
        resend = [.normal: 0, .express: 0]
        collect()
    }

    /// Takes events and records; received stanzas become durable and are confirmed with ``commit()``.
    func collect() {
        while let event = session.nextEvent() {
            switch event {
            case .received(let items, let ordinal):
                for case .stanza(let stanza, _) in items { uncommitted.append(stanza.id ?? "?") }
                toConfirm.append(ordinal)
            case .acknowledged(let lane, let through):
                let before = numbered.count { $0.lane == lane }
                numbered.removeAll { $0.lane == lane && $0.number <= through }
                let gone = before - numbered.count { $0.lane == lane }
                resend[lane] = max(0, (resend[lane] ?? 0) - gone)
            case .sessionStarted: resend = [.normal: 0, .express: 0]
            case .epochStarted:
                for lane in Lane.allCases {
                    let old = numbered.filter { $0.lane == lane }.map(\.stanza)
                    queue[lane] = old + (queue[lane] ?? [])
                }
                numbered = []
                resend = [.normal: 0, .express: 0]
            case .peerRecognised: break
            case .failed(let failure): failures.append(failure)
            case .noted(let note): notes.append(note)
            }
        }
        records += session.takeRecords()
    }

    /// A block arrives, and what it brought becomes durable.
    func receive(_ block: ByteBuffer) {
        session.blockReceived(block, now: clock)
        collect()
        commit()
    }

    func commit() {
        for record in records { journal.apply(record) }
        journal.needsNewEpoch = false
        delivered += uncommitted
        uncommitted = []
        records = []
        for ordinal in toConfirm { session.committed(ordinal, now: clock) }
        toConfirm = []
        collect()
    }

    /// Cuts what may be cut: at most one block, committed before it is returned.
    func nextBlock(maximumStanzas: Int, partBytes: Int) -> ByteBuffer? {
        let lane: Lane = [Lane.express, .normal].first { session.canCut($0) && hasWork($0) } ?? .normal
        let willCut = session.canCut(lane) && hasWork(lane)
        if let block = session.nextServiceBlock(now: clock, willCut: willCut) {
            collect()
            commit()
            return block
        }
        guard willCut else { return nil }
        defer { commit() }
        var stanzas: [OutgoingStanza] = []
        var first: UInt64 = 0
        let own = numbered.filter { $0.lane == lane }
        var position = resend[lane] ?? 0
        if position < own.count {
            if own[position].stanza.byteCount > partBytes {
                let part = session.cutPart(
                    of: OutgoingStanza(stanza: own[position].stanza, ageSeconds: 0), number: own[position].number,
                    bytes: partBytes, now: clock)
                if part.isComplete { resend[lane] = position + 1 }
                collect()
                return part.block
            }
            first = own[position].number
            while position < own.count, stanzas.count < maximumStanzas, own[position].stanza.byteCount <= partBytes,
                own[position].number == first + UInt64(stanzas.count)
            {
                stanzas.append(OutgoingStanza(stanza: own[position].stanza, ageSeconds: 0))
                position += 1
            }
        } else {
            first = session.nextNumber(lane)
            while let next = queue[lane]?.first, stanzas.count < maximumStanzas {
                if next.byteCount > partBytes {
                    if stanzas.isEmpty {
                        numbered.append(Waiting(number: first, stanza: next, lane: lane))
                        queue[lane]?.removeFirst()
                        let part = session.cutPart(
                            of: OutgoingStanza(stanza: next, ageSeconds: 0), number: first, bytes: partBytes, now: clock)
                        resend[lane] = part.isComplete ? position + 1 : position
                        collect()
                        return part.block
                    }
                    break
                }
                queue[lane]?.removeFirst()
                numbered.append(Waiting(number: first + UInt64(stanzas.count), stanza: next, lane: lane))
                stanzas.append(OutgoingStanza(stanza: next, ageSeconds: 0))
                position += 1
            }
        }
        resend[lane] = position
        let block = session.cut(stanzas, lane: lane, firstNumber: first, now: clock)
        collect()
        return block
    }

    private func hasWork(_ lane: Lane) -> Bool {
        (resend[lane] ?? 0) < numbered.count { $0.lane == lane } || !(queue[lane]?.isEmpty ?? true)
    }

    var isIdle: Bool { numbered.isEmpty && queue.values.allSatisfy(\.isEmpty) }
}

extension RecoveredPeer {
    /// What a journal does with a record.
    mutating func apply(_ record: JournalRecord) {
        switch record {
        case .put(let table, let id, let payload, let time):
            let bytes: [UInt8] =
                switch payload {
                case .bytes(let bytes): bytes
                case .stanza(let stanza): Array(stanza.text.utf8)
                }
            var list = rows[table] ?? []
            list.removeAll { $0.id == id }
            let place = list.firstIndex { $0.id > id } ?? list.endIndex
            list.insert(Row(id: id, payload: bytes, time: time), at: place)
            rows[table] = list
        case .remove(let table, let ids): rows[table]?.removeAll { ids.contains($0.id) }
        case .removeThrough(let table, let id): rows[table]?.removeAll { $0.id <= id }
        case .removeAbove(let table, let id): rows[table]?.removeAll { $0.id > id }
        case .set(let value, let bytes): values[value] = bytes
        }
    }
}
