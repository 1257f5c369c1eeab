@testable import BridgeCore
import NIOCore
import Outbox
import Testing
import XMPP

/// Occupants are in the room again after every gap, with what they missed and nothing twice; or their clients are told.
@Suite struct RoomMembershipTests {
    private static let room = "bridge@club.ship.example"
    private static let tybalt = "tybalt@ship.example/1"
    private static let phone = "juliet@shore.example/phone"

    /// Tybalt of the room's own site and juliet of the far one are in; both have said something.
    private func siteWithJuliet(_ change: (inout ModelRoom) -> Void = { _ in }) throws -> RoomSite {
        let site = RoomSite()
        change(&site.room)
        try site.local(site.room.enter(Self.tybalt, "tybalt"))
        try site.link(join(password: site.room.password))
        try site.local(site.room.say("one", nick: "tybalt", id: "a1"))
        try site.link(message("two", from: juliet, to: Self.room, type: "groupchat", id: "j1"))
        #expect(site.heard() == ["one", "two"])
        #expect(site.seen() == ["jule", "tybalt"])
        #expect(site.machine.count == 1 && site.machine.unsettledCount == 0)
        return site
    }

    // MARK: Learning and forgetting

    @Test func `a join is remembered when it crosses, and forgotten when he leaves`() throws {
        let site = try siteWithJuliet()
        #expect(!site.journal.isEmpty)
        try site.link(presence(from: juliet, to: Self.room + "/jule", type: "unavailable"))
        #expect(site.machine.count == 0 && site.journal.isEmpty)
        #expect(site.room.nicks() == ["tybalt"])
        #expect(site.crossed[juliet]?.last?.type == .unavailable)
    }

    @Test func `presence without a join, and stanzas of others, are nothing to it`() throws {
        let site = try siteWithJuliet()
        try site.link(presence(from: juliet, to: "nurse@ship.example"))
        try site.link(join(from: juliet, room: "romeo@ship.example"))
        #expect(site.machine.count == 2)
        let other = try message("x", from: Self.room + "/tybalt", to: "nurse@shore.example/1", type: "groupchat")
        #expect(site.machine.localStanzaReceived(other, now: site.now) == .pass)
        #expect(site.machine.unsettledCount == 1)
    }

    @Test(arguments: [[307], [301], [321], [322], [301, 333]])
    func `what a person decided is passed on and not undone`(codes: [Int]) throws {
        let site = try siteWithJuliet()
        try site.local(site.room.leave(juliet, codes: codes))
        #expect(site.machine.count == 0)
        #expect(site.seen() == [])
        try site.advance(600)
        #expect(site.own.isEmpty && site.room.nicks() == ["tybalt"])
    }

    @Test func `a room that is destroyed is not entered again`() throws {
        let site = try siteWithJuliet()
        try site.local([
            stanza(
                "<presence to='\(juliet)' from='\(Self.room)/jule' type='unavailable'><x xmlns='\(XMLNamespace.mucUser)'>"
                    + "<item affiliation='none' role='none'/><destroy><reason>over</reason></destroy><status code='110'/></x></presence>"
            )
        ])
        #expect(site.machine.count == 0 && site.seen() == [])
    }

    @Test func `a refused join is passed on and forgotten`() throws {
        let site = RoomSite()
        site.room.password = "secret"
        try site.link(join(password: "wrong"))
        #expect(site.machine.count == 0 && site.journal.isEmpty)
        #expect(site.crossed[juliet]?.map(\.errorCondition) == [.notAuthorized])
    }

    @Test func `a change of nick is followed`() throws {
        let site = try siteWithJuliet()
        try site.link(presence(from: juliet, to: Self.room + "/Jule B"))
        #expect(site.seen() == ["Jule B", "tybalt"])
        try site.local(site.room.kick(juliet))
        try site.advance(5)
        #expect(site.room.nick(of: juliet) == "Jule B")
        #expect(site.seen() == ["Jule B", "tybalt"])
    }

    // MARK: Repair

    @Test(arguments: [[333], [307, 333], [332], []])
    func `a technical kick is undone unseen`(codes: [Int]) throws {
        let site = try siteWithJuliet()
        let before = site.count()
        try site.local(site.room.leave(juliet, codes: codes))
        try site.local(site.room.say("missed", nick: "tybalt", id: "a2"))
        try site.advance(5)
        #expect(site.room.nicks() == ["jule", "tybalt"])
        #expect(site.heard() == ["one", "two", "missed"])
        #expect(site.seen() == ["jule", "tybalt"])
        // Of all that the room sends at a join, only what he did not know crossed.
        #expect(site.count() == before + 1)
        #expect(site.crossed[juliet]?.last?.hasChild(.delay) == true)
        #expect(site.machine.counts.replaysSwallowed == 2)
        // And from now on he hears everything.
        try site.local(site.room.say("live", nick: "tybalt", id: "a3"))
        #expect(site.heard().last == "live")
    }

