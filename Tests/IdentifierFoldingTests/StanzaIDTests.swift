import IdentifierFolding
import Outbox
import Testing
import XMPP

/// The ids that a room of this site gives to messages, through one end of a link.
@Suite struct StanzaIDTests {
    static let room = "room@rooms.a.example"
    static let id = "7e0c6b0a-52a5-4d44-9bd1-4ad4a6a2b0c1"
    static let stanzaID = "aB3-dE6_gH9+kL2/nO5qR8sT"
    let end = FolderEnd(isHighSide: false, foldsStanzaIDs: true)

    static func signed(_ id: String = Self.stanzaID, by: String = Self.room) -> String {
        "<stanza-id xmlns='urn:xmpp:sid:0' by='\(by)' id='\(id)'/>"
    }

    static func said(_ content: String, id: String = Self.id, type: String = "groupchat", to: String = "bob@b.example/q")
        -> String
    {
        "<message from='\(room)/alice' to='\(to)' type='\(type)' id='\(id)'><body>x</body>\(content)</message>"
    }

    private func sent(_ xml: String) throws -> Stanza { try end.outbound(stanza(xml)) }
    private func received(_ xml: String) throws -> Stanza { try end.inbound(stanza(xml)) }
    private func token(_ id: String = Self.stanzaID) throws -> String {
        try #require(sent(Self.said(Self.signed(id))).idIn("stanza-id"))
    }

    @Test func `a room's id has the token after the message's own`() throws {
        let out = try sent(Self.said("<origin-id xmlns='urn:xmpp:sid:0' id='\(Self.id)'/>" + Self.signed()))
        let (own, archived) = (try #require(out.id), try #require(out.idIn("stanza-id")))
        #expect(isToken(own) && isToken(archived) && out.idIn("origin-id") == own)
        #expect(UInt32(archived, radix: 16) == UInt32(own, radix: 16).map { $0 + 1 })
        #expect(
            out.text
                == """
                <message to='bob@b.example/q' from='\(Self.room)/alice' type='groupchat' id='\(own)'><body>x</body>\
                <origin-id xmlns='urn:xmpp:sid:0' id='\(own)'/>\
                <stanza-id xmlns='urn:xmpp:sid:0' by='\(Self.room)' id='\(archived)'/></message>
                """)
        // The copy for another occupant is the same, and so it is after a restart.
        for restarts in [false, true] {
            if restarts { end.restart() }
            let copy = try sent(Self.said(Self.signed(), to: "ben@b.example/r"))
            #expect(copy.id == own && copy.idIn("stanza-id") == archived)
        }
        #expect(end.count == 2 && end.journal.rows(.identifiers) == 2)
    }

    @Test func `a message whose own id is left alone has the room's id folded`() throws {
        #expect(try isToken(sent(Self.said(Self.signed(), id: "short")).idIn("stanza-id")))
        _ = try received(
            "<message from='bob@b.example/q' to='\(Self.room)' type='groupchat' id='bobs-message-01'><body>x</body></message>"
        )
        let back = try sent(Self.said(Self.signed("another-of-the-room"), id: "bobs-message-01"))
        #expect(back.id == "bobs-message-01" && isToken(back.idIn("stanza-id")))
    }

    @Test func `a room that takes over its occupants' ids keeps those of the other side`() throws {
        _ = try received(
            "<message from='bob@b.example/q' to='\(Self.room)' type='groupchat' id='bobs-message-01'><body>x</body></message>"
        )
        let back = try sent(Self.said(Self.signed("bobs-message-01"), id: "bobs-message-01"))
        #expect(back.id == "bobs-message-01" && back.idIn("stanza-id") == "bobs-message-01")
        let out = try sent(Self.said(Self.signed(Self.id)))
        #expect(isToken(out.id) && out.idIn("stanza-id") == out.id, "one id has one token")
        #expect(end.count == 1)
    }

