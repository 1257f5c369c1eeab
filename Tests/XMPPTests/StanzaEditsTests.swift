import NIOCore
import TestSupport
import Testing
import XMPP

@Suite("Changes of a stanza") struct StanzaEditsTests {
    /// Removes the elements at these places.
    private func removing(_ places: [Int], from xml: String) throws -> Stanza {
        var edits = StanzaEdits()
        for place in places { edits.removed.insert(place) }
        return try #require(read(xml)).applying(edits)
    }

    private func expectCanonical(_ stanza: Stanza, _ place: SourceLocation = #_sourceLocation) throws {
        let again = try StanzaReader().read(ByteBuffer(string: stanza.text))
        #expect(again.text == stanza.text, sourceLocation: place)
        #expect(again == stanza, sourceLocation: place)
        #expect(again.elementCount == stanza.elementCount, sourceLocation: place)
        for index in 0..<again.elementCount where index < stanza.elementCount {
            let (left, right) = (again.element(at: index), stanza.element(at: index))
            #expect(left.name == right.name && left.depth == right.depth, sourceLocation: place)
            #expect(left.byteCount == right.byteCount, sourceLocation: place)
            #expect(left.contentBytes == right.contentBytes, sourceLocation: place)
        }
    }

    @Test func `without changes it is the same stanza`() throws {
        let stanza = try #require(read("<message to='b@b.example' from='a@a.example'><body>x</body></message>"))
        #expect(stanza.applying(StanzaEdits()).text == stanza.text)
    }

    @Test(
        arguments: [
            (
                [1],
                "<m:message to='b@b.example' from='a@a.example' xmlns:m='jabber:server'><m:body>x</m:body></m:message>",
                "<message to='b@b.example' from='a@a.example'/>"
            ),
            (
                [2], "<message to='b@b.example' from='a@a.example'><body>x</body><a xmlns='urn:a'><b/></a></message>",
                "<message to='b@b.example' from='a@a.example'><body>x</body></message>"
            ),
            (
                [3], "<message to='b@b.example' from='a@a.example'><body>x</body><a xmlns='urn:a'><b/></a></message>",
                "<message to='b@b.example' from='a@a.example'><body>x</body><a xmlns='urn:a'/></message>"
            ),
            (
                [3], "<message to='b@b.example' from='a@a.example'><body>x</body><a xmlns='urn:a'>t<b/></a></message>",
                "<message to='b@b.example' from='a@a.example'><body>x</body><a xmlns='urn:a'>t</a></message>"
            ),
            (
                [1, 3],
                "<message to='b@b.example' from='a@a.example'><a xmlns='urn:a'/>]]<b xmlns='urn:b'/>]<c xmlns='urn:c'/>&gt;</message>",
                "<message to='b@b.example' from='a@a.example'>]]<b xmlns='urn:b'/>]></message>"
            ),
            (
                [1], "<message to='b@b.example' from='a@a.example'>]]<a xmlns='urn:a'/>></message>",
                "<message to='b@b.example' from='a@a.example'>]]&gt;</message>"
            ),
            (
                [1, 2],
                "<message to='b@b.example' from='a@a.example'>]<a xmlns='urn:a'/>]<a xmlns='urn:a'/>>></message>",
                "<message to='b@b.example' from='a@a.example'>]]&gt;></message>"
            ),
            (
                [1], "<message to='b@b.example' from='a@a.example'> <a xmlns='urn:a'/>\n</message>",
                "<message to='b@b.example' from='a@a.example'> \n</message>"
            ),
        ] as [([Int], String, String)]) func `removing leaves canonical bytes`(
            places: [Int], xml: String, expected: String
        ) throws
    {
        let stanza = try removing(places, from: xml)
        #expect(stanza.text == expected)
        try expectCanonical(stanza)
    }

    @Test func `a label keeps its prefixes when its neighbours go`() throws {
        let label =
            "<s:securitylabel xmlns:s='urn:xmpp:sec-label:0' xmlns:t='urn:t'><s:label><t:v q='t:x'>1</t:v></s:label></s:securitylabel>"
        let stanza = try removing(
            [1, 5],
            from: "<message to='b@b.example' from='a@a.example'><a xmlns='urn:a'/>\(label)<b xmlns='urn:b'/></message>")
        #expect(stanza.text == "<message to='b@b.example' from='a@a.example'>\(label)</message>")
        try expectCanonical(stanza)
    }

    @Test func `addresses, id and language survive`() throws {
        let stanza = try removing(
            [1],
            from:
                "<message to='B@b.example/r' from='a@a.example' id='7' type='chat' xml:lang='de'><a xmlns='urn:a'/><body>x</body></message>"
        )
        #expect(stanza.to == JID("b@b.example/r") && stanza.from == JID("a@a.example"))
        #expect(stanza.id == "7" && stanza.language == "de" && stanza.type == .chat && stanza.kind == .message)
        #expect(stanza.hasChild(.body))
    }

