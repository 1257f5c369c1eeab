import NIOCore
import XMPP

/// One user of the peer in one room of this site.
///
/// Addresses and nicks are escaped as they stand in canonical bytes, so that they are compared without unescaping.
struct RoomMembership {
    enum Phase: Equatable {
        /// His own join crossed and the room has not answered. Becomes `joined`, or is forgotten.
        case joining
        /// In the room, as far as is known. Becomes `doubtful` after a gap.
        case joined
        /// A gap may have cost him stanzas or his place. Becomes `pinging`, or `rejoining` when he is known to be out.
        case doubtful
        /// The room was asked in his name whether he is in. Becomes `rejoining`, or `doubtful` to be asked again.
        case pinging
        /// A join was sent in his name. Becomes `joined`, `doubtful` to try again, or is forgotten.
        case rejoining(isResync: Bool)
    }

    /// Which of its journal rows have to be written anew.
    struct Rows: OptionSet {
        let rawValue: UInt8
        static let join = Rows(rawValue: 1)
        static let seen = Rows(rawValue: 2)
        static let known = Rows(rawValue: 4)
        static let all: Rows = [.join, .seen, .known]
    }

    /// How many of the last messages are remembered.
    static let seenMessages = 64

    /// Names its journal rows.
    var key: UInt64
    /// A hash of the two bare addresses; finds candidates.
    var pair: UInt64
    /// The next membership of the same pair.
    var next: Int32 = -1
    var occupant: String
    var room: String
    var roomDomain: Domain?
    var nick: String
    /// The presence by which he joined.
    var join: Stanza
    /// What he told the room of himself since.
    var update: Stanza?

    var phase = Phase.joining
    /// The room said that he is out.
    var isOut = false
    /// When something has to happen if nothing comes before.
    var due: NIODeadline?
    var attempts: UInt8 = 0
    /// The id of the ping under way.
    var pingID: String?
    /// How often he was thrown out lately, and since when that is counted.
    var kicks = 0
    var kicksSince = NIODeadline.uptimeNanoseconds(0)

    /// Service time when he joined: what was said before is not missing.
    var joinedAt: UInt64 = 0
    /// Service time when the last message of the room went to him.
    var lastSeen: UInt64
    /// Service time from which messages were lost on their way to him.
    var lostSince: UInt64?
    /// Recovered from a journal, with nothing heard from the room since.
    var isRecovered = false
    /// Fingerprints of the last messages, oldest first from `seenStart` on.
    var seen: [UInt64] = []
    var seenStart = 0
    /// One bit per place of `seen`: the message has come again in this replay.
    var replayed: UInt64 = 0
    /// One bit per place of `seen`: it came after the gap began, so others before it may be missing.
    var afterGap: UInt64 = 0
    /// Until then a delayed message that he has had is a replay.
    var replayUntil: NIODeadline?
    /// Messages of a replay that are not among those remembered, until it is known whether one that is follows: a room's
    /// history is in order, so what comes before a message that he has had is not what he missed.
    var undecided: [Stanza] = []
    var undecidedBytes = 0
    /// Messages in the middle of what he has had were lost, so nothing follows from what comes after.
    var hasGaps = false
    var subject: UInt64?
    /// Whom he knows to be in the room, by nick, with the fingerprint of their presence (0: not known).
    var known: [String: UInt64] = [:]
    /// There were too many to remember.
    var isKnownIncomplete = false
    /// Who has shown himself since the last join in his name.
    var present: Set<String> = []
    /// Until then a subject is the end of a complete answer to a join in his name.
    var subjectUntil: NIODeadline?

    /// Stanzas from him to the room, held until he is in again, with their ids in the inbox.
    var held: [(stanza: Stanza, id: UInt64?)] = []
    var heldBytes = 0
    /// When what is held goes on, whatever became of him; nil: nothing is held.
    var holdUntil: NIODeadline?

    var changed: Rows = []

    var occupantAddress: String { "\(room)/\(nick)" }

    /// Remembers a message that goes to him.
    mutating func record(_ fingerprint: UInt64, at time: UInt64) {
        lastSeen = max(lastSeen, time)
        isRecovered = false
        let place: Int
        if seen.count < Self.seenMessages {
            place = seen.count
            seen.append(fingerprint)
        } else {
            place = seenStart
            seen[place] = fingerprint
            seenStart = (seenStart + 1) % Self.seenMessages
        }
        // One that comes for the first time in a replay must not swallow a second of the same words.
        replayed |= 1 << UInt64(place)
        let bit: UInt64 = 1 << UInt64(place)
        afterGap = phase == .joined ? afterGap & ~bit : afterGap | bit
    }

    enum Replay: Equatable {
        case isNew
        /// He has had it.
        case had
        /// He has had it, and all that was said before.
        case hadAllBefore
    }

    /// Whether he has had a message that is replayed; each remembered message answers for one.
    mutating func replay(_ fingerprint: UInt64) -> Replay {
        for place in seen.indices where seen[place] == fingerprint && replayed & (1 << UInt64(place)) == 0 {
            replayed |= 1 << UInt64(place)
            return afterGap & (1 << UInt64(place)) == 0 ? .hadAllBefore : .had
        }
        return .isNew
    }

    /// Forgets a message that did not reach him.
    mutating func unsee(_ fingerprint: UInt64) {
        guard let place = seen.lastIndex(of: fingerprint) else { return }
        var ordered = orderedSeen
        ordered.remove(at: (place - seenStart + seen.count) % seen.count)
        seen = ordered
        seenStart = 0
        replayed = ~0
        afterGap = ~0
    }

    /// The fingerprints, oldest first.
    var orderedSeen: [UInt64] { Array(seen[seenStart...] + seen[..<seenStart]) }
}
