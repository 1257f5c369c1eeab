import Outbox
import Testing
import XMPP

/// Threads belong to both sides, so one of the other side's must never become another.
@Suite struct ThreadTests {
    private let end = FolderEnd(isHighSide: false)
    static let thread = "e0ffe42b-28ee-4b8f-8b6c-1e2a3b4c5d6e"

    private func message(_ from: String, _ to: String, _ type: String, _ thread: String, _ attributes: String = "")
        throws -> Stanza
    {
        try stanza(
            "<message from='\(from)' to='\(to)' type='\(type)'><body>x</body><thread\(attributes)>\(thread)</thread></message>"
        )
    }

    @Test func `a thread begun here is the same one to both`() throws {
        let token = try #require(
            end.outbound(message("alice@a.example/r", "bob@b.example", "chat", Self.thread)).threadText)
        #expect(isToken(token))
        #expect(
            try end.inbound(message("bob@b.example/q", "alice@a.example/r", "chat", token)).threadText == Self.thread)
        #expect(
            try end.outbound(message("alice@a.example/s", "bob@b.example/q", "chat", Self.thread)).threadText == token)
        #expect(end.count == 1)
    }

    @Test(arguments: [false, true])
    func `a thread begun there keeps its name`(restart: Bool) throws {
        #expect(
            try end.inbound(message("bob@b.example/q", "alice@a.example", "chat", Self.thread)).threadText
                == Self.thread)
        if restart { end.restart() }
        #expect(
            try end.outbound(message("alice@a.example/r", "bob@b.example/q", "chat", Self.thread)).threadText
                == Self.thread)
        let other = try end.outbound(message("alice@a.example/r", "carol@b.example", "chat", Self.thread)).threadText
        #expect(isToken(other), "to carol it is a new thread")
    }

    @Test(arguments: [false, true])
    func `in a far room both kinds are known to every occupant here`(restart: Bool) throws {
        let room = "room@rooms.b.example"
        for user in ["alice", "andy"] {
            _ = try end.inbound(message("\(room)/Bob", "\(user)@a.example/r", "groupchat", Self.thread))
        }
        if restart { end.restart() }
        for user in ["alice", "andy"] {
            #expect(
                try end.outbound(message("\(user)@a.example/r", room, "groupchat", Self.thread)).threadText
                    == Self.thread)
        }
        let token = try #require(
            end.outbound(message("alice@a.example/r", room, "groupchat", "alice-begins-this")).threadText)
        #expect(isToken(token))
        #expect(try end.inbound(message("\(room)/Alice", "andy@a.example/r", "groupchat", token)).threadText == token)
        #expect(try end.outbound(message("andy@a.example/r", room, "groupchat", token)).threadText == token)
        #expect(
            try end.inbound(message("\(room)/Andy", "alice@a.example/r", "groupchat", token)).threadText
                == "alice-begins-this")
    }

    @Test(arguments: [false, true])
    func `a room here gives a far occupant's thread and id back as they came`(restart: Bool) throws {
        let room = "room@rooms.a.example"
        let said = """
            <message from='FROM' to='TO' type='groupchat' id='bobs-message-00012'><body>x</body><thread>\(Self.thread)</thread>\
            <origin-id xmlns='urn:xmpp:sid:0' id='bobs-origin-000012'/></message>
            """
        func copy(_ from: String, _ to: String) throws -> Stanza {
            try stanza(said.replacing("FROM", with: from).replacing("TO", with: to))
        }
        _ = try end.inbound(copy("bob@b.example/q", room))
        if restart { end.restart() }
        for user in ["bob", "ben"] {
            let reflected = try end.outbound(copy("\(room)/Bob", "\(user)@b.example/q"))
            #expect(reflected == (try copy("\(room)/Bob", "\(user)@b.example/q")))
        }
        #expect(end.count == 0)
    }

    @Test func `what a room repeats of earlier days has the id that it had`() throws {
        let room = "room@rooms.a.example"
        func copy(_ to: String, delayed: Bool, id: String) throws -> Stanza {
            try stanza(
                """
                <message from='\(room)/Alice' to='\(to)@b.example/q' type='groupchat' id='\(id)'><body>x</body>\
                \(delayed ? "<delay xmlns='urn:xmpp:delay' stamp='2024-01-01T00:00:00Z'/>" : "")</message>
                """)
        }
        let old = try end.outbound(copy("bob", delayed: true, id: "said-before-bob-came"))
        #expect(old.id == "said-before-bob-came")
        let new = try end.outbound(copy("bob", delayed: false, id: "said-while-he-listens"))
        #expect(isToken(new.id))
        let again = try end.outbound(copy("ben", delayed: true, id: "said-while-he-listens"))
        #expect(again.id == new.id)
    }

    @Test func `the thread above is named like the thread itself`() throws {
        let token = try #require(
            end.outbound(message("alice@a.example/r", "bob@b.example", "chat", Self.thread)).threadText)
        let below = try end.outbound(
            message("alice@a.example/r", "bob@b.example", "chat", "a-branch-of-it", " parent='\(Self.thread)'"))
        #expect(below.text.contains("<thread parent='\(token)'>"))
        let back = try end.inbound(message("bob@b.example/q", "alice@a.example/r", "chat", "x", " parent='\(token)'"))
        #expect(back.text.contains("<thread parent='\(Self.thread)'>"))
    }

    @Test func `headlines to many have one token and stay equal`() throws {
        let copies = try ["bob", "ben"].map { user in
            try end.outbound(
                stanza(
                    "<message from='alice@a.example' to='\(user)@b.example' type='headline' id='\(Self.thread)'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>"
                )
            ).id
        }
        #expect(isToken(copies[0]) && copies[0] == copies[1] && end.count == 1)
    }
}
