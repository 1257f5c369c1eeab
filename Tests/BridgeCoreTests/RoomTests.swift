import BridgeCore
import NIOCore
import Testing
import XMPP

/// No error of any kind ever goes to a known room.
@Suite struct RoomTests {
    private static let room = "bridge@club.ship.example"
    private static let farRoom = "tower@club.shore.example"

    /// A ready peer that has heard a room of each side speak.
    private func peerWithRooms(_ change: (inout PeerPolicy) -> Void = { _ in }) throws -> TestPeer {
        let peer = TestPeer.ready(change)
        peer.local(try message("hello", from: Self.room + "/romeo", to: juliet, type: "groupchat"))
        peer.link(try presence(from: Self.farRoom + "/juliet", to: romeo, payload: mucUser))
        peer.linkReady()
        peer.advance(.seconds(1))
        #expect(peer.status.knownLocalRooms == 1)
        #expect(peer.status.knownRemoteRooms == 1)
        return peer
    }

    static let kickingConditions = [
        "gone", "internal-server-error", "item-not-found", "jid-malformed", "recipient-unavailable", "redirect",
        "remote-server-not-found", "remote-server-timeout", "service-unavailable",
    ]

    @Test(arguments: kickingConditions, ["message", "presence"])
    func `an error for a room is suppressed and counted, whichever side made it`(condition: String, kind: String) throws {
        let peer = try peerWithRooms()
        for suffix in ["", "/romeo"] {
            peer.link(try errorStanza(from: juliet, to: Self.room + suffix, kind: kind, condition: condition))
            #expect(peer.delivered.isEmpty)
            peer.local(try errorStanza(from: romeo, to: Self.farRoom + suffix, kind: kind, condition: condition))
            // At most his leave, once, where the error says that he is gone.
            #expect(peer.sent.allSatisfy { $0.type == .unavailable } && peer.status.queuedStanzas == 0)
            #expect(suffix == "" || peer.sent.isEmpty)
        }
        #expect(peer.count(.roomErrorSuppressed) == 4)
        let meansGone = ["gone", "item-not-found", "recipient-unavailable", "service-unavailable"].contains(condition)
        #expect(peer.count(.ghostRemoved) == (meansGone ? 1 : 0))
        if meansGone { peer.linkReady() }
        peer.advance(.seconds(1))
        // An error from a room to a person passes, and so does one between persons.
        let toPerson = try errorStanza(from: Self.farRoom + "/x", to: romeo, kind: kind, condition: condition)
        peer.link(toPerson)
        #expect(peer.delivered == [toPerson])
        let between = try errorStanza(from: romeo, to: juliet, kind: kind, condition: condition)
        peer.local(between)
        #expect(peer.sent == [between])
    }

    @Test func `an IQ error for a room passes: it is an occupant's answer`() throws {
        let peer = try peerWithRooms()
        let request = try iq("get", id: "vc", from: Self.room + "/romeo", to: juliet)
        peer.local(request)
        #expect(peer.sent == [request])
        let refusal = try errorStanza(from: juliet, to: Self.room + "/romeo", kind: "iq", id: "vc")
        peer.link(refusal)
        #expect(peer.delivered == [refusal])
        // And the bridge's own, when no answer comes.
        peer.linkReady()
        peer.advance(.seconds(1))
        peer.local(request)
        peer.pass(.minutes(6))
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
        #expect(peer.delivered.first?.to == JID(Self.room + "/romeo"))
    }

