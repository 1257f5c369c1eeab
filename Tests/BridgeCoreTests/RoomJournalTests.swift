@testable import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// Memberships across restarts, clocks and losses, and their bounds.
@Suite struct RoomJournalTests {
    private static let room = "bridge@club.ship.example"

    private func site() throws -> RoomSite {
        let site = RoomSite()
        try site.local(site.room.enter("tybalt@ship.example/1", "tybalt"))
        try site.link(join(nick: "j'ule & <co>"))
        for number in 0..<5 { try site.local(site.room.say("m\(number)", nick: "tybalt", id: "a\(number)")) }
        return site
    }

    @Test func `after a crash of the bridge all is as it was, and the history since is fetched`() throws {
        let old = try site()
        #expect(old.room.nicks() == ["j'ule & <co>", "tybalt"])
        let crossed = old.count()
        try old.advance(600)
        // The server bounced what it could not hand over, and the room threw him out.
        _ = try old.room.kick(juliet)
        _ = try old.room.say("missed", nick: "tybalt", id: "a9")
        let site = old.restartBridge(after: 30)
        #expect(site.machine.count == 1)
        try site.advance(10)
        #expect(site.room.nicks() == ["j'ule & <co>", "tybalt"])
        #expect(site.heard() == ["m0", "m1", "m2", "m3", "m4", "missed"])
        #expect(site.count() == crossed + 1)
        // He joined at 08:00:00, and what was said before is not missing.
        #expect(site.room.askedHistory.contains("since='2027-01-15T07:59:5"))
        #expect(site.seen() == ["j'ule & <co>", "tybalt"])
    }

