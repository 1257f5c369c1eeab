@testable import LocalAnswers
import Testing
import XMPP

/// Who gets which answer about whom.
@Suite struct DiscoAnswerTests {
    /// Romeo was told Juliet's abilities, and a result for them crossed.
    private func known(_ limits: LocalAnswerLimits = LocalAnswerLimits()) throws -> TestAnswers {
        let answers = TestAnswers(subjects: [.discoInfo, .vCards], limits: limits)
        answers.remote(try Examples.presence(Examples.caps()))
        let node = "\(Examples.exodusNode)#\(Examples.exodusHash)"
        answers.exchange(try Examples.discoRequest(node: node), try Examples.discoResult(Examples.exodus, node: node))
        return answers
    }

    @Test func `what was asked once is answered to every user who was told the same abilities`() throws {
        let answers = try known()
        let node = "\(Examples.exodusNode)#\(Examples.exodusHash)"
        for asked in [nil, node] {
            let request = try Examples.discoRequest(node: asked, id: "x")
            #expect(
                answers.discoInfo(for: request) == (try Examples.discoResult(Examples.exodus, node: asked, id: "x")))
        }
        let other = "nurse@shore.example/kitchen"
        answers.remote(try Examples.presence(Examples.caps(), from: other, to: "mercutio@ship.example"))
        let request = try Examples.discoRequest(from: Examples.mercutio, to: other)
        let expected = try Examples.discoResult(Examples.exodus, from: other, to: Examples.mercutio)
        #expect(answers.discoInfo(for: request) == expected)
        #expect(answers.status.discoAnswers == 3)
    }

    @Test func `a user who was never told of somebody's presence gets no answer about him`() throws {
        let answers = try known()
        #expect(answers.discoInfo(for: try Examples.discoRequest(from: Examples.mercutio)) == nil)
        // Nor with the node, which anybody can know, nor by an address that differs in the resource.
        let node = "\(Examples.exodusNode)#\(Examples.exodusHash)"
        #expect(answers.discoInfo(for: try Examples.discoRequest(node: node, from: Examples.mercutio)) == nil)
        #expect(answers.discoInfo(for: try Examples.discoRequest(node: node, to: "juliet@shore.example/other")) == nil)
        #expect(answers.discoInfo(for: try Examples.discoRequest(node: node, to: "juliet@shore.example")) == nil)
    }

    @Test func `presence to one resource is no knowledge of another one`() throws {
        let answers = try known()
        let other = "tybalt@shore.example/hall"
        answers.remote(try Examples.presence(Examples.caps(), from: other, to: Examples.romeo))
        #expect(answers.discoInfo(for: try Examples.discoRequest(to: other)) != nil)
        #expect(answers.discoInfo(for: try Examples.discoRequest(from: "romeo@ship.example/bunk", to: other)) == nil)
        #expect(answers.discoInfo(for: try Examples.discoRequest(from: "romeo@ship.example", to: other)) == nil)
    }

    static let endings: [(String, [String])] = [
        ("went offline", ["<presence from='\(Examples.juliet)' to='romeo@ship.example' type='unavailable'/>"]),
        (
            "went offline, says his server",
            ["<presence from='juliet@shore.example' to='romeo@ship.example' type='unavailable'/>"]
        ),
        (
            "told other abilities",
            [
                "<presence from='\(Examples.juliet)' to='romeo@ship.example'>\(Examples.caps(Examples.psiHash))</presence>"
            ]
        ),
        ("told none", ["<presence from='\(Examples.juliet)' to='romeo@ship.example'/>"]),
        ("told none to this resource", ["<presence from='\(Examples.juliet)' to='\(Examples.romeo)'/>"]),
        (
            "went offline for this resource",
            ["<presence from='\(Examples.juliet)' to='\(Examples.romeo)' type='unavailable'/>"]
        ),
        (
            "took his presence back",
            ["<presence from='juliet@shore.example' to='romeo@ship.example' type='unsubscribed'/>"]
        ),
        ("could not be reached", ["<presence from='juliet@shore.example' to='romeo@ship.example' type='error'/>"]),
        (
            "told two",
            [
                "<presence from='\(Examples.juliet)' to='romeo@ship.example'>\(Examples.caps())\(Examples.caps(Examples.psiHash))</presence>"
            ]
        ),
        (
            "told a hash that nobody can compute",
            [
                "<presence from='\(Examples.juliet)' to='romeo@ship.example'>\(Examples.caps(algorithm: "sha-512"))</presence>"
            ]
        ),
    ]

    @Test(arguments: endings)
    func `only the last presence counts`(what: String, stanzas: [String]) throws {
        let answers = try known()
        #expect(answers.discoInfo(for: try Examples.discoRequest()) != nil)
        for xml in stanzas { answers.remote(try Examples.stanza(xml)) }
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == nil, "\(what)")
        // Back as before.
        answers.remote(try Examples.presence(Examples.caps()))
        #expect(answers.discoInfo(for: try Examples.discoRequest()) != nil, "\(what)")
    }

    @Test func `whoever ends his subscription or leaves the room is answered no more`() throws {
        let answers = try known()
        answers.local(
            try Examples.stanza("<presence from='romeo@ship.example' to='juliet@shore.example' type='unsubscribe'/>"))
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == nil)

        let nurse = "\(Examples.room)/nurse"
        answers.remote(try Examples.presence(Examples.caps(), from: nurse, to: Examples.romeo))
        #expect(answers.discoInfo(for: try Examples.discoRequest(to: nurse)) != nil)
        answers.local(try Examples.presence(from: Examples.romeo, to: "\(Examples.room)/romeo", type: "unavailable"))
        #expect(answers.discoInfo(for: try Examples.discoRequest(to: nurse)) == nil)
    }

    @Test func `other nodes, and requests with more in them, are not answered`() throws {
        let answers = try known()
        for node in ["x", "\(Examples.exodusNode)#csn", "#\(Examples.exodusHash)", Examples.exodusNode] {
            #expect(answers.discoInfo(for: try Examples.discoRequest(node: node)) == nil)
        }
        let labelled =
            "<iq from='\(Examples.romeo)' to='\(Examples.juliet)' type='get' id='l'><query xmlns='http://jabber.org/protocol/disco#info'/><securitylabel xmlns='urn:xmpp:sec-label:0'/></iq>"
        #expect(answers.discoInfo(for: try Examples.stanza(labelled)) == nil)
        let set =
            "<iq from='\(Examples.romeo)' to='\(Examples.juliet)' type='set' id='l'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        #expect(answers.discoInfo(for: try Examples.stanza(set)) == nil)
    }

    // MARK: Poison

    static let forgeries: [(String, String, String)] = [
        ("another result", Examples.exodusHash, Examples.psi),
        ("a feature more", Examples.exodusHash, Examples.exodus + "<feature var='urn:evil'/>"),
        ("a hash of one's own", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", Examples.exodus),
        (
            "a form beside it that is not hashed", Examples.exodusHash,
            Examples.exodus + "<x xmlns='jabber:x:data' type='result'/>"
        ),
        ("nothing", Examples.exodusHash, ""),
    ]

    @Test("peers d16: a result without the hash that was announced is not remembered", arguments: forgeries)
    func forgery(what: String, hash: String, content: String) throws {
        let answers = TestAnswers(subjects: .discoInfo)
        answers.remote(try Examples.presence(Examples.caps(hash)))
        let node = "\(Examples.exodusNode)#\(hash)"
        for asked in [nil, node] {
            answers.exchange(try Examples.discoRequest(node: asked), try Examples.discoResult(content, node: asked))
            #expect(answers.discoInfo(for: try Examples.discoRequest()) == nil, "\(what)")
        }
        #expect(answers.status.unverified == 2)
    }

    @Test("peers d16: a forged result cannot take the place of a good one, whoever sends it")
    func replacement() throws {
        let answers = try known()
        let evil = "evil@shore.example/x"
        answers.remote(try Examples.presence(Examples.caps(), from: evil, to: "romeo@ship.example"))
        let node = "\(Examples.exodusNode)#\(Examples.exodusHash)"
        answers.exchange(
            try Examples.discoRequest(node: node, to: evil),
            try Examples.discoResult(Examples.exodus + "<feature var='urn:evil'/>", node: node, from: evil))
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == (try Examples.discoResult(Examples.exodus)))
    }

    @Test func `an error or a result with more in it is not remembered`() throws {
        let answers = TestAnswers(subjects: .discoInfo)
        answers.remote(try Examples.presence(Examples.caps()))
        let text = try Examples.discoResult(Examples.exodus).text
        answers.exchange(
            try Examples.discoRequest(), try Examples.stanza(text.replacing("type='result'", with: "type='error'")))
        answers.exchange(
            try Examples.discoRequest(),
            try Examples.stanza(text.replacing("</iq>", with: "<securitylabel xmlns='urn:xmpp:sec-label:0'/></iq>")))
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == nil)
    }

    @Test func `a result is learnt by the node alone, from either side, and of use only to who was told`() throws {
        let answers = TestAnswers(subjects: .discoInfo)
        // The peer's user asks ours.
        let node = "\(Examples.psiNode)#\(Examples.psiHash)"
        answers.answered(
            try Examples.discoResult(Examples.psi, node: node, from: Examples.romeo, to: Examples.juliet),
            to: try Examples.discoRequest(node: node, from: Examples.juliet, to: Examples.romeo))
        #expect(answers.status.discoResults == 1)
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == nil)
        answers.remote(try Examples.presence(Examples.caps(Examples.psiHash, node: Examples.psiNode)))
        let answer = try #require(answers.discoInfo(for: try Examples.discoRequest()))
        #expect(DiscoInfo(answer)?.hash(.sha1).value == Examples.psiHash)
    }

    @Test func `SHA-256 does as well`() throws {
        let answers = TestAnswers(subjects: .discoInfo)
        answers.remote(try Examples.presence(Examples.caps(Examples.exodusHash256, algorithm: "sha-256")))
        answers.exchange(try Examples.discoRequest(), try Examples.discoResult(Examples.exodus))
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == (try Examples.discoResult(Examples.exodus)))
    }

    // MARK: Bounds

    @Test func `a thousand made-up contacts and results leave a bounded memory`() throws {
        var limits = LocalAnswerLimits()
        limits.discoResults = 4
        limits.contactResources = 16
        limits.resourcesPerContact = 3
        let answers = TestAnswers(subjects: .discoInfo, limits: limits)
        for number in 0..<1_000 {
            let content = "<identity category='client' type='pc' name='n\(number)'/>"
            let info = try #require(DiscoInfo(try Examples.discoResult(content)))
            let contact = "c\(number / 5)@shore.example/r\(number % 5)"
            answers.remote(try Examples.presence(Examples.caps(info.hash(.sha1).value), from: contact))
            answers.exchange(try Examples.discoRequest(to: contact), try Examples.discoResult(content, from: contact))
            let status = answers.status
            #expect(status.discoResults <= 4 && status.contacts <= 16)
            // The first three resources of a contact are remembered, more are not.
            #expect((answers.discoInfo(for: try Examples.discoRequest(to: contact)) != nil) == (number % 5 < 3))
        }
    }

    @Test func `what other rules do not want is forgotten`() throws {
        let answers = try known()
        answers.rulesChanged([])
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == nil)
        answers.rulesChanged(.discoInfo)
        #expect(answers.discoInfo(for: try Examples.discoRequest()) == nil)
        #expect(answers.status.discoResults == 0)
    }
}
