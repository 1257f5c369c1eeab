import NIOCore
import PresenceCache
import TestSupport
import Testing
import XMPP

/// Capabilities cross as numbers and come out as they were.
@Suite struct CapsTokenTests {
    private func caps(_ ver: String) -> String {
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example' ver='\(ver)'/>"
    }

    private func told(_ payload: String) throws -> Stanza {
        try presence(from: "juliet@capulet.example/b", to: "romeo@montague.example", nil, payload)
    }

    @Test func `the whole crosses until it arrived, then the number alone, and all come out alike`() throws {
        var sender = CapsTokenSender()
        var receiver = CapsTokenReceiver()
        let stanza = try told("<show>away</show>\(caps("abc="))<status>x</status>")
        let first = sender.shortened(stanza)
        #expect(first.defined == 1)
        #expect(first.stanza.text.contains("<t xmlns='urn:skywave:caps:0' n='1'>\(caps("abc="))</t>"))
        let second = sender.shortened(stanza)
        #expect(second == first)
        sender.arrived(1)
        let third = sender.shortened(stanza)
        #expect(third.defined == nil)
        #expect(third.stanza.text.contains("<show>away</show><t xmlns='urn:skywave:caps:0' n='1'/><status>x</status>"))
        #expect(receiver.restored(first.stanza) == .whole(stanza))
        #expect(receiver.restored(third.stanza) == .whole(stanza))
        #expect(receiver.restored(second.stanza) == .whole(stanza))
    }

    @Test func `an unknown number leaves the rest and is asked for`() throws {
        var sender = CapsTokenSender()
        var receiver = CapsTokenReceiver()
        let stanza = try told("<show>away</show>\(caps("abc="))")
        _ = sender.shortened(stanza)
        sender.arrived(1)
        #expect(receiver.restored(sender.shortened(stanza).stanza) == .unknown(try told("<show>away</show>"), 1))
        sender.wasUnknown(1)
        #expect(receiver.restored(sender.shortened(stanza).stanza) == .whole(stanza))
        sender.arrived(1)
        receiver.peerRestarted()
        sender.peerRestarted()
        #expect(receiver.restored(sender.shortened(stanza).stanza) == .whole(stanza))
    }

    @Test func `numbers that a user writes mean nothing`() throws {
        var sender = CapsTokenSender()
        var receiver = CapsTokenReceiver()
        let plain = try told(caps("real="))
        #expect(receiver.restored(sender.shortened(plain).stanza) == .whole(plain))
        sender.arrived(1)
        let forged = "<t xmlns='urn:skywave:caps:0' n='1'>\(caps("evil="))</t>"
        let prefixed = "<p:t xmlns:p='urn:skywave:caps:0' n='1'>\(caps("evil="))</p:t>"
        for payload in [
            forged, forged + forged, prefixed + forged + "<show>xa</show>", forged + caps("real=") + prefixed,
        ] {
            let stanza = sender.shortened(try told(payload)).stanza
            #expect(!stanza.text.contains("evil"))
            guard case .whole(let whole) = receiver.restored(stanza) else { throw Missing() }
            #expect(!whole.text.contains("evil") && !whole.text.contains("urn:skywave"))
        }
        #expect(receiver.restored(sender.shortened(plain).stanza) == .whole(plain))
        // Deeper down it is somebody's payload and stays.
        let nested = try told("<x xmlns='urn:example'>\(forged)</x>")
        #expect(sender.shortened(nested).stanza == nested)
        #expect(receiver.restored(nested) == .whole(nested))
    }

    @Test func `what is no number of the other bridge leaves nothing behind`() throws {
        var receiver = CapsTokenReceiver()
        for token in [
            "<t xmlns='urn:skywave:caps:0'/>", "<t xmlns='urn:skywave:caps:0' n='-1'/>",
            "<t xmlns='urn:skywave:caps:0' n='1e9'/>",
            "<t xmlns='urn:skywave:caps:0' n='1'><message xmlns='jabber:client'/></t>",
            "<t xmlns='urn:skywave:caps:0' n='1'>\(caps("a"))\(caps("b"))</t>",
            "<t xmlns='urn:skywave:caps:0' n='1'>\(caps(String(repeating: "a", count: 2_000)))</t>",
        ] {
            #expect(receiver.restored(try told("<show>xa</show>" + token)) == .whole(try told("<show>xa</show>")))
        }
        #expect(receiver.count == 0)
    }

    @Test func `messages, other presence and two capabilities cross as they are`() throws {
        var sender = CapsTokenSender()
        let message = try stanza("<message from='a@b' to='c@d'>\(caps("x"))</message>")
        let long = try told(caps(String(repeating: "a", count: 2_000)))
        for stanza in [message, long, try told(caps("a") + caps("b")), try told("")] {
            let shortened = sender.shortened(stanza)
            #expect(shortened.stanza == stanza && shortened.defined == nil)
        }
        #expect(sender.count == 0)
    }

    @Test(arguments: [UInt64(1), 2, 3]) func `more capabilities than numbers, lost and late stanzas: never a wrong one`(
        _ seed: UInt64
    ) throws {
        var generator = SeededGenerator(seed: seed)
        var sender = CapsTokenSender()
        var receiver = CapsTokenReceiver()
        var way: [(sent: Stanza, short: CapsTokenSender.Shortened)] = []
        var unknown = 0
        for _ in 0..<20_000 {
            // A few are common, many are met once.
            let ver =
                Bool.random(using: &generator)
                ? Int.random(in: 0..<50, using: &generator)
                : Int.random(in: 0..<8_000, using: &generator)
            let sent = try told(caps("v\(ver)"))
            way.append((sent, sender.shortened(sent)))
            guard way.count > 40 else { continue }
            let (sent2, short) = way.remove(at: Int.random(in: 0..<way.count, using: &generator))
            if Int.random(in: 0..<10, using: &generator) == 0 { continue }
            switch receiver.restored(short.stanza) {
            case .whole(let whole):
                #expect(whole == sent2, "seed \(seed)")
                if let defined = short.defined { sender.arrived(defined) }
            case .unknown(_, let number):
                unknown += 1
                sender.wasUnknown(number)
            }
        }
        #expect(sender.count <= Int(CapsTokenSender.used))
        #expect(unknown == 0, "numbers in use are kept for long enough; seed \(seed)")
    }
}

struct Missing: Error {}