    @Test func `after a restart of the server he is asked for, found missing and brought back`() throws {
        let site = try siteWithJuliet()
        site.isServerDown = true
        site.room.restart()
        try site.streamLost()
        try site.advance(8)
        try site.link(message("held", from: juliet, to: Self.room, type: "groupchat", id: "j2"))
        try site.local(site.room.enter(Self.tybalt, "tybalt"))
        try site.local(site.room.say("before him", nick: "tybalt", id: "a2"))
        try site.streamOpened()
        try site.advance(5)
        #expect(site.pings.count >= 1 && site.joins().count == 1)
        #expect(site.room.nicks() == ["jule", "tybalt"])
        #expect(site.heard() == ["one", "two", "before him", "held"])
    }

    @Test func `who is still in gets what the broken stream lost, and the others see no leave`() throws {
        let site = try siteWithJuliet()
        site.isStreamBroken = true
        try site.local(site.room.say("lost", nick: "tybalt", id: "a2"))
        try site.local(site.room.enter("mercutio@ship.example/1", "mercutio"))
        try site.local(site.room.leave(Self.tybalt))
        try site.streamLost()
        #expect(site.seen() == ["jule", "tybalt"])
        try site.streamOpened()
        try site.advance(2)
        #expect(site.heard() == ["one", "two", "lost"])
        #expect(site.seen() == ["jule", "mercutio"])
        #expect(site.room.joins == 3)
    }

    @Test func `who is alone in the room learns that the last other left`() throws {
        let site = try siteWithJuliet()
        site.isStreamBroken = true
        try site.local(site.room.leave(Self.tybalt))
        try site.streamLost()
        try site.streamOpened()
        try site.advance(2)
        #expect(site.seen() == ["jule"])
    }

    @Test func `a room that takes the second join for a change of presence makes nobody leave`() throws {
        let site = try siteWithJuliet { $0.ignoresSecondJoin = true }
        try site.streamLost()
        try site.streamOpened()
        try site.advance(60)
        #expect(site.seen() == ["jule", "tybalt"])
        #expect(site.machine.unsettledCount == 0)
        #expect(site.crossed[juliet]?.contains { $0.type == .unavailable } == false)
    }

    @Test func `a ping that the room passes on is answered here, for any session of the nick`() throws {
        let site = try siteWithJuliet { $0.knowsSelfPing = false }
        // What was said before he came is not what he missed.
        try site.advance(5)
        try site.link(join(from: Self.phone))
        let before = (site.count(), site.count(Self.phone))
        try site.streamLost()
        try site.streamOpened()
        try site.advance(5)
        #expect(site.machine.unsettledCount == 0)
        #expect((site.count(), site.count(Self.phone)) == before)
        #expect(site.room.joins == 3)
        // The client's own ping to itself is its own affair.
        try site.link(iq("get", id: "own", from: juliet, to: Self.room + "/jule"))
        #expect(site.crossed[juliet]?.last?.type == .get)
    }

    @Test func `two sessions of one nick are two memberships`() throws {
        let site = try siteWithJuliet()
        try site.link(join(from: Self.phone))
        #expect(site.machine.count == 2)
        // Prosody says nothing of a reason when one of several sessions is thrown out.
        try site.local(site.room.leave(Self.phone))
        try site.advance(5)
        #expect(site.room.occupants.map(\.jid).sorted() == [juliet, Self.phone, Self.tybalt].sorted())
        try site.link(presence(from: juliet, to: Self.room + "/jule", type: "unavailable"))
        #expect(site.machine.count == 1)
        #expect(site.room.nicks() == ["jule", "tybalt"])
    }

