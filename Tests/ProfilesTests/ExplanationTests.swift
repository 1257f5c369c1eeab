import NIOCore
import Profiles
import Testing
import XMPP

@Suite("Explaining") struct ExplanationTests {
    private func explain(_ name: String, _ xml: String, sender: StanzaSender = .user) throws -> Explanation {
        try Shipped.profile(name).explain(read(xml), direction: .out, sender: sender)
    }

    private func line(of origin: RuleOrigin) throws -> String {
        let text = try #require(Shipped.source(origin.profile)?.text)
        return String(text.split(separator: "\n", omittingEmptySubsequences: false)[origin.line - 1])
    }

    @Test func `each element has the rule that decided, with its file and line`() throws {
        let explanation = try explain(
            "vhf",
            """
            <message to='bob@hq.example' from='ann@ship.example/r' type='chat' id='1'><body>Meet at noon</body>\
            <html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'/></html>\
            <request xmlns='urn:xmpp:receipts'/></message>
            """)
        let children = explanation.root.children
        #expect(
            children.map(\.name) == ["body", "html", "request"] && children.map(\.fate) == [.kept, .removed, .kept])
        #expect(children[0].rule == .hard("always kept: it is what was written"))
        #expect(children[2].rule == .none)
        guard case .profile(let origin) = children[1].rule else {
            Issue.record("\(children[1].rule)")
            return
        }
        #expect(origin.profile == "vhf" && origin.file == "profiles/vhf.toml" && origin.key.hasPrefix("message.strip["))
        #expect(try line(of: origin).contains("\"xhtml\""))
        // What is inside shares its fate.
        #expect(children[1].children.map(\.fate) == [.removed] && children[1].children[0].rule == children[1].rule)
        #expect(explanation.bytesBefore - children[1].bytesBefore == explanation.bytesAfter)
        #expect(!explanation.text.contains("noon"))
    }

    @Test func `what a parent says is told with the parent's file`() throws {
        let explanation = try explain(
            "chat-only",
            "<message to='bob@hq.example' from='ann@ship.example/r' type='chat'><encrypted xmlns='urn:xmpp:omemo:2'/></message>"
        )
        guard case .profile(let origin) = explanation.rule else {
            Issue.record("\(explanation.rule)")
            return
        }
        #expect(origin.profile == "hf" && origin.key == "message.refuse[0]")
        #expect(try line(of: origin).contains("refuse = [\"encryption\""))
        #expect(explanation.bytesAfter == 0 && explanation.root.children.map(\.fate) == [.unsent])
        #expect(
            explanation.text.contains(
                "refused with not-acceptable, type modify: this link carries no messages encrypted with OMEMO"))
    }

    @Test func `hard rules are named as such`() throws {
        let refused = try explain(
            "hf-minimal",
            "<message to='bob@hq.example' from='ann@ship.example/r' type='chat'><body>+1</body><reply xmlns='urn:xmpp:reply:0' id='1'/></message>"
        )
        #expect(refused.text.contains("hard rule: it may not cross (profiles/hf-minimal.toml:"))
        let kept = try explain(
            "vhf",
            "<message to='bob@hq.example/r' from='ops@conference.ship.example/a' type='groupchat'><body>a</body><stanza-id xmlns='urn:xmpp:sid:0' id='1'/></message>",
            sender: .room)
        #expect(kept.root.children[1].rule == .hard("rooms need their ids for replies, markers and moderation"))
        let subscription = try explain(
            "chat-only", "<presence to='bob@hq.example' from='ann@ship.example' type='subscribe'/>")
        #expect(subscription.rule == .hard("errors, answers and subscription stanzas cross as they are"))
        let presence = try explain("chat-only", "<presence to='bob@hq.example' from='ann@ship.example/r'/>")
        #expect(presence.text.hasPrefix("chat-only: dropped: presence does not cross – profiles/chat-only.toml:"))
    }

    @Test func `history that is put in is shown, and text that is cut`() throws {
        let join = try explain(
            "hf",
            "<presence to='r@conference.hq.example/n' from='ann@ship.example/r'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='99'/></x></presence>"
        )
        #expect(join.root.children[0].children.map(\.fate) == [.added, .removed])
        #expect(join.root.children[0].children[0].bytesAfter > 0)
        let status = try explain(
            "hf",
            "<presence to='bob@hq.example' from='ann@ship.example/r'><status>\(String(repeating: "x", count: 99))</status></presence>"
        )
        #expect(status.root.children[0].fate == .cut)
        #expect(status.root.children[0].bytesBefore == 99 + 17 && status.root.children[0].bytesAfter == 80 + 17)
    }

    @Test func `the text is one line for each element`() throws {
        let explanation = try explain(
            "satcom",
            """
            <presence to='bob@hq.example' from='ann@ship.example/r'><show>away</show>\
            <x xmlns='vcard-temp:x:update'><photo>aabb</photo></x></presence>
            """)
        let origin = try #require(
            { if case .profile(let origin) = explanation.root.children[1].rule { origin } else { nil } }())
        #expect(
            explanation.text == """
                satcom: crosses folded
                bytes: 138 before, 84 after (60 %)

                presence                   138 → 84  kept
                  show                           17  kept     hard rule: always kept: it is the availability
                  x (vcard-temp:x:update)    54 → 0  removed  profiles/satcom.toml:\(origin.line) (presence.strip[0])
                    photo                    19 → 0  removed

                """)
    }

    @Test(arguments: UInt64(1)...40) func `it tells what applying does`(seed: UInt64) throws {
        var policies = RandomPolicies(seed: seed &+ 1_000)
        let profile = CompiledProfile(policies.profile())
        for _ in 0..<100 {
            let stanza = try read(policies.stanza())
            let direction = policies.pick(ProfileDirection.allCases)
            let sender = policies.pick([StanzaSender.room, .user, .unknown])
            let explanation = profile.explain(stanza, direction: direction, sender: sender)
            let verdict = profile.apply(stanza, direction: direction, sender: sender)
            #expect(explanation.verdict == verdict && explanation.bytesBefore == stanza.byteCount)
            let kept = explanation.root.children.filter { [.kept, .cut].contains($0.fate) }
            switch verdict {
            case .fold(let folded) where folded.type == .error && stanza.type == .result:
                #expect(kept.isEmpty && explanation.bytesAfter == 0 || explanation.bytesAfter == folded.byteCount)
            case .fold(let folded), .truncate(let folded):
                #expect(explanation.bytesAfter == folded.byteCount, "seed \(seed): \(stanza.text)")
                #expect(
                    kept.map(\.bytesAfter) == folded.root.children.map(\.xml.utf8.count), "seed \(seed): \(stanza.text)"
                )
                // Somebody decided about everything that went.
                for node in explanation.root.children where node.fate == .removed {
                    #expect(node.rule != .none, "seed \(seed): \(node) of \(stanza.text)")
                }
            case .pass, .answerLocally(otherwise: nil):
                #expect(kept.count == explanation.root.children.count && explanation.bytesAfter == stanza.byteCount)
            case .drop, .refuse, .answerLocally:
                #expect(explanation.bytesAfter == 0 && explanation.root.fate == .unsent)
            }
            #expect(explanation.text.split(separator: "\n").count >= stanza.elementCount)
        }
    }
}
