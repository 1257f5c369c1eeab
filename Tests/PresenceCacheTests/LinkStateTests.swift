import NIOCore
import PresenceCache
import Testing
import XMPP

/// What local users see when the link, the other bridge or their own server come and go.
@Suite struct LinkStateTests {
    private func test(mark: Int64? = nil, unavailable: Int64? = nil) -> TestPresence {
        var policy = PresencePolicy()
        policy.markAfter = mark.map { .seconds($0) }
        policy.unavailableAfter = unavailable.map { .seconds($0) }
        return TestPresence(policy)
    }

    private func goDown(_ test: TestPresence) { test.act { cache, now in cache.linkWentDown(now: now) } }
    private func comeUp(_ test: TestPresence) { test.act { cache, now in cache.linkCameUp(now: now) } }

    private func told(_ body: String, type: String = "", to: String = Who.local) -> String {
        let rest = body.isEmpty ? "/>" : ">\(body)</presence>"
        return "local: <presence to='\(to)' from='\(Who.remote)/orchard'\(type)\(rest)"
    }

    @Test func `kept: nothing is told, and probes are answered`() throws {
        let test = test()
        try test.learn("<show>away</show>")
        goDown(test)
        test.pass(.hours(5))
        #expect(test.takeActions().isEmpty)
        #expect(try test.probe()?.count == 1)
        comeUp(test)
        test.pass(.hours(1))
        #expect(test.takeActions().isEmpty)
    }

    @Test func `marked after a time, unavailable after another, and the truth when the link returns`() throws {
        let test = test(mark: 60, unavailable: 600)
        try test.learn("<show>away</show><status>asleep</status>")
        goDown(test)
        test.pass(.seconds(59))
        #expect(test.takeActions().isEmpty)
        test.pass(.seconds(2))
        let marked = "<show>away</show><status>asleep (link down)</status>"
        #expect(test.takeActions() == [told(marked)])
        #expect(try test.probe() == [told(marked, to: Who.local + "/balcony")])
        test.pass(.seconds(600))
        #expect(test.takeActions() == [told("", type: " type='unavailable'")])
        let offline = "local: <presence to='\(Who.local)/balcony' from='\(Who.remote)' type='unavailable'/>"
        #expect(try test.probe() == [offline])
        comeUp(test)
        test.pass(.seconds(9))
        #expect(test.takeActions().isEmpty)
        test.pass(.seconds(2))
        #expect(test.takeActions() == [told("<show>away</show><status>asleep</status>")])
        #expect(try test.probe()?.count == 1)
    }

    @Test func `a mark stands where there is no status, in every language, escaped`() throws {
        var policy = PresencePolicy()
        policy.markAfter = .seconds(1)
        policy.mark = "<gone> & away"
        let escaped = "&lt;gone> &amp; away"
        for (before, after) in [
            ("", "<status>\(escaped)</status>"), ("<show>xa</show>", "<show>xa</show><status>\(escaped)</status>"),
            ("<status/>", "<status>\(escaped)</status>"),
            (
                "<status>a</status><status xml:lang='de'>b</status><priority>1</priority>",
                "<status>a \(escaped)</status><status xml:lang='de'>b \(escaped)</status><priority>1</priority>"
            ),
        ] {
            let test = TestPresence(policy)
            try test.remote(nil, before)
            goDown(test)
            test.pass(.seconds(2))
            #expect(test.takeActions() == [told(after)])
        }
    }

    @Test func `a link that flaps tells nobody`() throws {
        let test = test(mark: 30, unavailable: 60)
        try test.learn()
        for _ in 0..<20 {
            goDown(test)
            test.pass(.seconds(20))
            comeUp(test)
            test.pass(.seconds(1))
        }
        #expect(test.takeActions().isEmpty)
        goDown(test)
        test.pass(.seconds(61))
        #expect(test.takeActions().count == 2)
        for _ in 0..<20 {
            comeUp(test)
            test.pass(.seconds(5))
            goDown(test)
            test.pass(.seconds(20))
        }
        #expect(test.takeActions().isEmpty)
    }

