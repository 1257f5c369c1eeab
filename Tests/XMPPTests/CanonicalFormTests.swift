import NIOCore
import Testing
import XMPP

/// A stanza as a server may write it, and the one form in which it leaves.
struct CanonicalFixture: Sendable, CustomTestStringConvertible {
    let name: String
    let input: String
    let expected: String
    var testDescription: String { self.name }
}

@Suite struct CanonicalFormTests {
    static let fixtures = [
        CanonicalFixture(
            name: "the stanza's own attributes have one order, others are sorted",
            input: "<message zeta=\"1\" id='7' type='chat' from='a@a.example/r' alpha='2' to='b@b.example'><body>hi</body></message>",
            expected:
                "<message to='b@b.example' from='a@a.example/r' type='chat' id='7' alpha='2' zeta='1'><body>hi</body></message>"),
        CanonicalFixture(
            name: "prefixes become default namespaces, declared where they change",
            input: "<iq to='b.example' from='a.example' type='get' id='1' xmlns:p='urn:p'><p:q><p:r/><s xmlns='urn:s'/></p:q></iq>",
            expected:
                "<iq to='b.example' from='a.example' type='get' id='1'><q xmlns='urn:p'><r/><s xmlns='urn:s'/></q></iq>"),
        CanonicalFixture(
            name: "a redundant declaration goes",
            input: "<message xmlns='jabber:server' to='b@b.example' from='a@a.example'><x xmlns='urn:x'><y xmlns='urn:x'/></x></message>",
            expected: "<message to='b@b.example' from='a@a.example'><x xmlns='urn:x'><y/></x></message>"),
        CanonicalFixture(
            name: "an element without namespace says so",
            input: "<message to='b@b.example' from='a@a.example'><x xmlns=''/></message>",
            expected: "<message to='b@b.example' from='a@a.example'><x xmlns=''/></message>"),
        CanonicalFixture(
            name: "CDATA, character references and entities become text",
            input: "<message to='b@b.example' from='a@a.example'><body><![CDATA[<&]]>&#x41;&quot;&apos;&gt;</body></message>",
            expected: "<message to='b@b.example' from='a@a.example'><body>&lt;&amp;A\"'></body></message>"),
        CanonicalFixture(
            name: "a bracket pair keeps its greater-than escaped",
            input: "<message to='b@b.example' from='a@a.example'><body>]]&gt;</body></message>",
            expected: "<message to='b@b.example' from='a@a.example'><body>]]&gt;</body></message>"),
        CanonicalFixture(
            name: "white space in attribute values survives a second parser",
            input: "<message to='b@b.example' from='a@a.example' id=\"a&#9;b&#10;c&#13;d'e\"/>",
            expected: "<message to='b@b.example' from='a@a.example' id='a&#9;b&#10;c&#13;d&apos;e'/>"),
        CanonicalFixture(
            name: "addresses are folded, resources are not",
            input: "<message to='Bob@B.Example./Ab/C@d' from='A.EXAMPLE'/>",
            expected: "<message to='bob@b.example/Ab/C@d' from='a.example'/>"),
        CanonicalFixture(
            name: "addresses outside ASCII are folded too",
            input: "<message to='ÄRA@Bücher.Example/Ö' from='a.example'/>",
            expected: "<message to='ära@bücher.example/Ö' from='a.example'/>"),
        CanonicalFixture(
            name: "empty elements have one spelling",
            input: "<presence to='b@b.example' from='a@a.example/r'><show></show></presence>",
            expected: "<presence to='b@b.example' from='a@a.example/r'><show/></presence>"),
        CanonicalFixture(
            name: "an attribute in a namespace keeps its prefix and declares it",
            input: "<message to='b@b.example' from='a@a.example' xmlns:z='urn:z'><x xmlns='urn:x' z:k='1' a='2'/></message>",
            expected: "<message to='b@b.example' from='a@a.example'><x xmlns='urn:x' a='2' xmlns:z='urn:z' z:k='1'/></message>"),
        CanonicalFixture(
            name: "a security label keeps prefixes, and those of names in its content",
            input:
                "<message to='b@b.example' from='a@a.example' xmlns:xsi='urn:xsi'><s:securitylabel xmlns:s='urn:xmpp:sec-label:0' xmlns:t='urn:t'><s:label><t:v xsi:type='t:code'>1</t:v></s:label></s:securitylabel><n:after xmlns:n='urn:n'/></message>",
            expected:
                "<message to='b@b.example' from='a@a.example'><s:securitylabel xmlns:s='urn:xmpp:sec-label:0' xmlns:t='urn:t' xmlns:xsi='urn:xsi'><s:label><t:v xsi:type='t:code'>1</t:v></s:label></s:securitylabel><after xmlns='urn:n'/></message>"
        ),
        CanonicalFixture(
            name: "a forwarded stanza keeps its own namespace",
            input:
                "<message to='b@b.example' from='a@a.example'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' to='x'><body>b</body></message></forwarded></message>",
            expected:
                "<message to='b@b.example' from='a@a.example'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' to='x'><body>b</body></message></forwarded></message>"
        ),
    ]

    @Test(arguments: fixtures) func `a stanza leaves in one form`(_ fixture: CanonicalFixture) {
        #expect(canonical(fixture.input) == [fixture.expected])
    }

    @Test(arguments: fixtures) func `canonical form is a fixed point`(_ fixture: CanonicalFixture) {
        #expect(canonical(fixture.expected) == [fixture.expected])
    }

