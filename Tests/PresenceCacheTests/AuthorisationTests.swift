import NIOCore
import Outbox
import PresenceCache
import Testing
import XMPP

/// Who may learn what from the cache.
@Suite struct AuthorisationTests {
    private let online = "<show>away</show>"

    @Test func `a probe crosses until its answer proved that the contact allows it`() throws {
        let test = TestPresence()
        #expect(try test.probe() == nil)
        #expect(try test.remote(nil, online + Who.stamp, to: Who.local + "/balcony") == .authorised)
        // Other resources of the contact may still answer.
        #expect(try test.probe(from: Who.local + "/hall") == nil)
        test.pass(.seconds(61))
        // The second probe is unanswered, so nothing is known for certain.
        #expect(try test.probe() == nil)
        #expect(try test.remote(nil, online + Who.stamp, to: Who.local + "/balcony") == .availability)
        test.pass(.seconds(61))
        let answer =
            "local: <presence to='juliet@capulet.example/hall' from='romeo@montague.example/orchard'>"
            + "<show>away</show></presence>"
        #expect(try test.probe(from: Who.local + "/hall") == [answer])
    }

    @Test func `a probe from a bare address is answered to the bare address`() throws {
        let test = TestPresence()
        try test.learn(online)
        let answer =
            "local: <presence to='juliet@capulet.example' from='romeo@montague.example/orchard'>"
            + "<show>away</show></presence>"
        #expect(try test.probe(from: Who.local) == [answer])
    }

    @Test func `every available resource answers, and who is gone does not`() throws {
        let test = TestPresence()
        try test.learn(online)
        try test.remote(nil, "<priority>-1</priority>", from: Who.remote + "/tomb")
        #expect(try test.probe()?.count == 2)
        try test.remote("unavailable", from: Who.remote + "/orchard")
        let answer =
            "local: <presence to='juliet@capulet.example/balcony' from='romeo@montague.example/tomb'>"
            + "<priority>-1</priority></presence>"
        #expect(try test.probe() == [answer])
        try test.remote("unavailable", from: Who.remote + "/tomb")
        let offline =
            "local: <presence to='juliet@capulet.example/balcony' from='romeo@montague.example' type='unavailable'/>"
        #expect(try test.probe() == [offline])
    }

    @Test func `unavailable from the bare address answers a probe at once`() throws {
        let test = TestPresence()
        #expect(try test.probe() == nil)
        #expect(try test.remote("unavailable", from: Who.remote) == .authorised)
        #expect(try test.probe()?.count == 1)
        try test.remote(nil, online)
        #expect(try test.probe()?.first?.contains("away") == true)
    }

    @Test func `an unavailable from a resource, or from the bare address without a probe, proves nothing`() throws {
        let test = TestPresence()
        #expect(try test.remote("unavailable", from: Who.remote) == .nothing)
        #expect(try test.probe() == nil)
        #expect(try test.remote("unavailable") == .availability)
        test.pass(.seconds(100))
        #expect(try test.probe(from: Who.local + "/hall") == nil)
    }

    @Test func `peers d16: directed presence of a stranger makes nothing known, even while a probe is under way`() throws {
        let test = TestPresence()
        try test.remote(nil, online)
        try test.remote(nil, online, to: Who.local + "/balcony")
        test.pass(.seconds(100))
        #expect(try test.probe() == nil)
        // His server never answers strangers; the stranger goes on.
        try test.remote(nil, online)
        try test.remote(nil, online, to: Who.local + "/balcony")
        test.pass(.minutes(10))
        #expect(try test.probe() == nil)
    }

    @Test func `peers d16: who was never authorised learns nothing of what others were told`() throws {
        let test = TestPresence()
        try test.learn(online)
        #expect(try test.probe() != nil)
        let nurse = "nurse@capulet.example/kitchen"
        #expect(try test.probe(from: nurse) == nil)
        #expect(try test.remote("unsubscribed", from: Who.remote, to: "nurse@capulet.example") == .deauthorised)
        #expect(try test.probe(from: nurse) == nil)
        #expect(try test.probe() != nil)
    }

