import BridgeCore
import NIOCore
import Testing
import XMPP

/// Who may speak: the peering agreement in both directions.
@Suite struct AgreementTests {
    /// One way to break the agreement on the link.
    struct Breach: CustomTestStringConvertible, Sendable {
        var from: String?
        var to: String?
        var event: PeerEvent

        var testDescription: String { "from \(from ?? "nobody") to \(to ?? "nobody")" }

        func stanza(_ kind: String) throws -> Stanza {
            let addresses = [from.map { "from='\($0)'" }, to.map { "to='\($0)'" }].compactMap { $0 }.joined(separator: " ")
            let type = kind == "iq" ? "type='get' id='1'" : ""
            return try BridgeCoreTests.stanza("<\(kind) \(addresses) \(type)><query xmlns='a:b'/></\(kind)>")
        }
    }

    static let breaches = [
        Breach(from: "mallory@elsewhere.example", to: "romeo@ship.example", event: .foreignSender),
        Breach(from: "mallory@notshore.example", to: "romeo@ship.example", event: .foreignSender),
        Breach(from: "mallory@shore.example.evil.example", to: "romeo@ship.example", event: .foreignSender),
        Breach(from: "romeo@ship.example", to: "romeo@ship.example", event: .ownSideSender),
        Breach(from: "conference.ship.example", to: "romeo@ship.example", event: .ownSideSender),
        Breach(from: nil, to: "romeo@ship.example", event: .missingAddress),
        Breach(from: "juliet@shore.example", to: nil, event: .missingAddress),
        Breach(from: nil, to: nil, event: .missingAddress),
        Breach(from: "@shore.example", to: "romeo@ship.example", event: .missingAddress),
        Breach(from: "juliet@shore.example", to: "romeo@ship.example/", event: .missingAddress),
        Breach(from: "juliet@shore.example", to: "romeo@elsewhere.example", event: .foreignRecipient),
        Breach(from: "juliet@shore.example", to: "nurse@shore.example", event: .foreignRecipient),
        Breach(from: "juliet@shore.example", to: "romeo@sub.ship.example", event: .foreignRecipient),
    ]

    @Test(arguments: breaches, ["message", "presence", "iq"])
    func `peers d6: what breaks the agreement on the link is refused, counted and never relayed`(
        breach: Breach, kind: String
    ) throws {
        let peer = TestPeer.ready()
        peer.link(try breach.stanza(kind))
        #expect(peer.delivered.isEmpty)
        #expect(peer.count(breach.event) == 1)
        #expect(peer.status.received.total == 0)
        #expect(peer.status.pendingRemoteRequests == 0)
        // No error either: it would go to a stranger, or come from one.
        #expect(peer.sent.isEmpty && peer.status.queuedStanzas == 0)
        // The same as an oversized stanza.
        peer.linkOversize(try breach.stanza(kind), limit: 10_000)
        #expect(peer.delivered.isEmpty)
        #expect(peer.count(breach.event) == 2)
        #expect(peer.count(.oversize) == 0)
    }

    /// The elements are those of wire-specs §17.5, and a stanza of another namespace.
    @Test(arguments: [
        "<features xmlns='http://etherx.jabber.org/streams'/>",
        "<result xmlns='jabber:server:dialback' from='shore.example' to='ship.example' type='valid'/>",
        "<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='1'/>", "<inactive xmlns='urn:xmpp:csi:0'/>",
        "<bidi xmlns='urn:xmpp:bidi'/>", "<compress xmlns='http://jabber.org/protocol/compress'/>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<message xmlns='jabber:client' from='a@shore.example' to='b@ship.example'/>",
    ])
    func `peers d6: an element that is no stanza is refused, counted and never relayed, in either direction`(
        _ xml: String
    ) throws {
        let peer = TestPeer.ready()
        peer.link(try stanza(xml))
        #expect(peer.delivered.isEmpty && peer.sent.isEmpty)
        #expect(peer.count(.notAStanza) == 1)
        peer.local(try stanza(xml))
        #expect(peer.delivered.isEmpty && peer.sent.isEmpty)
        #expect(peer.count(.localNotAStanza) == 1)
    }