    @Test func `text is replaced and escaped`() throws {
        let stanza = try #require(
            read("<message to='b@b.example' from='a@a.example'><body>x<z xmlns='urn:z'/></body><body/></message>"))
        var edits = StanzaEdits()
        edits.texts = [(1, "a<&]]>"), (3, "y")]
        let edited = stanza.applying(edits)
        #expect(
            edited.text
                == "<message to='b@b.example' from='a@a.example'><body>a&lt;&amp;]]&gt;</body><body>y</body></message>")
        try expectCanonical(edited)
        edits.texts = [(1, "")]
        let emptied = stanza.applying(edits)
        #expect(emptied.text == "<message to='b@b.example' from='a@a.example'><body/><body/></message>")
        try expectCanonical(emptied)
    }

    @Test func `a leaf comes first`() throws {
        let muc = "http://jabber.org/protocol/muc"
        let leaf = StanzaEdits.Leaf(
            name: "history", namespace: muc, attributes: [("seconds", "5"), ("maxstanzas", "'3")])
        for (content, rest) in [("/>", "</x>"), ("><password>p</password></x>", "<password>p</password></x>")] {
            let stanza = try #require(
                read("<presence to='r@b.example/n' from='a@a.example/r'><x xmlns='\(muc)'\(content)</presence>"))
            var edits = StanzaEdits()
            edits.leaves = [(1, leaf)]
            let edited = stanza.applying(edits)
            #expect(
                edited.text == "<presence to='r@b.example/n' from='a@a.example/r'><x xmlns='\(muc)'>"
                    + "<history maxstanzas='&apos;3' seconds='5'/>\(rest)</presence>")
            try expectCanonical(edited)
        }
    }

    @Test func `any removal of any stanza reads back to the same bytes`() throws {
        for seed in UInt64(1)...400 {
            var random = SeededGenerator(seed: seed)
            var xml = "<message to='b@b.example' from='a@a.example' id='1'>"
            func content(_ depth: Int) {
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    xml +=
                        ["", "]", "]]", "&gt;", "]]&gt;", "x&amp;", "é", " ", "&#13;"].randomElement(using: &random)
                        ?? ""
                    let name = ["a", "p:b", "c", "s:label"].randomElement(using: &random) ?? "a"
                    let space =
                        ["", " xmlns='urn:x'", " xmlns='urn:y'", " z:k='1'"].randomElement(using: &random) ?? ""
                    xml += "<\(name)\(space) xmlns:p='urn:p' xmlns:s='urn:xmpp:sec-label:0' xmlns:z='urn:z'>"
                    if depth < 4 { content(depth + 1) }
                    xml += "</\(name)>"
                    xml +=
                        ["", ">", "]>", "]", "&lt;"].randomElement(using: &random).map {
                            $0.replacing(">", with: "&gt;")
                        } ?? ""
                }
            }
            content(1)
            xml += "</message>"
            let stanza = try #require(read(xml), "seed \(seed)")
            var edits = StanzaEdits()
            // Every other time only whole children, which go the short way.
            for index in 1..<max(stanza.elementCount, 1) where Bool.random(using: &random) {
                if seed % 2 == 0 || stanza.element(at: index).depth == 1 { edits.removed.insert(index) }
            }
            let edited = stanza.applying(edits)
            let again = try StanzaReader().read(ByteBuffer(string: edited.text))
            #expect(again == edited && again.elementCount == edited.elementCount, "seed \(seed)")
            for index in 0..<min(again.elementCount, edited.elementCount) {
                let (left, right) = (again.element(at: index), edited.element(at: index))
                #expect(
                    left.name == right.name && left.depth == right.depth && left.byteCount == right.byteCount
                        && left.contentBytes == right.contentBytes, "seed \(seed)")
            }
        }
    }

    @Test func `a set holds places beyond sixty-four`() {
        var set = ElementSet()
        #expect(set.isEmpty)
        for place in [0, 63, 64, 8_000] { set.insert(place) }
        let found = (0..<9_000).filter { set.contains($0) }
        #expect(found == [0, 63, 64, 8_000] && !set.isEmpty)
    }

    @Test func `domains match patterns without a copy`() throws {
        let stanza = try #require(read("<message to='b@x.hq.example' from='hq.example'/>"))
        let (wild, exact) = (try #require(DomainPattern("*.hq.example")), try #require(DomainPattern("hq.example")))
        #expect(stanza.toDomainMatches(wild) && !stanza.fromDomainMatches(wild))
        #expect(!stanza.toDomainMatches(exact) && stanza.fromDomainMatches(exact))
        let near = try #require(read("<message to='b@xhq.example' from='a@.hq.example'/>"))
        #expect(!near.toDomainMatches(wild) && !near.fromDomainMatches(wild))
        #expect(!stanza.toHasResource && !stanza.fromHasResource)
    }

    @Test func `names outside the vocabulary are told by their bytes`() throws {
        let stanza = try #require(
            read(
                "<message to='b@b.example' from='a@a.example'><q xmlns='urn:a&amp;b'/><body/><s:x xmlns:s='urn:xmpp:sec-label:0'/></message>"
            ))
        let namespace = XMLEscape.attribute("urn:a&b")
        #expect(
            stanza.child(at: 1, isNamed: "q", inEscaped: namespace)
                && stanza.child(at: 1, isNamed: nil, inEscaped: namespace))
        #expect(
            !stanza.child(at: 1, isNamed: "r", inEscaped: namespace)
                && !stanza.child(at: 1, isNamed: "q", inEscaped: "urn:a"))
        #expect(!stanza.child(at: 2, isNamed: "body", inEscaped: "jabber:server"))
        #expect(!stanza.keepsPrefix(at: 1) && stanza.keepsPrefix(at: 3))
    }
}
