import Blocks
import LocalAnswers
package import NIOCore
import Outbox
package import XMPP

// What an operator sees and can do.
extension PeerStateMachine {
    /// What `status` shows. It looks at everything that waits.
    package var snapshot: PeerStatus {
        mutating get {
            var status = PeerStatus(
                name: policy.name,
                link: link == .down ? .down : link == .ready ? .ready : .busy,
                sent: counters.sent, received: counters.received,
                queuedStanzas: outbox.stanzaCount, queuedBytes: outbox.byteCount,
                oldestArrival: outbox.oldestArrival.map { clock.deadline($0) },
                pendingLocalRequests: localRequests.count, pendingRemoteRequests: remoteRequests.count,
                knownLocalRooms: localRooms.count, knownRemoteRooms: remoteRooms.count,
                supersededPresences: outbox.supersededCount, expiredPresences: outbox.silentlyExpiredCount,
                events: counters.eventCounts, bounces: counters.bounceCounts)
            status.linkSince = linkSince
            status.classes = classStatus()
            status.inFlightStanzas = sent[Lane.normal].count + sent[Lane.express].count + unconfirmed.count
            status.inFlightBytes = sent[Lane.normal].byteCount + sent[Lane.express].byteCount + unconfirmed.byteCount
            status.acknowledgedStanzas = acknowledgedCount
            status.inboxStanzas = inbox.stanzaCount
            status.inboxBytes = inbox.byteCount
            status.inboxInDoubt = inbox.outstanding + inbox.unrecorded
            status.roomJoins = rooms.count
            status.roomJoinsInRepair = rooms.unsettledCount
            status.roomCounts = rooms.counts
            status.answers = answers.status
            status.isLinkHeld = isLinkHeld
            status.isJournalStalled = isJournalStalled
            status.poison = Array(poison.entries)
            status.traffic = traffic
            status.lastFailure = lastFailure
            if speaksBlocks {
                status.session = PeerStatus.Session(
                    epoch: session.epoch, number: session.sessionNumber, isPeerRecognised: session.isPeerRecognised,
                    unacknowledgedBlocks: session.unacknowledgedBlocks, remark: peerRemark)
            }
            return status
        }
    }

    private mutating func classStatus() -> [PeerStatus.ClassStatus] {
        var classes = StanzaClass.allCases.map {
            PeerStatus.ClassStatus(stanzaClass: $0, stanzas: 0, bytes: 0, oldestArrival: nil)
        }
        for (entry, stanzaClass) in outbox.inOrder() {
            let place = Int(stanzaClass.rawValue)
            classes[place].stanzas += 1
            classes[place].bytes += entry.stanza.byteCount
            let arrival = clock.deadline(entry.arrival)
            classes[place].oldestArrival = min(classes[place].oldestArrival ?? arrival, arrival)
        }
        return classes
    }

    /// Takes a stanza out of the queue and sends it back to its sender; false when it is not there or has left already.
    package mutating func cancel(_ outboxID: UInt64, now: NIODeadline) -> Bool {
        guard let entry = outbox.remove(id: outboxID) else { return false }
        count(.cancelled)
        giveBack(entry, .cancelled, now: now)
        settle(now: now)
        return true
    }

    /// The id of what was added to the queue last; 0 for nothing.
    package var lastOutboxID: UInt64 { outbox.lastID }

    /// The stanza with this id, waiting or in flight: for an operator who asks for its content.
    package mutating func queuedStanza(_ outboxID: UInt64) -> Stanza? {
        for lane in Lane.allCases {
            for index in 0..<sent[lane].count where sent[lane][index].entry.id == outboxID {
                return sent[lane][index].entry.stanza
            }
        }
        for index in 0..<unconfirmed.count where unconfirmed[index].id == outboxID { return unconfirmed[index].stanza }
        return outbox.inOrder().first { $0.entry.id == outboxID }?.entry.stanza
    }

    /// What was set aside because it could not be read, oldest first.
    package func setAside(now: NIODeadline) -> [SetAside] {
        let time = clock.milliseconds(now)
        return poison.entries.map { entry in
            SetAside(
                status: entry, content: poison.content(of: entry.id), age: time > entry.since ? time - entry.since : 0)
        }
    }

    /// The operator has seen what was set aside and needs it no more; false when there is no such thing.
    package mutating func dropSetAside(_ id: UInt64, now: NIODeadline) -> Bool {
        guard poison.remove(id) else { return false }
        count(.setAsideDropped)
        journal.remove(.poison, id: id)
        settle(now: now)
        return true
    }

    /// What waits for the link, first what leaves first, at most `limit` of it.
    package mutating func queueEntries(limit: Int, now: NIODeadline) -> [QueueEntry] {
        let time = clock.milliseconds(now)
        var listed: [QueueEntry] = []
        for lane in Lane.allCases {
            for index in 0..<min(sent[lane].count, max(0, limit - listed.count)) {
                let entry = sent[lane][index].entry
                listed.append(Self.describe(entry, policy.classes.stanzaClass(entry.stanza), .inFlight, time))
            }
        }
        for index in 0..<min(unconfirmed.count, max(0, limit - listed.count)) {
            let entry = unconfirmed[index]
            listed.append(Self.describe(entry, policy.classes.stanzaClass(entry.stanza), .inFlight, time))
        }
        for (entry, stanzaClass) in outbox.inOrder().prefix(max(0, limit - listed.count)) {
            listed.append(Self.describe(entry, stanzaClass, .waiting, time))
        }
        return listed
    }

    private static func describe(
        _ entry: OutboxEntry, _ stanzaClass: StanzaClass, _ state: QueueEntry.State, _ time: UInt64
    ) -> QueueEntry {
        QueueEntry(
            id: entry.id, stanzaClass: stanzaClass, from: entry.stanza.from?.description ?? "",
            to: entry.stanza.to?.description ?? "", kind: entry.stanza.kind, type: entry.stanza.type,
            bytes: entry.stanza.byteCount, age: time > entry.arrival ? time - entry.arrival : 0, state: state)
    }

    /// State without content, for logs.
    package var debugState: String {
        "\(policy.name): link \(link), \(outbox.stanzaCount) waiting, \(localRequests.count)+\(remoteRequests.count) asked"
    }
}