    @Test(arguments: [
        said(signed(by: "other@rooms.a.example")), said(signed(by: "rooms.a.example")),
        said(signed(by: "\(room)/alice")), said(signed(by: "bob@b.example")),
        said("<stanza-id xmlns='urn:xmpp:sid:0' id='\(stanzaID)'/>"), said(signed(), type: "chat"),
        said(signed(), type: "normal"), said(signed(), type: "headline"), said(signed(), type: "error"),
        said(signed(), to: "bob@b.example"), said("<x xmlns='urn:other'>\(signed())</x>"),
        said("<forwarded xmlns='urn:xmpp:forward:0'>\(signed())</forwarded>"), said(signed("short")),
        said(signed(String(repeating: "x", count: 129))), said(signed("with space and more")),
        said(signed() + signed("a-second-of-the-room"))
    ]) func `what is not a room's one id for its message stays`(xml: String) throws {
        let given = try stanza(xml)
        let out = try end.outbound(given)
        func ids(_ stanza: Stanza) -> [String?] {
            stanza.root.children.filter { $0.name == "stanza-id" }.map { $0.attribute("id") }
        }
        #expect(ids(out) == ids(given))
        #expect(out.text.components(of: Self.stanzaID) == given.text.components(of: Self.stanzaID))
        #expect(end.count <= 1)
    }

    @Test func `nothing is folded that is not to be, and what was folded keeps its token`() throws {
        let off = FolderEnd(isHighSide: false)
        let out = try off.outbound(stanza(Self.said(Self.signed())))
        #expect(isToken(out.id) && out.idIn("stanza-id") == Self.stanzaID && off.count == 1)

        let token = try token()
        end.set(foldsStanzaIDs: false)
        #expect(try self.token() == token)
        #expect(try sent(Self.said(Self.signed("another-of-the-room"))).idIn("stanza-id") == "another-of-the-room")
        let reply = "<reply xmlns='urn:xmpp:reply:0' id='\(token)'/>"
        let seen = try received("<message from='bob@b.example/q' to='\(Self.room)' type='groupchat'>\(reply)</message>")
        #expect(seen.idIn("reply") == Self.stanzaID)
    }

    @Test func `a room's history has the token if there is one, and else the room's id`() throws {
        let delay = "<delay xmlns='urn:xmpp:delay' stamp='2024-01-01T00:00:00Z'/>"
        #expect(try sent(Self.said(Self.signed() + delay)).idIn("stanza-id") == Self.stanzaID)
        #expect(end.count == 0)
        let token = try token()
        #expect(try sent(Self.said(delay + Self.signed(), to: "ben@b.example/r")).idIn("stanza-id") == token)
        let early = "before-anybody-came"
        #expect(try sent(Self.said(delay + Self.signed(early))).idIn("stanza-id") == early)
    }

    static let moderations = [
        "<moderate xmlns='urn:xmpp:message-moderate:1' id='ID'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>",
        "<apply-to xmlns='urn:xmpp:fasten:0' id='ID'><moderate xmlns='urn:xmpp:message-moderate:0'/></apply-to>"
    ]
    @Test(arguments: moderations) func `a moderator's request names the room's id to the room`(request: String) throws {
        let token = try token()
        func iq(_ id: String) -> String {
            "<iq from='bob@b.example/q' to='\(Self.room)' type='set' id='m'>\(request.replacing("ID", with: id))</iq>"
        }
        #expect(try received(iq(token)) == stanza(iq(Self.stanzaID)))
        // What the room then tells everybody.
        let notice = """
            <message from='\(Self.room)' to='bob@b.example/q' type='groupchat' id='s'><retract id='ID' \
            xmlns='urn:xmpp:message-retract:1'><moderated xmlns='urn:xmpp:message-moderate:1'/></retract></message>
            """
        #expect(try sent(notice.replacing("ID", with: Self.stanzaID)).idIn("retract") == token)
    }

    @Test func `a private message in the room may name what was said to all`() throws {
        let token = try token()
        let reply = "<reply xmlns='urn:xmpp:reply:0' id='ID'/>"
        let seen = try received(
            "<message from='bob@b.example/q' to='\(Self.room)/alice' type='chat'>\(reply.replacing("ID", with: token))</message>"
        )
        #expect(seen.idIn("reply") == Self.stanzaID)
        let out = try sent(
            "<message from='\(Self.room)/alice' to='bob@b.example/q' type='chat'>\(reply.replacing("ID", with: Self.stanzaID))</message>"
        )
        #expect(out.idIn("reply") == token)
    }

    // MARK: Bounds