    @Test func `an answer never holds what was directed elsewhere`() throws {
        let test = TestPresence()
        try test.learn(online)
        // To one resource alone.
        try test.remote(nil, "<status>come to the balcony</status>", to: Who.local + "/balcony")
        #expect(try test.probe(from: Who.local + "/hall")?.contains { $0.contains("come") } == false)
        // From a resource that is otherwise unseen.
        try test.remote(nil, "<status>secret</status>", from: Who.remote + "/hidden", to: Who.local + "/balcony")
        #expect(try test.probe(from: Who.local + "/hall")?.count == 1)
    }

    @Test func `subscribed counts when it was asked for`() throws {
        let test = TestPresence()
        #expect(try test.remote("subscribed", from: Who.remote) == .nothing)
        try test.remote(nil, online)
        test.pass(.seconds(100))
        #expect(try test.probe() == nil)

        let asked = TestPresence()
        #expect(try asked.local("subscribe", from: Who.local) == .cross)
        #expect(try asked.remote("subscribed", from: Who.remote) == .authorised)
        // Nobody knows yet who of his resources is there.
        #expect(try asked.probe() == nil)
        try asked.remote(nil, online + Who.stamp, to: Who.local + "/balcony")
        asked.pass(.seconds(61))
        #expect(try asked.probe()?.count == 1)
    }

    @Test func `after subscribed the presence that follows is all there is`() throws {
        let test = TestPresence()
        _ = try test.local("subscribe", from: Who.local)
        // Out of order: what came before is no answer.
        try test.remote(nil, "<status>early</status>", from: Who.remote + "/early")
        try test.remote("subscribed", from: Who.remote)
        try test.remote(nil, online)
        try test.remote(nil, "<show>xa</show>", from: Who.remote + "/tomb")
        test.pass(.seconds(61))
        let answers = try #require(try test.probe())
        #expect(answers.count == 2)
        #expect(!answers.contains { $0.contains("early") })
    }

    @Test(arguments: ["unsubscribed", "error"])
    func `what takes the permission away takes the answers`(_ type: String) throws {
        let test = TestPresence()
        try test.learn(online)
        #expect(try test.probe() != nil)
        #expect(try test.remote(type, from: Who.remote) == .deauthorised)
        #expect(try test.probe() == nil)
        // Presence that follows does not bring it back.
        try test.remote(nil, online)
        test.pass(.minutes(5))
        #expect(try test.probe() == nil)
    }

    @Test func `who unsubscribes himself is answered no more`() throws {
        let test = TestPresence()
        try test.learn(online)
        #expect(try test.local("unsubscribe", from: Who.local) == .cross)
        #expect(try test.probe() == nil)
    }

    @Test func `the contact's own unsubscribe leaves it`() throws {
        let test = TestPresence()
        try test.learn(online)
        try test.remote("unsubscribe", from: Who.remote)
        #expect(try test.probe() != nil)
    }

    @Test func `a contact who takes it back while the link is down is heard when it returns`() throws {
        let test = TestPresence()
        try test.learn(online)
        test.act { cache, now in cache.linkWentDown(now: now) }
        // He may see what he was told; more reaches nobody here.
        #expect(try test.probe()?.count == 1)
        test.pass(.minutes(10))
        test.act { cache, now in cache.linkCameUp(now: now) }
        try test.remote("unsubscribed", from: Who.remote)
        try test.remote("unavailable")
        #expect(try test.probe() == nil)
    }

    @Test func `made-up resources make the pair unknown, not the memory large`() throws {
        let test = TestPresence()
        try test.learn(online)
        for number in 0..<10_000 { try test.remote(nil, online, from: Who.remote + "/r\(number)") }
        #expect(test.entryCount <= PresenceLimits().entriesPerPair)
        #expect(try test.probe() == nil)
    }

