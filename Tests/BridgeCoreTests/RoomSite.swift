@testable import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// A model room, the machine that remembers its far occupants, and what those get, with every stanza carried at once.
final class RoomSite {
    var room = ModelRoom()
    var machine: RoomMemberships
    var now = NIODeadline.seconds(0)
    /// What crossed to each far address, in order.
    private(set) var crossed: [String: [Stanza]] = [:]
    /// What the room was given in occupants' names by the machine itself.
    private(set) var own: [Stanza] = []
    /// What the room's errors and the like to far users have in common with nothing else.
    private(set) var journal: [UInt64: RecoveredPeer.Row] = [:]
    /// The server takes nothing and says nothing.
    var isServerDown = false
    /// What the room sends is lost on its way to the bridge.
    var isStreamBroken = false

    /// What the room has sent and the bridge has not got.
    private var onTheWay: [Stanza] = []
    private let clock: ServiceClock
    let start: NIODeadline

    init(
        recovered: [RecoveredPeer.Row] = [], limits: RoomLimits = RoomLimits(), now: NIODeadline = .seconds(0),
        age: UInt64 = 0
    ) {
        self.now = now
        start = now
        clock = ServiceClock(last: 1_000 + age, wallGap: 0, now: now)
        machine = RoomMemberships(
            limits: limits, recovered: recovered, isJournaled: true, clock: clock, secret: 42, now: now)
        machine.wallClockRead(wall, now: now)
    }

    /// The wall clock agrees with the room's.
    var wall: UInt64 { room.time * 1_000 }

    // MARK: Events

    /// A far user's stanza comes over the link.
    func link(_ stanza: Stanza, id: UInt64? = nil) throws {
        switch machine.linkStanzaReceived(stanza, id: id, now: now) {
        case .pass: try toRoom(stanza)
        case .swallow, .hold: break
        }
        try settle()
    }

    /// The room's server sends something to a far user.
    func local(_ stanzas: [Stanza]) throws {
        onTheWay += stanzas
        try settle()
    }

    func advance(_ seconds: Int) throws {
        let end = now + .seconds(Int64(seconds))
        while let deadline = machine.nextDeadline, deadline <= end {
            let passed = deadline > now ? (deadline - now).nanoseconds / 1_000_000_000 : 0
            room.time += UInt64(passed)
            now = max(now, deadline)
            machine.deadlineReached(now: now)
            try settle()
        }
        room.time += UInt64((end - now).nanoseconds / 1_000_000_000)
        now = end
    }

    func streamLost() throws {
        machine.streamLost(Self.domain, now: now)
        try settle()
    }

    func streamOpened() throws {
        isServerDown = false
        isStreamBroken = false
        machine.streamOpened(Self.domain, now: now)
        try settle()
    }

    /// The bridge is killed and starts again with what its journal has.
    func restartBridge(after seconds: UInt64 = 10) -> RoomSite {
        let next = RoomSite(
            recovered: journal.keys.sorted().compactMap { journal[$0] }, now: now + .seconds(Int64(seconds)),
            age: UInt64((now - start).nanoseconds / 1_000_000) + seconds * 1_000)
        next.room = room
        next.room.time += seconds
        next.journal = journal
        next.crossed = crossed
        next.machine.wallClockRead(next.wall, now: next.now)
        return next
    }

    private static var domain: Domain { Domain("club.ship.example") ?? { preconditionFailure("a domain") }() }

    private func toRoom(_ stanza: Stanza) throws {
        guard !isServerDown else {
            _ = machine.deliveryFailed(stanza, now: now)
            return
        }
        onTheWay += try room.take(stanza)
    }

    private func fromRoom(_ stanza: Stanza) {
        // Those of the room's own site get theirs without the bridge.
        guard stanza.to?.domain.string == "shore.example" else { return }
        guard !isStreamBroken else { return }
        if machine.localStanzaReceived(stanza, now: now) == .pass {
            crossed[stanza.to?.description ?? "", default: []].append(stanza)
        }
    }

    private func settle() throws {
        var steps = 0
        while true {
            steps += 1
            guard let action = machine.nextAction() else {
                guard !onTheWay.isEmpty else { break }
                fromRoom(onTheWay.removeFirst())
                continue
            }
            try #require(steps < 5_000, "the machine goes in circles")
            switch action {
            case .deliver(let stanza):
                own.append(stanza)
                try toRoom(stanza)
            case .release(let stanza, _):
                try toRoom(stanza)
            case .send(let stanza):
                crossed[stanza.to?.description ?? "", default: []].append(stanza)
            }
        }
        for record in machine.takeRecords() {
            switch record {
            case .put(.rooms, let id, .bytes(let bytes), let time):
                journal[id] = RecoveredPeer.Row(id: id, payload: bytes, time: time)
            case .remove(.rooms, let ids):
                for id in ids { journal[id] = nil }
            case .put, .remove, .removeThrough, .removeAbove, .set:
                Issue.record("not a record of rooms: \(record)")
            }
        }
    }

    // MARK: What far users see

    /// Bodies of the room messages that a far user got, in order.
    func heard(_ jid: String = juliet) -> [String] {
        (crossed[jid] ?? []).filter { $0.type == .groupchat }
            .compactMap { stanza in stanza.root.children.first { $0.name == "body" }?.text }
    }

    /// Whom a far user believes to be in the room.
    func seen(_ jid: String = juliet) -> [String] {
        var nicks: Set<String> = []
        for stanza in crossed[jid] ?? [] where stanza.kind == .presence {
            guard let nick = stanza.from?.resource else { continue }
            if stanza.type == .absent { nicks.insert(nick) }
            if stanza.type == .unavailable {
                nicks.remove(nick)
                if codes(stanza).contains("110"), !codes(stanza).contains("303") { nicks = [] }
            }
        }
        return nicks.sorted()
    }

    func codes(_ stanza: Stanza) -> [String] {
        stanza.root.firstChild("x", XMLNamespace.mucUser)?.children.filter { $0.name == "status" }
            .compactMap { $0.attribute("code") } ?? []
    }

    /// How many stanzas crossed to a far user.
    func count(_ jid: String = juliet) -> Int { crossed[jid]?.count ?? 0 }

    func joins(_ jid: String = juliet) -> [Stanza] {
        own.filter { $0.kind == .presence && $0.type == .absent && $0.from?.description == jid }
    }

    var pings: [Stanza] { own.filter { $0.kind == .iq && $0.type == .get } }
}

func join(
    from: String = juliet, nick: String = "jule", room: String = "bridge@club.ship.example", password: String? = nil,
    show: String = ""
) throws -> Stanza {
    let secret = password.map { "<password>\(XMLEscape.text($0))</password>" } ?? ""
    return try stanza(
        "<presence from='\(from)' to='\(room)/\(XMLEscape.attribute(nick))'>\(show)<x xmlns='\(XMLNamespace.muc)'>\(secret)"
            + "<history maxstanzas='0'/></x></presence>")
}
