import NIOCore
import PresenceCache
import TestSupport
import Testing
import XMPP

/// A server that behaves by RFC 6121 at the other end, users of all kinds, and a cache that must forget all the time:
/// whatever it answers is what the server would have answered.
@Suite struct WorldTests {
    private struct Contact {
        var resources: [String: String] = [:]
        var watchers: Set<Int> = []
        /// Those who asked and have no answer.
        var asking: Set<Int> = []
    }

    private final class World {
        let test: TestPresence
        var generator: SeededGenerator
        var contacts: [Contact]
        let locals: Int
        /// What crossed last of each local user to each contact; nil: nothing, or he is gone.
        var crossed: [[String]: String] = [:]
        var answered = 0
        var repeated = 0

        init(seed: UInt64, contacts: Int, locals: Int, limits: PresenceLimits) {
            generator = SeededGenerator(seed: seed)
            var policy = PresencePolicy()
            policy.probeBurst = 0
            test = TestPresence(policy, limits: limits)
            self.contacts = Array(repeating: Contact(), count: contacts)
            self.locals = locals
        }

        func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
        func address(contact: Int) -> String { "c\(contact)@montague.example" }
        func address(local: Int) -> String { "l\(local)@capulet.example" }

        func tell(_ contact: Int, _ resource: String, _ type: String?, _ body: String, to local: Int) throws {
            let from = resource.isEmpty ? address(contact: contact) : address(contact: contact) + "/" + resource
            try test.remote(type, body, from: from, to: address(local: local))
        }

        func step() throws {
            let contact = below(contacts.count)
            let local = below(locals)
            let resource = "r\(below(3))"
            switch below(12) {
            case 0, 1:
                let body = "<status>\(below(4))</status>"
                contacts[contact].resources[resource] = body
                for watcher in contacts[contact].watchers.sorted() {
                    try tell(contact, resource, nil, body, to: watcher)
                }
            case 2:
                guard contacts[contact].resources.removeValue(forKey: resource) != nil else { return }
                for watcher in contacts[contact].watchers.sorted() {
                    try tell(contact, resource, "unavailable", "", to: watcher)
                }
            case 3:
                if try test.local("subscribe", from: address(local: local), to: address(contact: contact)) == .cross {
                    contacts[contact].asking.insert(local)
                }
            case 4:
                guard contacts[contact].asking.remove(local) != nil else { return }
                contacts[contact].watchers.insert(local)
                try tell(contact, "", "subscribed", "", to: local)
                for (resource, body) in contacts[contact].resources.sorted(by: { $0.key < $1.key }) {
                    try tell(contact, resource, nil, body, to: local)
                }
            case 5:
                guard below(3) == 0, contacts[contact].watchers.remove(local) != nil else { return }
                try tell(contact, "", "unsubscribed", "", to: local)
                for resource in contacts[contact].resources.keys.sorted() {
                    try tell(contact, resource, "unavailable", "", to: local)
                }
            case 6:
                // Directed presence to a stranger, with and without a probe of his under way.
                guard !contacts[contact].watchers.contains(local) else { return }
                try tell(contact, "secret", nil, "<status>for your eyes</status>", to: local)
            case 7:
                test.pass(.seconds([1, 61, 200][below(3)]))
            case 8:
                let from = address(local: local) + "/b"
                let body = "<show>\(["away", "xa"][below(2)])</show>"
                let key = [from, address(contact: contact)]
                switch try test.local(nil, body, from: from, to: key[1]) {
                case .cross: crossed[key] = body
                case .repeated:
                    repeated += 1
                    #expect(crossed[key] == body)
                case .held, .answered: Issue.record("neither was asked for")
                }
            case 9:
                let from = address(local: local) + "/b"
                #expect(try test.local("unavailable", from: from, to: address(contact: contact)) == .cross)
                crossed[[from, address(contact: contact)]] = nil
            default:
                try probe(contact, local)
            }
            for action in test.takeActions() { Issue.record("nobody asked for \(action)") }
        }