    @Test func `a local user of too many resources makes the pair unknown`() throws {
        let test = TestPresence()
        try test.learn(online)
        for number in 0..<40 { #expect(try test.local(from: Who.local + "/r\(number)") == .cross) }
        #expect(test.entryCount <= PresenceLimits().entriesPerPair)
        #expect(try test.probe() == nil)
    }

    @Test func `a stamp of somebody else proves nothing`() throws {
        let test = TestPresence()
        for from in ["capulet.example", "mercutio@montague.example", "montague.example.evil", ""] {
            #expect(try test.probe() == nil)
            let stamp = "<delay xmlns='urn:xmpp:delay' from='\(from)' stamp='2026-01-01T00:00:00Z'/>"
            #expect(try test.remote(nil, online + stamp, to: Who.local + "/balcony") == .availability)
            test.pass(.minutes(3))
        }
        let own = "<delay xmlns='urn:xmpp:delay' from='\(Who.remote)/orchard' stamp='2026-01-01T00:00:00Z'/>"
        #expect(try test.remote(nil, online + own, to: Who.local + "/balcony") == .authorised)
    }

    @Test func `an answer to another resource's probe is none`() throws {
        let test = TestPresence()
        #expect(try test.probe() == nil)
        #expect(try test.remote(nil, online + Who.stamp, to: Who.local + "/hall") == .availability)
        #expect(try test.remote(nil, online + Who.stamp, to: Who.local) == .availability)
    }

    @Test func `where servers do not stamp, presence to the prober's full address counts if the site says so`() throws {
        var policy = PresencePolicy()
        policy.probeProof = .addressed
        let test = TestPresence(policy)
        #expect(try test.probe() == nil)
        #expect(try test.remote(nil, online) == .availability)
        #expect(try test.remote(nil, online, to: Who.local + "/balcony") == .authorised)
        test.pass(.seconds(61))
        #expect(try test.probe() != nil)
    }

    @Test func `what is known ends with the other bridge's run, with a day, and with too little room`() throws {
        let test = TestPresence()
        try test.learn(online)
        test.act { cache, now in cache.peerRestarted(now: now) }
        #expect(try test.probe() == nil)
        try test.remote(nil, online + Who.stamp, to: Who.local + "/balcony")
        test.pass(.seconds(61))
        #expect(try test.probe() != nil)
        test.pass(.hours(25))
        #expect(try test.probe() == nil)
    }

    @Test func `probes to resources and to rooms are not the cache's`() throws {
        let test = TestPresence()
        try test.learn(online)
        #expect(try test.local("probe", to: Who.remote + "/orchard") == .cross)
        let room = try presence(from: Who.local, to: Who.remote, "probe")
        #expect(test.local(room, isRoom: true) == .cross)
    }

    @Test func `authorisations outlive a restart, availability does not`() throws {
        let test = TestPresence(isJournaled: true)
        _ = try test.local("subscribe", "<status>please</status>", from: Who.local)
        _ = try test.local("subscribe", from: "nurse@capulet.example")
        try test.remote("subscribed", from: Who.remote)
        try test.remote(nil, online)
        let rows = RecoveredPeer.Row.kept(test.takeRecords())
        #expect(rows.count == 2)
        #expect(test.takeRecords().isEmpty)

        let again = TestPresence(recovered: rows, isJournaled: true)
        #expect(again.pairCount == 2)
        #expect(try again.local("subscribe", from: "nurse@capulet.example") == .repeated)
        #expect(try again.remote("subscribed", from: Who.remote, to: "nurse@capulet.example") == .authorised)
        #expect(try again.probe() == nil)
        #expect(try again.remote(nil, online + Who.stamp, to: Who.local + "/balcony") == .availability)
        try again.remote("unsubscribed", from: Who.remote)
        #expect(RecoveredPeer.Row.kept(test.takeRecords() + again.takeRecords()).count == 1)
    }

    @Test func `rows that cannot be read are let go`() throws {
        let rows = [
            RecoveredPeer.Row(id: 1, payload: [], time: 0),
            RecoveredPeer.Row(id: 2, payload: [1, 0, 1, 0, 9], time: 0),
            RecoveredPeer.Row(id: 3, payload: [1, 0, 1, 0, 1, 64, 0, 1, 64, 0, 0], time: 0),
        ]
        let test = TestPresence(recovered: rows, isJournaled: true)
        #expect(test.pairCount == 0)
        #expect(test.takeRecords() == [.remove(.presence, ids: [1, 2, 3])])
    }

    @Test func `who unsubscribed while the link was down is not shown the contact again`() throws {
        var policy = PresencePolicy()
        policy.unavailableAfter = .minutes(1)
        let test = TestPresence(policy)
        try test.learn()
        test.act { cache, now in cache.linkWentDown(now: now) }
        test.pass(.minutes(2))
        #expect(
            test.takeActions() == [
                "local: <presence to='\(Who.local)' from='\(Who.remote)/orchard' type='unavailable'/>"
            ])
        #expect(try test.local("unsubscribe", from: Who.local) == .cross)
        test.act { cache, now in cache.linkCameUp(now: now) }
        test.pass(.minutes(2))
        #expect(test.takeActions().isEmpty)
    }
}
