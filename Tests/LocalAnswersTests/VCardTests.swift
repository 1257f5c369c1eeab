@testable import LocalAnswers
import NIOCore
import Testing
import TestSupport
import XMPP

/// vCards from the cache: their age, and what ends them.
@Suite struct VCardTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private static let day = TimeAmount.hours(24)

    private func known(_ content: String = "<FN>Juliet</FN>", _ before: [String] = []) throws -> TestAnswers {
        let answers = TestAnswers(subjects: .vCards)
        for payload in before { answers.remote(try Examples.presence(payload)) }
        answers.exchange(try Examples.vCardRequest(), try Examples.vCardResult(content), now: Self.start)
        return answers
    }

    private func isKnown(_ answers: TestAnswers) throws -> Bool {
        answers.vCard(for: try Examples.vCardRequest(), lifetime: Self.day, now: Self.start) != nil
    }

    @Test func `a card that crossed is given to every local user until its lifetime is over`() throws {
        let answers = try known()
        for (from, id) in [(Examples.romeo, "a"), (Examples.mercutio, "b&apos;&amp;")] {
            let request = try Examples.vCardRequest(from: from, id: id)
            let answer = try #require(
                answers.vCard(for: request, lifetime: Self.day, now: Self.start + Self.day - .seconds(1)))
            #expect(answer.to == request.from && answer.from == request.to && answer.id == request.id)
            #expect(answer.root.children.map(\.xml) == ["<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"])
            #expect(try StanzaText.read(answer.text) == answer)
        }
        let status = answers.status
        #expect(status.vCards == 1 && status.vCardAnswers == 2 && status.oldestVCard == Self.start)
        #expect(answers.vCard(for: try Examples.vCardRequest(), lifetime: Self.day, now: Self.start + Self.day) == nil)
        #expect(answers.status.vCards == 0)
    }

    @Test func `a lifetime of nothing is off, and a shorter one holds for what is kept already`() throws {
        let answers = try known()
        for lifetime in [nil, TimeAmount.zero] {
            #expect(answers.vCard(for: try Examples.vCardRequest(), lifetime: lifetime, now: Self.start) == nil)
        }
        #expect(
            answers.vCard(for: try Examples.vCardRequest(), lifetime: .minutes(5), now: Self.start + .minutes(5)) == nil
        )
    }

    static let noRequests: [String] = [
        "<iq from='\(Examples.romeo)' to='\(Examples.juliet)' type='get' id='v'><vCard xmlns='vcard-temp'/></iq>",
        "<iq from='\(Examples.romeo)' to='juliet@shore.example' type='set' id='v'><vCard xmlns='vcard-temp'/></iq>",
        "<iq from='\(Examples.romeo)' to='juliet@shore.example' type='get' id='v'><vCard xmlns='vcard-temp'/><x xmlns='y'/></iq>",
        "<iq from='\(Examples.romeo)' to='juliet@shore.example' type='get' id='v'><vCard xmlns='vcard-temp'><FN/></vCard></iq>",
    ]

    @Test(arguments: noRequests)
    func `only a plain request to a bare address is answered, and only its answer remembered`(xml: String) throws {
        let answers = try known()
        #expect(answers.vCard(for: try Examples.stanza(xml), lifetime: Self.day, now: Self.start) == nil)
        let fresh = TestAnswers(subjects: .vCards)
        let request = try Examples.stanza(xml)
        fresh.exchange(request, try Examples.vCardResult(from: request.toText), now: Self.start)
        #expect(fresh.status.vCards == 0)
    }

    static let noAnswers: [String] = [
        "<iq from='juliet@shore.example' to='\(Examples.romeo)' type='error' id='v1'><vCard xmlns='vcard-temp'><FN>J</FN></vCard><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        "<iq from='juliet@shore.example' to='\(Examples.romeo)' type='error' id='v1'><vCard xmlns='vcard-temp'/></iq>",
        "<iq from='juliet@shore.example' to='\(Examples.romeo)' type='result' id='v1'/>",
        "<iq from='juliet@shore.example' to='\(Examples.romeo)' type='result' id='v1'><vCard xmlns='vcard-temp'/><securitylabel xmlns='urn:xmpp:sec-label:0'/></iq>",
        "<iq from='evil@shore.example' to='\(Examples.romeo)' type='result' id='v1'><vCard xmlns='vcard-temp'><FN>E</FN></vCard></iq>",
        "<iq from='juliet@shore.example' to='\(Examples.romeo)' type='result' id='v1'><vCard xmlns='vcard-temp'><FN>\(String(repeating: "x", count: 20_000))</FN></vCard></iq>",
    ]

    @Test(arguments: noAnswers)
    func `errors, answers with more in them, of others, and large ones are not remembered`(xml: String) throws {
        let answers = TestAnswers(subjects: .vCards)
        answers.exchange(try Examples.vCardRequest(), try Examples.stanza(xml), now: Self.start)
        #expect(try !isKnown(answers))
        #expect(answers.status.vCards == 0)
    }

    @Test func `what the profile wants asked, or who was not asked here, is not remembered`() throws {
        let answers = TestAnswers(subjects: .vCards)
        answers.answered(try Examples.vCardResult(), to: try Examples.vCardRequest())
        #expect(try !isKnown(answers))
    }

    @Test func `an error in answer to a later request ends what was known`() throws {
        let answers = try known()
        answers.exchange(try Examples.vCardRequest(), try Examples.stanza(Self.noAnswers[0]), now: Self.start)
        #expect(try !isKnown(answers))
    }

    // MARK: Photos

    @Test func `another photo ends a card, the same and silence do not`() throws {
        let answers = try known("<FN>J</FN>", [Examples.photoUpdate("aa")])
        for same in [Examples.photoUpdate("aa"), Examples.photoUpdate(nil), ""] {
            answers.remote(try Examples.presence(same))
            #expect(try isKnown(answers))
        }
        // Of somebody else's.
        answers.remote(try Examples.presence(Examples.photoUpdate("bb"), from: "nurse@shore.example/x"))
        #expect(try isKnown(answers))
        answers.remote(try Examples.presence(Examples.photoUpdate("bb"), to: "mercutio@ship.example"))
        #expect(try !isKnown(answers))
    }

    @Test(arguments: [
        (Examples.photo, Examples.photoHash, true), (Examples.photo, "", false), (Examples.photo, "aa", false),
        ("", "", true), ("", "aa", false),
    ])
    func `what is first heard after the card is compared with the photo in it`(photo: String, hash: String, stays: Bool)
        throws
    {
        let answers = try known("<FN>J</FN>" + photo)
        for _ in 0..<2 { answers.remote(try Examples.presence(Examples.photoUpdate(hash))) }
        #expect(try isKnown(answers) == stays)
    }

    @Test func `no photo any more ends a card`() throws {
        let answers = try known(Examples.photo, [Examples.photoUpdate(Examples.photoHash)])
        answers.remote(try Examples.presence(Examples.photoUpdate("")))
        #expect(try !isKnown(answers))
    }

    static let changes: [(String, Bool)] = [
        ("urn:xmpp:avatar:metadata", true), ("urn:xmpp:vcard4", true), ("urn:xmpp:avatar:data", true),
        ("urn:xmpp:mood", false),
    ]

    @Test(arguments: changes)
    func `published avatars and cards end what is known`(node: String, ends: Bool) throws {
        let answers = try known()
        answers.remote(
            try Examples.stanza(
                "<message from='juliet@shore.example' to='\(Examples.romeo)' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='\(node)'/></event></message>"
            ))
        #expect(try isKnown(answers) != ends)
    }

    @Test func `a room's card ends with its picture, and when a local user sets it`() throws {
        let request = try Examples.vCardRequest(to: Examples.room)
        let set = try Examples.vCardRequest(to: Examples.room, type: "set")
        let changed = try Examples.stanza(
            "<message from='\(Examples.room)' to='\(Examples.romeo)' type='groupchat'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>"
        )
        for end in 0...1 {
            let answers = TestAnswers(subjects: .vCards)
            answers.exchange(request, try Examples.vCardResult(from: Examples.room), now: Self.start)
            #expect(answers.vCard(for: request, lifetime: Self.day, now: Self.start) != nil)
            if end == 0 { answers.local(set) } else { answers.remote(changed) }
            #expect(answers.vCard(for: request, lifetime: Self.day, now: Self.start) == nil)
        }
    }

    @Test func `cards are bounded in number and bytes, and the least used goes first`() throws {
        var limits = LocalAnswerLimits()
        limits.vCards = 8
        limits.allVCardBytes = 4_000
        limits.photos = 8
        let answers = TestAnswers(subjects: .vCards, limits: limits)
        let favourite = try Examples.vCardRequest()
        answers.exchange(favourite, try Examples.vCardResult(), now: Self.start)
        for number in 0..<500 {
            let owner = "u\(number)@shore.example"
            answers.remote(try Examples.presence(Examples.photoUpdate("\(number)"), from: owner + "/r"))
            answers.exchange(
                try Examples.vCardRequest(to: owner),
                try Examples.vCardResult(String(repeating: "x", count: number), from: owner), now: Self.start)
            let status = answers.status
            #expect(status.vCards <= 8 && status.vCardBytes <= 4_000)
            #expect(answers.vCard(for: favourite, lifetime: Self.day, now: Self.start) != nil)
        }
    }

    @Test func `other rules forget the cards, since they may leave other parts of them`() throws {
        let answers = try known()
        answers.rulesChanged(.vCards)
        #expect(try !isKnown(answers))
    }
}
