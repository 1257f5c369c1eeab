import ConfigurationText
import NIOCore
import Profiles
import Testing
import XMPP

/// A faulty profile and what its author is told: each text must occur in one line, and there is one line for each.
struct FaultyProfile: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let expected: [[String]]

    init(_ name: String, _ text: String, _ expected: [String]...) {
        self.testDescription = name
        self.text = text
        self.expected = expected
    }
}

@Suite("Reading of profiles") struct ProfileReadingTests {
    static let faulty = [
        FaultyProfile(
            "an unknown key", "[message]\nstripp = []", ["p.toml:3: message.stripp", "did you mean \"strip\""]),
        FaultyProfile("an unknown section", "[messages]\n", ["p.toml:2: messages", "did you mean \"message\""]),
        FaultyProfile(
            "no such short name", "[message]\nstrip = [\"chatstates\"]",
            [
                "p.toml:3: message.strip[0] = \"chatstates\"", "did you mean \"chat-states\"",
            ]),
        FaultyProfile(
            "strip and keep-only", "[message]\nstrip = []\nkeep-only = []", ["p.toml:4", "beside strip", "one of them"]),
        FaultyProfile(
            "presence: strip and keep-only", "[presence]\nkeep-only = []\nstrip = []", ["p.toml:3", "beside strip"]),
        FaultyProfile(
            "security labels stripped", "[message]\nstrip = [\n  \"xhtml\",\n  \"security-labels\",\n]",
            [
                "p.toml:5: message.strip[1] = \"security-labels\"", "always kept", "wrong people",
            ]),
        FaultyProfile(
            "a label by its namespace",
            "[message]\nstrip = [{ ns = \"urn:xmpp:sec-label:0\", name = \"securitylabel\" }]",
            [
                "p.toml:3: message.strip[0] = { ns = \"urn:xmpp:sec-label:0\", name = \"securitylabel\" }", "always kept",
            ]),
        FaultyProfile(
            "a whole namespace of labels", "[message]\nstrip = [{ ns = \"urn:xmpp:sec-label:0\" }]",
            ["p.toml:3", "always kept"]),
        FaultyProfile("labelled messages refused", "[message]\nrefuse = [\"security-labels\"]", ["always kept"]),
        FaultyProfile(
            "labelled messages dropped", "[message]\ndrop-when-only = [\"security-labels\"]", ["always kept"]),
        FaultyProfile(
            "OMEMO stripped", "[message]\nstrip = [\"omemo\"]", ["p.toml:3", "what the sender meant", "\"refuse\""]),
        FaultyProfile(
            "a reply stripped by namespace", "[message]\nstrip = [{ ns = \"urn:xmpp:reply:0\", name = \"reply\" }]",
            [
                "p.toml:3", "what the sender meant",
            ]),
        FaultyProfile(
            "the group of encryption stripped", "[message]\nstrip = [\"encryption\"]", ["what the sender meant"]),
        FaultyProfile("retractions dropped", "[message]\ndrop-when-only = [\"retraction\"]", ["what the sender meant"]),
        FaultyProfile("bodies stripped", "[message]\nstrip = [\"body\"]", ["always kept", "what was written"]),
        FaultyProfile("delays stripped", "[message]\nstrip = [\"delay\"]", ["old messages look new"]),
        FaultyProfile("room ids stripped", "[message]\nstrip = [\"stanza-id\"]", ["moderation", "strip-in-chat"]),
        FaultyProfile("room ids stripped by a group", "[message]\nstrip = [\"stanza-ids\"]", ["strip-in-chat"]),
        FaultyProfile(
            "room ids stripped by a rule", "[[message.rule]]\nwhen = { type = \"groupchat\" }\nstrip = [\"stanza-id\"]",
            [
                "p.toml:4: message.rule[0].strip[0]", "strip-in-chat",
            ]),
        FaultyProfile(
            "messages dropped", "[message]\ndrop = [\"body\"]", ["p.toml:3", "delivered, waits, or comes back"]),
        FaultyProfile("MUC presence stripped", "[presence]\nstrip = [\"muc-user\"]", ["always kept", "who is in it"]),
        FaultyProfile("joins stripped", "[presence]\nstrip = [\"muc\"]", ["enters a room"]),
        FaultyProfile("FMUC stripped", "[presence]\nstrip = [\"fmuc\"]", ["stay one"]),
        FaultyProfile(
            "availability stripped", "[presence]\nstrip = [\"show\", \"priority\"]", ["it is the availability"],
            ["which of several clients"]),
        FaultyProfile("presence dropped", "[presence]\ndrop = true", ["\"mode\""]),
        FaultyProfile(
            "IQs dropped by default", "[iq]\ndefault = \"drop\"",
            ["p.toml:3: iq.default = \"drop\"", "exactly one answer", "refuse"]),
        FaultyProfile("IQs dropped by a list", "[iq]\ndrop = [\"ping\"]", ["exactly one answer"]),
        FaultyProfile("an IQ without its payload", "[iq]\nstrip = [\"vcard\"]", ["one payload", "vcard-photo"]),
        FaultyProfile(
            "label catalogues refused", "[iq]\nrefuse = [\"label-catalog\"]", ["always kept", "label what they send"]),
        FaultyProfile(
            "an answer that nobody knows", "[iq]\nanswer-locally = [\"pubsub\"]", ["cannot know", "disco-info"]),
        FaultyProfile(
            "cards that never grow old", "[iq]\nvcard-lifetime = \"0s\"",
            ["p.toml:3: iq.vcard-lifetime = \"0s\"", "out of range", "1m", "30d"]),
        FaultyProfile(
            "cards whose age has no unit", "[iq]\nvcard-lifetime = 24",
            ["p.toml:3: iq.vcard-lifetime = 24", "without a unit"]),
        FaultyProfile(
            "allowed and refused", "[iq]\nallow = [\"ping\"]\nrefuse = [\"ping\"]", ["p.toml:4", "allowed as well"]),
        FaultyProfile(
            "allowed and refused, one of them by its namespace",
            """
            [iq]
            allow = ["ping", { ns = "urn:a" }, { ns = "urn:b", name = "x" }]
            refuse = [{ ns = "urn:xmpp:ping", name = "ping" }, { ns = "urn:a", name = "y" }, { ns = "urn:b", name = "z" }]
            """, ["p.toml:4: iq.refuse[0]", "allowed as well"], ["p.toml:4: iq.refuse[1]", "allowed as well"]),
        FaultyProfile(
            "the wrong section",
            "[message]\nstrip = [\"caps\"]\n[presence]\nstrip = [\"xhtml\"]\n[iq]\nallow = [\"mood\"]",
            ["p.toml:3", "payload of presence"], ["p.toml:5", "payload of messages"],
            ["p.toml:7", "payload of messages"]),
        FaultyProfile(
            "a rule without a condition", "[[message.rule]]\nstrip = [\"xhtml\"]",
            ["p.toml:2: message.rule[0].when", "missing"]),
        FaultyProfile(
            "a rule for everything", "[[message.rule]]\nwhen = {}\nstrip = [\"xhtml\"]",
            ["p.toml:3", "into the section"]),
        FaultyProfile(
            "a condition that does not exist",
            "[[message.rule]]\nwhen = { type = \"presence\", direction = \"north\", domains = [\"a b\"] }",
            ["unknown type"], ["direction", "allowed"], ["not a domain name"]),
        FaultyProfile("what stays, in a section", "[message]\nkeep = [\"xhtml\"]", ["message.keep", "unknown key"]),
        FaultyProfile(
            "values out of range",
            """
            [message]
            max-body-bytes = 3
            max-bytes = 999
            [presence]
            mode = "foldd"
            min-interval = "0s"
            room-history = {}
            link-down = { mark-after = "1h", unavailable-after = "5m" }
            [iq]
            max-iq-bytes = 10
            [outbox]
            fold-ids = "yes"
            class.urgent = { expires = "1h" }
            class.message = { priority = 16 }
            [block]
            level = 0
            hold = "2h"
            """, ["p.toml:3", "16B"], ["p.toml:4", "1000B"], ["p.toml:6", "did you mean \"fold\""], ["p.toml:7", "1s"],
            ["p.toml:8", "no limit"], ["p.toml:9", "less than unavailable-after"], ["p.toml:11"], ["p.toml:13", "fold-ids"],
            ["p.toml:14", "never expire"], ["p.toml:15", "0 to 15"], ["p.toml:17"], ["p.toml:18"]),
        FaultyProfile(
            "words in place of tables", "[presence]\nroom-history = 5\nlink-down = \"drop\"",
            ["p.toml:3", "this is an integer", "\"all\", \"none\" or {"], ["p.toml:4", "this is a string", "\"keep\" or {"]),
        FaultyProfile(
            "characters that do something to a terminal", "\"a\\u001B[31m\\nb\" = \"c\\u0007\"",
            ["\"a\\u001B[31m\\u000Ab\" = \"c\\u0007\": unknown key"]),
        FaultyProfile(
            "elements without a namespace", "[message]\nstrip = [{ name = \"x\" }, { ns = \"\" }, 4]",
            ["message.strip[0].ns", "missing"], ["not a namespace"], ["an integer"]),
        FaultyProfile("the name of another file", "name = \"q\"\n", ["not the name of this file", "\"p\""]),
        FaultyProfile("TOML that is none", "[message\n", ["TOML syntax"]),
        FaultyProfile(
            "a parent that is not there", "inherits = \"nowhere\"", ["p.toml:2: inherits = \"nowhere\"", "no profile"]),
        FaultyProfile(
            "a path for a parent", "inherits = \"../../etc/passwd\"",
            ["p.toml:2: inherits", "not a name for a profile"]),
        FaultyProfile(
            "payloads for a mode that asks for none", "[presence]\nmode = \"none\"\nstrip = [\"avatars\"]",
            ["p.toml:4: presence.strip", "mode = \"fold\""]),
        FaultyProfile("itself for a parent", "inherits = \"p\"", ["p.toml:2", "p → p"]),
    ]