    @Test func `a clock that says 1970 makes it seconds, and an unknown down time a number of stanzas`() throws {
        let site = try site()
        site.machine.wallClockRead(5_000, now: site.now)
        try site.advance(100)
        try site.local(site.room.kick(juliet))
        try site.advance(5)
        #expect(
            site.room.askedHistory == "<history seconds='103'/>"
                || site.room.askedHistory == "<history xmlns='\(XMLNamespace.muc)' seconds='103'/>")
        _ = try site.room.kick(juliet)
        let next = site.restartBridge()
        next.machine.wallClockRead(5_000, now: next.now)
        try next.advance(10)
        #expect(next.room.askedHistory.contains("maxstanzas='64'"))
        #expect(next.heard() == ["m0", "m1", "m2", "m3", "m4"])
    }

    @Test func `stamps are civil`() {
        #expect(RoomHistory.since(1_800_000_000_000).xml == "<history since='2027-01-15T08:00:00Z'/>")
        #expect(RoomHistory.stamp(951_782_400_000) == "2000-02-29T00:00:00Z")
        #expect(RoomHistory.stamp(1_709_251_199_999) == "2024-02-29T23:59:59Z")
        #expect(RoomHistory.stamp(0) == "1970-01-01T00:00:00Z")
    }

    @Test func `a room message that could not be kept is fetched when the link is back`() throws {
        let site = try site()
        let lost = try #require(site.crossed[juliet]?.last { $0.type == .groupchat })
        let presence = try #require(
            site.crossed[juliet]?.last { $0.from?.resource == "tybalt" && $0.kind == .presence })
        site.machine.roomStanzaLost(lost, taken: 1_000, now: site.now)
        site.machine.roomStanzaLost(presence, taken: 1_000, now: site.now)
        try site.advance(300)
        #expect(site.own.isEmpty)
        site.machine.linkConnected(now: site.now)
        try site.advance(5)
        #expect(site.heard() == ["m0", "m1", "m2", "m3", "m4", "m4"])
        #expect(site.crossed[juliet]?.filter { $0.from?.resource == "tybalt" && $0.kind == .presence }.count == 2)
        #expect(site.room.joins == 2)
    }

    @Test func `joins, nicks and held stanzas are bounded`() throws {
        var limits = RoomLimits()
        limits.joins = 3
        limits.nicks = 4
        let site = RoomSite(limits: limits)
        for number in 0..<6 { try site.link(join(from: "u\(number)@shore.example/1", nick: "u\(number)")) }
        #expect(site.machine.count == 3 && site.machine.counts.notRemembered == 3)
        #expect(site.room.nicks().count == 6)
        // He knows more than is remembered, so nobody is said to have left.
        #expect(site.machine.entries.allSatisfy { ($0?.known.count ?? 0) <= 4 })
        try site.local(site.room.kick("u0@shore.example/1"))
        try site.advance(5)
        #expect(site.seen("u0@shore.example/1").count == 6)
        let big = try join(
            from: "big@shore.example/1", nick: "big", show: "<status>\(String(repeating: "x", count: 9_000))</status>")
        try site.link(presence(from: "u1@shore.example/1", to: Self.room + "/u1", type: "unavailable"))
        try site.link(big)
        #expect(site.machine.count == 3)
        #expect(site.machine.entries.compactMap { $0?.join.byteCount }.allSatisfy { $0 < 4_096 })
    }

    @Test func `bytes are counted back to nothing`() throws {
        let site = try site()
        try site.streamLost()
        try site.link(message("held", from: juliet, to: Self.room, type: "groupchat"))
        try site.link(presence(from: juliet, to: Self.room + "/j'ule & <co>".replacingAmpersand, type: "unavailable"))
        #expect(site.machine.count == 0 && site.machine.byteCount == 0 && site.machine.unsettledCount == 0)
        #expect(site.journal.isEmpty)
    }

    @Test func `rows that nobody wrote are passed over`() throws {
        let rows: [RecoveredPeer.Row] = [
            .init(id: 4, payload: [], time: 1), .init(id: 8, payload: [9, 9], time: 1),
            .init(id: 12, payload: [1, 0, 2, 65, 66, 255, 255, 255, 255], time: 1),
            .init(id: 13, payload: [1, 2], time: 1),
        ]
        #expect(RoomSite(recovered: rows).machine.count == 0)
        let good = try site()
        for length in 0..<40 {
            var cut = good.journal
            for (id, row) in cut { cut[id]?.payload = Array(row.payload.prefix(length)) }
            _ = RoomSite(recovered: cut.keys.sorted().compactMap { cut[$0] })
        }
    }

    @Test func `ids of pings are as SipHash makes them and differ`() throws {
        // The first 16 bytes of the reference's key and message, and its result for a message of 8 bytes.
        #expect(
            SipHash.of([0x0706_0504_0302_0100], key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
                == 0x93f5_f579_9a93_2462)
        let site = try site()
        let ids = [site.machine.makeID(), site.machine.makeID()]
        #expect(ids[0] != ids[1] && ids[0].count == 40)
    }

    @Test(arguments: [
        ("service-unavailable", true), ("recipient-unavailable", true), ("gone", true), ("item-not-found", true),
        ("remote-server-not-found", false), ("remote-server-timeout", false), ("internal-server-error", false),
        ("resource-constraint", false), ("not-acceptable", false), ("policy-violation", false), ("redirect", false),
    ])
    func `an error that says that the address is gone becomes a leave`(condition: String, isGone: Bool) throws {
        let error = try errorStanza(from: romeo, to: "tower@club.shore.example/nurse", condition: condition)
        let leave = RoomDeparture.leave(for: error)
        #expect((leave != nil) == isGone)
        #expect(
            leave.map { $0.text == "<presence to='tower@club.shore.example' from='\(romeo)' type='unavailable'/>" }
                ?? true)
        #expect(
            RoomDeparture.leave(for: try errorStanza(from: "romeo@ship.example", to: "tower@club.shore.example")) == nil
        )
        #expect(
            RoomDeparture.leave(for: try errorStanza(from: romeo, to: "tower@club.shore.example/n", kind: "iq")) == nil)
    }
}

extension String {
    fileprivate var replacingAmpersand: String {
        XMLEscape.attribute(self)
    }
}