    @Test func `nothing that a room sent is bounced, for whatever reason`() throws {
        let peer = try peerWithRooms { $0.outboxStanzas = 2 }
        let words = try message("words", from: Self.room + "/romeo", to: juliet, type: "groupchat")
        let occupant = try presence(from: Self.room + "/romeo", to: juliet, payload: mucUser)
        let privately = try message("psst", from: Self.room + "/romeo", to: juliet)
        // In doubt.
        peer.linkDisconnected(inDoubt: [words, privately])
        #expect(peer.delivered.isEmpty)
        // Full.
        for stanza in [words, privately, words, occupant, privately] {
            peer.local(stanza)
            #expect(peer.delivered.isEmpty)
        }
        // The presence of an occupant is never dropped.
        #expect(peer.count(.outboxFull) == 2)
        // Expired.
        peer.pass(.hours(25))
        #expect(peer.delivered.isEmpty)
        #expect(peer.status.queuedStanzas == 1)
        // A far room's stanzas that our server does not take.
        for type in ["groupchat", "chat"] {
            let far = try message("x", from: Self.farRoom + "/juliet", to: romeo, type: type)
            peer.link(far)
            #expect(peer.delivered == [far])
            peer.localDeliveryFailed(far, .remoteServerTimeout, .wait)
            #expect(peer.status.queuedStanzas == 1)
        }
        peer.linkOversize(
            try stanza("<message from='\(Self.farRoom)/juliet' to='\(romeo)' type='groupchat'/>"), limit: 10_000)
        #expect(peer.status.queuedStanzas == 1)
        // Stopped.
        peer.local(words)
        peer.shutdown()
        #expect(peer.delivered.isEmpty)
        peer.local(words)
        #expect(peer.delivered.isEmpty)
        #expect(peer.count(.roomStanzaLost) >= 10)
    }

    @Test func `a message to a room is a person's and comes back to him`() throws {
        let peer = try peerWithRooms { $0.outboxStanzas = 0 }
        peer.linkDisconnected()
        peer.local(try message("words", from: romeo, to: Self.farRoom, type: "groupchat"))
        #expect(peer.delivered.map(\.errorCondition) == [.resourceConstraint])
        #expect(peer.delivered.first?.to == JID(romeo))
    }

    @Test func `rooms by configuration and by name count before they have spoken`() throws {
        let peer = TestPeer.ready { $0.roomDomains = ["talk.shore.example"].compactMap { Domain($0) } }
        for room in ["a@talk.shore.example/nick", "b@conference.shore.example/nick", "c@muc.shore.example"] {
            peer.local(try errorStanza(from: romeo, to: room, condition: "remote-server-timeout"))
            #expect(peer.sent.isEmpty && peer.status.queuedStanzas == 0)
        }
        #expect(peer.count(.roomErrorSuppressed) == 3)
        peer.local(try errorStanza(from: romeo, to: "conference@shore.example"))
        #expect(peer.sent.count == 1)
    }

    @Test func `nobody can make a room of another`() throws {
        let peer = TestPeer.ready()
        // Joining, and speaking to, what is no room.
        peer.link(try presence(from: "mallory@shore.example/1", to: "romeo@ship.example/nick", payload: "<x xmlns='http://jabber.org/protocol/muc'/>"))
        peer.link(try message("x", from: "mallory@shore.example/1", to: "romeo@ship.example", type: "groupchat"))
        peer.link(try presence(from: "mallory@shore.example/1", to: romeo, payload: mucUser))
        let refusal = try errorStanza(from: juliet, to: romeo)
        peer.link(refusal)
        #expect(peer.delivered == [refusal])
        #expect(peer.status.knownLocalRooms == 0)
    }

    @Test func `federated rooms are known by their payload`() throws {
        let peer = TestPeer.ready()
        let fmuc = "<fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@shore.example/1'/>"
        peer.link(
            try stanza(
                "<message from='\(Self.farRoom)/j' to='\(Self.room)' type='groupchat'><body>x</body>\(fmuc)</message>"))
        #expect(peer.status.knownRemoteRooms == 1)
    }

    @Test func `the number of rooms is bounded, and one that speaks again is learnt again`() throws {
        let peer = TestPeer.ready { $0.maximumRooms = 10 }
        for number in 0..<50 {
            peer.link(try message("x", from: "room\(number)@club.shore.example/a", to: romeo, type: "groupchat"))
        }
        #expect(peer.status.knownRemoteRooms == 10)
        peer.link(try message("x", from: "room0@club.shore.example/a", to: romeo, type: "groupchat"))
        peer.local(try errorStanza(from: romeo, to: "room0@club.shore.example/a"))
        #expect(peer.count(.roomErrorSuppressed) == 1)
    }
}