    @Test func `a room has half of the map, whatever it says`() throws {
        let limits = IdentifierLimits(tokens: 100, tokensPerOwner: 20, foreign: 5)
        let end = FolderEnd(isHighSide: false, foldsStanzaIDs: true, limits: limits)
        let own = try end.outbound(
            stanza("<message from='alice@a.example/r' to='bob@b.example' type='chat' id='\(Self.id)'/>"))
        var tokens: [String] = []
        for number in 0..<500 {
            let out = try end.outbound(
                stanza(Self.said(Self.signed("of-the-room-\(number)"), id: "message-number-\(number)")))
            tokens += [try #require(out.id), try #require(out.idIn("stanza-id"))]
            #expect(end.count <= 51 && end.journal.rows(.identifiers) == end.count)
            if number % 97 == 0 { end.restart() }
        }
        #expect(Set(tokens).count == 1_000 && end.count == 51)
        // The last 25 messages are known by both ids; those before by none, for good.
        for number in 450..<500 {
            let (id, archived) = (tokens[number * 2], tokens[number * 2 + 1])
            let content =
                "<replace xmlns='urn:xmpp:message-correct:0' id='\(id)'/>"
                + "<reply xmlns='urn:xmpp:reply:0' id='\(archived)'/>"
            let seen = try end.inbound(
                stanza("<message from='bob@b.example/q' to='\(Self.room)' type='groupchat'>\(content)</message>"))
            let isKnown = number >= 475
            #expect(seen.idIn("replace") == (isKnown ? "message-number-\(number)" : id))
            #expect(seen.idIn("reply") == (isKnown ? "of-the-room-\(number)" : archived))
        }
        let receipt = try end.inbound(
            stanza(
                "<message from='bob@b.example/q' to='alice@a.example'><received xmlns='urn:xmpp:receipts' id='\(own.id ?? "")'/></message>"
            ))
        #expect(receipt.idIn("received") == Self.id)
    }

    // MARK: Users who sign for rooms

    @Test func `a user of the other side who signs for a room of this site makes no token`() throws {
        let forged = "<message from='bob@b.example/q' to='\(Self.room)' type='groupchat' id='b'>\(Self.signed())</message>"
        #expect(try received(forged) == stanza(forged))
        #expect(end.count == 0 && end.journal.rows(.foreignIdentifiers) == 0)
        // The room gives the same id to a message, or does not notice and gives one more.
        let token = try token()
        #expect(isToken(token))
        let twice = try sent(Self.said(Self.signed("forged-by-somebody") + Self.signed("the-rooms-own-id")))
        #expect(twice.text.contains("forged-by-somebody") && twice.text.contains("the-rooms-own-id"))
        #expect(try self.token() == token)
    }

    @Test func `a user of this site who signs for a room makes no token of it`() throws {
        for to in [Self.room, "bob@b.example/q", "bob@b.example", "room@rooms.b.example"] {
            let xml =
                "<message from='alice@a.example/r' to='\(to)' type='groupchat' id='short'>\(Self.signed())</message>"
            #expect(try sent(xml) == stanza(xml))
        }
        #expect(end.count == 0)
    }

    @Test func `a room's id that looks like a token does not stand for another`() throws {
        let end = FolderEnd(isHighSide: false, foldsStanzaIDs: true, seed: 0x0000_1000)
        var seen: [String: String] = [:]
        for id in ["00001000", "00001001", "00001002", "00001003"] {
            let out = try end.outbound(stanza(Self.said(Self.signed(id), id: "message-\(id)")))
            seen[try #require(out.idIn("stanza-id"))] = id
            seen[try #require(out.id)] = "message-\(id)"
        }
        #expect(seen.count == 8)
        for (name, id) in seen {
            let reply = "<reply xmlns='urn:xmpp:reply:0' id='\(name)'/>"
            let back = try end.inbound(
                stanza("<message from='bob@b.example/q' to='\(Self.room)' type='groupchat'>\(reply)</message>"))
            #expect(back.idIn("reply") == id)
        }
    }

    @Test func `a room's token is restored for the room alone`() throws {
        let token = try token()
        for to in ["alice@a.example/r", "other@rooms.a.example", "rooms.a.example"] {
            for reference in ConversationCase.references {
                let content = reference.xml.replacing("ID", with: token)
                let xml = "<message from='bob@b.example/q' to='\(to)' type='groupchat'>\(content)</message>"
                #expect(try received(xml).text.contains(Self.stanzaID) == false)
            }
        }
    }
}
