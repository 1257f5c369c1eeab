import BridgeCore
import NIOCore
import Profiles
import Testing
import XMPP

/// A profile at work in a peer's machine: what crosses, who is told, and what stays whole.
@Suite struct ProfilePeerTests {
    private func profile(_ text: String) throws -> CompiledProfile {
        let library = ProfileLibrary { name in
            name == "test" ? .init(file: "test.toml", text: "name = \"test\"\n" + text) : nil
        }
        return CompiledProfile(try library.profile(named: "test"))
    }

    private func peer(_ text: String, _ change: (inout PeerPolicy) -> Void = { _ in }) throws -> TestPeer {
        let profile = try profile(text)
        return TestPeer.ready {
            $0.profile = profile
            change(&$0)
        }
    }

    private static let version = "<query xmlns='jabber:iq:version'/>"

    private func request(_ type: String, _ payload: String, to: String = juliet, id: String = "q") throws -> Stanza {
        try stanza("<iq from='\(romeo)' to='\(to)' type='\(type)' id='\(id)'>\(payload)</iq>")
    }

    @Test(arguments: ["get", "set"])
    func `a refused request has one answer at once, is not tracked, and never crosses`(type: String) throws {
        let peer = try peer("[iq]\ndefault = \"allow\"\nrefuse = [\"version\"]")
        peer.local(try request(type, Self.version))
        #expect(peer.delivered.map(\.errorCondition) == [.serviceUnavailable])
        #expect(peer.delivered.first?.id == "q" && peer.sent.isEmpty)
        #expect(peer.status.pendingLocalRequests == 0 && peer.count(.profileRefused) == 1)
        // A late answer of somebody's is none.
        peer.link(try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='q'/>"))
        #expect(peer.delivered.isEmpty && peer.count(.answerDiscarded) == 1)
    }

    @Test func `what crosses folded is tracked and answered as ever`() throws {
        let peer = try peer("[message]\nstrip = [\"chat-states\"]\n[iq]\ndefault = \"allow\"")
        peer.local(try request("get", Self.version))
        #expect(peer.sent.count == 1 && peer.status.pendingLocalRequests == 1)
        peer.linkReady()
        let answer = try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='q'>\(Self.version)</iq>")
        peer.link(answer)
        #expect(peer.delivered == [answer])
        peer.advance(.seconds(1))
        peer.local(
            try stanza(
                "<message from='\(romeo)' to='\(juliet)' type='chat' id='m'><body>hi</body>"
                    + "<active xmlns='http://jabber.org/protocol/chatstates'/></message>"))
        #expect(peer.sent == [try stanza("<message from='\(romeo)' to='\(juliet)' type='chat' id='m'><body>hi</body></message>")])
        #expect(peer.count(.profileFolded) == 1)
    }

    @Test func `what is dropped goes without a word`() throws {
        let peer = try peer("[message]\ndrop-when-only = [\"chat-states\"]")
        peer.local(
            try stanza(
                "<message from='\(romeo)' to='\(juliet)' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"))
        #expect(peer.sent.isEmpty && peer.delivered.isEmpty && peer.count(.profileDropped) == 1)
    }

    @Test func `an encrypted message comes back; a room's is dropped and nobody is thrown out`() throws {
        let peer = try peer("[message]\nrefuse = [\"encryption\"]")
        let encrypted = "<body>no OMEMO here</body><encrypted xmlns='eu.siacs.conversations.axolotl'/>"
        peer.local(try stanza("<message from='\(romeo)' to='\(juliet)' type='chat' id='e'>\(encrypted)</message>"))
        #expect(peer.delivered.map(\.id) == ["e"] && peer.delivered.first?.isError == true)
        for from in ["room@conference.ship.example/nick", "room@conference.ship.example"] {
            for type in ["groupchat", "chat", "normal"] {
                peer.local(try stanza("<message from='\(from)' to='\(juliet)' type='\(type)' id='r'>\(encrypted)</message>"))
                #expect(peer.delivered.isEmpty && peer.sent.isEmpty, "\(from) \(type)")
            }
        }
        #expect(peer.count(.profileDroppedFromRoom) == 6)
    }

    @Test func `pings of the other server and of accounts are answered here, those of clients and rooms are not`() throws {
        let peer = try peer("[iq]\ndefault = \"refuse\"\nanswer-locally = [\"ping\"]")
        let ping = "<ping xmlns='urn:xmpp:ping'/>"
        for to in ["shore.example", "juliet@shore.example"] {
            peer.local(try request("get", ping, to: to, id: to))
            #expect(peer.delivered == [try stanza("<iq to='\(romeo)' from='\(to)' type='result' id='\(to)'/>")])
        }
        for to in [juliet, "room@conference.shore.example/romeo", "room@conference.shore.example"] {
            peer.local(try request("get", ping, to: to, id: to))
            #expect(peer.delivered.map(\.errorCondition) == [.serviceUnavailable], "\(to)")
        }
        #expect(peer.sent.isEmpty && peer.count(.answeredLocally) == 2)
    }

    @Test func `subscriptions, errors and the end of a presence cross whatever a profile says`() throws {
        let peer = try peer("[presence]\nmode = \"none\"\n[iq]\ndefault = \"refuse\"")
        for type in ["subscribe", "subscribed", "unsubscribe", "unsubscribed", "unavailable"] {
            let presence = try presence(type: type)
            peer.advance(.seconds(1))
            peer.local(presence)
            #expect(peer.sent == [presence], "\(type)")
            peer.linkReady()
        }
        peer.local(try presence())
        #expect(peer.sent.isEmpty)
    }

    @Test("peers d15: all copies of what only a server may say go, whatever comes over the link")
    func spoofedElements() throws {
        let peer = try peer("")
        let spoof = "<stanza-id xmlns='urn:xmpp:sid:0' by='\(romeo)' id='forged'/>"
        for copies in [1, 3] {
            let spoofs = String(repeating: spoof, count: copies)
            peer.link(
                try stanza("<message from='\(juliet)' to='\(romeo)' type='chat' id='m'>\(spoofs)<body>hi</body>\(spoofs)</message>"))
            #expect(peer.delivered.count == 1 && peer.delivered.first?.text.contains("forged") == false)
        }
    }

    @Test("peers d18: a refused error is answered by nothing")
    func errorsStay() throws {
        let peer = try peer("[message]\nrefuse = [\"encryption\"]\n[iq]\ndefault = \"refuse\"")
        peer.local(try errorStanza(from: romeo, to: juliet))
        #expect(peer.delivered.isEmpty && peer.sent.count == 1)
    }

    @Test func `another profile takes over at once, with the link as it is`() throws {
        let peer = try peer("[iq]\ndefault = \"allow\"")
        peer.local(try request("get", Self.version, id: "1"))
        #expect(peer.sent.count == 1)
        let strict = try profile("[iq]\ndefault = \"refuse\"")
        var policy = TestPeer.policy()
        policy.profile = strict
        peer.policyChanged(policy)
        peer.linkReady()
        peer.local(try request("get", Self.version, id: "2"))
        #expect(peer.sent.isEmpty && peer.delivered.map(\.id) == ["2"])
        // The request that crossed before is still answered.
        peer.link(try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='1'/>"))
        #expect(peer.delivered.map(\.id) == ["1"])
    }
}
