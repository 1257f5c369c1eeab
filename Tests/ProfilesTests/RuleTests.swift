import NIOCore
import Profiles
import Testing
import XMPP

@Suite("Rules with conditions, limits and times") struct RuleTests {
    private let states = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    private let html = "<html xmlns='http://jabber.org/protocol/xhtml-im'/>"

    private func message(
        _ content: String, type: String? = "chat", to: String = "bob@hq.example", from: String = "ann@ship.example/r"
    )
        throws -> Stanza
    {
        try read("<message to='\(to)' from='\(from)'\(type.map { " type='\($0)'" } ?? "")>\(content)</message>")
    }

    @Test func `a rule for groupchat leaves chat alone`() throws {
        let profile = try profile(
            (
                "p",
                """
                [message]
                strip = ["chat-states"]
                [[message.rule]]
                when = { type = "groupchat" }
                strip = ["xhtml"]
                """
            ))
        let content = "<body>hi</body>\(html)"
        #expect(profile.apply(try message(content), direction: .out) == .pass)
        #expect(
            profile.apply(try message(content, type: "groupchat"), direction: .out)
                == .fold(try message("<body>hi</body>", type: "groupchat")))
        // What the section says still holds.
        #expect(
            profile.apply(try message(content + states, type: "groupchat"), direction: .out)
                == .fold(try message("<body>hi</body>", type: "groupchat")))
    }

    @Test func `a rule for one direction, or both; sections are for what goes out`() throws {
        for (direction, out, back) in [("out", true, false), ("in", false, true), ("both", true, true)] {
            let profile = try profile(
                (
                    "p",
                    "[message]\nstrip = [\"hints\"]\n[[message.rule]]\nwhen = { direction = \"\(direction)\" }\nstrip = [\"xhtml\"]"
                ))
            let stanza = try message("<body>hi</body>\(html)")
            #expect((profile.apply(stanza, direction: .out) != .pass) == out, "\(direction)")
            #expect((profile.apply(stanza, direction: .in) != .pass) == back, "\(direction)")
            let hint = try message("<body>hi</body><store xmlns='urn:xmpp:hints'/>")
            #expect(profile.apply(hint, direction: .out) != .pass && profile.apply(hint, direction: .in) == .pass)
        }
    }

    @Test func `rules for domains, each by itself and together, the later over the earlier`() throws {
        let profile = try profile(
            (
                "p",
                """
                [message]
                max-body-bytes = 100
                strip = ["xhtml", "hints"]
                [[message.rule]]
                when = { domains = ["*.hq.example", "hq.example"] }
                max-body-bytes = 20
                [[message.rule]]
                when = { domains = ["flag.hq.example"] }
                max-body-bytes = "none"
                keep = ["xhtml"]
                [[message.rule]]
                when = { domains = ["hq.example"], direction = "in" }
                max-body-bytes = 16
                """
            ))
        let text = "<body>\(String(repeating: "x", count: 50))</body>"
        func isRefused(_ to: String, _ length: Int) throws -> Bool {
            let body = "<body>\(String(repeating: "x", count: length))</body>"
            if case .refuse = profile.apply(try message(body, to: to), direction: .out) { return true }
            return false
        }
        #expect(try !isRefused("bob@elsewhere.example", 100) && isRefused("bob@elsewhere.example", 101))
        #expect(
            try !isRefused("bob@hq.example", 20) && isRefused("bob@hq.example", 21)
                && isRefused("bob@a.b.hq.example/r", 21))
        #expect(try !isRefused("bob@flag.hq.example", 5_000))
        #expect(profile.apply(try message(text + html, to: "bob@flag.hq.example"), direction: .out) == .pass)
        #expect(
            profile.apply(
                try message("<body>x</body>\(html)<store xmlns='urn:xmpp:hints'/>", to: "bob@flag.hq.example"),
                direction: .out)
                == .fold(try message("<body>x</body>\(html)", to: "bob@flag.hq.example")))
        // From whom it comes decides for what comes in.
        if case .refuse = profile.apply(
            try message(text, to: "ann@ship.example", from: "bob@hq.example/r"), direction: .in)
        {
        } else {
            Issue.record("the rule for what comes in did not hold")
        }
        #expect(
            profile.apply(try message(text, to: "ann@ship.example", from: "bob@sub.hq.example/r"), direction: .in)
                == .pass)
    }

    @Test func `an IQ rule allows for one domain what is refused for others`() throws {
        let profile = try profile(
            (
                "p",
                """
                [iq]
                default = "refuse"
                allow = ["ping"]
                [[iq.rule]]
                when = { domains = ["hq.example"], type = "get" }
                allow = ["version", { ns = "urn:example:fleet" }]
                """
            ))
        func verdict(_ payload: String, _ type: String = "get", to: String = "hq.example") throws -> ProfileVerdict {
            profile.apply(
                try read("<iq to='\(to)' from='ann@ship.example/r' type='\(type)' id='1'>\(payload)</iq>"),
                direction: .out)
        }
        let refused = ProfileVerdict.refuse(
            Refusal(.serviceUnavailable, .cancel, "this link carries no versions of programs"))
        #expect(try verdict("<query xmlns='jabber:iq:version'/>") == .pass)
        #expect(try verdict("<query xmlns='jabber:iq:version'/>", "set") == refused)
        #expect(try verdict("<query xmlns='jabber:iq:version'/>", to: "other.example") == refused)
        #expect(try verdict("<ping xmlns='urn:xmpp:ping'/>") == .pass)
        #expect(try verdict("<order xmlns='urn:example:fleet'/>") == .pass)
        #expect(try verdict("<order xmlns='urn:example:fleet2'/>") != .pass)
    }

    @Test func `elements by namespace and name`() throws {
        let profile = try profile(
            (
                "p",
                """
                [message]
                strip = [{ ns = "urn:example:a&b", name = "x" }, { ns = "urn:example:all" },
                         { ns = "http://jabber.org/protocol/chatstates", name = "composing" }]
                """
            ))
        for (element, goes) in [
            ("<x xmlns='urn:example:a&amp;b'/>", true), ("<y xmlns='urn:example:a&amp;b'/>", false),
            ("<q:x xmlns:q='urn:example:a&amp;b'/>", true),
            ("<x xmlns='urn:example:all'/>", true), ("<y xmlns='urn:example:all'/>", true),
            ("<y xmlns='urn:example:all2'/>", false),
            (states, true), ("<paused xmlns='http://jabber.org/protocol/chatstates'/>", false),
        ] {
            let verdict = profile.apply(try message("<body>hi</body>\(element)"), direction: .out)
            #expect(verdict == (goes ? .fold(try message("<body>hi</body>")) : .pass), "\(element)")
        }
    }

    @Test func `the lifetime of vCards is a day where nobody says otherwise, and for each domain what its rule says`() throws {
        let rule = "[[iq.rule]]\nwhen = { domains = [\"hq.example\"] }\nanswer-locally = [\"vcard\"]\nvcard-lifetime = "
        func lifetime(_ text: String, to: String) throws -> TimeAmount? {
            let request = "<iq to='\(to)' from='ann@ship.example/r' type='get' id='v'><vCard xmlns='vcard-temp'/></iq>"
            return try profile(("p", text)).vCardLifetime(of: read(request))
        }
        #expect(try lifetime("", to: "bob@hq.example") == .hours(24))
        #expect(try lifetime("[iq]\nvcard-lifetime = \"none\"", to: "bob@hq.example") == nil)
        let both = "[iq]\nvcard-lifetime = \"2h\"\n" + rule + "\"10m\""
        #expect(try lifetime(both, to: "bob@hq.example") == .minutes(10))
        #expect(try lifetime(both, to: "bob@ship2.example") == .hours(2))
        let listed = try profile(("p", rule + "\"none\""))
        #expect(listed.mayAnswer("vcard") && !listed.mayAnswer("disco-info"))
        #expect(try !profile(("p", "[iq]\nanswer-locally = []")).mayAnswer("vcard"))
    }

    @Test func `the shortest time between presences is for plain availability alone`() throws {
        let profile = try profile(
            (
                "p",
                "[presence]\nmode = \"fold\"\nmin-interval = \"90s\"\n[[presence.rule]]\nwhen = { domains = [\"hq.example\"] }\nmin-interval = \"none\""
            ))
        func interval(_ type: String, _ content: String = "", to: String = "bob@ship2.example") throws -> TimeAmount? {
            let stanza = try read("<presence to='\(to)' from='ann@ship.example/r'\(type)>\(content)</presence>")
            return profile.minimumInterval(of: stanza, direction: .out)
        }
        #expect(try interval("") == .seconds(90))
        #expect(try interval("", to: "bob@hq.example") == nil)
        for type in ["unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "error"] {
            #expect(try interval(" type='\(type)'") == nil, "\(type)")
        }
        for namespace in ["http://jabber.org/protocol/muc", "http://jabber.org/protocol/muc#user"] {
            #expect(try interval("", "<x xmlns='\(namespace)'/>") == nil)
        }
        #expect(try interval("", "<fmuc xmlns='http://isode.com/protocol/fmuc' from='a@b.example/c'/>") == nil)
        #expect(
            try profile.minimumInterval(of: read("<presence to='b@b.example' from='a@a.example/r'/>"), direction: .in)
                == nil)
    }

    @Test(
        arguments: [
            ("hello", 5, nil), ("hello!", 5, "he…"), ("👩‍👩‍👧👩‍👩‍👧", 25, "👩‍👩‍👧…"), ("👩‍👩‍👧👩‍👩‍👧", 20, "…"),
            ("e\u{301}e\u{301}e\u{301}", 8, "e\u{301}…"),
            ("🇬🇧🇩🇪x", 16, "🇬🇧…"), ("ääääääääää", 16, "ääääää…"), ("a\r\nbcdefghijklmnop", 16, "a\r\nbcdefghijk…"),
            ("abc", 2, ""),
        ] as [(String, Int, String?)]) func `text is cut between graphemes`(text: String, limit: Int, expected: String?)
        throws
    {
        var room = Profile(name: "p")
        let origin = RuleOrigin(profile: "p", file: "p.toml", line: 1, key: "k")
        room.message.maximumBodyBytes = Sourced(limit, origin)
        let escaped = XMLEscape.text(text)
        let stanza = try message(
            "<body>\(escaped)</body>", type: "groupchat", to: "bob@hq.example/r",
            from: "ops@conference.ship.example/ann")
        let verdict = CompiledProfile(room).apply(stanza, direction: .out, sender: .room)
        guard let expected else {
            #expect(verdict == .pass)
            return
        }
        guard case .truncate(let cut) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        let body = try #require(cut.root.children.first).text
        #expect(body == expected && Array(body.utf8) == Array(expected.utf8) && body.utf8.count <= limit)
        try expectCanonical(cut)
    }

    @Test func `the limit is of the text, not of its escapes`() throws {
        let profile = try profile(("p", "[message]\nmax-body-bytes = 16"))
        #expect(
            profile.apply(try message("<body>\(String(repeating: "&lt;", count: 16))</body>"), direction: .out) == .pass
        )
        #expect(
            profile.apply(try message("<body>\(String(repeating: "&lt;", count: 17))</body>"), direction: .out) != .pass
        )
    }

    @Test func `the limit of the whole is of what is left`() throws {
        let profile = try profile(("p", "[message]\nstrip = [\"xhtml\"]\nmax-bytes = 1000"))
        let long = "<html xmlns='http://jabber.org/protocol/xhtml-im'>\(String(repeating: "x", count: 2_000))</html>"
        #expect(
            profile.apply(try message("<body>hi</body>\(long)"), direction: .out)
                == .fold(try message("<body>hi</body>")))
        let oversize = Refusal(
            .policyViolation, .modify, "a message larger than 1000 bytes is not carried by this link")
        let body = "<body>\(String(repeating: "x", count: 2_000))</body>"
        #expect(profile.apply(try message(body), direction: .out) == .refuse(oversize))
        #expect(profile.apply(try message(body), direction: .out, sender: .room) == .drop(.fromRoom(oversize)))
    }

    @Test func `history that a join asks for is never more than the limit, and one element of it`() throws {
        let profile = try profile(("p", "[presence]\nroom-history = { stanzas = 10, chars = 4000, age = \"1h\" }"))
        for (asked, expected) in [
            ("", "<history maxchars='4000' maxstanzas='10' seconds='3600'/>"),
            ("<history maxstanzas='99'/>", "<history maxchars='4000' maxstanzas='10' seconds='3600'/>"),
            ("<history maxstanzas='3' maxchars='10' seconds='5'/>", nil),
            (
                "<history maxstanzas='3'/><history maxstanzas='1000'/>",
                "<history maxchars='4000' maxstanzas='3' seconds='3600'/>"
            ),
            ("<history maxstanzas='x' seconds='-1'/>", "<history maxchars='4000' maxstanzas='10' seconds='3600'/>"),
            ("<history maxstanzas='0'/>", nil),
            (
                "<history xmlns='urn:other' maxstanzas='99'/>",
                "<history maxchars='4000' maxstanzas='10' seconds='3600'/><history xmlns='urn:other' maxstanzas='99'/>"
            ),
        ] as [(String, String?)] {
            let opening =
                "<presence to='r@conference.hq.example/n' from='ann@ship.example/r'><x xmlns='http://jabber.org/protocol/muc'>"
            // Canonical form orders attributes itself.
            let stanza = try read(opening + asked + "</x></presence>")
            let verdict = profile.apply(stanza, direction: .out)
            if let expected {
                let folded = try read(opening + expected + "</x></presence>")
                #expect(verdict == .fold(folded), "\(asked): \(verdict)")
                try expectCanonical(folded)
            } else {
                #expect(verdict == .pass, "\(asked): \(verdict)")
            }
        }
    }

    @Test func `parts deep inside go, but never inside labels and what others wrote`() throws {
        let profile = try profile(("p", "[message]\nstrip = [\"thumbnails\"]\n[iq]\nstrip = [\"vcard-photo\"]"))
        let thumb = "<thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:1'/>"
        func file(_ content: String) -> String {
            "<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'>\(content)</file></file-sharing>"
        }
        #expect(
            profile.apply(try message("<body>u</body>" + file(thumb)), direction: .out)
                == .fold(try message("<body>u</body>" + file(""))))
        let forwarded =
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>\(file(thumb))</message></forwarded>"
        #expect(profile.apply(try message(forwarded), direction: .out) == .pass)
        let card =
            "<iq to='b@hq.example/r' from='a@ship.example/r' type='result' id='1'><vCard xmlns='vcard-temp'><FN>A</FN>%<PHOTO/></vCard></iq>"
        let folded = try read(card.replacing("%<PHOTO/>", with: ""))
        for photo in ["", "<PHOTO><BINVAL>AA</BINVAL></PHOTO>", "<PHOTO/><LOGO/><SOUND/>"] {
            #expect(profile.apply(try read(card.replacing("%", with: photo)), direction: .out) == .fold(folded))
        }
    }
}