    @Test(arguments: faulty) func `what is wrong is told with its place and its reason`(_ fixture: FaultyProfile) {
        var text = fixture.text
        if text.hasPrefix("name") { text = "# name = \"p\"\n" + text }
        let found = problems(text)
        #expect(found.count == fixture.expected.count, "\(found.joined(separator: "\n"))")
        for parts in fixture.expected {
            let line = found.contains { line in parts.allSatisfy { line.contains($0) } }
            #expect(line, "\(parts) in \(found.joined(separator: "\n"))")
        }
    }

    @Test(arguments: ["message", "presence", "iq"])
    func `a key that is never right is offered by no message`(_ section: String) {
        let found = problems("[\(section)]\nrop = 1")
        #expect(found.count == 1 && found[0].contains("unknown key (allowed: "), "\(found)")
        #expect(!found[0].contains("drop,"), "\(found)")
    }

    @Test(arguments: Shipped.names) func `each shipped profile can be read`(name: String) throws {
        let profile = try ProfileLibrary(Shipped.source).profile(named: name)
        #expect(profile.name == name && !profile.summary.isEmpty)
    }

    @Test func `problems of all files of a chain come together, each under its file`() {
        do {
            _ = try profile(
                ("c", "inherits = \"b\"\nx = 1"), ("b", "inherits = \"a\"\n[iq]\ny = 2"), ("a", "[message]\nz = 3"))
            Issue.record("a faulty profile was taken")
        } catch {
            #expect(error.problems.map { "\($0.file):\($0.line)" } == ["a.toml:3", "b.toml:4", "c.toml:3"])
        }
    }

