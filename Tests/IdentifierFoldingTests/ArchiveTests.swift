import IdentifierFolding
import Testing
import XMPP

/// Requests to a room's archive and their answers (XEP-0313, XEP-0059), through the end at the room's site.
@Suite struct ArchiveTests {
    private static let room = "room@rooms.a.example"
    private let end = FolderEnd(isHighSide: false, foldsStanzaIDs: true)

    /// What the other side calls these, which the room said in this order.
    private func tokens(_ ids: [String]) throws -> [String] {
        try ids.map { id in
            try #require(end.outbound(stanza(StanzaIDTests.said(StanzaIDTests.signed(id), id: "m"))).idIn("stanza-id"))
        }
    }

    private func query(_ content: String, to: String = Self.room, payload: String = "query xmlns='urn:xmpp:mam:2'")
        -> String
    {
        let name = payload.prefix { $0 != " " }
        return "<iq from='bob@b.example/q' to='\(to)' type='set' id='q'><\(payload)>\(content)</\(name)></iq>"
    }

    static let queries = [
        "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>ID</after></set>",
        "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><before>ID</before></set>",
        """
        <x xmlns='jabber:x:data' type='submit'><field type='hidden' var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
        <field var='after-id'><value>ID</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><before/></set>
        """,
        "<x xmlns='jabber:x:data' type='submit'><field var='before-id' type='text-single'><value>ID</value></field></x>",
        "<x xmlns='jabber:x:data' type='submit'><field var='ids'><value>ID</value><value>OTHER</value></field></x>"
    ]
    @Test(arguments: queries) func `what a query names is the room's`(content: String) throws {
        let ids = ["the-rooms-first-id", "the-rooms-second-id"]
        let tokens = try tokens(ids)
        let asked = content.replacing("ID", with: tokens[0]).replacing("OTHER", with: tokens[1])
        let meant = content.replacing("ID", with: ids[0]).replacing("OTHER", with: ids[1])
        #expect(try end.inbound(stanza(query(asked))) == stanza(query(meant)))
        end.restart()
        #expect(try end.inbound(stanza(query(asked))) == stanza(query(meant)))
        // An error repeats the question, and the asker's token is there again.
        let error = """
            <iq from='\(Self.room)' to='bob@b.example/q' type='error' id='q'><query xmlns='urn:xmpp:mam:2'>CONTENT</query>\
            <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
            """
        #expect(
            try end.outbound(stanza(error.replacing("CONTENT", with: meant)))
                == stanza(error.replacing("CONTENT", with: asked)))
    }

    @Test(arguments: [
        "<x xmlns='jabber:x:data'><field var='with'><value>ID</value></field><field var='start'><value>ID</value></field></x>",
        "<x xmlns='jabber:x:data'><field><value>ID</value></field></x><after>ID</after>",
        "<set xmlns='http://jabber.org/protocol/rsm'><max>ID</max><index>ID</index></set>",
        "<set xmlns='urn:other'><after>ID</after></set><x xmlns='urn:other'><field var='ids'><value>ID</value></field></x>",
        "<y xmlns='urn:other'><set xmlns='http://jabber.org/protocol/rsm'><after>ID</after></set></y>"
    ]) func `nothing else in a query is touched`(content: String) throws {
        let token = try tokens(["the-rooms-first-id"])[0]
        let given = try stanza(query(content.replacing("ID", with: token)))
        #expect(try end.inbound(given) == given)
    }

    @Test func `another's archive and another's list keep what they are asked for`() throws {
        let token = try tokens(["the-rooms-first-id"])[0]
        let content = Self.queries[0].replacing("ID", with: token)
        for xml in [
            query(content, to: "other@rooms.a.example"), query(content, to: "alice@a.example"),
            query(content, payload: "query xmlns='http://jabber.org/protocol/disco#items'"),
            query(content, payload: "query xmlns='urn:other'")
        ] {
            let given = try stanza(xml)
            #expect(try end.inbound(given) == given)
        }
    }

    @Test func `an answer names what the other side knows by its token`() throws {
        let known = "the-rooms-second-id"
        let token = try tokens([known])[0]
        func result(_ id: String) -> String {
            """
            <message from='\(Self.room)' to='bob@b.example/q'><result xmlns='urn:xmpp:mam:2' queryid='f' id='\(id)'>\
            <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2024-01-01T00:00:00Z'/>\
            <message xmlns='jabber:client' from='\(Self.room)/alice' type='groupchat' id='m'><body>x</body>\
            <stanza-id xmlns='urn:xmpp:sid:0' by='\(Self.room)' id='\(id)'/></message></forwarded></result></message>
            """
        }
        func fin(_ first: String, _ last: String) -> String {
            """
            <iq from='\(Self.room)' to='bob@b.example/q' type='result' id='q'><fin xmlns='urn:xmpp:mam:2' complete='true'>\
            <set xmlns='http://jabber.org/protocol/rsm'><first index='0'>\(first)</first><last>\(last)</last>\
            <count>2</count></set></fin></iq>
            """
        }
        func metadata(_ first: String, _ last: String) -> String {
            """
            <iq from='\(Self.room)' to='bob@b.example/q' type='result' id='q'><metadata xmlns='urn:xmpp:mam:2'>\
            <start id='\(first)' timestamp='2008-08-22T21:09:04Z'/><end id='\(last)' timestamp='2020-04-20T14:34:21Z'/>\
            </metadata></iq>
            """
        }
        let early = "before-anybody-came"
        #expect(try end.outbound(stanza(result(known))) == stanza(result(token)))
        #expect(try end.outbound(stanza(result(early))) == stanza(result(early)))
        #expect(try end.outbound(stanza(fin(early, known))) == stanza(fin(early, token)))
        #expect(try end.outbound(stanza(metadata(early, known))) == stanza(metadata(early, token)))
        #expect(end.count == 1, "an archive makes no tokens")
    }

    @Test func `a user here who asks a far room's archive sees his own ids`() throws {
        let id = "7e0c6b0a-52a5-4d44-9bd1-4ad4a6a2b0c1"
        let far = "room@rooms.b.example"
        let token = try #require(
            end.outbound(stanza("<message from='alice@a.example/r' to='\(far)' type='groupchat' id='\(id)'/>")).id)
        let ask = """
            <iq from='alice@a.example/r' to='\(far)' type='set' id='q'><query xmlns='urn:xmpp:mam:2'>\
            <set xmlns='http://jabber.org/protocol/rsm'><after>ID</after></set></query></iq>
            """
        // A room whose archive takes over its occupants' ids.
        #expect(try end.outbound(stanza(ask.replacing("ID", with: id))) == stanza(ask.replacing("ID", with: token)))
        let answer = """
            <iq from='\(far)' to='alice@a.example/r' type='result' id='q'><fin xmlns='urn:xmpp:mam:2'>\
            <set xmlns='http://jabber.org/protocol/rsm'><first>ID</first><last>of-the-far-room</last></set></fin></iq>
            """
        #expect(try end.inbound(stanza(answer.replacing("ID", with: token))) == stanza(answer.replacing("ID", with: id)))
    }
}