    @Test func `the password and what he shows of himself go with the join in his name`() throws {
        let site = try siteWithJuliet { $0.password = "o'pen & shut" }
        try site.link(presence(from: juliet, to: Self.room + "/jule", payload: "<show>away</show><status>x</status>"))
        try site.local(site.room.kick(juliet))
        try site.advance(5)
        #expect(site.room.nicks() == ["jule", "tybalt"])
        let join = try #require(site.joins().last)
        #expect(join.text.contains("<show>away</show><status>x</status>"))
        #expect(
            join.root.firstChild("x", XMLNamespace.muc)?.firstChild("password", XMLNamespace.muc)?.text
                == "o'pen & shut")
    }

    @Test func `messages without id and of the same words are told apart by number`() throws {
        let site = try siteWithJuliet()
        try site.local(site.room.say("ok", nick: "tybalt", id: nil))
        site.isStreamBroken = true
        try site.local(site.room.say("ok", nick: "tybalt", id: nil))
        try site.local(site.room.say("ok", nick: "tybalt", id: nil))
        try site.streamLost()
        try site.streamOpened()
        try site.advance(2)
        #expect(site.heard() == ["one", "two", "ok", "ok", "ok"])
    }

    @Test func `of a history longer than what is remembered only the end is new`() throws {
        let site = try siteWithJuliet { $0.historyLength = 500 }
        for number in 0..<150 { try site.local(site.room.say("n\(number)", nick: "tybalt", id: "n\(number)")) }
        try site.local(site.room.kick(juliet))
        for number in 150..<153 { try site.local(site.room.say("n\(number)", nick: "tybalt", id: "n\(number)")) }
        try site.advance(5)
        #expect(site.heard() == ["one", "two"] + (0..<153).map { "n\($0)" })
        #expect(site.machine.counts.replaysSwallowed == 152)
        // Nothing is left behind, whatever the room leaves out.
        let bytes = site.machine.byteCount
        try site.local(site.room.kick(juliet))
        try site.local(site.room.say("last", nick: "tybalt", id: "l"))
        try site.advance(120)
        #expect(site.heard().last == "last" && site.machine.byteCount == bytes)
    }

    @Test func `what was lost before a message that came after the gap is fetched all the same`() throws {
        let site = try siteWithJuliet()
        site.isStreamBroken = true
        try site.local(site.room.say("lost", nick: "tybalt", id: "a2"))
        try site.streamLost()
        try site.streamOpened()
        try site.local(site.room.say("on the new stream", nick: "tybalt", id: "a3"))
        try site.advance(5)
        #expect(site.heard() == ["one", "two", "on the new stream", "lost"])
    }

    @Test func `what is undecided goes on when the room never sends its subject`() throws {
        let site = try siteWithJuliet { $0.leavesOutSubject = true }
        try site.local(site.room.kick(juliet))
        try site.local(site.room.say("missed", nick: "tybalt", id: "a2"))
        try site.advance(5)
        #expect(site.heard() == ["one", "two"])
        try site.local(site.room.say("live", nick: "tybalt", id: "a3"))
        #expect(site.heard() == ["one", "two", "missed", "live"])
        try site.local(site.room.kick(juliet))
        try site.local(site.room.say("missed too", nick: "tybalt", id: "a4"))
        try site.advance(120)
        #expect(site.heard().last == "missed too")
    }

    @Test func `a changed subject is passed on, the old one is not`() throws {
        let site = try siteWithJuliet()
        try site.link(
            stanza(
                "<message from='\(juliet)' to='\(Self.room)' type='groupchat' id='s'><subject>verona</subject></message>"
            ))
        let before = site.count()
        try site.local(site.room.kick(juliet))
        try site.advance(5)
        #expect(site.count() == before)
        site.isStreamBroken = true
        try site.local(
            site.room.take(
                stanza(
                    "<message from='\(Self.tybalt)' to='\(Self.room)' type='groupchat' id='s'><subject>mantua</subject></message>"
                )))
        try site.streamLost()
        try site.streamOpened()
        try site.advance(2)
        #expect(site.crossed[juliet]?.last?.text.contains("mantua") == true)
    }

    // MARK: When he cannot be brought back

    @Test func `whose nick was taken is told once that he left`() throws {
        let site = try siteWithJuliet()
        try site.local(site.room.kick(juliet))
        try site.local(site.room.enter("mercutio@ship.example/1", "jule"))
        try site.advance(600)
        let last = try #require(site.crossed[juliet]?.last)
        #expect(last.type == .unavailable && site.codes(last) == ["110", "333"])
        #expect(last.from?.description == Self.room + "/jule")
        #expect(last.root.firstChild("x", XMLNamespace.mucUser)?.children.first?.attribute("role") == "none")
        #expect(site.machine.count == 0 && site.journal.isEmpty && site.machine.counts.told == 1)
        #expect(site.crossed[juliet]?.filter { $0.type == .unavailable }.count == 1)
    }

    @Test func `nobody becomes the owner of a new room because the old one is gone`() throws {
        let site = try siteWithJuliet()
        site.isServerDown = true
        site.room.restart(keepsRoom: false)
        try site.streamLost()
        try site.streamOpened()
        try site.advance(30)
        #expect(site.seen() == [] && site.room.nicks() == [])
        #expect(site.machine.counts.told == 1 && site.machine.count == 0)
    }

    @Test func `a room that does not answer is asked a few times, then he is told`() throws {
        let site = try siteWithJuliet()
        site.room.restart()
        site.isStreamBroken = true
        try site.streamLost()
        try site.advance(3_600)
        #expect(site.machine.counts.told == 1 && site.machine.count == 0)
        #expect(site.own.count < 20)
    }

    @Test func `a server that is down for long is waited for`() throws {
        let site = try siteWithJuliet()
        site.isServerDown = true
        site.room.restart()
        try site.streamLost()
        try site.advance(7_200)
        #expect(site.machine.count == 1 && site.machine.counts.told == 0)
        try site.streamOpened()
        try site.advance(2)
        #expect(site.room.nicks() == ["jule"])
    }

    @Test func `who leaves while he is out gets his answer here`() throws {
        let site = try siteWithJuliet()
        try site.local(site.room.kick(juliet))
        try site.link(presence(from: juliet, to: Self.room + "/jule", type: "unavailable"))
        let last = try #require(site.crossed[juliet]?.last)
        #expect(last.type == .unavailable && site.codes(last) == ["110"])
        try site.advance(60)
        #expect(site.machine.count == 0 && site.own.isEmpty)
    }

    @Test func `who joins anew while he is out starts from nothing`() throws {
        let site = try siteWithJuliet()
        try site.local(site.room.kick(juliet))
        try site.link(join())
        #expect(site.machine.count == 1 && site.room.nicks() == ["jule", "tybalt"])
        try site.advance(60)
        #expect(site.own.isEmpty)
    }

    @Test func `who joins anew without history and is lost at once is not told again what he has read`() throws {
        let site = try siteWithJuliet()
        try site.advance(10)
        try site.link(join())
        try site.local(site.room.say("three", nick: "tybalt", id: "a3"))
        try site.local(site.room.kick(juliet))
        try site.advance(5)
        #expect(site.heard() == ["one", "two", "three"])
    }

    @Test func `who joins anew while the room answers the leave of his last session is not joined again`() throws {
        let site = try siteWithJuliet()
        try site.link(presence(from: juliet, to: Self.room, type: "unavailable"))
        // The answer is still on its way when his client, back after a crash of its server, joins by itself.
        #expect(site.machine.linkStanzaReceived(try join(), id: nil, now: site.now) == .pass)
        let answer = try #require(site.crossed[juliet]?.last { $0.type == .unavailable })
        #expect(site.machine.localStanzaReceived(answer, now: site.now) == .swallow)
        try site.local(site.room.take(join()))
        #expect(site.seen() == ["jule", "tybalt"] && site.machine.unsettledCount == 0)
        try site.advance(60)
        #expect(site.own.isEmpty && site.heard() == ["one", "two"])
    }

    @Test func `repeated kicks are undone ever more slowly`() throws {
        let site = try siteWithJuliet()
        for _ in 0..<40 {
            try site.local(site.room.kick(juliet))
            try site.advance(10)
        }
        #expect(site.joins().count < 20)
        try site.advance(120)
        #expect(site.room.nicks() == ["jule", "tybalt"])
    }

    @Test func `what he says while he may be out is held, in order and not for ever`() throws {
        let site = try siteWithJuliet()
        site.isServerDown = true
        try site.streamLost()
        for number in 0..<3 {
            try site.link(
                message("h\(number)", from: juliet, to: Self.room, type: "groupchat", id: "h\(number)"), id: 7)
        }
        #expect(site.machine.nextDeadline != nil)
        try site.streamOpened()
        try site.advance(3)
        #expect(site.heard() == ["one", "two", "h0", "h1", "h2"])
        site.isServerDown = true
        try site.streamLost()
        for number in 0..<100 {
            try site.link(message("n\(number)", from: juliet, to: Self.room, type: "groupchat", id: "n\(number)"))
        }
        #expect(site.machine.entries.compactMap { $0?.held.count } == [0])
    }

    @Test func `the leave of who is gone gets the nick that the far bridge did not know`() throws {
        let site = try siteWithJuliet()
        let error = try errorStanza(from: juliet, to: Self.room + "/tybalt")
        try site.link(try #require(RoomDeparture.leave(for: error)))
        #expect(site.room.nicks() == ["tybalt"] && site.machine.count == 0)
    }
}
