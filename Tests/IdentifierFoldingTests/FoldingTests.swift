import IdentifierFolding
import Outbox
import Testing
import XMPP

/// Single stanzas through one end of a link.
@Suite struct FoldingTests {
    static let id = "7e0c6b0a-52a5-4d44-9bd1-4ad4a6a2b0c1"
    let end = FolderEnd(isHighSide: false)

    private func sent(_ xml: String) throws -> Stanza { try end.outbound(stanza(xml)) }
    private func received(_ xml: String) throws -> Stanza { try end.inbound(stanza(xml)) }

    /// alice writes to bob; what he gets as its id.
    private func token(_ id: String = Self.id, content: String = "<body>x</body>") throws -> String {
        try #require(
            sent("<message from='alice@a.example/r' to='bob@b.example' type='chat' id='\(id)'>\(content)</message>").id)
    }

    @Test func `an id, its repetition and a thread are folded, everything else stays`() throws {
        let out = try sent(
            """
            <message from='alice@a.example/r' to='bob@b.example/q' type='chat' id='\(Self.id)'><body>\(Self.id)</body>\
            <origin-id xmlns='urn:xmpp:sid:0' id='\(Self.id)'/><thread>a-thread-of-hers</thread>\
            <markable xmlns='urn:xmpp:chat-markers:0'/><x xmlns='urn:other' id='\(Self.id)'/></message>
            """)
        let token = try #require(out.id)
        let thread = try #require(out.threadText)
        #expect(isToken(token) && isToken(thread) && thread != token)
        #expect(
            out.text
                == """
                <message to='bob@b.example/q' from='alice@a.example/r' type='chat' id='\(token)'><body>\(Self.id)</body>\
                <origin-id xmlns='urn:xmpp:sid:0' id='\(token)'/><thread>\(thread)</thread>\
                <markable xmlns='urn:xmpp:chat-markers:0'/><x xmlns='urn:other' id='\(Self.id)'/></message>
                """)
        #expect(end.count == 2)
    }

    @Test func `stanzas without anything to fold stay the same`() throws {
        for xml in [
            "<message from='alice@a.example/r' to='bob@b.example'><body>x</body></message>",
            "<message from='alice@a.example/r' to='bob@b.example' id='short'><body>x</body></message>",
            "<message from='alice@a.example/r' to='bob@b.example' id='with space and &amp; more'><body>x</body></message>",
            "<message from='alice@a.example/r' to='bob@b.example' id='\(String(repeating: "x", count: 129))'/>",
            "<presence from='alice@a.example/r' to='bob@b.example' id='\(Self.id)'/>",
            "<message to='bob@b.example' id='\(Self.id)'/>", "<message from='@/' to='bob@b.example' id='\(Self.id)'/>"
        ] {
            let given = try stanza(xml)
            #expect(try end.outbound(given) == given)
            #expect(try end.inbound(given) == given)
        }
        #expect(end.count == 0 && end.journal.puts == 0)
    }

    @Test func `equal ids in one conversation have one token, in others another`() throws {
        let first = try token()
        #expect(try token() == first)
        let other = try sent("<message from='alice@a.example/r' to='carol@b.example' id='\(Self.id)'/>")
        let same = try sent("<message from='andy@a.example/r' to='bob@b.example' id='\(Self.id)'/>")
        #expect(Set([first, other.id, same.id]).count == 3)
        #expect(end.count == 3)
    }

    @Test func `a token is restored for its owner, from the partner alone`() throws {
        let token = try token()
        func seen(from: String, to: String) throws -> String? {
            try received(
                "<message from='\(from)' to='\(to)'><received xmlns='urn:xmpp:receipts' id='\(token)'/></message>"
            )
            .idIn("received")
        }
        #expect(try seen(from: "bob@b.example/any", to: "alice@a.example/other") == Self.id)
        #expect(try seen(from: "bob@b.example", to: "alice@a.example") == Self.id)
        #expect(try seen(from: "mallory@b.example", to: "alice@a.example") == token)
        #expect(try seen(from: "bob@b.example", to: "andy@a.example") == token)
        #expect(try seen(from: "b.example", to: "alice@a.example") == token)
        #expect(try seen(from: "bob@b.example.evil", to: "alice@a.example") == token)
    }

    static let errors = ["chat", "groupchat", "normal"]
    @Test(arguments: errors) func `an error has the id of the message that it answers`(type: String) throws {
        let out = try sent(
            "<message from='alice@a.example/r' to='bob@b.example' type='\(type)' id='\(Self.id)'><body>x</body></message>"
        )
        let token = try #require(out.id)
        let error = try received(
            """
            <message from='bob@b.example' to='alice@a.example/r' type='error' id='\(token)'><body>x</body>\
            <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
            """)
        #expect(error.id == Self.id && error.isError)
    }

    @Test func `an error that a local user sends keeps the other side's id`() throws {
        _ = try token()
        let error = try sent("<message from='alice@a.example/r' to='bob@b.example' type='error' id='\(Self.id)'/>")
        #expect(error.id == Self.id, "it answers a message of bob's that happens to have that id")
        let unknown = try sent(
            "<message from='alice@a.example/r' to='bob@b.example' type='error' id='bobs-message-77'/>")
        #expect(unknown.id == "bobs-message-77" && end.count == 1)
    }

    @Test func `receipts and markers of local users name the other side's ids`() throws {
        _ = try token("a-counter-0012")
        for name in ["received", "displayed"] {
            let namespace = name == "received" ? "urn:xmpp:receipts" : "urn:xmpp:chat-markers:0"
            let out = try sent(
                "<message from='alice@a.example/r' to='bob@b.example' id='r'><\(name) xmlns='\(namespace)' id='a-counter-0012'/></message>"
            )
            #expect(out.idIn(name) == "a-counter-0012", "bob counts like alice")
        }
    }

    @Test func `forwarded messages and archive results are translated with their references`() throws {
        let token = try token()
        let archived = """
            <result xmlns='urn:xmpp:mam:2' queryid='q' id='archive-id-1'><forwarded xmlns='urn:xmpp:forward:0'>\
            <delay xmlns='urn:xmpp:delay' stamp='2024-01-01T00:00:00Z'/><message xmlns='jabber:client' \
            from='alice@a.example/r' to='bob@b.example' type='chat' id='\(token)'><body>x</body>\
            <origin-id xmlns='urn:xmpp:sid:0' id='\(token)'/><replace xmlns='urn:xmpp:message-correct:0' id='\(token)'/>\
            <thread>\(token)</thread></message></forwarded></result>
            """
        let seen = try received("<message from='bob@b.example' to='alice@a.example/r'>\(archived)</message>")
        #expect(seen.text.contains(token) == false && seen.text.components(of: Self.id) == 4)
        #expect(seen.idIn("result") == "archive-id-1")
        let back = try sent(
            "<message from='alice@a.example/r' to='bob@b.example'>\(archived.replacing(token, with: Self.id))</message>"
        )
        #expect(back.text.components(of: token) == 4)
        let other = try received("<message from='carol@b.example' to='alice@a.example/r'>\(archived)</message>")
        #expect(other.text.components(of: token) == 4, "carol forwards what bob got")
    }

    @Test func `a tombstone names what was retracted`() throws {
        let token = try token()
        let tombstones = [
            "<retracted xmlns='urn:xmpp:message-retract:1' id='\(token)' stamp='x'/>",
            """
            <retracted xmlns='urn:xmpp:message-retract:0' stamp='x'><origin-id xmlns='urn:xmpp:sid:0' id='\(token)'/>\
            </retracted>
            """
        ]
        for retracted in tombstones.map({
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>\($0)</message></forwarded>"
        }) {
            let seen = try received("<message from='bob@b.example' to='alice@a.example/r'>\(retracted)</message>")
            #expect(seen.text.components(of: Self.id) == 1)
        }
    }

    @Test(arguments: [
        "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>ID</key></header>INSIDE</encrypted>",
        "<encrypted xmlns='urn:xmpp:omemo:2'><payload>ID</payload>INSIDE</encrypted>",
        "<x xmlns='jabber:x:encrypted'>ID</x>", "<openpgp xmlns='urn:xmpp:openpgp:0'>INSIDE</openpgp>",
        "<e2e xmlns='urn:ietf:params:xml:ns:xmpp-e2e'>INSIDE</e2e>",
        "<EncryptedData xmlns='http://www.w3.org/2001/04/xmlenc#' id='ID'>INSIDE</EncryptedData>",
        "<unknown xmlns='urn:unknown' id='ID'>INSIDE</unknown>",
        "<securitylabel xmlns='urn:xmpp:sec-label:0'><label>INSIDE</label></securitylabel>"
    ])
    func `nothing inside a payload that is not understood is touched`(payload: String) throws {
        let inside = """
            <origin-id xmlns='urn:xmpp:sid:0' id='ID'/><replace xmlns='urn:xmpp:message-correct:0' id='ID'/>\
            <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' id='ID'><thread>ID</thread></message></forwarded>
            """
        let payload = payload.replacing("INSIDE", with: inside)
        let given = try stanza(
            """
            <message from='alice@a.example/r' to='bob@b.example' type='chat' id='\(Self.id)'>\
            \(payload.replacing("ID", with: Self.id))</message>
            """)
        let out = try end.outbound(given)
        let token = try #require(out.id)
        #expect(isToken(token), "the stanza's own id may be folded")
        #expect(out.root.children.map(\.xml) == given.root.children.map(\.xml))
        let back = try stanza(
            "<message from='bob@b.example' to='alice@a.example/r'>\(payload.replacing("ID", with: token))</message>")
        #expect(try end.inbound(back) == back)
    }

    @Test(arguments: [
        "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/>",
        "<BindingInformation xmlns='urn:nato:stanag:4778:bindinginformation:1:0'/>"
    ])
    func `a signed stanza is left alone`(signature: String) throws {
        let token = try token()
        let given = try stanza(
            "<message from='alice@a.example/r' to='bob@b.example' id='\(Self.id)-2'><body>x</body>\(signature)</message>"
        )
        #expect(try end.outbound(given) == given)
        let reply = try stanza(
            "<message from='bob@b.example' to='alice@a.example/r' id='\(token)'><body>x</body>\(signature)</message>")
        #expect(try end.inbound(reply) == reply)
    }

    @Test func `no more than so many ids of one stanza are looked at`() throws {
        let token = try token()
        let many = String(repeating: "<replace xmlns='urn:xmpp:message-correct:0' id='\(token)'/>", count: 1_000)
        let seen = try received("<message from='bob@b.example' to='alice@a.example/r'>\(many)</message>")
        #expect(seen.text.components(of: Self.id) == 32)
        #expect(seen.text.components(of: token) == 968)
    }

    // MARK: IQ

    @Test func `the answer to a request has the request's id, and the token is done with`() throws {
        for type in ["result", "error"] {
            let out = try sent(
                "<iq from='alice@a.example/r' to='bob@b.example/q' type='get' id='\(Self.id)'><ping xmlns='urn:xmpp:ping'/></iq>"
            )
            let token = try #require(out.id)
            #expect(isToken(token) && end.count == 1)
            let stranger = try received(
                "<iq from='mallory@b.example/q' to='alice@a.example/r' type='\(type)' id='\(token)'/>")
            #expect(stranger.id == token)
            let answer = try received(
                "<iq from='bob@b.example/q' to='alice@a.example/r' type='\(type)' id='\(token)'/>")
            #expect(answer.id == Self.id)
            #expect(end.count == 0 && end.journal.rows(.identifiers) == 0)
            let second = try received(
                "<iq from='bob@b.example/q' to='alice@a.example/r' type='\(type)' id='\(token)'/>")
            #expect(second.id == token)
        }
    }

    @Test func `two clients of one user may use one id at once`() throws {
        let ids = try ["one", "two"].map {
            try sent("<iq from='alice@a.example/\($0)' to='b.example' type='get' id='\(Self.id)'><q xmlns='q'/></iq>")
                .id
        }
        #expect(ids[0] == ids[1])
        for client in ["two", "one"] {
            let answer = try received(
                "<iq from='b.example' to='alice@a.example/\(client)' type='result' id='\(ids[0] ?? "")'/>")
            #expect(answer.id == Self.id)
        }
        #expect(end.count == 0)
    }

    @Test func `a request of the other side keeps its id, and so does its answer`() throws {
        let request = try received(
            "<iq from='bob@b.example/q' to='alice@a.example/r' type='get' id='bobs-request-0001'><q xmlns='q'/></iq>")
        #expect(request.id == "bobs-request-0001")
        // alice asks him something under the same id meanwhile.
        let own = try sent(
            "<iq from='alice@a.example/r' to='bob@b.example/q' type='get' id='bobs-request-0001'><q xmlns='q'/></iq>")
        let answer = try sent(
            "<iq from='alice@a.example/r' to='bob@b.example/q' type='result' id='bobs-request-0001'/>")
        #expect(answer.id == "bobs-request-0001")
        #expect(
            try received("<iq from='bob@b.example/q' to='alice@a.example/r' type='result' id='\(own.id ?? "")'/>").id
                == "bobs-request-0001")
    }

    @Test func `a ping of oneself through a far room comes home`() throws {
        let request =
            "<iq from='alice@a.example/r' to='room@rooms.b.example/Alice' type='get' id='\(Self.id)'><ping xmlns='urn:xmpp:ping'/></iq>"
        let token = try #require(sent(request).id)
        let passed = try received(
            "<iq from='room@rooms.b.example/Alice' to='alice@a.example/r' type='get' id='\(token)'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        #expect(passed.id == Self.id)
        let answer = try sent(
            "<iq from='alice@a.example/r' to='room@rooms.b.example/Alice' type='result' id='\(Self.id)'/>")
        #expect(answer.id == token)
        let home = try received(
            "<iq from='room@rooms.b.example/Alice' to='alice@a.example/r' type='result' id='\(token)'/>")
        #expect(home.id == Self.id && end.count == 0)
    }

    @Test func `a ping of oneself through a room here comes home`() throws {
        let id = "bobs-own-ping-0001"
        func iq(_ type: String, _ id: String, from: String, to: String) -> String {
            "<iq from='\(from)' to='\(to)' type='\(type)' id='\(id)'>\(type == "get" ? "<ping xmlns='urn:xmpp:ping'/>" : "")</iq>"
        }
        let (bob, room) = ("bob@b.example/q", "room@rooms.a.example/Bob")
        #expect(try received(iq("get", id, from: bob, to: room)).id == id)
        #expect(try sent(iq("get", id, from: room, to: bob)).id == id)
        #expect(try received(iq("result", id, from: bob, to: room)).id == id)
        #expect(try sent(iq("result", id, from: room, to: bob)).id == id)
    }

    @Test func `an id of a request and an id of a message are two things`() throws {
        let message = try token()
        let request = try sent(
            "<iq from='alice@a.example/r' to='bob@b.example' type='get' id='\(Self.id)'><q xmlns='q'/></iq>")
        #expect(request.id != message)
        #expect(
            try received("<iq from='bob@b.example' to='alice@a.example/r' type='result' id='\(message)'/>").id
                == message)
        #expect(
            try received("<message from='bob@b.example' to='alice@a.example/r' id='\(request.id ?? "")'/>").id
                == request.id)
        #expect(
            try received("<iq from='bob@b.example' to='alice@a.example/r' type='result' id='\(request.id ?? "")'/>").id
                == Self.id)
        #expect(
            try received("<message from='bob@b.example' to='alice@a.example/r' type='error' id='\(message)'/>").id
                == Self.id)
    }

    @Test func `moderation names the room's id`() throws {
        let out = try sent(
            "<iq from='alice@a.example/r' to='room@rooms.b.example' type='set' id='\(Self.id)'><moderate xmlns='urn:xmpp:message-moderate:1' id='stanza-id-of-the-room'><retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>"
        )
        #expect(out.idIn("moderate") == "stanza-id-of-the-room" && isToken(out.id))
    }
}

extension String {
    /// How often a text occurs.
    func components(of part: String) -> Int { self.split(separator: part, omittingEmptySubsequences: false).count - 1 }
}
