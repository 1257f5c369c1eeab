import IdentifierFolding
import Outbox
import TestSupport
import Testing
import XMPP

@Suite struct JournalTests {
    private static func message(_ id: String, from: String = "alice@a.example/r", to: String = "bob@b.example") throws
        -> Stanza
    {
        try stanza("<message from='\(from)' to='\(to)' type='chat' id='\(id)'><body>x</body></message>")
    }

    private func restored(
        _ token: String, at end: FolderEnd, from: String = "bob@b.example/q", to: String = "alice@a.example"
    ) throws -> String? {
        try end.inbound(
            stanza("<message from='\(from)' to='\(to)'><received xmlns='urn:xmpp:receipts' id='\(token)'/></message>")
        )
        .idIn("received")
    }

    @Test func `tokens live through a restart`() throws {
        let end = FolderEnd(isHighSide: true)
        let ids = (0..<200).map { "a-message-of-alice-\($0)" }
        let tokens = try ids.map { try #require(end.outbound(Self.message($0)).id) }
        let request = try #require(
            end.outbound(
                stanza("<iq from='alice@a.example/r' to='b.example' type='get' id='a-request-0001'><q xmlns='q'/></iq>")
            ).id)
        end.restart()
        for (id, token) in zip(ids, tokens) {
            #expect(try restored(token, at: end) == id)
            #expect(try end.outbound(Self.message(id)).id == token)
        }
        #expect(
            try end.inbound(stanza("<iq from='b.example' to='alice@a.example/r' type='result' id='\(request)'/>")).id
                == "a-request-0001")
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `no token is given twice, whatever happens`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let end = FolderEnd(
            isHighSide: false, limits: IdentifierLimits(tokens: 50, tokensPerOwner: 20, foreign: 5), seed: random.next()
        )
        var given: Set<String> = []
        for number in 0..<4_000 {
            let user = Int.random(in: 0..<4, using: &random)
            let token = try #require(
                end.outbound(Self.message("message-number-\(number)", from: "u\(user)@a.example")).id)
            #expect(given.insert(token).inserted, "seed \(seed)")
            switch Int.random(in: 0..<200, using: &random) {
            case 0: end.restart()
            case 1: end.restart(needsNewEpoch: true, seed: random.next())
            default: break
            }
            #expect(end.count <= 50 && end.journal.rows(.identifiers) == end.count)
        }
    }

    @Test func `what is forgotten keeps its token for good`() throws {
        let end = FolderEnd(isHighSide: false, limits: IdentifierLimits(tokens: 20, tokensPerOwner: 10, foreign: 5))
        let old = try #require(end.outbound(Self.message("the-first-message")).id)
        for number in 0..<10 { _ = try end.outbound(Self.message("another-message-\(number)")) }
        #expect(end.counters.evicted == 1 && end.count == 10)
        #expect(try restored(old, at: end) == old)
        let correction = "<replace xmlns='urn:xmpp:message-correct:0' id='the-first-message'/>"
        let out = try end.outbound(
            stanza("<message from='alice@a.example/r' to='bob@b.example' id='c'>\(correction)</message>"))
        #expect(out.idIn("replace") == "the-first-message", "unknown to bob, which is what a late correction is")
        let again = try #require(end.outbound(Self.message("the-first-message")).id)
        #expect(again != old)
        #expect(try restored(old, at: end) == old)
        #expect(try restored(again, at: end) == "the-first-message")
    }

    @Test func `nobody makes the others' tokens be forgotten`() throws {
        let end = FolderEnd(isHighSide: false, limits: IdentifierLimits(tokens: 100, tokensPerOwner: 20, foreign: 5))
        let tokens = try (0..<20).map { try #require(end.outbound(Self.message("message-of-alice-\($0)")).id) }
        for number in 0..<5_000 {
            _ = try end.outbound(
                Self.message(
                    "message-of-mallory-\(number)", from: "mallory@a.example/\(number)", to: "u\(number)@b.example"))
        }
        #expect(end.count == 40 && end.journal.rows(.identifiers) == 40)
        for (number, token) in tokens.enumerated() {
            #expect(try restored(token, at: end) == "message-of-alice-\(number)")
        }
    }

    @Test func `what is used is not forgotten`() throws {
        let end = FolderEnd(isHighSide: false, limits: IdentifierLimits(tokens: 40, tokensPerOwner: 20, foreign: 5))
        let first = try #require(end.outbound(Self.message("the-first-message")).id)
        for number in 0..<200 {
            _ = try end.outbound(Self.message("another-message-\(number)"))
            if number % 8 == 0 { #expect(try restored(first, at: end) == "the-first-message") }
            if number % 70 == 69 { end.restart() }
        }
        #expect(try end.outbound(Self.message("the-first-message")).id == first)
    }

    @Test func `a journal from an older day neither repeats a token nor restores a wrong one`() throws {
        let end = FolderEnd(isHighSide: false)
        let before = try #require(end.outbound(Self.message("before-the-copy")).id)
        let copy = end.journal
        var lost: [String] = []
        for number in 0..<2_000 { lost.append(try #require(end.outbound(Self.message("after-the-copy-\(number)")).id)) }
        end.journal = copy
        end.restart(needsNewEpoch: true, seed: 0x7777_0000_3333)
        for number in 0..<2_000 { _ = try end.outbound(Self.message("in-the-new-time-\(number)")) }
        #expect(try restored(before, at: end) == "before-the-copy")
        for token in lost { #expect(try restored(token, at: end) == token) }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `damaged rows are passed over and removed`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let end = FolderEnd(isHighSide: false)
        var tokens: [String: String] = [:]
        for number in 0..<100 {
            tokens["message-number-\(number)"] = try end.outbound(Self.message("message-number-\(number)")).id
        }
        end.journal.update { recovered in
            for index in recovered.rows[.identifiers, default: []].indices where index % 2 == 0 {
                var payload = recovered.rows[.identifiers]?[index].payload ?? []
                switch Int.random(in: 0..<4, using: &random) {
                case 0: payload.removeLast(Int.random(in: 1...payload.count, using: &random))
                case 1:
                    payload[Int.random(in: 0..<payload.count, using: &random)] = UInt8.random(
                        in: 0...255, using: &random)
                case 2: payload = (0..<40).map { _ in UInt8.random(in: 0...255, using: &random) }
                default: payload.insert(0xFF, at: Int.random(in: 0...payload.count, using: &random))
                }
                recovered.rows[.identifiers]?[index].payload = payload
            }
            recovered.values[.identifiers] = random.next() % 2 == 0 ? nil : [1, 2, 3]
        }
        end.restart()
        #expect(end.journal.rows(.identifiers) == end.count && end.count >= 50)
        for number in stride(from: 1, to: 100, by: 2) {
            let id = "message-number-\(number)"
            #expect(try restored(#require(tokens[id]), at: end) == id)
        }
        _ = try end.outbound(Self.message("the-next-message"))
    }

    @Test func `ids of the other side are remembered within bounds`() throws {
        let end = FolderEnd(isHighSide: false, limits: IdentifierLimits(tokens: 40, tokensPerOwner: 20, foreign: 30))
        func thread(_ number: Int) -> String {
            "<message from='bob@b.example/q' to='alice@a.example/r' type='chat'><thread>a-thread-of-bob-\(number)</thread></message>"
        }
        for number in 0..<500 {
            _ = try end.inbound(stanza(thread(number)))
            _ = try end.inbound(stanza(thread(0)))
            #expect(end.journal.rows(.foreignIdentifiers) <= 30)
        }
        end.restart()
        for number in [0, 499, 490] {
            let answer =
                "<message to='bob@b.example/q' from='alice@a.example/r' type='chat'><thread>a-thread-of-bob-\(number)</thread></message>"
            #expect(try end.outbound(stanza(answer)).threadText == "a-thread-of-bob-\(number)")
        }
    }
}
