import Blocks
import NIOCore
import TestSupport
import Testing
import XMPP

/// What entity capabilities (XEP-0115) cost: each `<c/>` is a phrase, so it crosses whole twice and then as two bytes.
@Suite struct CapabilitiesTests {
    private static let clients = 40

    /// The verification strings of many clients: 20 random bytes each, which DEFLATE finds nothing in.
    private static func capabilities(seed: UInt64) -> [String] {
        var random = SeededGenerator(seed: seed)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        return (0..<clients).map { number in
            let hash = String((0..<27).map { _ in alphabet.randomElement(using: &random) ?? "A" })
            return "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client\(number).example' ver='\(hash)='/>"
        }
    }

    /// Presence of users that change their state, each in a block of its own, and the bytes of all blocks.
    private func carry(_ pair: CodecPair, changes: Int, withCaps: Bool, clients: [String]) throws -> Int {
        let before = pair.bodyBytes
        var random = SeededGenerator(seed: 7)
        for change in 0..<changes {
            let user = Int.random(in: 0..<120, using: &random)
            let show = ["away", "xa", "dnd", "chat"].randomElement(using: &random) ?? "away"
            let caps = withCaps ? clients[user % clients.count] : ""
            let presence = try stanza(
                "<presence from='user\(user)@alpha.example/desk' to='friend\(change % 9)@bravo.example'><show>\(show)</show>\(caps)</presence>"
            )
            // What comes out is whole: any of these may be the first that its reader sees.
            #expect(try pair.carry([presence]) == [presence])
        }
        return pair.bodyBytes - before
    }

    @Test(arguments: [6, 9]) func `capabilities that were seen before cost two bytes`(_ level: Int32) throws {
        let clients = Self.capabilities(seed: 3)
        let with = CodecPair(level: level)
        let without = CodecPair(level: level)
        _ = try carry(with, changes: 400, withCaps: true, clients: clients)
        _ = try carry(without, changes: 400, withCaps: false, clients: clients)
        let more = try carry(with, changes: 400, withCaps: true, clients: clients)
            - carry(without, changes: 400, withCaps: false, clients: clients)
        #expect(more <= 400 * 2)
    }

    @Test func `they stay short behind more text than DEFLATE remembers, and in the next session`() throws {
        let clients = Self.capabilities(seed: 4)
        func bytes(withCaps: Bool) throws -> (long: Int, next: Int) {
            let pair = CodecPair(level: 6)
            _ = try carry(pair, changes: 300, withCaps: withCaps, clients: clients)
            var random = SeededGenerator(seed: 5)
            while pair.history.readableBytes < 45_000 {
                let noise = String((0..<200).map { _ in "abcdefghijklmnopqrstuvwxyz".randomElement(using: &random) ?? "a" })
                let message = try stanza(
                    "<message from='a@alpha.example' to='b@bravo.example' type='chat'><body>\(noise)</body></message>")
                _ = try pair.carry([message])
            }
            // Phrases in use are written out once more, so that the next session finds them in its history.
            _ = try carry(pair, changes: 100, withCaps: withCaps, clients: clients)
            let long = try carry(pair, changes: 100, withCaps: withCaps, clients: clients)
            let next = CodecPair(level: 6, history: pair.history)
            return (long, try carry(next, changes: 100, withCaps: withCaps, clients: clients))
        }
        let with = try bytes(withCaps: true)
        let without = try bytes(withCaps: false)
        // A verification string alone has 20 random bytes.
        #expect(with.long - without.long <= 100 * 3)
        #expect(with.next - without.next <= 100 * 3)
    }
}