    @Test(arguments: fixtures) func `every split of the input gives the same`(_ fixture: CanonicalFixture) throws {
        let bytes = Array((fixture.input + " " + fixture.input).utf8)
        let whole = events(of: [bytes])
        #expect(whole.count == 2)
        for cut in 1..<bytes.count {
            try #require(events(of: [Array(bytes[..<cut]), Array(bytes[cut...])]) == whole)
        }
        #expect(events(of: bytes.map { [$0] }) == whole)
    }

    @Test func `a prefix bound only on the stream header does not leak`() throws {
        let found = events(
            of: header + "<message to='b@b.example' from='a@a.example'><db:x/></message>", root: .received)
        guard case .stanza(let stanza)? = found.last else {
            Issue.record("no stanza")
            return
        }
        #expect(
            stanza.text
                == "<message to='b@b.example' from='a@a.example' xml:lang='de'><x xmlns='jabber:server:dialback'/></message>")
    }

    @Test func `a label that uses the stream's prefixes is well-formed by itself`() {
        let label =
            "<s:securitylabel xmlns:s='urn:xmpp:sec-label:0'><db:a/><db:b db:k='1'><db:c/></db:b></s:securitylabel>"
        let found = events(
            of: header + "<message to='b@b.example' from='a@a.example'>\(label)</message>", root: .received)
        guard case .stanza(let stanza)? = found.last else {
            Issue.record("no stanza")
            return
        }
        let expected =
            "<message to='b@b.example' from='a@a.example' xml:lang='de'><s:securitylabel xmlns:s='urn:xmpp:sec-label:0'>"
            + "<db:a xmlns:db='jabber:server:dialback'/><db:b xmlns:db='jabber:server:dialback' db:k='1'>"
            + "<db:c xmlns:db='jabber:server:dialback'/></db:b></s:securitylabel></message>"
        #expect(stanza.text == expected)
        #expect(canonical(expected) == [expected])
    }

    @Test func `the stream's language becomes the stanza's, unless it has its own`() {
        let found = events(
            of: header + "<presence to='b@b.example' from='a@a.example'/><presence from='a@a.example' xml:lang='fr' to='b@b.example'/>",
            root: .received)
        let languages = found.compactMap { event -> String?? in
            if case .stanza(let stanza) = event { stanza.language } else { nil }
        }
        #expect(languages == ["de", "fr"])
    }

    @Test func `the index tells names, attributes, text and children`() throws {
        let stanza = try #require(
            read(
                "<iq to='b@b.example/r' from='a.example' type='set' id='&lt;1&gt;'><q xmlns='urn:q' k='v&apos;'>one<p/>two</q><r xmlns='urn:r'/></iq>"))
        #expect(stanza.kind == .iq && stanza.type == .set && stanza.isIQRequest && stanza.elementCount == 4)
        #expect(stanza.id == "<1>" && stanza.to == JID("b@b.example/r") && stanza.from == JID("a.example"))
        let query = try #require(stanza.root.firstChild("q", "urn:q"))
        #expect(query.attribute("k") == "v'" && query.text == "onetwo" && query.attribute("xmlns") == nil)
        #expect(query.children.map(\.name) == ["p"] && query.children.map(\.namespace) == ["urn:q"])
        #expect(stanza.root.children.map(\.name) == ["q", "r"] && stanza.root.namespace == "jabber:server")
    }

    @Test func `well-known names are told by their code`() throws {
        let stanza = try #require(
            read(
                "<presence to='b@b.example' from='room@muc.example/n'><x xmlns='http://jabber.org/protocol/muc#user'/><y><z xmlns='http://jabber.org/protocol/muc'/></y></presence>"
            ))
        #expect(stanza.hasChild(.mucUser) && !stanza.hasChild(.muc) && !stanza.hasChild(.body))
    }

    @Test func `a domain is compared by bytes and found by hash`() throws {
        let stanza = try #require(read("<message to='B@CONF.B.example/r' from='a@a.example'/>"))
        let domain = try #require(Domain("conf.b.EXAMPLE"))
        #expect(stanza.toDomainEquals(domain) && stanza.toDomainHash == domain.hash64 && stanza.toDomain == domain)
        #expect(!stanza.fromDomainEquals(domain))
        let other = try #require(read("<presence to='b@conf.b.example' from='A@a.example/x'/>"))
        #expect(other.pairHash == stanza.pairHash, "resources do not part a pair")
    }

    @Test func `a malformed address is told as missing and kept as it stands`() throws {
        for address in ["", "@b.example", "b@", "a b@c.example", "b@b.example/", "b@..example", "a@b@c", "x@b.example\u{7f}"] {
            let stanza = try #require(read("<message to='\(address)' from='a@a.example'/>"))
            #expect(stanza.to == nil && stanza.toDomain == nil && stanza.toDomainHash == 0, "\(address)")
            #expect(stanza.errorReply(.jidMalformed) == nil)
        }
    }

    @Test func `component streams give the same bytes`() {
        let found = events(
            of: "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1' from='c.example'><message to='b@b.example' from='a@c.example'><body>x</body></message>",
            root: .received)
        guard case .stanza(let stanza)? = found.last else {
            Issue.record("no stanza")
            return
        }
        #expect(stanza.text == "<message to='b@b.example' from='a@c.example'><body>x</body></message>")
        #expect(stanza.kind == .message && stanza.hasChild(.body))
    }
}