    @Test func `a circle is named`() {
        do {
            _ = try profile(("a", "inherits = \"b\""), ("b", "inherits = \"c\""), ("c", "inherits = \"b\""))
            Issue.record("a circle was taken")
        } catch {
            #expect(
                error.problems.map(\.description) == [
                    "c.toml:2: inherits = \"b\": a profile cannot inherit from itself: b → c → b (another profile)"
                ])
        }
    }

    @Test func `a chain without end is cut off`() {
        let library = ProfileLibrary { name in
            .init(file: name, text: "name = \"\(name)\"\ninherits = \"x\(name)\"")
        }
        let error = #expect(throws: ConfigurationProblems.self) { try library.profile(named: "a") }
        #expect(error?.problems.first?.message.contains("16") ?? false)
    }

    @Test func `a name is never a path`() {
        for name in [
            "", "../hf", "/etc/passwd", "a/b", ".hidden", "a b", String(repeating: "a", count: 65), "ä", "a\0",
        ] {
            let library = ProfileLibrary { _ in
                Issue.record("asked for \(name)")
                return nil
            }
            #expect(throws: ConfigurationProblems.self) { try library.profile(named: name) }
        }
    }

    @Test func `presence is folded where no file says a mode`() throws {
        let profile = try profile(("p", "[presence]\nstrip = [\"avatars\"]"))
        let stanza = try read(
            "<presence to='b@b.example' from='a@a.example/r'><x xmlns='vcard-temp:x:update'/></presence>")
        #expect(
            profile.apply(stanza, direction: .out)
                == .fold(try read("<presence to='b@b.example' from='a@a.example/r'/>")))
    }

    @Test func `a name that is not there is said`() {
        let error = #expect(throws: ConfigurationProblems.self) {
            try ProfileLibrary { _ in nil }.profile(named: "x")
        }
        #expect(error?.problems.map(\.message) == ["there is no profile \"x\""])
    }

    @Test func `a key replaces the inherited one, strip and keep-only each other, and rules add up`() throws {
        let compiled = try profile(
            (
                "c",
                """
                inherits = "b"
                [message]
                keep-only = ["receipts"]
                max-body-bytes = "none"
                [[message.rule]]
                when = { type = "chat" }
                strip = ["receipts"]
                [iq]
                allow = ["ping"]
                [outbox]
                class.message = { priority = 9 }
                [block]
                hold = "2KiB"
                """
            ),
            (
                "b",
                """
                [message]
                strip = ["xhtml"]
                drop-when-only = ["chat-states"]
                max-body-bytes = 100
                [[message.rule]]
                when = { type = "groupchat" }
                max-bytes = 1000
                [iq]
                refuse = ["ping", "version"]
                [outbox]
                class.message = { priority = 7, expires = "2h" }
                class.presence = { supersede = false }
                [block]
                level = 3
                hold = "turn"
                """
            ))
        let profile = compiled.profile
        #expect(profile.ancestors == ["b"] && profile.name == "c")
        guard case .keepOnly(let list, _)? = profile.message.folding else {
            Issue.record("strip was not replaced")
            return
        }
        #expect(list.map(\.value.description) == ["receipts"])
        #expect(profile.message.dropWhenOnly?.count == 1 && profile.message.maximumBodyBytes?.value == .some(nil))
        #expect(profile.messageRules.map(\.origin.file) == ["b.toml", "c.toml"])
        #expect(profile.outbox.message == .init(priority: 9, expires: .hours(2)))
        #expect(profile.outbox.supersedesPresence == false && profile.outbox.urgent == .init())
        #expect(profile.block.level == 3 && profile.block.hold == .bytes(2_048))
        // The nearer of two lists wins.
        let ping = try read(
            "<iq to='b.example' from='a@a.example/r' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
        #expect(compiled.apply(ping, direction: .out) == .pass)
    }

    @Test func `every payload has elements that are numbered, and no element is in two`() {
        var seen: Set<String> = []
        for payload in PayloadVocabulary.all {
            #expect(payload.elements.isEmpty != payload.nodes.isEmpty, "\(payload.name)")
            for element in payload.elements {
                #expect(seen.insert("\(element.namespace) \(element.local)").inserted, "\(payload.name)")
                #expect(ElementName.named(element.local, element.namespace) != .unknown, "\(payload.name) \(element)")
            }
        }
        #expect(Set(PayloadVocabulary.names).count == PayloadVocabulary.names.count)
        for group in PayloadVocabulary.groups {
            #expect(PayloadVocabulary.payloads(named: group.name)?.count == group.members.count, "\(group.name)")
        }
        // What XMPP numbers beyond the payloads would be an unknown element to every profile.
        let missing = ElementName.vocabulary.filter { !seen.contains("\($0.namespace) \($0.local)") }
        #expect(missing.isEmpty, "\(missing)")
    }
}