    @Test func `what the peer says first is not said again`() throws {
        let test = test(unavailable: 10)
        try test.learn("<show>away</show>")
        try test.remote(nil, "<show>xa</show>", from: Who.remote + "/tomb")
        goDown(test)
        test.pass(.seconds(20))
        #expect(test.takeActions().count == 2)
        comeUp(test)
        try test.remote(nil, "<show>dnd</show>")
        try test.remote("unavailable", from: Who.remote + "/tomb")
        test.pass(.minutes(1))
        #expect(test.takeActions().isEmpty)
    }

    @Test func `what came while the link was up for a moment is shown as gone when it is gone for good`() throws {
        let test = test(unavailable: 10)
        try test.learn("<show>away</show>")
        goDown(test)
        test.pass(.seconds(20))
        comeUp(test)
        try test.remote(nil, "<show>dnd</show>")
        _ = test.takeActions()
        test.pass(.seconds(1))
        goDown(test)
        test.pass(.seconds(1))
        #expect(test.takeActions() == [told("", type: " type='unavailable'")])
        comeUp(test)
        test.pass(.seconds(20))
        #expect(test.takeActions() == [told("<show>dnd</show>")])
    }

    @Test func `those who got directed presence are told too, each where he got it; rooms are not`() throws {
        let test = test(unavailable: 10)
        try test.remote(nil, "<show>away</show>", to: "nurse@capulet.example/kitchen")
        try test.remote(nil, "<show>away</show>", to: "nurse@capulet.example")
        let occupant = try presence(from: "room@conference.montague.example/x", to: Who.local + "/b")
        #expect(test.remote(occupant, isRoom: true) == .nothing)
        let federated = try presence(
            from: Who.remote + "/o", to: Who.local, nil, "<x xmlns='http://jabber.org/protocol/muc#user'/>")
        #expect(test.remote(federated) == .nothing)
        goDown(test)
        test.pass(.seconds(20))
        let gone = " type='unavailable'"
        #expect(
            test.takeActions() == [
                told("", type: gone, to: "nurse@capulet.example/kitchen"),
                told("", type: gone, to: "nurse@capulet.example"),
            ])
    }

    @Test func `who is told comes a few at a time`() throws {
        var policy = PresencePolicy()
        policy.unavailableAfter = .seconds(10)
        var limits = PresenceLimits()
        limits.burst = 10
        let test = TestPresence(policy, limits: limits)
        for number in 0..<1_000 { try test.remote(from: "c\(number)@montague.example/r") }
        goDown(test)
        test.pass(.seconds(10))
        var rounds = [test.takeActions().count]
        while rounds.last ?? 0 > 0 {
            test.pass(.milliseconds(100))
            rounds.append(test.takeActions().count)
        }
        #expect(rounds.allSatisfy { $0 <= 10 } && rounds.reduce(0, +) == 1_000)
    }

    @Test func `a probe storm after a restart crosses little by little, and known answers need not`() throws {
        var policy = PresencePolicy()
        policy.probeBurst = 10
        policy.probeInterval = .seconds(1)
        let test = TestPresence(policy)
        var crossed = 0
        for number in 0..<100 {
            if try test.local("probe", to: "c\(number)@montague.example") == .cross { crossed += 1 }
        }
        #expect(crossed == 10)
        // The contact's server answers another resource of the user meanwhile.
        test.pass(.seconds(30))
        #expect(test.takeActions().count == 30)
        test.pass(.seconds(70))
        let rest = test.takeActions()
        #expect(rest.count == 60)
        #expect(rest.allSatisfy { $0.hasPrefix("link: ") && $0.contains("type='probe'") })
        #expect(rest.last?.contains("to='c99@montague.example' from='juliet@capulet.example/balcony'") == true)
        #expect(test.act { cache, _ in cache.nextDeadline } == nil)
    }

    @Test func `a probe that waits twice crosses once, and not at all if it is known by then`() throws {
        var policy = PresencePolicy()
        policy.probeBurst = 1
        policy.probeInterval = .seconds(40)
        let test = TestPresence(policy)
        #expect(try test.local("probe") == .cross)
        for _ in 0..<3 {
            guard case .held = try test.local("probe", to: "m@montague.example") else { throw Missing() }
        }
        guard case .held = try test.local("probe", from: Who.local + "/hall") else { throw Missing() }
        try test.remote(nil, "<show>xa</show>" + Who.stamp, to: Who.local + "/balcony")
        test.pass(.minutes(5))
        let actions = test.takeActions()
        let answer = "local: <presence to='\(Who.local)/hall' from='\(Who.remote)/orchard'><show>xa</show></presence>"
        #expect(actions.count == 2 && actions.last == answer)
        #expect(actions.first?.contains("to='m@montague.example'") == true)
    }

    @Test func `a broken stream to the local server does not reach the link when its users come back`() throws {
        let test = test()
        _ = try test.local("subscribed", from: Who.local)
        _ = try test.local(nil, "<show>away</show>")
        test.act { cache, now in cache.localStreamLost(now: now) }
        test.pass(.minutes(2))
        test.act { cache, now in cache.localStreamRestored(now: now) }
        #expect(try test.local(nil, "<show>away</show>") == .repeated)
        test.pass(.hours(1))
        #expect(test.takeActions().isEmpty)
    }

    @Test(arguments: ["/orchard", ""])
    func `who was offline when probed and came later is asked for too`(_ resource: String) throws {
        let test = test()
        let prober = Who.remote + resource
        try test.remote("probe", from: prober, to: Who.local)
        // As servers answer for who is offline: to the address that probed.
        #expect(try test.local("unavailable", from: Who.local, to: prober) == .cross)
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        test.act { cache, now in cache.localStreamLost(now: now) }
        test.act { cache, now in cache.localStreamRestored(now: now) }
        test.pass(.seconds(330))
        #expect(test.takeActions() == ["local: <presence to='\(Who.local)' from='\(Who.remote)' type='probe'/>"])
        test.pass(.minutes(2))
        #expect(
            test.takeActions() == [
                "link: <presence to='\(Who.remote)' from='\(Who.local)/balcony' type='unavailable'/>"
            ])
    }

    @Test func `who told himself in an answer to a probe alone is asked for too`() throws {
        let test = test()
        try test.remote("probe", to: Who.local)
        let prober = Who.remote + "/orchard"
        #expect(try test.local(nil, "<show>away</show>" + Who.localStamp, to: prober) == .cross)
        test.act { cache, now in cache.localStreamLost(now: now) }
        test.act { cache, now in cache.localStreamRestored(now: now) }
        test.pass(.minutes(7))
        #expect(
            test.takeActions() == [
                "local: <presence to='\(Who.local)' from='\(Who.remote)' type='probe'/>",
                "link: <presence to='\(Who.remote)' from='\(Who.local)/balcony' type='unavailable'/>",
            ])
    }

    @Test func `what was told is remembered when a probe stays unanswered, and told again when it does not`() throws {
        let test = test()
        _ = try test.local("subscribed", from: Who.local)
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        #expect(try test.local(nil, "<show>away</show>") == .repeated)
        try test.remote("probe", to: Who.local)
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        #expect(try test.local(nil, "<show>away</show>") == .repeated)
        try test.remote("probe", to: Who.local)
        test.act { cache, now in cache.localStreamLost(now: now) }
        test.act { cache, now in cache.localStreamRestored(now: now) }
        test.pass(.minutes(7))
        #expect(
            test.takeActions().last
                == "link: <presence to='\(Who.remote)' from='\(Who.local)/balcony' type='unavailable'/>")
    }

    @Test func `who is not heard of is asked for, and gone without an answer`() throws {
        let test = test()
        let contacts = ["romeo@montague.example", "mercutio@montague.example", "tybalt@montague.example"]
        for contact in contacts.prefix(2) { _ = try test.local("subscribed", from: Who.local, to: contact) }
        for contact in contacts { _ = try test.local(nil, "<show>away</show>", to: contact) }
        test.act { cache, now in cache.localStreamLost(now: now) }
        test.act { cache, now in cache.localStreamRestored(now: now) }
        test.pass(.seconds(330))
        // Of the stranger his server would say `unsubscribed`.
        #expect(
            test.takeActions()
                == contacts.prefix(2).map {
                    "local: <presence to='\(Who.local)' from='\($0)' type='probe'/>"
                })
        // The server answers one.
        #expect(try test.local(nil, "<show>away</show>" + Who.localStamp, to: contacts[0]) == .repeated)
        test.pass(.minutes(2))
        #expect(
            test.takeActions() == [
                "link: <presence to='\(contacts[1])' from='\(Who.local)/balcony' type='unavailable'/>"
            ])
        #expect(try test.local(nil, "<show>away</show>", to: contacts[1]) == .cross)
        #expect(try test.local(nil, "<show>away</show>", to: contacts[2]) == .cross)
        test.pass(.hours(1))
        #expect(test.takeActions().isEmpty)
    }

    @Test func `a server that opens no stream again is asked for one user at a time until it does`() throws {
        let test = test()
        let contacts = ["romeo@montague.example", "mercutio@montague.example"]
        for contact in contacts { _ = try test.local("subscribed", from: Who.local, to: contact) }
        for contact in contacts + ["stranger@montague.example"] {
            _ = try test.local(nil, "<show>away</show>", to: contact)
        }
        func probe(_ contact: String) -> String { "local: <presence to='\(Who.local)' from='\(contact)' type='probe'/>" }
        test.act { cache, now in cache.localStreamLost(now: now) }
        test.pass(.seconds(299))
        #expect(test.takeActions().isEmpty)
        test.pass(.seconds(2))
        #expect(test.takeActions() == [probe(contacts[0])])
        test.pass(.minutes(5))
        #expect(test.takeActions() == [probe(contacts[1])])
        // Nobody is told that they are gone as long as the server is.
        test.pass(.hours(1))
        let actions = test.takeActions()
        #expect(actions.allSatisfy { $0.hasPrefix("local: ") } && (6...12).contains(actions.count))
        // Its answer for one of them opens the stream; of the other nothing is heard.
        test.act { cache, now in cache.localStreamRestored(now: now) }
        #expect(try test.local(nil, "<show>away</show>" + Who.localStamp, to: contacts[0]) == .repeated)
        test.pass(.minutes(7))
        #expect(
            test.takeActions() == [
                probe(contacts[1]),
                "link: <presence to='\(contacts[1])' from='\(Who.local)/balcony' type='unavailable'/>",
            ])
        test.pass(.hours(1))
        #expect(test.takeActions().isEmpty)
    }

    @Test func `what is held crosses when the bridge stops, in its order`() throws {
        var policy = PresencePolicy()
        policy.minimumInterval = .seconds(60)
        let test = TestPresence(policy)
        var contacts: [String] = []
        for number in 0..<20 {
            contacts.append("c\(number)@montague.example")
            _ = try test.local(nil, "<show>away</show>", to: contacts[number])
        }
        for contact in contacts { _ = try test.local(nil, "<show>xa</show>", to: contact) }
        #expect(try test.local("unavailable", to: contacts[3]) == .cross)
        test.act { cache, now in cache.shutdownRequested(now: now) }
        #expect(
            test.takeActions()
                == contacts.filter { $0 != contacts[3] }.map {
                    "link: <presence to='\($0)' from='\(Who.local)/balcony'><show>xa</show></presence>"
                })
        test.pass(.minutes(5))
        #expect(test.takeActions().isEmpty)
    }

    @Test func `probes that wait for their turn, and what is owed, cross when the bridge stops`() throws {
        var policy = PresencePolicy()
        policy.probeBurst = 2
        let test = TestPresence(policy)
        let contacts = (0..<5).map { "romeo\($0)@montague.example" }
        for contact in contacts { _ = try test.local("probe", to: contact) }
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        let away = try presence(from: Who.local + "/balcony", to: Who.remote, nil, "<show>away</show>")
        test.act { cache, now in
            cache.linkWentDown(now: now)
            cache.presenceNotCrossed(away, now: now)
            cache.shutdownRequested(now: now)
        }
        #expect(
            test.takeActions()
                == contacts.dropFirst(2).map {
                    "link: <presence to='\($0)' from='\(Who.local)/balcony' type='probe'/>"
                } + ["link: " + away.text])
    }

    @Test func `when the bridge stops nothing waits any more`() throws {
        var policy = PresencePolicy()
        policy.minimumInterval = .seconds(60)
        policy.probeBurst = 1
        let test = TestPresence(policy)
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        test.act { cache, now in cache.shutdownRequested(now: now) }
        #expect(try test.local(nil, "<show>dnd</show>") == .cross)
        for number in 0..<3 { #expect(try test.local("probe", to: "romeo\(number)@montague.example") == .cross) }
    }
}

struct Missing: Error {}
