@testable import LocalAnswers
import Testing
import XMPP

/// Whether a user is in a room under a nick (XEP-0410).
@Suite struct RoomPingTests {
    private static let own = "\(Examples.room)/romeo"
    private static let muc = "<x xmlns='http://jabber.org/protocol/muc'/>"

    private static func status(_ codes: [Int], nick: String? = nil) -> String {
        let item = "<item affiliation='none' role='participant'\(nick.map { " nick='\($0)'" } ?? "")/>"
        return
            "<x xmlns='http://jabber.org/protocol/muc#user'>\(item)\(codes.map { "<status code='\($0)'/>" }.joined())</x>"
    }

    private func ping(_ to: String = own, from: String = Examples.romeo) throws -> Stanza {
        try Examples.stanza("<iq from='\(from)' to='\(to)' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    }

    private func pong(_ to: String = Examples.romeo, from: String = own, error: String? = nil) throws -> Stanza {
        let payload =
            error.map { "<error type='cancel'><\($0) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" } ?? ""
        return try Examples.stanza(
            "<iq from='\(from)' to='\(to)' type='\(error == nil ? "result" : "error")' id='p'>\(payload)</iq>")
    }

    private func joined(_ answers: TestAnswers) throws {
        answers.local(try Examples.presence(Self.muc, from: Examples.romeo, to: Self.own))
        answers.remote(try Examples.presence(Self.status([110, 201]), from: Self.own, to: Examples.romeo))
    }

    @Test func `who joined is in until something says otherwise`() throws {
        let answers = TestAnswers()
        #expect(answers.roomPing(try ping()) == .unknown)
        answers.local(try Examples.presence(Self.muc, from: Examples.romeo, to: Self.own))
        // Not before the room says so.
        #expect(answers.roomPing(try ping()) == .unknown)
        answers.remote(try Examples.presence(Self.status([]), from: "\(Examples.room)/nurse", to: Examples.romeo))
        #expect(answers.roomPing(try ping()) == .unknown)
        answers.remote(try Examples.presence(Self.status([110]), from: Self.own, to: Examples.romeo))
        #expect(answers.roomPing(try ping()) == .own(try pong()))
        #expect(answers.roomPing(try ping("\(Examples.room)/nurse")) == .another)
        // Other sessions and other users are other occupants.
        #expect(answers.roomPing(try ping(from: "romeo@ship.example/bunk")) == .unknown)
        #expect(answers.roomPing(try ping(Examples.room)) == nil)
    }

    @Test func `a nick that the room gives or changes is the one that counts`() throws {
        let answers = TestAnswers()
        answers.local(try Examples.presence(Self.muc, from: Examples.romeo, to: Self.own))
        answers.remote(
            try Examples.presence(Self.status([110, 210]), from: "\(Examples.room)/Romeo M", to: Examples.romeo))
        #expect(
            answers.roomPing(try ping("\(Examples.room)/Romeo M")) == .own(try pong(from: "\(Examples.room)/Romeo M")))
        #expect(answers.roomPing(try ping()) == .another)
        answers.remote(
            try Examples.presence(
                Self.status([303, 110], nick: "r&apos;m"), from: "\(Examples.room)/Romeo M", to: Examples.romeo,
                type: "unavailable"))
        #expect(
            answers.roomPing(try ping("\(Examples.room)/r&apos;m")) == .own(try pong(from: "\(Examples.room)/r&apos;m"))
        )
        // A nick that he may not have leaves him where he is.
        answers.remote(
            try Examples.presence(
                "<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
                from: "\(Examples.room)/taken", to: Examples.romeo, type: "error"))
        #expect(answers.roomPing(try ping("\(Examples.room)/taken")) == .another)
    }

    static let ends: [(String, Bool, String)] = [
        ("he leaves", true, "<presence from='\(Examples.romeo)' to='\(own)' type='unavailable'/>"),
        (
            "his bridge leaves for him", true,
            "<presence from='\(Examples.romeo)' to='\(Examples.room)' type='unavailable'/>"
        ),
        ("he joins again", true, "<presence from='\(Examples.romeo)' to='\(own)'>\(muc)</presence>"),
        (
            "he is kicked", false,
            "<presence from='\(own)' to='\(Examples.romeo)' type='unavailable'>\(status([110, 307]))</presence>"
        ),
        ("he is lost", false, "<presence from='\(own)' to='\(Examples.romeo)' type='unavailable'/>"),
        (
            "the room is full", false,
            "<presence from='\(own)' to='\(Examples.romeo)' type='error'><error type='wait'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        ),
        (
            "the room takes nothing from him", false,
            "<message from='\(Examples.room)' to='\(Examples.romeo)' type='error'><error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ),
    ]

    @Test(arguments: ends)
    func `his place is unknown when`(what: String, isLocal: Bool, xml: String) throws {
        let answers = TestAnswers()
        try joined(answers)
        let stanza = try Examples.stanza(xml)
        if isLocal { answers.local(stanza) } else { answers.remote(stanza) }
        #expect(answers.roomPing(try ping()) == .unknown, "\(what)")
    }

    @Test func `others who leave do not take him along`() throws {
        let answers = TestAnswers()
        try joined(answers)
        answers.remote(
            try Examples.presence(
                Self.status([307]), from: "\(Examples.room)/nurse", to: Examples.romeo, type: "unavailable"))
        #expect(answers.roomPing(try ping()) == .own(try pong()))
    }

    @Test func `after stanzas may have been lost only the room's answer makes it certain again`() throws {
        let answers = TestAnswers()
        try joined(answers)
        answers.linkLostStanzas()
        #expect(answers.roomPing(try ping()) == .unknown)
        // Another occupant's answer says nothing of him.
        let nurse = "\(Examples.room)/nurse"
        answers.answered(try pong(from: nurse), to: try ping(nurse))
        #expect(answers.roomPing(try ping()) == .unknown)
        answers.answered(try pong(), to: try ping())
        #expect(answers.roomPing(try ping()) == .own(try pong()))
    }

    @Test(arguments: [
        ("not-acceptable", false), ("not-allowed", false), ("item-not-found", true), ("service-unavailable", true),
        ("remote-server-timeout", true),
    ])
    func `an error to his ping ends his place where a client would join again`(condition: String, stays: Bool) throws {
        let answers = TestAnswers()
        try joined(answers)
        answers.answered(try pong(error: condition), to: try ping())
        #expect(answers.roomPing(try ping()) == (stays ? .own(try pong()) : .unknown))
    }

    @Test("peers d16: nobody who is no room he joined makes him an occupant of himself")
    func spoofedRoom() throws {
        let answers = TestAnswers()
        answers.remote(try Examples.presence(Self.status([110]), from: Examples.juliet, to: Examples.romeo))
        answers.answered(
            try pong(from: Examples.juliet), to: try ping(Examples.juliet))
        #expect(answers.roomPing(try ping(Examples.juliet)) == .unknown)
    }

    @Test func `places are bounded`() throws {
        var limits = LocalAnswerLimits()
        limits.roomPlaces = 4
        let answers = TestAnswers(limits: limits)
        for number in 0..<100 {
            answers.local(
                try Examples.presence(Self.muc, from: Examples.romeo, to: "r\(number)@conference.shore.example/romeo"))
            #expect(answers.status.roomPlaces <= 4)
        }
    }
}
