import NIOCore
import PresenceCache
import Testing
import XMPP

/// What of the local users' presence crosses.
@Suite struct LocalPresenceTests {
    private let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v='/>"

    private func seen(_ policy: PresencePolicy = PresencePolicy()) throws -> TestPresence {
        let test = TestPresence(policy)
        #expect(try test.local("subscribed", from: Who.local) == .cross)
        return test
    }

    @Test func `the same once more does not cross, id and delay aside`() throws {
        let test = try seen()
        #expect(try test.local(nil, "<show>away</show>" + caps, id: "1") == .cross)
        #expect(try test.local(nil, "<show>away</show>" + caps, id: "2") == .repeated)
        #expect(try test.local(nil, Who.localStamp + "<show>away</show>" + caps) == .repeated)
        #expect(try test.local(nil, "<show>away</show>" + Who.localStamp + caps + Who.localStamp) == .repeated)
        test.pass(.hours(10))
        #expect(try test.local(nil, "<show>away</show>" + caps) == .repeated)
        #expect(test.counts.repeated == 4)
    }

    @Test func `whatever else differs crosses`() throws {
        let test = try seen()
        let payloads = [
            "", "<show>away</show>", "<show>xa</show>", "<show>xa</show><priority>1</priority>",
            "<priority>1</priority><show>xa</show>", caps, "<status>a</status>", "<status xml:lang='de'>a</status>",
            "<x xmlns='urn:example'><delay xmlns='urn:xmpp:delay' stamp='1'/></x>",
            "<x xmlns='urn:example'><delay xmlns='urn:xmpp:delay' stamp='2'/></x>",
        ]
        for payload in payloads {
            #expect(try test.local(nil, payload) == .cross)
            #expect(try test.local(nil, payload) == .repeated)
        }
        let language = try stanza(
            "<presence from='\(Who.local)/balcony' to='\(Who.remote)' xml:lang='de'>\(payloads.last ?? "")</presence>")
        #expect(test.local(language) == .cross)
        #expect(test.local(language) == .repeated)
    }

    @Test func `each resource and each contact is told by itself`() throws {
        let test = try seen()
        #expect(try test.local() == .cross)
        #expect(try test.local(from: Who.local + "/hall") == .cross)
        #expect(try test.local(to: "mercutio@montague.example") == .cross)
        #expect(try test.local(from: "nurse@capulet.example/balcony") == .cross)
        #expect(try test.local() == .repeated)
    }

    @Test func `unavailable always crosses, and what follows it does too`() throws {
        let test = try seen()
        _ = try test.local()
        #expect(try test.local("unavailable") == .cross)
        #expect(try test.local("unavailable") == .cross)
        #expect(try test.local() == .cross)
        _ = try test.local(from: Who.local + "/hall")
        // A server that answers for who is offline ends all resources.
        #expect(try test.local("unavailable", from: Who.local) == .cross)
        #expect(try test.local() == .cross)
        #expect(try test.local(from: Who.local + "/hall") == .cross)
    }

    @Test func `rooms, their payloads, full addresses and errors pass by`() throws {
        var policy = PresencePolicy()
        policy.minimumInterval = .minutes(1)
        let test = try seen(policy)
        let join = try presence(
            from: Who.local + "/b", to: Who.remote, nil, "<x xmlns='http://jabber.org/protocol/muc'/>")
        let federated = try presence(
            from: Who.local + "/b", to: Who.remote, nil, "<fmuc xmlns='http://isode.com/protocol/fmuc' from='a@b/c'/>")
        let occupant = try presence(from: Who.local + "/b", to: "room@conference.montague.example/nick")
        for _ in 0..<3 {
            #expect(test.local(join) == .cross)
            #expect(test.local(federated) == .cross)
            #expect(test.local(occupant, isRoom: true) == .cross)
            #expect(try test.local(to: Who.remote + "/orchard") == .cross)
            #expect(try test.local("error", from: Who.local + "/b") == .cross)
        }
        #expect(test.entryCount == 0)
    }

    @Test func `to whom nobody knows to watch equal presence goes again after a time`() throws {
        let test = TestPresence()
        #expect(try test.local() == .cross)
        #expect(try test.local() == .repeated)
        test.pass(.minutes(10))
        #expect(try test.local() == .cross)
        // Who comes anew has not what he was told before.
        try test.remote()
        #expect(try test.local() == .cross)
        try test.remote(nil, "<show>away</show>")
        #expect(try test.local() == .repeated)
    }