        private func probe(_ contact: Int, _ local: Int) throws {
            let from = address(local: local) + ["", "/b", "/h"][below(3)]
            let mayKnow = contacts[contact].watchers.contains(local)
            let resources = contacts[contact].resources.sorted { $0.key < $1.key }
            switch try test.local("probe", from: from, to: address(contact: contact)) {
            case .answered:
                answered += 1
                #expect(mayKnow, "who may not know is told nothing")
                let truth = resources.map {
                    "local: <presence to='\(from)' from='\(address(contact: contact))/\($0.key)'>\($0.value)</presence>"
                }
                let offline = "local: <presence to='\(from)' from='\(address(contact: contact))' type='unavailable'/>"
                #expect(test.takeActions().sorted() == (truth.isEmpty ? [offline] : truth))
            case .cross where mayKnow:
                for (resource, body) in resources {
                    try test.remote(nil, body + Who.stamp, from: address(contact: contact) + "/" + resource, to: from)
                }
                if resources.isEmpty {
                    try test.remote("unavailable", from: address(contact: contact), to: address(local: local))
                }
            case .cross:
                // Prosody answers strangers, ejabberd does not.
                if contact % 2 == 0 {
                    try test.remote("unsubscribed", from: address(contact: contact), to: address(local: local))
                }
            case .repeated:
                // The one before has its answer under way, or none.
                break
            case .held: Issue.record("nothing is held here")
            }
        }
    }

    @Test(arguments: (1...8).map { UInt64($0) }) func `a cache that forgets all the time is never wrong`(
        _ seed: UInt64
    ) throws {
        var limits = PresenceLimits()
        limits.pairs = 12
        limits.entries = 24
        let world = World(seed: seed, contacts: 6, locals: 5, limits: limits)
        for _ in 0..<6_000 { try world.step() }
        #expect(world.test.counts.forgotten > 100 && world.answered > 10 && world.repeated > 3)
        #expect(world.test.pairCount <= 12 && world.test.entryCount <= 24)
    }

    @Test(arguments: (1...4).map { UInt64($0) }) func `with room enough most probes stay here`(_ seed: UInt64) throws {
        let world = World(seed: seed, contacts: 6, locals: 5, limits: PresenceLimits())
        for _ in 0..<6_000 { try world.step() }
        #expect(world.answered > 200 && world.test.counts.forgotten == 0)
    }
}

/// What a hostile peer can make of it.
@Suite struct PresenceHostilityTests {
    private func small() -> PresenceLimits {
        var limits = PresenceLimits()
        limits.pairs = 500
        limits.entries = 800
        limits.textBytes = 1 << 20
        return limits
    }

    @Test func `made-up users, resources and texts do not make it grow`() throws {
        let test = TestPresence(limits: small())
        var generator = SeededGenerator(seed: 9)
        for number in 0..<20_000 {
            let junk = String(repeating: "x", count: Int.random(in: 0..<3_000, using: &generator))
            try test.remote(
                nil, "<status>\(number)\(junk)</status>", from: "u\(number % 5_000)@montague.example/\(number)")
            if number % 5 == 0 { _ = try test.local("probe", to: "p\(number)@montague.example") }
        }
        #expect(test.pairCount <= 500 && test.entryCount <= 800 && test.textByteCount <= 1 << 20)
        #expect(test.counts.forgotten > 1_000)
    }

    @Test func `strangers push out strangers before those who are known`() throws {
        let test = TestPresence(limits: small())
        for number in 0..<100 { try test.learn(from: "f\(number)@montague.example/r") }
        for round in 0..<20 {
            for number in 0..<400 { try test.remote(from: "s\(round)-\(number)@montague.example/r") }
            for number in 0..<100 { #expect(try test.probe(to: "f\(number)@montague.example") != nil) }
        }
    }

    @Test func `a presence too large to keep passes, and what it makes incomplete is unknown`() throws {
        let test = TestPresence()
        try test.learn()
        #expect(try test.probe() != nil)
        let large = "<status>\(String(repeating: "x", count: 5_000))</status>"
        try test.remote(nil, large)
        #expect(try test.probe() == nil)
        for _ in 0..<3 { #expect(try test.local(nil, large) == .cross) }
    }

    @Test func `addresses without parts, and addresses that are missing, pass`() throws {
        let test = TestPresence()
        for xml in [
            "<presence/>", "<presence from='@' to='a@b'/>", "<presence from='b' to='c'/>",
            "<presence type='probe' to='c'/>",
            "<presence from='b' to='c' type='nonsense'/>", "<message from='b' to='c'/>",
            "<iq from='b' to='c' type='get'/>",
        ] {
            let stanza = try stanza(xml)
            #expect(test.local(stanza) == .cross)
            _ = test.remote(stanza)
            test.act { cache, now in cache.presenceNotCrossed(stanza, now: now) }
        }
    }

    @Test func `flip-flop within the interval leaves no heap of dead times`() throws {
        var policy = PresencePolicy()
        policy.minimumInterval = .hours(1)
        let test = TestPresence(policy)
        _ = try test.local()
        for _ in 0..<5_000 {
            _ = try test.local(nil, "<show>away</show>")
            _ = try test.local()
        }
        test.pass(.hours(2))
        #expect(test.takeActions().isEmpty)
    }
}
