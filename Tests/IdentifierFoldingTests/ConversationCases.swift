import Testing
import XMPP

/// A message and somebody who refers to it: who sees which id.
struct ConversationCase: Sendable, CustomTestStringConvertible {
    var folding: String
    /// Where the room is; `-` for a conversation of two.
    var room: String
    var sender: String
    var actor: String
    var reference: String

    var testDescription: String {
        "folding \(folding), room at \(room), \(sender) writes, \(actor) sends \(reference)"
    }

    static let users = ["alice@a.example", "andy@a.example", "bob@b.example", "ben@b.example", "carol@c.example"]
    /// Elements that name a message by `id`, and whether only its author may send them.
    static let references: [(xml: String, name: String, byAuthor: Bool, byOthers: Bool)] = [
        ("<replace xmlns='urn:xmpp:message-correct:0' id='ID'/>", "replace", true, false),
        ("<retract xmlns='urn:xmpp:message-retract:1' id='ID'/>", "retract", true, false),
        (
            "<apply-to xmlns='urn:xmpp:fasten:0' id='ID'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
            "apply-to",
            true, false
        ),
        ("<reactions xmlns='urn:xmpp:reactions:0' id='ID'><reaction>+</reaction></reactions>", "reactions", true, true),
        ("<reply xmlns='urn:xmpp:reply:0' id='ID' to='x@y.example'/>", "reply", true, true),
        ("<attach-to xmlns='urn:xmpp:message-attaching:1' id='ID'/>", "attach-to", true, true),
        ("<received xmlns='urn:xmpp:receipts' id='ID'/>", "received", false, true),
        ("<displayed xmlns='urn:xmpp:chat-markers:0' id='ID'/>", "displayed", false, true)
    ]

    static let all: [ConversationCase] = {
        var cases: [ConversationCase] = []
        for folding in ["abc", "a", "b", "ac"] {
            for room in ["a", "b", "c", "-"] {
                for sender in users {
                    for actor in users {
                        for reference in references where sender == actor ? reference.byAuthor : reference.byOthers {
                            cases.append(
                                ConversationCase(
                                    folding: folding, room: room, sender: sender, actor: actor,
                                    reference: reference.name))
                        }
                    }
                }
            }
        }
        return cases
    }()
}

/// The rule, on every kind of conversation: whoever sees a reference can look it up among the ids that he saw.
@Suite struct ConversationCases {
    static let original = "7e0c6b0a-52a5-4d44-9bd1-4ad4a6a2b0c1"

