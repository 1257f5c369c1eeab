@testable import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// Memberships within a peer's machine with a journal: what is recorded, held, released and recovered.
@Suite struct RoomPeerTests {
    private static let room = "bridge@club.ship.example"
    private static let domain = Domain("club.ship.example") ?? { preconditionFailure("a domain") }()

    /// A peer with a journal that is kept in memory, and a model room behind its local side.
    private final class Peer {
        var machine: PeerStateMachine
        var now: NIODeadline
        var rows: [JournalTable: [UInt64: RecoveredPeer.Row]] = [:]
        var values: [JournalValue: [UInt8]] = [:]
        var room: ModelRoom
        var crossed: [Stanza] = []
        var given: [Stanza] = []
        /// What is given to the local server is lost.
        var isServerDown = false

        init(after old: Peer? = nil) {
            now = (old?.now ?? .seconds(0)) + .seconds(1)
            room = old?.room ?? ModelRoom()
            rows = old?.rows ?? [:]
            values = old?.values ?? [:]
            crossed = old?.crossed ?? []
            var policy = TestPeer.policy()
            policy.isJournaled = true
            let recovered = RecoveredPeer(
                rows: rows.mapValues { table in table.keys.sorted().compactMap { table[$0] } }, values: values,
                needsNewEpoch: false)
            let last = rows.values.flatMap { $0.values.map(\.time) }.max() ?? 0
            machine = PeerStateMachine(
                policy: policy, recovered: recovered, clock: ServiceClock(last: last, wallGap: 1_000, now: now), now: now,
                random: 7)
        }

        func run(_ input: (inout PeerStateMachine) -> Void) throws {
            input(&machine)
            var isBusy = true
            while isBusy {
                isBusy = false
                while let action = machine.nextAction() {
                    isBusy = true
                    switch action {
                    case .deliver(let stanza, let id):
                        given.append(stanza)
                        guard !isServerDown else { continue }
                        if let id { machine.delivered([id], now: now) }
                        for answer in try room.take(stanza) where answer.to?.domain.string == "shore.example" {
                            machine.localStanzaReceived(answer, receipt: nil, now: now)
                        }
                    case .send(let batch), .sendUrgent(let batch):
                        crossed += batch
                        machine.linkReady(now: now)
                    case .handled, .holdLink, .stopReading, .wantLink, .note, .arm, .disarm, .failLink, .sendBlock:
                        break
                    }
                }
                if let batch = machine.takeBatch() {
                    isBusy = true
                    for record in batch.records { apply(record) }
                    machine.batchCommitted(batch.number, now: now)
                }
            }
        }

        private func apply(_ record: JournalRecord) {
            switch record {
            case .put(let table, let id, let payload, let time):
                let bytes: [UInt8] =
                    switch payload {
                    case .bytes(let bytes): bytes
                    case .stanza(let stanza): Array(stanza.text.utf8)
                    }
                rows[table, default: [:]][id] = .init(id: id, payload: bytes, time: time)
            case .remove(let table, let ids): for id in ids { rows[table]?[id] = nil }
            case .removeThrough(let table, let id): rows[table] = rows[table]?.filter { $0.key > id }
            case .removeAbove(let table, let id): rows[table] = rows[table]?.filter { $0.key <= id }
            case .set(let value, let bytes): values[value] = bytes
            }
        }

        func link(_ stanza: Stanza) throws { try run { $0.linkStanzaReceived(stanza, now: now) } }
        func local(_ stanzas: [Stanza]) throws {
            for stanza in stanzas where stanza.to?.domain.string == "shore.example" {
                try run { $0.localStanzaReceived(stanza, receipt: nil, now: now) }
            }
        }

        func connect() throws {
            try run {
                $0.linkConnected(now: now)
                $0.linkReady(now: now)
            }
        }

        func pass(_ seconds: Int) throws {
            for _ in 0..<seconds * 4 {
                now = now + .milliseconds(250)
                try run { $0.deadlineReached(now: now) }
            }
        }

        func bodies(_ stanzas: [Stanza]) -> [String] {
            stanzas.filter { $0.type == .groupchat }
                .compactMap { stanza in stanza.root.children.first { $0.name == "body" }?.text }
        }

        func inbox() -> Int { rows[.inbox]?.count ?? 0 }
    }

    private func joined() throws -> Peer {
        let peer = Peer()
        try peer.connect()
        try peer.local(peer.room.enter("tybalt@ship.example/1", "tybalt"))
        try peer.link(join())
        try peer.local(peer.room.say("one", nick: "tybalt", id: "a1"))
        try peer.pass(1)
        #expect(peer.bodies(peer.crossed) == ["one"])
        #expect(peer.rows[.rooms]?.count == 3)
        #expect(peer.inbox() == 0 && peer.rows[.outbox]?.count ?? 0 == 0)
        return peer
    }