    @Test func `a subscription stanza of either side, or a probe, lets presence go again`() throws {
        for type in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
            let test = try seen()
            _ = try test.local()
            #expect(try test.local(type, from: Who.local) == .cross)
            #expect(try test.local() == .cross)
            try test.remote(type, from: Who.remote)
            #expect(try test.local() == .cross)
            try test.remote("probe", from: Who.remote)
            #expect(try test.local() == .cross)
            #expect(try test.local() == .repeated)
        }
    }

    @Test func `the answer to a probe crosses even if it says what was just said`() throws {
        let test = try seen()
        try test.remote("probe", from: Who.remote)
        #expect(try test.local() == .cross)
        #expect(try test.local(nil, Who.localStamp) == .cross)
    }

    @Test func `an answered probe tells that the contact may see the user`() throws {
        let test = TestPresence()
        try test.remote("probe", from: Who.remote)
        #expect(try test.local(nil, Who.localStamp) == .cross)
        test.pass(.hours(1))
        #expect(try test.local(nil, "") == .repeated)
    }

    @Test func `subscribe crosses once until it is answered`() throws {
        let test = TestPresence()
        let plea = "<status>please</status>"
        #expect(try test.local("subscribe", plea, from: Who.local, id: "1") == .cross)
        #expect(try test.local("subscribe", plea, from: Who.local, id: "2") == .repeated)
        #expect(try test.local("subscribe", "", from: Who.local) == .cross)
        #expect(try test.local("subscribe", plea, from: Who.local) == .cross)
        test.pass(.hours(24))
        #expect(try test.local("subscribe", plea, from: Who.local) == .cross)
        for answer in ["subscribed", "unsubscribed", "error"] {
            #expect(try test.local("subscribe", plea, from: Who.local) == .repeated)
            try test.remote(answer, from: Who.remote)
            #expect(try test.local("subscribe", plea, from: Who.local) == .cross)
        }
        #expect(try test.local("unsubscribe", from: Who.local) == .cross)
        #expect(try test.local("subscribe", plea, from: Who.local) == .cross)
        for type in ["subscribed", "unsubscribe", "unsubscribed"] {
            #expect(try test.local(type, from: Who.local) == .cross)
            #expect(try test.local(type, from: Who.local) == .cross)
        }
    }

    @Test func `what did not cross is owed, and crosses with the link`() throws {
        let test = try seen()
        let away = try presence(from: Who.local + "/balcony", to: Who.remote, nil, "<show>away</show>")
        #expect(test.local(away) == .cross)
        test.act { cache, now in cache.linkWentDown(now: now) }
        test.act { cache, now in cache.presenceNotCrossed(away, now: now) }
        test.pass(.hours(1))
        #expect(test.takeActions().isEmpty)
        test.act { cache, now in cache.linkCameUp(now: now) }
        test.pass(.seconds(1))
        #expect(test.takeActions() == ["link: " + away.text])
        #expect(test.local(away) == .repeated)
        // What is replaced meanwhile is not owed any more.
        test.act { cache, now in cache.presenceNotCrossed(away, now: now) }
        #expect(try test.local(nil, "<show>xa</show>") == .cross)
        test.act { cache, now in cache.presenceNotCrossed(away, now: now) }
        test.pass(.hours(1))
        #expect(test.takeActions().isEmpty)
    }

    @Test func `a probe or a subscribe that did not cross may go again`() throws {
        let test = TestPresence()
        #expect(try test.local("probe") == .cross)
        #expect(try test.local("probe") == .repeated)
        let probe = try presence(from: Who.local + "/balcony", to: Who.remote, "probe")
        test.act { cache, now in cache.presenceNotCrossed(probe, now: now) }
        #expect(try test.local("probe") == .cross)
        test.pass(.minutes(2))
        #expect(try test.local("probe") == .cross)
        let subscribe = try presence(from: Who.local, to: Who.remote, "subscribe")
        #expect(test.local(subscribe) == .cross)
        test.act { cache, now in cache.presenceNotCrossed(subscribe, now: now) }
        #expect(test.local(subscribe) == .cross)
    }
}

/// One presence in so much time.
@Suite struct MinimumIntervalTests {
    private func test(seconds: Int64 = 60) throws -> TestPresence {
        var policy = PresencePolicy()
        policy.minimumInterval = .seconds(seconds)
        let test = TestPresence(policy)
        _ = try test.local("subscribed", from: Who.local)
        return test
    }

    private func isHeld(_ verdict: LocalPresenceVerdict) -> Bool {
        if case .held = verdict { return true }
        return false
    }

    @Test func `the last value wins and crosses when the time is over`() throws {
        let test = try test()
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        test.pass(.seconds(10))
        #expect(isHeld(try test.local(nil, "<show>xa</show>")))
        #expect(isHeld(try test.local(nil, "<show>dnd</show>", id: "x")))
        test.pass(.seconds(49))
        #expect(test.takeActions().isEmpty)
        test.pass(.seconds(1))
        let last = "<presence to='\(Who.remote)' from='\(Who.local)/balcony'><show>dnd</show></presence>"
        #expect(test.takeActions() == ["link: " + last])
        #expect(try test.local(nil, "<show>dnd</show>") == .repeated)
        #expect(isHeld(try test.local(nil, "<show>away</show>")))
        test.pass(.seconds(61))
        #expect(test.takeActions().count == 1)
        test.pass(.seconds(61))
        #expect(try test.local(nil, "<show>chat</show>") == .cross)
    }

