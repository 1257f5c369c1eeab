@testable import LocalAnswers
import Testing
import TestSupport
import XMPP

/// The hash of XEP-0115, and what has none.
@Suite struct DiscoInfoTests {
    @Test func `the simple example of XEP-0115 §5_2 has its hash, with both algorithms`() throws {
        let info = try #require(DiscoInfo(try Examples.discoResult(Examples.exodus)))
        #expect(info.hash(.sha1).value == Examples.exodusHash)
        #expect(info.hash(.sha256).value == Examples.exodusHash256)
    }

    @Test func `the complex example of XEP-0115 §5_3 has its hash`() throws {
        let info = try #require(DiscoInfo(try Examples.discoResult(Examples.psi)))
        #expect(info.hash(.sha1).value == Examples.psiHash)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the order in which a client writes does not matter`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var parts = Examples.features.map { "<feature var='\($0)'/>" }
        parts += [
            "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>",
            "<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>", Examples.psiForm,
        ]
        parts.shuffle(using: &generator)
        let info = try #require(DiscoInfo(try Examples.discoResult(parts.joined())))
        #expect(info.hash(.sha1).value == Examples.psiHash)
    }

    @Test func `an answer holds what the hash covers, and has it again`() throws {
        let info = try #require(DiscoInfo(try Examples.discoResult(Examples.psi)))
        let request = try Examples.discoRequest(node: "n#v", id: "a&apos;&lt;")
        let answer = try #require(info.answer(to: request, node: "n#v"))
        #expect(
            answer.to == request.from && answer.from == request.to && answer.id == request.id && answer.type == .result)
        #expect(answer.root.children.map { $0.attribute("node") } == ["n#v"])
        #expect(DiscoInfo(answer) == info)
        // Canonical: it reads to the same bytes.
        #expect(try StanzaText.read(answer.text) == answer)
    }

    static let unverifiable: [(String, String)] = [
        ("no identity", Examples.featureXML),
        ("two equal identities", Examples.exodus + "<identity category='client' name='Exodus 0.9.1' type='pc'/>"),
        ("two equal features", Examples.exodus + "<feature var='http://jabber.org/protocol/muc'/>"),
        ("two forms of one type", Examples.psi + Examples.psiForm),
        (
            "a form without type",
            Examples.exodus + "<x xmlns='jabber:x:data' type='result'><field var='os'><value>Mac</value></field></x>"
        ),
        (
            "a type that is not hidden",
            Examples.psiIdentities + Examples.featureXML + Examples.psiForm.replacing(" type='hidden'", with: "")
        ),
        (
            "a type of two values",
            Examples.exodus
                + "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>a</value><value>b</value></field></x>"
        ),
        (
            "two types",
            Examples.exodus
                + "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>a</value></field><field var='FORM_TYPE' type='hidden'><value>b</value></field></x>"
        ),
        ("a form that asks", Examples.psiIdentities + Examples.psiForm.replacing("type='result'", with: "type='form'")),
        (
            "a field twice",
            Examples.exodus
                + "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>a</value></field><field var='b'><value>1</value></field><field var='b'><value>2</value></field></x>"
        ),
        ("what the hash does not cover", Examples.exodus + "<set xmlns='http://jabber.org/protocol/rsm'/>"),
        (
            "what a form's hash does not cover",
            Examples.psiIdentities
                + Examples.psiForm.replacing("<field var='os'>", with: "<title>x</title><field var='os'>")
        ),
        ("a bracket in a feature", Examples.exodus + "<feature var='a&lt;b'/>"),
        ("a bracket in a name", "<identity category='client' type='pc' name='a&lt;b'/>"),
        ("a bracket in a value", Examples.psiIdentities + Examples.psiForm.replacing("Mac", with: "Mac&lt;x")),
        ("an identity without category", "<identity type='pc'/>"),
        ("an identity without type", "<identity category='client'/>"),
        ("a feature without name", Examples.exodus + "<feature/>"),
        ("an identity that could be a feature", "<identity category='http:' type='x' name='y'/>" + Examples.featureXML),
        ("a slash in a category", "<identity category='client/pc' type='x'/>"),
        (
            "a feature that could be an identity",
            "<identity category='a' type='b'/><feature var='client/pc//Exodus 0.9.1'/>"
        ),
        ("too large", Examples.exodus + (0..<600).map { "<feature var='urn:x:\($0)'/>" }.joined()),
    ]

    @Test(arguments: unverifiable)
    func `what cannot be verified without doubt is no result`(what: String, content: String) throws {
        #expect(DiscoInfo(try Examples.discoResult(content)) == nil, "\(what)")
    }

    /// Other ways to tell what has the same text.
    static let preimages: [(String, String)] = [
        (
            "features as a part of a name",
            "<identity category='client' type='pc' name='Exodus 0.9.1&lt;http://jabber.org/protocol/caps'/>"
                + Examples.features.dropFirst().map { "<feature var='\($0)'/>" }.joined()
        ),
        (
            "an identity as a feature",
            "<feature var='client/pc//Exodus 0.9.1'/>" + Examples.featureXML
        ),
        ("the last features as a form", hidden(first: 1, field: 2)),
        ("the last feature as a form without fields", hidden(first: 3, field: nil)),
        ("the last two features as a field without values", hidden(first: 2, field: 3)),
    ]

    /// The features of the example, the last of them in a form.
    private static func hidden(first: Int, field: Int?) -> String {
        let value = field.map { Examples.features.dropFirst($0 + 1).map { "<value>\($0)</value>" }.joined() } ?? ""
        let fields = field.map { "<field var='\(Examples.features[$0])'>\(value)</field>" } ?? ""
        return "<identity category='client' name='Exodus 0.9.1' type='pc'/>"
            + Examples.features.prefix(first).map { "<feature var='\($0)'/>" }.joined()
            + "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>\(Examples.features[first])</value>"
            + "</field>\(fields)</x>"
    }

    @Test("peers d16: texts that are joined alike do not pass for each other", arguments: preimages)
    func preimage(what: String, content: String) throws {
        #expect(DiscoInfo(try Examples.discoResult(content)) == nil, "\(what)")
    }

    @Test(arguments: ["vcard-temp", "iq", "muc_open", "urn:xmpp:time"])
    func `a field that could be a feature makes a result unfit, one that could not does not`(name: String) throws {
        func form(_ name: String) -> String {
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:a</value></field>"
                + "<field var='\(name)'><value>vcard-temp:x:update</value></field></x>"
        }
        #expect(DiscoInfo(try Examples.discoResult(Examples.exodus + form(name))) == nil)
        #expect(DiscoInfo(try Examples.discoResult(Examples.exodus + form("{urn:b}\(name)"))) != nil)
        #expect(DiscoInfo(try Examples.discoResult(Examples.exodus + "<feature var='{urn:b}\(name)'/>")) == nil)
    }
}

extension String {
    func replacing(_ part: String, with other: String) -> String {
        var text = self
        while let range = text.firstRange(of: part) { text.replaceSubrange(range, with: "\u{0}") }
        return text.split(separator: "\u{0}", omittingEmptySubsequences: false).joined(separator: other)
    }

    private func firstRange(of part: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(part) { return start..<index(start, offsetBy: part.count) }
            start = index(after: start)
        }
        return nil
    }
}
