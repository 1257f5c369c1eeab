import DequeModule
package import NIOCore
package import Outbox
import XMPP

/// The joins of the peer's users in the rooms of this site, and their repair after a gap.
///
/// A room throws an occupant out when a stanza to him comes back as an error, and his server sends such errors
/// whenever the stream to the bridge breaks or either of them restarts. Far away, on a slow link, nobody would notice
/// for long that he hears nothing any more. So the bridge beside the room remembers who joined, durably, and after
/// every gap – a stream lost, a restart, a technical kick, a stanza of a room that could not be kept – looks whether
/// they are still in (XEP-0410), joins again in their names, asks for the history since the last message that they
/// have had, and swallows what they know already. Whom it cannot bring back is told, once, that he left (XEP-0045
/// §15.6, status 333).
///
/// ```
///            join crosses                self-presence                gap, technical kick
///  (none) ─────────────────▶ joining ───────────────────▶ joined ──────────────────────────▶ doubtful ◀──────┐
///     ▲                                                     ▲                          ping │      │ is out   │ try again
///     │  leave, refusal, ban, kick by a person              │ self-presence                ▼      ▼          │
///     └─────────────────────────────────────────────────────┴───────────────────────── pinging ▶ rejoining ───┘
/// ```
///
/// While he may be out, what he sends to the room is held, bounded in number and time, since the room would refuse
/// it. A pure value: time, the service clock and the wall clock come in; journal records go out. Of a stanza that is
/// not between a room and one of its remembered occupants, nothing but the hash of its addresses is looked at.
package struct RoomMemberships: ~Copyable {
    let limits: RoomLimits
    let clock: ServiceClock
    private let isJournaled: Bool
    private let secret: UInt64

    var entries: [RoomMembership?] = []
    private var free: [Int32] = []
    /// The first membership of a pair of bare addresses.
    private var places: [UInt64: Int32] = [:]
    /// Those that are not in the phase `joined`, in the order in which they left it, with some that are again.
    var unsettled: [Int32] = []
    /// How many are not in the phase `joined`.
    var unsettledCount = 0
    /// Those with undecided messages, some not any more.
    var undecided: [Int32] = []
    /// Pings without answer.
    var pingCount = 0
    private(set) var byteCount = 0
    /// Nothing is due before; nil: nothing is due.
    private(set) var nextDeadline: NIODeadline?
    /// Until then presence that its recipient knows already is taken for an echo of a join in somebody's name.
    var quietUntil: NIODeadline?
    var isLinkUp = false
    private var wall: (milliseconds: UInt64, at: NIODeadline)?

    var actions: Deque<RoomAction> = []
    private var nextKey: UInt64 = 1
    private var changed: [Int32] = []
    private var removedKeys: [UInt64] = []
    private var idCounter: UInt64 = 0
    let reader = StanzaReader()

    package private(set) var count = 0
    package var counts = RoomCounts()

    /// - Parameters:
    ///   - recovered: the rows of the table `rooms`.
    ///   - secret: a random number, from which the ids of pings are made.
    package init(
        limits: RoomLimits = RoomLimits(), recovered: [RecoveredPeer.Row] = [], isJournaled: Bool, clock: ServiceClock,
        secret: UInt64, now: NIODeadline
    ) {
        self.limits = limits
        self.clock = clock
        self.isJournaled = isJournaled
        self.secret = secret
        recover(recovered, now: now)
    }

    package var hasActions: Bool { !actions.isEmpty }

    package mutating func nextAction() -> RoomAction? { actions.popFirst() }

    /// The rooms that somebody is in, some more than once.
    var addresses: [JID] { entries.compactMap { $0?.join.to?.bare } }

    /// The wall clock, whenever it is known, in Unix milliseconds: for the `since` of joins. Without, or while it
    /// says what cannot be, joins say how many seconds ago.
    package mutating func wallClockRead(_ milliseconds: UInt64, now: NIODeadline) {
        wall = (milliseconds, now)
    }

    /// The wall clock now, where it is believable.
    func wallTime(_ now: NIODeadline) -> UInt64? {
        guard let wall, now >= wall.at else { return nil }
        let time = wall.milliseconds &+ UInt64((now - wall.at).nanoseconds / 1_000_000)
        return RoomHistory.isBelievable(time) ? time : nil
    }

    // MARK: Finding

    static func pairHash(room: UInt64, occupant: UInt64) -> UInt64 {
        var hash = StableHash()
        hash.combine(room)
        hash.combine(occupant)
        return hash.value
    }

    /// The membership that a stanza from a room is for.
    func indexOfRecipient(_ stanza: Stanza) -> Int32? {
        var index = places[Self.pairHash(room: stanza.bareFromHash, occupant: stanza.bareToHash)] ?? -1
        while index >= 0, let entry = entries[Int(index)] {
            if stanza.toEquals(entry.occupant), stanza.fromBareEquals(entry.room) { return index }
            index = entry.next
        }
        return nil
    }

    /// The membership that a stanza to a room comes from.
    func indexOfSender(_ stanza: Stanza) -> Int32? {
        var index = places[Self.pairHash(room: stanza.bareToHash, occupant: stanza.bareFromHash)] ?? -1
        while index >= 0, let entry = entries[Int(index)] {
            if stanza.fromEquals(entry.occupant), stanza.toBareEquals(entry.room) { return index }
            index = entry.next
        }
        return nil
    }

    /// Whether another session of the same user is in a room under this nick, and this stanza is for it.
    func isForSession(_ stanza: Stanza, nick: String) -> Bool {
        indexOfRecipient(stanza).map { entries[Int($0)]?.nick == nick } ?? false
    }

    // MARK: Adding and removing

    /// Adds a membership; nil when there is no room for it.
    mutating func insert(_ membership: RoomMembership) -> Int32? {
        let bytes = Self.byteCount(of: membership)
        guard count < limits.joins, byteCount + bytes <= limits.bytes else {
            counts.notRemembered &+= 1
            return nil
        }
        var membership = membership
        let index: Int32
        if let reused = free.popLast() {
            index = reused
        } else {
            index = Int32(truncatingIfNeeded: entries.count)
            entries.append(nil)
        }
        membership.next = places[membership.pair] ?? -1
        places[membership.pair] = index
        nextKey = max(nextKey, membership.key + 1)
        entries[Int(index)] = membership
        count += 1
        byteCount += bytes
        if membership.phase != .joined {
            unsettledCount += 1
            unsettled.append(index)
        }
        return index
    }

    mutating func takeKey() -> UInt64 {
        defer { nextKey += 1 }
        return nextKey
    }

    mutating func remove(_ index: Int32) {
        guard let entry = entries[Int(index)] else { return }
        if entry.pingID != nil { pingCount -= 1 }
        if entry.phase != .joined { unsettledCount -= 1 }
        if places[entry.pair] == index {
            places[entry.pair] = entry.next >= 0 ? entry.next : nil
        } else {
            var previous = places[entry.pair] ?? -1
            while previous >= 0, let found = entries[Int(previous)]?.next, found != index { previous = found }
            if previous >= 0 { entries[Int(previous)]?.next = entry.next }
        }
        count -= 1
        byteCount -= Self.byteCount(of: entry) + entry.heldBytes + entry.undecidedBytes
        entries[Int(index)] = nil
        free.append(index)
        if isJournaled { removedKeys.append(entry.key) }
    }

    private static func byteCount(of membership: RoomMembership) -> Int {
        512 + membership.join.byteCount + membership.occupant.utf8.count + membership.room.utf8.count
    }

    mutating func addBytes(_ bytes: Int) { byteCount += bytes }

    // MARK: Phases and time

    mutating func setPhase(_ index: Int32, _ phase: RoomMembership.Phase, due: NIODeadline?) {
        guard let old = entries[Int(index)]?.phase else { return }
        if old == .joined, phase != .joined {
            unsettledCount += 1
            unsettled.append(index)
        } else if old != .joined, phase == .joined {
            unsettledCount -= 1
        }
        if phase != .pinging, entries[Int(index)]?.pingID != nil {
            entries[Int(index)]?.pingID = nil
            pingCount -= 1
        }
        entries[Int(index)]?.phase = phase
        entries[Int(index)]?.due = due
        if let due { wake(at: due) }
    }

    mutating func wake(at deadline: NIODeadline) {
        nextDeadline = nextDeadline.map { min($0, deadline) } ?? deadline
    }

    /// The time of ``nextDeadline`` has come, or any other time.
    package mutating func deadlineReached(now: NIODeadline) {
        guard let deadline = nextDeadline, deadline <= now else { return }
        nextDeadline = nil
        undecided.removeAll { entries[Int($0)]?.undecided.isEmpty ?? true }
        for index in undecided {
            guard let until = entries[Int(index)]?.subjectUntil, until > now else {
                decide(index, areMissed: true, now: now)
                continue
            }
            wake(at: until)
        }
        let all = unsettled
        unsettled.removeAll(keepingCapacity: true)
        var isListed: Set<Int32> = []
        var repairs = 0
        for index in all {
            guard let entry = entries[Int(index)], entry.phase != .joined, isListed.insert(index).inserted else {
                continue
            }
            unsettled.append(index)
            if let until = entry.holdUntil {
                if until <= now { release(index, keepsHolding: false) } else { wake(at: until) }
            }
            guard let due = entry.due else { continue }
            if due > now {
                wake(at: due)
            } else if repairs < Self.repairsAtOnce {
                repairs += 1
                dueReached(index, now: now)
            } else {
                // So that thousands do not ask at once after a restart.
                entries[Int(index)]?.due = now + .milliseconds(100)
                wake(at: now + .milliseconds(100))
            }
        }
    }

    private static let repairsAtOnce = 64

    /// An id that nobody else can make up.
    mutating func makeID() -> String {
        idCounter += 1
        var id = "skywave-"
        for part in [UInt64(1), 2] {
            let word = SipHash.of([idCounter, part], key: (secret, ~secret &* 0x9e37_79b9_7f4a_7c15))
            let digits = String(word, radix: 16)
            id += String(repeating: "0", count: 16 - digits.count) + digits
        }
        return id
    }

    // MARK: The journal

    mutating func mark(_ index: Int32, _ rows: RoomMembership.Rows) {
        guard isJournaled, let entry = entries[Int(index)] else { return }
        if entry.changed.isEmpty { changed.append(index) }
        entries[Int(index)]?.changed = entry.changed.union(rows)
    }

    /// What has changed since the last call, for the next batch: the same batch that what caused it is in.
    package mutating func takeRecords() -> [JournalRecord] {
        guard !changed.isEmpty || !removedKeys.isEmpty else { return [] }
        var records: [JournalRecord] = []
        if !removedKeys.isEmpty {
            records.append(.remove(.rooms, ids: removedKeys.flatMap { RoomRow.ids(of: $0) }))
            removedKeys.removeAll()
        }
        for index in changed {
            guard let entry = entries[Int(index)], !entry.changed.isEmpty else { continue }
            records += RoomRow.records(of: entry)
            entries[Int(index)]?.changed = []
        }
        changed.removeAll(keepingCapacity: true)
        return records
    }

    private mutating func recover(_ rows: [RecoveredPeer.Row], now: NIODeadline) {
        for var membership in RoomRow.memberships(rows, reader: reader) {
            membership.phase = .doubtful
            membership.isRecovered = true
            membership.due = now + Self.recoveryDelay
            membership.holdUntil = now + Self.holdTime
            nextKey = max(nextKey, membership.key + 1)
            if insert(membership) == nil, isJournaled { removedKeys.append(membership.key) }
        }
        if count > 0 { wake(at: now + Self.recoveryDelay) }
    }

    /// After a restart the server's streams come first, if they come by themselves.
    private static let recoveryDelay: TimeAmount = .seconds(2)

    /// State without content, for logs.
    package var debugState: String { "\(count) joins, \(unsettledCount) in repair" }
}
