import Blocks
import BridgeCore
import LocalAnswers
import NIOCore
import Profiles
import TestSupport
import Testing
import XMPP

/// What a peer's machine answers in the name of the peer's entities, and to whom.
@Suite struct LocalAnswerTests {
    /// Abilities of XEP-0115 §5.2 and their hash.
    private static let abilities =
        "<identity category='client' name='Exodus 0.9.1' type='pc'/><feature var='http://jabber.org/protocol/caps'/>"
        + "<feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>"
        + "<feature var='http://jabber.org/protocol/muc'/>"
    private static let caps =
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:exodus' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>"
    private static let node = "urn:exodus#QgayPKawpkPSDYmwT/WM94uAlu0="
    private static let own = "ops@conference.shore.example/romeo"
    private static let muc = "<x xmlns='http://jabber.org/protocol/muc'/>"
    private static let inRoom =
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/><status code='110'/></x>"

    private static let cross = "[iq]\ndefault = \"allow\"\nanswer-locally = [\"ping\", \"disco-info\", \"vcard\"]"
    private static let refuse = "[iq]\ndefault = \"refuse\"\nanswer-locally = [\"ping\", \"disco-info\", \"vcard\"]"

    private func profile(_ text: String) throws -> CompiledProfile {
        let library = ProfileLibrary { name in
            name == "test" ? .init(file: "test.toml", text: "name = \"test\"\n" + text) : nil
        }
        return CompiledProfile(try library.profile(named: "test"))
    }

    /// On a link that takes everything at once.
    private func peer(_ text: String, _ change: (inout PeerPolicy) -> Void = { _ in }) throws -> TestPeer {
        let profile = try profile(text)
        return TestPeer.ready {
            $0.profile = profile
            $0.hold = .turn
            change(&$0)
        }
    }

    private func disco(
        _ type: String = "get", from: String = romeo, to: String = juliet, node: String? = nil, id: String = "d",
        _ content: String = ""
    ) throws -> Stanza {
        let node = node.map { " node='\($0)'" } ?? ""
        return try stanza(
            "<iq from='\(from)' to='\(to)' type='\(type)' id='\(id)'>"
                + "<query xmlns='http://jabber.org/protocol/disco#info'\(node)>\(content)</query></iq>")
    }

    private func vCard(
        _ type: String = "get", from: String = romeo, to: String = "juliet@shore.example", id: String = "v",
        _ content: String = ""
    ) throws -> Stanza {
        try stanza(
            "<iq from='\(from)' to='\(to)' type='\(type)' id='\(id)'><vCard xmlns='vcard-temp'>\(content)</vCard></iq>")
    }

    /// A request crosses and is answered.
    private func exchange(_ peer: TestPeer, _ request: Stanza, _ answer: Stanza) {
        peer.local(request)
        #expect(peer.sent == [request] && peer.delivered.isEmpty)
        peer.linkReady()
        peer.link(answer)
        #expect(peer.delivered == [answer])
    }

    // MARK: Abilities and vCards

