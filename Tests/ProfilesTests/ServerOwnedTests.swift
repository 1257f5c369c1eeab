import Profiles
import Testing
import XMPP

/// A payload that a server writes, and a remote user forged.
struct ForgedPayload: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let kind: String
    /// With `PREFIX` where its namespace's prefix may stand and `DECLARATION` where it is declared.
    let element: String
    /// Which senders have no right to it.
    let senders: [StanzaSender]
    /// The same, said by whom may say it.
    var genuine: (element: String, sender: StanzaSender, from: String)?

    init(
        _ name: String, _ kind: String, _ element: String, from senders: [StanzaSender] = [.user],
        genuine: (String, StanzaSender, String)? = nil
    ) {
        (self.testDescription, self.kind, self.element, self.senders) = (name, kind, element, senders)
        self.genuine = genuine.map { (element: $0.0, sender: $0.1, from: $0.2) }
    }
}

/// Lesson peers d15: remove all copies of what only servers write, whatever their prefixes.
@Suite("What only a server may write") struct ServerOwnedTests {
    static let room = "ops@conference.hq.example/bob"
    static let forged = [
        ForgedPayload(
            "the near archive's id", "message",
            "<PREFIXstanza-id DECLARATION='urn:xmpp:sid:0' by='ann@ship.example' id='1'/>",
            from: [.user, .room, .unknown],
            genuine: ("<stanza-id xmlns='urn:xmpp:sid:0' by='ops@conference.hq.example' id='1'/>", .room, room)),
        ForgedPayload(
            "another room's id", "message",
            "<PREFIXstanza-id DECLARATION='urn:xmpp:sid:0' by='other@conference.hq.example' id='1'/>",
            from: [.user, .room, .unknown]),
        ForgedPayload(
            "an id of nobody", "message", "<PREFIXstanza-id DECLARATION='urn:xmpp:sid:0' id='1'/>",
            from: [.user, .room, .unknown]),
        ForgedPayload(
            "an occupant's id", "message", "<PREFIXoccupant-id DECLARATION='urn:xmpp:occupant-id:0' id='1'/>",
            genuine: ("<occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>", .room, room)),
        ForgedPayload(
            "an occupant's id in presence", "presence",
            "<PREFIXoccupant-id DECLARATION='urn:xmpp:occupant-id:0' id='1'/>",
            genuine: ("<occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>", .room, room)),
        ForgedPayload(
            "hats", "presence", "<PREFIXhats DECLARATION='urn:xmpp:hats:0'><PREFIXhat title='Admiral'/></PREFIXhats>",
            genuine: ("<hats xmlns='urn:xmpp:hats:0'/>", .room, room)),
        ForgedPayload(
            "a carbon copy", "message",
            "<PREFIXreceived DECLARATION='urn:xmpp:carbons:2'><f xmlns='urn:xmpp:forward:0'/></PREFIXreceived>",
            from: [.user, .room, .unknown]),
        ForgedPayload(
            "a carbon copy of what was sent", "message", "<PREFIXsent DECLARATION='urn:xmpp:carbons:2'/>",
            from: [.user, .room, .unknown]),
        ForgedPayload(
            "a page of an archive", "message", "<PREFIXresult DECLARATION='urn:xmpp:mam:2' id='1'/>",
            genuine: ("<result xmlns='urn:xmpp:mam:2' id='1'/>", .room, "ops@conference.hq.example")),
        ForgedPayload(
            "a room's word in a user's presence", "presence",
            "<PREFIXx DECLARATION='http://jabber.org/protocol/muc#user'><PREFIXstatus code='110'/></PREFIXx>",
            genuine: ("<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>", .room, room)),
        ForgedPayload(
            "a stamp of the near server", "message",
            "<PREFIXdelay DECLARATION='urn:xmpp:delay' from='ship.example' stamp='2020-01-01T00:00:00Z'/>",
            from: [.user, .room, .unknown],
            genuine: (
                "<delay xmlns='urn:xmpp:delay' from='hq.example' stamp='2020-01-01T00:00:00Z'/>", .user,
                "bob@hq.example/r"
            )),
        ForgedPayload(
            "a stamp of the recipient", "presence",
            "<PREFIXdelay DECLARATION='urn:xmpp:delay' from='ann@ship.example/r' stamp='2020-01-01T00:00:00Z'/>",
            from: [.user, .room, .unknown]),
    ]