    @Test func `what keeps to the agreement is delivered as it came, to sub-domains too`() throws {
        let peer = TestPeer.ready()
        for from in [juliet, "Juliet@SHORE.example", "room@conference.shore.example/nick", "shore.example", "a.b.shore.example"] {
            let greeting = try message("hello", from: from, to: romeo)
            peer.link(greeting)
            #expect(peer.delivered == [greeting])
        }
        #expect(peer.status.received.messages == 5)
    }

    @Test func `a peer that does not stop loses the link, once, with the error that names what it did`() throws {
        for (breach, condition) in [
            (Self.breaches[0], StreamErrorCondition.invalidFrom), (Self.breaches[3], .invalidFrom),
            (Self.breaches[5], .improperAddressing),
        ] {
            let peer = TestPeer.ready { $0.violationLimit = 10 }
            for number in 1...20 {
                peer.link(try breach.stanza("message"))
                #expect(peer.failure?.condition == (number == 10 ? condition : nil))
            }
            peer.linkDisconnected()
            peer.linkConnected()
            for _ in 1...9 { peer.link(try breach.stanza("message")) }
            #expect(peer.failure == nil)
            peer.link(try breach.stanza("message"))
            #expect(peer.failure != nil)
        }
    }

    @Test func `violations far apart do not add up, and wrong recipients never end a link`() throws {
        let peer = TestPeer.ready { policy in
            policy.violationLimit = 3
            policy.violationWindow = .minutes(1)
        }
        for _ in 0..<20 {
            peer.link(try Self.breaches[0].stanza("message"))
            #expect(peer.failure == nil)
            peer.advance(.seconds(40))
        }
        for _ in 0..<20 {
            peer.link(try Self.breaches[10].stanza("message"))
            #expect(peer.failure == nil)
        }
    }

    @Test func `local stanzas are held to the agreement as well`() throws {
        let peer = TestPeer.ready()
        peer.local(try message("x", from: "mallory@elsewhere.example"))
        #expect(peer.sent.isEmpty && peer.delivered.isEmpty)
        peer.local(try message("x", from: "nurse@shore.example"))
        #expect(peer.sent.isEmpty && peer.delivered.isEmpty)
        #expect(peer.count(.localForeignSender) == 2)
        peer.local(try message("x", to: "tybalt@elsewhere.example"))
        #expect(peer.sent.isEmpty)
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerNotFound])
        #expect(peer.count(.localForeignRecipient) == 1)
        peer.local(try stanza("<message from='romeo@ship.example'><body>x</body></message>"))
        peer.local(try stanza("<message to='juliet@shore.example'><body>x</body></message>"))
        #expect(peer.sent.isEmpty && peer.delivered.isEmpty)
        #expect(peer.count(.localMissingAddress) == 2)
        peer.local(try stanza("<features xmlns='http://etherx.jabber.org/streams'/>"))
        #expect(peer.sent.isEmpty && peer.count(.localNotAStanza) == 1)
    }

    /// Peers peers d17: forwarded copies, carbons and the like are text to us.
    @Test func `peers d17: what is wrapped inside a stanza is never trusted or acted on`() throws {
        let peer = TestPeer.ready()
        peer.local(try iq("get", id: "asked", from: romeo, to: juliet))
        peer.linkReady()
        let wrapped = [
            // An answer, a stanza of a domain that is not the peer's, and a room's presence, all inside of a carbon copy.
            "<iq xmlns='jabber:client' from='\(juliet)' to='\(romeo)' type='result' id='asked'/>",
            "<message xmlns='jabber:client' from='king@elsewhere.example' to='\(romeo)'><body>obey</body></message>",
            "<presence xmlns='jabber:client' from='mallory@shore.example' to='\(romeo)'>\(mucUser)</presence>",
            "<message xmlns='jabber:server' from='mallory@shore.example' to='\(romeo)' type='groupchat'><body>x</body></message>",
        ]
        for inner in wrapped {
            let outer = try stanza(
                "<message from='mallory@shore.example' to='\(romeo)'><received xmlns='urn:xmpp:carbons:2'>"
                    + "<forwarded xmlns='urn:xmpp:forward:0'>\(inner)</forwarded></received></message>")
            peer.link(outer)
            #expect(peer.delivered == [outer])
        }
        #expect(peer.status.pendingLocalRequests == 1)
        #expect(peer.status.knownRemoteRooms == 0)
        // The true answer still passes.
        let answer = try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='asked'/>")
        peer.link(answer)
        #expect(peer.delivered == [answer])
    }
}