    @Test func `abilities cross once, and then are answered here to who was told of them`() throws {
        let peer = try peer(Self.cross)
        peer.link(try presence(from: juliet, to: "romeo@ship.example", payload: Self.caps))
        exchange(
            peer, try disco(node: Self.node),
            try disco("result", from: juliet, to: romeo, node: Self.node, Self.abilities))
        for asked in [nil, Self.node] {
            peer.local(try disco(node: asked, id: "again"))
            #expect(peer.sent.isEmpty)
            #expect(
                peer.delivered == [
                    try disco("result", from: juliet, to: romeo, node: asked, id: "again", Self.abilities)
                ])
            #expect(peer.status.pendingLocalRequests == 0)
        }
        // Whoever was told nothing gets his answer from her server, if any.
        let stranger = try disco(from: "mercutio@ship.example/mast")
        peer.local(stranger)
        #expect(peer.sent == [stranger] && peer.delivered.isEmpty)
        #expect(peer.count(.answeredLocally) == 2 && peer.status.answers.discoAnswers == 2)
    }

    @Test func `an answer that nobody waits for teaches nothing`() throws {
        let peer = try peer(Self.cross)
        peer.link(try presence(from: juliet, to: "romeo@ship.example", payload: Self.caps))
        // Good as it is, it was not asked for.
        peer.link(try disco("result", from: juliet, to: romeo, node: Self.node, Self.abilities))
        peer.link(try vCard("result", from: "juliet@shore.example", to: romeo, "<FN>Juliet</FN>"))
        #expect(peer.count(.answerDiscarded) == 2)
        #expect(peer.status.answers.discoResults == 0 && peer.status.answers.vCards == 0)
        // Asked of one, answered by another: the same.
        let request = try disco(node: Self.node)
        peer.local(request)
        #expect(peer.sent == [request])
        peer.link(try disco("result", from: "evil@shore.example/x", to: romeo, node: Self.node, Self.abilities))
        #expect(peer.status.answers.discoResults == 0 && peer.count(.answerDiscarded) == 3)
    }

    @Test("peers d16: forged abilities are delivered to who asked, and to nobody else")
    func forgery() throws {
        let peer = try peer(Self.cross)
        peer.link(try presence(from: juliet, to: "romeo@ship.example", payload: Self.caps))
        let forged = Self.abilities + "<feature var='urn:xmpp:spy'/>"
        exchange(
            peer, try disco(node: Self.node), try disco("result", from: juliet, to: romeo, node: Self.node, forged))
        let again = try disco(node: Self.node, id: "again")
        peer.local(again)
        #expect(peer.sent == [again] && peer.delivered.isEmpty)
        #expect(peer.status.answers.unverified == 1 && peer.status.answers.discoResults == 0)
    }

    @Test func `what is not known is refused where the profile refuses it, and nothing is learnt of it`() throws {
        let peer = try peer(Self.refuse)
        peer.link(try presence(from: juliet, to: "romeo@ship.example", payload: Self.caps))
        for request in [try disco(), try vCard()] {
            peer.local(request)
            #expect(peer.sent.isEmpty && peer.delivered.map(\.errorCondition) == [.serviceUnavailable])
        }
        #expect(peer.count(.answeredLocally) == 0)
    }

    @Test func `abilities that the peer's users learnt from ours are answered here as well`() throws {
        let peer = try peer(Self.refuse)
        let asked = try disco(from: juliet, to: romeo, node: Self.node)
        peer.link(asked)
        #expect(peer.delivered == [asked])
        peer.local(try disco("result", from: romeo, to: juliet, node: Self.node, Self.abilities))
        #expect(peer.sent.count == 1)
        peer.link(try presence(from: juliet, to: "romeo@ship.example", payload: Self.caps))
        peer.local(try disco(id: "x"))
        #expect(peer.delivered == [try disco("result", from: juliet, to: romeo, id: "x", Self.abilities)])
    }

    @Test func `a vCard is answered here for its lifetime, and errors never`() throws {
        let peer = try peer(Self.cross + "\nvcard-lifetime = \"2h\"")
        let error = try errorStanza(
            from: "juliet@shore.example", to: romeo, kind: "iq", condition: "item-not-found", id: "v")
        exchange(peer, try vCard(), error)
        exchange(peer, try vCard(), try vCard("result", from: "juliet@shore.example", to: romeo, "<FN>Juliet</FN>"))
        let crossed = peer.now
        peer.advance(.minutes(119))
        let mercutio = "mercutio@ship.example/mast"
        peer.local(try vCard(from: mercutio))
        #expect(peer.delivered == [try vCard("result", from: "juliet@shore.example", to: mercutio, "<FN>Juliet</FN>")])
        #expect(peer.sent.isEmpty && peer.status.answers.oldestVCard == crossed)
        peer.advance(.minutes(1))
        let late = try vCard()
        peer.local(late)
        #expect(peer.sent == [late] && peer.delivered.isEmpty)
    }

    @Test func `vCards are not kept where the profile does not answer them, and not over a change of it`() throws {
        let result = try vCard("result", from: "juliet@shore.example", to: romeo, "<FN>Juliet</FN>")
        let off = try peer("[iq]\ndefault = \"allow\"\nanswer-locally = [\"vcard\"]\nvcard-lifetime = \"none\"")
        exchange(off, try vCard(), result)
        exchange(off, try vCard(id: "v"), result)

        let other = try peer(
            "[iq]\ndefault = \"allow\"\n[[iq.rule]]\nwhen = { domains = [\"hq.shore.example\"] }\nanswer-locally = [\"vcard\"]"
        )
        exchange(other, try vCard(), result)
        #expect(other.status.answers.vCards == 0)

        let changed = try peer(Self.cross)
        exchange(changed, try vCard(), result)
        #expect(changed.status.answers.vCards == 1)
        let profile = try profile(Self.cross)
        changed.policyChanged(TestPeer.policy { $0.profile = profile })
        #expect(changed.status.answers.vCards == 0)
    }

    // MARK: Pings of rooms

    private func join(_ peer: TestPeer) throws {
        peer.local(try presence(from: romeo, to: Self.own, payload: Self.muc))
        peer.linkReady()
        peer.link(try presence(from: Self.own, to: romeo, payload: Self.inRoom))
        #expect(peer.delivered.count == 1)
    }

    private func pong(_ from: String, id: String = "q") throws -> Stanza {
        try stanza("<iq from='\(from)' to='\(romeo)' type='result' id='\(id)'/>")
    }

    @Test(arguments: [LinkDialect.skywave, .xep])
    func `while the link is down an occupant is told that he is in, and anybody else that it is not known`(
        dialect: LinkDialect
    ) throws {
        let peer = TestPeer(TestPeer.policy { $0.dialect = dialect })
        peer.local(try presence(from: romeo, to: Self.own, payload: Self.muc))
        peer.link(try presence(from: Self.own, to: romeo, payload: Self.inRoom))
        peer.local(try iq("get", to: Self.own))
        #expect(peer.delivered == [try pong(Self.own)])
        let waiting = peer.status.queuedStanzas
        for (from, to) in [("mercutio@ship.example/mast", Self.own), (romeo, "other@conference.shore.example/romeo")] {
            peer.local(try iq("get", from: from, to: to))
            #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
            #expect(peer.delivered.first?.from?.description == to && peer.delivered.first?.id == "q")
        }
        #expect(peer.status.queuedStanzas == waiting && peer.status.pendingLocalRequests == 0)
        // Pings of other occupants and of users wait for the link.
        for to in ["ops@conference.shore.example/nurse", juliet] {
            peer.local(try iq("get", id: to, to: to))
            #expect(peer.delivered.isEmpty)
        }
        #expect(peer.status.pendingLocalRequests == 2)
    }

    @Test func `while the link is up his ping crosses unless the profile answers pings here`() throws {
        let ping = try iq("get", to: Self.own)
        let plain = try peer("[iq]\ndefault = \"allow\"") { $0.dialect = .xep }
        try join(plain)
        plain.local(ping)
        #expect(plain.sent == [ping] && plain.delivered.isEmpty)

        // XEP-0361 may have lost what the room said.
        let lossy = try peer(Self.cross) { $0.dialect = .xep }
        try join(lossy)
        lossy.local(ping)
        #expect(lossy.sent == [ping] && lossy.delivered.isEmpty)

        let profile = try profile(Self.refuse)
        let peer = TestPeer(
            TestPeer.policy {
                $0.dialect = .skywave
                $0.profile = profile
            })
        peer.local(try presence(from: romeo, to: Self.own, payload: Self.muc))
        peer.link(try presence(from: Self.own, to: romeo, payload: Self.inRoom))
        peer.linkConnected()
        peer.local(ping)
        #expect(peer.delivered == [try pong(Self.own)])
        peer.local(try iq("get", to: "ops@conference.shore.example/nurse"))
        #expect(peer.delivered.map(\.errorCondition) == [.serviceUnavailable])
        peer.link(try presence(from: Self.own, to: romeo, type: "unavailable", payload: Self.inRoom))
        peer.local(ping)
        #expect(peer.delivered.map(\.errorCondition) == [.serviceUnavailable])
    }

    @Test func `in dialect xep an outage ends the certainty when it is over`() throws {
        let peer = try peer("[iq]\ndefault = \"allow\"") { $0.dialect = .xep }
        try join(peer)
        peer.linkDisconnected()
        peer.local(try iq("get", to: Self.own))
        #expect(peer.delivered == [try pong(Self.own)])
        peer.linkConnected()
        peer.linkDisconnected()
        peer.local(try iq("get", to: Self.own))
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
        // The room says that he is in.
        peer.linkConnected()
        peer.linkReady()
        peer.local(try iq("get", id: "r", to: Self.own))
        peer.link(try pong(Self.own, id: "r"))
        #expect(peer.delivered == [try pong(Self.own, id: "r")])
        peer.linkDisconnected()
        peer.local(try iq("get", to: Self.own))
        #expect(peer.delivered == [try pong(Self.own)])
    }

    @Test func `whom the bridge itself takes out of a room is not in it`() throws {
        let peer = try peer("[iq]\ndefault = \"allow\"")
        try join(peer)
        // The local server says that nobody is there.
        peer.local(
            try errorStanza(
                from: romeo, to: "ops@conference.shore.example", kind: "message", condition: "recipient-unavailable"))
        #expect(peer.count(.ghostRemoved) == 1)
        peer.linkDisconnected()
        peer.local(try iq("get", to: Self.own))
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
    }

    // MARK: One answer each

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `every request has exactly one answer, whoever gives it`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let text = seed.isMultiple(of: 2) ? Self.cross : Self.refuse
        let profile = try profile(text + "\nvcard-lifetime = \"2m\"")
        let peer = TestPeer(
            TestPeer.policy {
                $0.profile = profile
                $0.hold = .turn
                $0.dialect = .xep
            })
        let users = [romeo, "mercutio@ship.example/mast"]
        let contacts = [juliet, "nurse@shore.example/kitchen", Self.own]
        var answers: [String: Int] = [:]
        var open: [Stanza] = []
        var isUp = false

        /// What the machine does after one input is looked at once.
        func input(_ body: () throws -> Void) rethrows {
            try body()
            for stanza in peer.delivered where stanza.isIQAnswer { answers[stanza.id ?? "", default: 0] += 1 }
            open += peer.sent.filter { $0.isIQRequest }
        }
        func request(_ stanza: Stanza) {
            answers[stanza.id ?? "", default: 0] += 0
            input { peer.local(stanza) }
        }
        func answer(_ request: Stanza) throws -> Stanza {
            let (from, to, id) = (request.toText, request.fromText, request.id ?? "")
            if Bool.random(using: &random) { return try errorStanza(from: from, to: to, kind: "iq", id: id) }
            if request.hasChild(.ping) { return try stanza("<iq from='\(from)' to='\(to)' type='result' id='\(id)'/>") }
            let asked = request.root.children.first
            return asked?.name == "vCard"
                ? try vCard("result", from: from, to: to, id: id, "<FN>x</FN>")
                : try disco("result", from: from, to: to, node: asked?.attribute("node"), id: id, Self.abilities)
        }

        for number in 0..<400 {
            let user = users[Int.random(in: 0..<2, using: &random)]
            let contact = contacts[Int.random(in: 0..<3, using: &random)]
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where isUp:
                let lost = open
                open = []
                input { peer.linkDisconnected(inDoubt: lost) }
                isUp = false
            case 0:
                input { peer.linkConnected() }
                isUp = true
            case 1:
                let type = Int.random(in: 0..<4, using: &random) == 0 ? "unavailable" : nil
                let told = try presence(from: contact, to: user, type: type, payload: Self.caps + Self.inRoom)
                input { peer.link(told) }
            case 2:
                let joining = try presence(from: user, to: contact, payload: Self.muc)
                input { peer.local(joining) }
            case 3...4:
                guard isUp, !open.isEmpty else { break }
                let given = try answer(open.removeFirst())
                input { peer.link(given) }
            case 5: request(try vCard(from: user, to: String(contact.prefix { $0 != "/" }), id: "\(number)"))
            case 6: request(try iq("get", id: "\(number)", from: user, to: contact))
            case _:
                let node = Bool.random(using: &random) ? Self.node : nil
                request(try disco(from: user, to: contact, node: node, id: "\(number)"))
            }
            if isUp { input { peer.linkReady() } }
        }
        // What is open is answered by the clock.
        for _ in 0..<20 where answers.values.contains(0) {
            peer.advance(.minutes(6))
            input { peer.fireTimer() }
        }
        let wrong = answers.filter { $0.value != 1 }.sorted { $0.key < $1.key }.prefix(5)
        #expect(wrong.isEmpty, "seed \(seed): \(wrong)")
        #expect(seed.isMultiple(of: 2) == (peer.status.answers.discoAnswers > 0), "seed \(seed)")
        #expect(seed.isMultiple(of: 2) == (peer.status.answers.vCardAnswers > 0), "seed \(seed)")
    }

    @Test func `a ping with more in it is not answered here`() throws {
        let peer = try peer(Self.cross)
        let label = "<securitylabel xmlns='urn:xmpp:sec-label:0'><label/></securitylabel>"
        for to in ["shore.example", "juliet@shore.example"] {
            let ping = try stanza(
                "<iq from='\(romeo)' to='\(to)' type='get' id='q'><ping xmlns='urn:xmpp:ping'/>\(label)</iq>")
            peer.local(ping)
            #expect(peer.sent == [ping] && peer.delivered.isEmpty)
            peer.linkReady()
        }
    }
}