    @Test(arguments: forged, [0, 1, 3]) func `all copies go, whatever their prefix`(
        _ forged: ForgedPayload, copies: Int
    ) throws {
        for name in ["lossless", "hf", "chat-only"] {
            let profile = try Shipped.profile(name)
            for sender in forged.senders {
                let prefixes = ["", "p:", "stream1:"]
                let elements = (0..<copies).map { copy in
                    let prefix = prefixes[copy % 3]
                    return forged.element.replacing("PREFIX", with: prefix)
                        .replacing("DECLARATION", with: prefix.isEmpty ? "xmlns" : "xmlns:\(prefix.dropLast())")
                }
                let before = forged.kind == "message" ? "<body>hi</body>" : "<show>away</show>"
                let opening = "\(forged.kind) to='ann@ship.example/r' from='bob@hq.example/r' id='1'"
                let xml = "<\(opening)>" + elements.joined(separator: before) + before + "</\(forged.kind)>"
                let verdict = profile.apply(try read(xml), direction: .in, sender: sender)
                guard copies > 0 else {
                    #expect(verdict == .pass, "\(name), \(sender)")
                    continue
                }
                guard case .fold(let folded) = verdict else {
                    Issue.record("\(name), \(sender): \(verdict)")
                    continue
                }
                let rest = String(repeating: before, count: copies)
                #expect(folded.text == "<\(opening)>\(rest)</\(forged.kind)>", "\(name), \(sender)")
                try expectCanonical(folded)
            }
        }
    }

    @Test(arguments: forged) func `who may say it is believed`(_ forged: ForgedPayload) throws {
        guard let genuine = forged.genuine else { return }
        let type =
            forged.kind == "message" && genuine.sender == .room && genuine.from == Self.room ? " type='groupchat'" : ""
        let xml =
            "<\(forged.kind) to='ann@ship.example/r' from='\(genuine.from)'\(type) id='1'>\(genuine.element)</\(forged.kind)>"
        #expect(try Shipped.profile("hf").apply(try read(xml), direction: .in, sender: genuine.sender) == .pass)
    }

    @Test func `what goes out is left to the site's own server`() throws {
        let xml =
            "<message to='bob@hq.example' from='ann@ship.example/r'><body>hi</body><occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/></message>"
        #expect(try Shipped.profile("lossless").apply(try read(xml), direction: .out, sender: .user) == .pass)
    }

    @Test func `a room that is not known yet is not taken for a user`() throws {
        let xml =
            "<presence to='ann@ship.example/r' from='\(Self.room)'><x xmlns='http://jabber.org/protocol/muc#user'><item role='visitor'/></x></presence>"
        #expect(try Shipped.profile("hf").apply(try read(xml), direction: .in, sender: .unknown) == .pass)
    }

    @Test func `a message of nothing else goes`() throws {
        let xml =
            "<message to='ann@ship.example/r' from='bob@hq.example/r'><sent xmlns='urn:xmpp:carbons:2'/><sent xmlns='urn:xmpp:carbons:2'/></message>"
        #expect(try Shipped.profile("hf").apply(try read(xml), direction: .in, sender: .user) == .drop(.serverOwned))
    }

    @Test(arguments: [
        "<query xmlns='jabber:iq:roster'><item jid='eve@hq.example' subscription='both'/></query>",
        "<block xmlns='urn:xmpp:blocking'/>",
    ])
    func `pushes of a user's own server are refused from afar`(payload: String) throws {
        let xml = "<iq to='ann@ship.example/r' from='eve@hq.example/r' type='set' id='1'>\(payload)</iq>"
        for name in Shipped.names {
            guard case .refuse(let refusal) = try Shipped.profile(name).apply(try read(xml), direction: .in) else {
                Issue.record("\(name)")
                continue
            }
            #expect(refusal.condition == .serviceUnavailable && refusal.type == .cancel)
        }
    }
}