    @Test(arguments: ConversationCase.all)
    func `everybody finds what a reference names`(_ item: ConversationCase) throws {
        let world = TestWorld(folding: Set(item.folding.map(String.init)))
        let room = "room@rooms.\(item.room).example"
        world.makeRoom(room, occupants: ConversationCase.users)
        let isRoom = item.room != "-"
        let type = isRoom ? "groupchat" : "chat"
        let partner =
            item.sender == item.actor
            ? (item.sender.hasPrefix("bob") ? "alice@a.example" : "bob@b.example") : item.actor
        let content = "<body>hello</body><origin-id xmlns='urn:xmpp:sid:0' id='\(Self.original)'/>"
        let receipts = try world.message(
            from: item.sender, to: isRoom ? room : partner, type: type, id: Self.original, content)

        // What everybody knows the message by; its author also by what he gave it.
        var seen = [item.sender: Self.original]
        for receipt in receipts {
            let id = try #require(receipt.stanza.id)
            #expect(receipt.stanza.idIn("origin-id") == id)
            if receipt.user == item.sender { #expect(id == Self.original, "the author's own copy") }
            seen[receipt.user] = id
        }
        let reference = try #require(ConversationCase.references.first { $0.name == item.reference })
        let id = try #require(seen[item.actor])
        let to = isRoom ? room : item.sender == item.actor ? partner : item.sender
        let answers = try world.message(
            from: item.actor, to: to, type: type, id: "answer-of-the-actor-1",
            reference.xml.replacing("ID", with: id) + "<body>answer</body>")
        #expect(answers.count == (isRoom ? ConversationCase.users.count : 1))
        for answer in answers {
            #expect(answer.stanza.idIn(item.reference) == seen[answer.user], "as \(answer.user) sees it")
        }
    }

    /// Who sees the token and who the original, for a message that alice wrote in a room.
    @Test(arguments: ["a", "b", "c"])
    func `a room's occupants see one of two ids`(room: String) throws {
        let world = TestWorld()
        let address = "room@rooms.\(room).example"
        world.makeRoom(address, occupants: ConversationCase.users)
        let receipts = try world.message(
            from: "alice@a.example", to: address, type: "groupchat", id: Self.original, "<body>hello</body>")
        let seen = Dictionary(
            uniqueKeysWithValues: receipts.map { (String($0.user.prefix { $0 != "@" }), $0.stanza.id ?? "") })
        #expect(seen["alice"] == Self.original)
        if room == "a" {
            // What does not cross is not folded: the room's site sees originals, each other site one token.
            #expect(seen["andy"] == Self.original)
            #expect(isToken(seen["bob"]) && isToken(seen["carol"]) && seen["bob"] == seen["ben"])
        } else {
            #expect(isToken(seen["andy"]), "andy reads over the link what alice wrote over it")
            #expect(seen["andy"] == seen[room == "b" ? "bob" : "carol"] && seen["bob"] == seen["ben"])
            // On its way to a third site a token is an id like any other: left, or folded once more if it could be
            // taken for one of that link's own.
            #expect(isToken(seen["bob"]) && isToken(seen["carol"]))
        }
    }

    /// As XEP-0444 and XEP-0461 want it in rooms.
    @Test(arguments: ConversationCase.all.filter { $0.room != "-" })
    func `everybody finds what a reference by the room's id names`(_ item: ConversationCase) throws {
        let world = TestWorld(folding: Set(item.folding.map(String.init)), foldsStanzaIDs: true)
        let room = "room@rooms.\(item.room).example"
        world.makeRoom(room, occupants: ConversationCase.users)
        let receipts = try world.message(
            from: item.sender, to: room, type: "groupchat", id: Self.original, "<body>hello</body>")
        let stanzaID = world.lastStanzaID
        var seen: [String: String] = [:]
        for receipt in receipts {
            let id = try #require(receipt.stanza.idIn("stanza-id"))
            seen[receipt.user] = id
            // The room's site sees what the room gave; everybody else sees one token for each link that folds.
            let isFolded = TestWorld.site(receipt.user) != item.room && item.folding.contains(item.room)
            #expect(isFolded ? isToken(id) && id != receipt.stanza.id : id == stanzaID)
        }
        #expect(seen["alice@a.example"] == seen["andy@a.example"] && seen["bob@b.example"] == seen["ben@b.example"])
        let reference = try #require(ConversationCase.references.first { $0.name == item.reference })
        let id = try #require(seen[item.actor])
        let answers = try world.message(
            from: item.actor, to: room, type: "groupchat", id: "answer-of-the-actor-1",
            reference.xml.replacing("ID", with: id) + "<body>answer</body>")
        #expect(answers.count == ConversationCase.users.count)
        for answer in answers {
            #expect(answer.stanza.idIn(item.reference) == seen[answer.user], "as \(answer.user) sees it")
        }
    }

    @Test(arguments: ["a", "b", "c"])
    func `the room's own ids stay where they are not to be folded, and so do references to them`(room: String) throws {
        let world = TestWorld()
        let address = "room@rooms.\(room).example"
        world.makeRoom(address, occupants: ConversationCase.users)
        for user in ConversationCase.users {
            let receipts = try world.message(
                from: user, to: address, type: "groupchat", id: Self.original + user, "<body>hello</body>")
            let ids = Set(receipts.map { $0.stanza.idIn("stanza-id") })
            #expect(ids.count == 1)
            let stanzaID = try #require(ids.first ?? nil)
            #expect(stanzaID.hasPrefix("archive-of-the-room-"))
            for actor in ConversationCase.users {
                let content = "<reply xmlns='urn:xmpp:reply:0' to='\(address)/x' id='\(stanzaID)'/><body>yes</body>"
                let answers = try world.message(
                    from: actor, to: address, type: "groupchat", id: "answer-\(actor)", content)
                #expect(answers.allSatisfy { $0.stanza.idIn("reply") == stanzaID })
            }
        }
    }
}