    @Test func `a kick never crosses, and what he missed does once`() throws {
        let peer = try joined()
        try peer.local(peer.room.kick(juliet))
        try peer.local(peer.room.say("two", nick: "tybalt", id: "a2"))
        try peer.pass(3)
        #expect(peer.room.nicks() == ["jule", "tybalt"])
        #expect(peer.bodies(peer.crossed) == ["one", "two"])
        #expect(!peer.crossed.contains { $0.type == .unavailable || $0.kind == .iq })
        #expect(peer.machine.snapshot.count(of: .answerDiscarded) == 0)
    }

    @Test func `what he says is held durably, through a crash, until he is in again`() throws {
        let peer = try joined()
        peer.room.restart()
        peer.isServerDown = true
        try peer.run { $0.localStreamLost(Self.domain, now: peer.now) }
        try peer.link(message("held", from: juliet, to: Self.room, type: "groupchat", id: "h"))
        #expect(peer.inbox() == 1)
        #expect(peer.bodies(peer.given) == [])
        let next = Peer(after: peer)
        try next.connect()
        #expect(next.bodies(next.given) == [] && next.inbox() == 1)
        try next.pass(5)
        #expect(next.room.nicks() == ["jule"])
        #expect(next.bodies(next.given) == ["held"])
        #expect(next.bodies(next.crossed) == ["one", "held"])
        #expect(next.inbox() == 0)
    }

    @Test func `a room message that expired in the outbox is fetched when the link is back`() throws {
        let peer = try joined()
        try peer.run { $0.linkDisconnected(unsent: [], inDoubt: [], now: peer.now) }
        try peer.local(peer.room.say("two", nick: "tybalt", id: "a2"))
        peer.now = peer.now + .hours(25)
        peer.room.time += 25 * 3_600
        try peer.pass(1)
        #expect(peer.rows[.outbox]?.count ?? 0 == 0)
        try peer.local(peer.room.say("three", nick: "tybalt", id: "a3"))
        try peer.connect()
        try peer.pass(5)
        #expect(peer.bodies(peer.crossed) == ["one", "three", "two"])
        #expect(peer.machine.snapshot.count(of: .roomStanzaLost) == 1)
    }

    @Test func `a ping or join that the server could not be given is tried again`() throws {
        let peer = try joined()
        peer.isServerDown = true
        peer.room.restart()
        try peer.run { $0.localStreamLost(Self.domain, now: peer.now) }
        try peer.pass(4)
        let ping = try #require(peer.given.last)
        #expect(ping.kind == .iq)
        try peer.run { $0.localDeliveryFailed(nil, ping, .remoteServerTimeout, .wait, now: peer.now) }
        #expect(peer.machine.snapshot.count(of: .undeliverable) == 0)
        peer.isServerDown = false
        try peer.pass(12)
        #expect(peer.room.nicks() == ["jule"])
    }

    @Test func `of what is released when too much is held every stanza keeps a row until it is delivered`() throws {
        let peer = try joined()
        peer.isServerDown = true
        try peer.run { $0.localStreamLost(Self.domain, now: peer.now) }
        let count = RoomLimits().held + 1
        for number in 0..<count {
            try peer.link(message("\(number)", from: juliet, to: Self.room, type: "groupchat", id: "h\(number)"))
        }
        #expect(peer.bodies(peer.given) == (0..<count).map { "\($0)" })
        #expect(peer.inbox() == count)
    }

    @Test func `what is left after a leave keeps its row`() throws {
        let peer = try joined()
        peer.isServerDown = true
        try peer.run { $0.localStreamLost(Self.domain, now: peer.now) }
        try peer.link(message("held", from: juliet, to: Self.room, type: "groupchat", id: "h"))
        try peer.link(presence(from: juliet, to: Self.room + "/jule", type: "unavailable"))
        #expect(peer.given.suffix(2).map(\.kind) == [.message, .presence])
        #expect(peer.inbox() == 2)
    }

    @Test func `what is released at the start of the process keeps a row until it is delivered`() throws {
        let peer = try joined()
        peer.isServerDown = true
        let count = RoomLimits().held + 1
        for number in 0..<count {
            try peer.link(message("\(number)", from: juliet, to: Self.room, type: "groupchat", id: "h\(number)"))
        }
        #expect(peer.inbox() == count)
        let next = Peer(after: peer)
        next.isServerDown = true
        try next.run { _ in }
        #expect(next.bodies(next.given).count == count)
        #expect(next.inbox() == count)
    }
}