    @Test func `going back to what is known takes back what waits`() throws {
        let test = try test()
        _ = try test.local(nil, "<show>away</show>")
        #expect(isHeld(try test.local(nil, "<show>xa</show>")))
        #expect(try test.local(nil, "<show>away</show>") == .repeated)
        test.pass(.minutes(10))
        #expect(test.takeActions().isEmpty)
    }

    @Test func `nothing waits across or after unavailable`() throws {
        let test = try test()
        _ = try test.local(nil, "<show>away</show>")
        #expect(isHeld(try test.local(nil, "<show>xa</show>")))
        #expect(try test.local("unavailable") == .cross)
        #expect(try test.local(nil, "<show>dnd</show>") == .cross)
        test.pass(.minutes(10))
        #expect(test.takeActions().isEmpty)
        #expect(isHeld(try test.local(nil, "")) == false)
    }

    @Test func `subscriptions, rooms and directed presence never wait`() throws {
        let test = try test()
        _ = try test.local(nil, "<show>away</show>")
        #expect(isHeld(try test.local(nil, "<show>xa</show>")))
        #expect(try test.local("unsubscribed", from: Who.local) == .cross)
        // What waited leaves with what made it pointless to wait.
        #expect(test.takeActions().count == 1)
        for number in 0..<3 {
            let payload = "<status>\(number)</status>"
            #expect(try test.local(nil, payload, to: Who.remote + "/orchard") == .cross)
            #expect(try test.local(nil, payload + "<x xmlns='http://jabber.org/protocol/muc'/>") == .cross)
        }
    }

    @Test func `what one resource tells its contacts leaves together, in order`() throws {
        let test = try test()
        let contacts = (0..<20).map { "c\($0)@montague.example" }
        for payload in ["<show>away</show>", "<show>xa</show>"] {
            for contact in contacts {
                _ = try test.local(nil, payload, to: contact)
                test.pass(.milliseconds(3))
            }
        }
        test.pass(.seconds(58))
        #expect(test.takeActions().isEmpty)
        let first = test.act { cache, _ in cache.nextDeadline }
        test.pass(.seconds(3))
        let left = test.takeActions()
        #expect(first != nil && left.count == contacts.count)
        #expect(left.enumerated().allSatisfy { $0.element.contains("to='c\($0.offset)@") })
    }

    @Test func `what waits is bounded`() throws {
        var policy = PresencePolicy()
        policy.minimumInterval = .seconds(60)
        var limits = PresenceLimits()
        limits.held = 5
        let test = TestPresence(policy, limits: limits)
        var held = 0
        for round in 0..<2 {
            for number in 0..<20 {
                let verdict = try test.local(nil, "<status>\(round)</status>", to: "c\(number)@montague.example")
                held += isHeld(verdict) ? 1 : 0
            }
        }
        #expect(held == 5)
    }

    @Test func `what did not cross while a newer one waited is owed when the newer one is taken back`() throws {
        var policy = PresencePolicy()
        policy.minimumInterval = .hours(1)
        let test = TestPresence(policy)
        _ = try test.local("subscribed", from: Who.local)
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        let away = try presence(from: Who.local + "/balcony", to: Who.remote, nil, "<show>away</show>")
        guard case .held = try test.local(nil, "<show>dnd</show>") else { throw Missing() }
        test.act { cache, now in cache.presenceNotCrossed(away, now: now) }
        // The other side has never heard of it.
        #expect(try test.local(nil, "<show>away</show>") == .cross)
        // And where it is not taken back, the newer one alone crosses.
        test.pass(.hours(2))
        #expect(try test.local(nil, "<show>xa</show>") == .cross)
        let last = try presence(from: Who.local + "/balcony", to: Who.remote, nil, "<show>xa</show>")
        guard case .held = try test.local(nil, "<show>dnd</show>") else { throw Missing() }
        test.act { cache, now in cache.presenceNotCrossed(last, now: now) }
        test.pass(.hours(2))
        #expect(
            test.takeActions() == [
                "link: <presence to='\(Who.remote)' from='\(Who.local)/balcony'><show>dnd</show></presence>"
            ])
    }

    @Test func `an answer to a probe that did not cross is owed to the contact`() throws {
        let test = TestPresence()
        let prober = Who.remote + "/orchard"
        let answer = try presence(
            from: Who.local + "/balcony", to: prober, nil, "<show>away</show>" + Who.localStamp)
        // Whoever forges an answer owes nothing.
        #expect(test.local(answer) == .cross)
        test.act { cache, now in cache.presenceNotCrossed(answer, now: now) }
        test.pass(.minutes(2))
        #expect(test.takeActions().isEmpty)
        try test.remote("probe", from: prober)
        #expect(test.local(answer) == .cross)
        test.act { cache, now in cache.presenceNotCrossed(answer, now: now) }
        test.pass(.minutes(2))
        #expect(
            test.takeActions() == [
                "link: <presence to='\(Who.remote)' from='\(Who.local)/balcony'><show>away</show></presence>"
            ])
    }
}
