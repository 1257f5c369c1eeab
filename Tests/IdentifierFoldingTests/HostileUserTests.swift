import IdentifierFolding
import Testing
import XMPP

/// Users who send ids that look like tokens, by accident or on purpose.
@Suite struct HostileUserTests {
    private static let id = "7e0c6b0a-52a5-4d44-9bd1-4ad4a6a2b0c1"

    /// The tokens that follow one, in the order in which they will be given out.
    private func following(_ token: String, _ count: Int) -> [String] {
        let value = UInt32(token, radix: 16) ?? 0
        return (1...UInt32(count)).map { step in
            let text = String(value &+ step, radix: 16)
            return String(repeating: "0", count: 8 - text.count) + text
        }
    }

    @Test(arguments: ["a", "b", "c"])
    func `nobody here can send under another's token`(site: String) throws {
        let world = TestWorld()
        let room = "room@rooms.\(site).example"
        world.makeRoom(room, occupants: ConversationCase.users)
        let first = try world.message(
            from: "alice@a.example", to: room, type: "groupchat", id: Self.id, "<body>x</body>")
        let token = try #require(first.first { $0.user == "bob@b.example" }?.stanza.id)
        // andy takes her token, which he can see, for his own message; and those that will come next.
        for stolen in [token] + following(token, 3) {
            let seen = try world.message(
                from: "andy@a.example", to: room, type: "groupchat", id: stolen, "<body>y</body>")
            for receipt in seen {
                let id = try #require(receipt.stanza.id)
                if receipt.user == "andy@a.example" { #expect(id == stolen) }
                if receipt.user == "alice@a.example" { #expect(id != Self.id) }
                if receipt.user == "bob@b.example" { #expect(id != token) }
                guard receipt.user == "bob@b.example" else { continue }
                // bob reacts to it; alice must not take that for a reaction to her message.
                let reaction = "<reactions xmlns='urn:xmpp:reactions:0' id='\(id)'/>"
                for answer in try world.message(from: "bob@b.example", to: room, type: "groupchat", id: "r", reaction) {
                    if answer.user == "alice@a.example" { #expect(answer.stanza.idIn("reactions") != Self.id) }
                    if answer.user == "andy@a.example" { #expect(answer.stanza.idIn("reactions") == stolen) }
                }
            }
        }
        // Her next messages have tokens of their own all the same.
        var tokens: Set<String> = [token]
        for number in 0..<5 {
            let seen = try world.message(
                from: "alice@a.example", to: room, type: "groupchat", id: "\(Self.id)-\(number)", "<body>x</body>")
            #expect(seen.first { $0.user == "alice@a.example" }?.stanza.id == "\(Self.id)-\(number)")
            let next = try #require(seen.first { $0.user == "bob@b.example" }?.stanza.id)
            #expect(tokens.insert(next).inserted)
        }
    }

    @Test func `ids that look like tokens come back as they were sent`() throws {
        let end = FolderEnd(isHighSide: false, seed: 0x0000_1000)
        for id in ["00001000", "00001001", "00001002", "0badcafe", "7fffffff", "ffffffff", "80001001"] {
            let out = try end.outbound(stanza("<message from='alice@a.example/r' to='bob@b.example' id='\(id)'/>"))
            let sent = try #require(out.id)
            #expect(isToken(sent))
            let back = try end.inbound(
                stanza(
                    "<message from='bob@b.example' to='alice@a.example/r'><received xmlns='urn:xmpp:receipts' id='\(sent)'/></message>"
                ))
            #expect(back.idIn("received") == id)
        }
        #expect(end.counters.escaped == 5, "those of the other end cannot be ours")
    }

    @Test func `a token is not told to whom it does not belong`() throws {
        let world = TestWorld()
        var onLink = ""
        world.onLink = { _, _, stanza in onLink += stanza.text }
        let sent = try world.message(
            from: "alice@a.example", to: "bob@b.example", type: "chat", id: Self.id, "<body>x</body>")
        let token = try #require(sent.first?.stanza.id)
        // Each names alice's token in a conversation of his own, in every way there is.
        for (from, to) in [
            ("mallory@b.example", "alice@a.example"), ("mallory@b.example", "andy@a.example"),
            ("bob@b.example", "andy@a.example"),
            ("andy@a.example", "bob@b.example"), ("andy@a.example", "mallory@b.example"),
            ("mallory@c.example", "alice@a.example")
        ] {
            for reference in ConversationCase.references {
                let content = reference.xml.replacing("ID", with: token) + "<thread parent='\(token)'>\(token)</thread>"
                let seen = try world.message(from: from, to: to, type: "chat", id: token, content)
                #expect(seen.allSatisfy { !$0.stanza.text.contains(Self.id) })
            }
            for type in ["get", "set", "result", "error"] {
                let seen = try world.send(
                    "<iq from='\(from)/r' to='\(to)/r' type='\(type)' id='\(token)'/>", from: from, to: to)
                #expect(!seen.text.contains(Self.id))
            }
        }
        #expect(!onLink.contains(Self.id))
        let honest = "<received xmlns='urn:xmpp:receipts' id='\(token)'/>"
        let seen = try world.message(from: "bob@b.example", to: "alice@a.example", type: "chat", id: "honest", honest)
        #expect(seen.first?.stanza.idIn("received") == Self.id)
    }

    @Test func `an answer to a request that somebody else made is no answer`() throws {
        let end = FolderEnd(isHighSide: false)
        let token = try #require(
            end.outbound(
                stanza(
                    "<iq from='alice@a.example/r' to='bob@b.example/q' type='get' id='\(Self.id)'><q xmlns='q'/></iq>")
            ).id)
        for guess in [token] + following(token, 2) {
            for (from, to) in [("mallory@b.example/q", "alice@a.example/r"), ("bob@b.example/q", "andy@a.example/r")] {
                let seen = try end.inbound(stanza("<iq from='\(from)' to='\(to)' type='result' id='\(guess)'/>"))
                #expect(seen.id == guess)
            }
        }
        #expect(end.count == 1)
    }

    @Test func `two ends of one link never make the same token`() throws {
        let ends = [FolderEnd(isHighSide: false, seed: 5), FolderEnd(isHighSide: true, seed: 5)]
        var tokens: [Set<String>] = [[], []]
        for (index, end) in ends.enumerated() {
            for number in 0..<300 {
                let out = try end.outbound(
                    stanza("<message from='u@x.example/r' to='v@y.example' id='message-number-\(number)'/>"))
                tokens[index].insert(try #require(out.id))
            }
        }
        #expect(tokens[0].count == 300 && tokens[1].count == 300 && tokens[0].isDisjoint(with: tokens[1]))
    }

    @Test func `a far user who counts our tokens ahead gains nothing but a name for himself`() throws {
        let end = FolderEnd(isHighSide: false)
        let token = try #require(
            end.outbound(stanza("<message from='alice@a.example/r' to='bob@b.example' id='\(Self.id)'/>")).id)
        for guess in following(token, 3) {
            let seen = try end.inbound(stanza("<message from='bob@b.example' to='alice@a.example/r' id='\(guess)'/>"))
            #expect(seen.id == guess)
        }
    }
}
