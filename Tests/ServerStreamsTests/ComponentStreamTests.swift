import NIOCore
import ServerStreams
import Testing
import XMPP

@Suite struct ComponentStreamTests {
    private static let stanza = message(from: "b@hq.example", to: "a@ship.example")

    private func opened() -> Transcript {
        var side = Transcript(.components(["hq.example": "s3cr3t"]))
        _ = side.draw()
        _ = side.dialed(0, 1)
        _ = side.open(1, from: "hq.example", to: nil, id: "3BF96D32", version: nil, namespace: XMLNamespace.component)
        _ = side.receive(1, element("<handshake/>", component: true))
        return side
    }

    @Test("A component connects at the start, greets as XEP-0114 says and answers the id with the handshake")
    func handshake() {
        var side = Transcript(.components(["hq.example": "s3cr3t", "rooms.hq.example": "other"]))
        #expect(side.draw().dials == [0, 1])
        #expect(
            side.dialed(0, 1).written(1)
                == "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
                + "xmlns:stream='http://etherx.jabber.org/streams' to='hq.example'>")
        let actions = side.open(
            1, from: "hq.example", to: nil, id: "3BF96D32", version: nil, namespace: XMLNamespace.component)
        #expect(actions.written(1) == "<handshake>sha1(3BF96D32s3cr3t)</handshake>")
        #expect(side.deliver(Self.stanza).isEmpty)
        #expect(
            side.receive(1, element("<handshake/>", component: true))
                == [.authenticated(ConnectionID(number: 1)), .writeStanza(ConnectionID(number: 1), Self.stanza)])
    }

    @Test("All local domains share the component's one stream, in order")
    func oneStream() {
        var side = self.opened()
        let first = message(from: "b@hq.example", to: "a@ship.example")
        let second = message(from: "b@hq.example", to: "room@conference.ship.example")
        #expect(side.deliver(first) == [.writeStanza(ConnectionID(number: 1), first)])
        #expect(side.deliver(second) == [.writeStanza(ConnectionID(number: 1), second)])
        let unknown = message(from: "b@rooms.hq.example", to: "a@ship.example")
        #expect(side.deliver(unknown).isEmpty)
        #expect(side.noted(.stanzaDiscarded).count == 1)
    }

    @Test("Only stanzas of the site's own domains to exactly this domain are taken")
    func received() {
        var side = self.opened()
        let good = element("<message to='b@hq.example' from='a@ship.example'><body>x</body></message>", component: true)
        #expect(side.receive(1, good).received == [good])
        for (from, to) in [
            ("a@evil.example", "b@hq.example"), ("a@ship.example", "b@rooms.hq.example"),
            ("b@hq.example", "b@hq.example"),
        ] {
            let bad = element("<message to='\(to)' from='\(from)'/>", component: true)
            #expect(side.receive(1, bad).isEmpty)
        }
        #expect(side.noted(.stanzaRefused).count == 2)
        let stub = element("<message to='b@hq.example' from='a@ship.example'/>", component: true)
        side.side.oversizeReceived(ConnectionID(number: 1), stub, now: .at(0))
        #expect(side.draw() == [.oversize(stub)])
    }

    @Test("A server that mixes the streams of several components is believed, and told once how to do better")
    func sharedListener() {
        var side = Transcript(.components(["hq.example": "s3cr3t", "rooms.hq.example": "other"]))
        _ = side.draw()
        for number in 1...2 as ClosedRange<UInt64> {
            _ = side.dialed(number - 1, number)
            _ = side.open(number, from: nil, to: nil, id: "x", version: nil, namespace: XMLNamespace.component)
            _ = side.receive(number, element("<handshake/>", component: true))
        }
        let astray = element("<message to='r@rooms.hq.example' from='a@ship.example'/>", component: true)
        for _ in 0..<3 { #expect(side.receive(1, astray).received == [astray]) }
        #expect(side.noted(.componentShared).count == 1)
        // What goes out still takes the stream of its own domain.
        let reply = message(from: "r@rooms.hq.example", to: "a@ship.example")
        #expect(side.deliver(reply) == [.writeStanza(ConnectionID(number: 2), reply)])
    }

    @Test("A flood of stanzas that are not taken is not a flood of notes")
    func refusalsAreCounted() {
        var side = self.opened()
        let bad = element("<message to='b@hq.example' from='a@evil.example'/>", component: true)
        for _ in 0..<100 { #expect(side.receive(1, bad).isEmpty) }
        #expect(side.noted(.stanzaRefused).count == 7)
        #expect(side.noted(.stanzaRefused).last?.text.contains("64 so far") == true)
    }

    @Test(
        "A refusal is explained with what to do, and tried again after a pause",
        arguments: [
            ("conflict", "another program is connected"), ("host-unknown", "no component of this name"),
            ("not-authorized", "the secret is wrong"),
        ])
    func refusals(_ condition: String, _ advice: String) {
        var side = Transcript(.components(["hq.example": "s3cr3t"]))
        _ = side.draw()
        _ = side.dialed(0, 1)
        _ = side.open(1, from: "hq.example", to: nil, id: "x", version: nil, namespace: XMLNamespace.component)
        let actions = side.receive(
            1,
            element(
                "<stream:error><\(condition) xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
                component: true))
        #expect(actions.closes == [1])
        #expect(side.noted(.streamErrorReceived).first?.text.contains(advice) == true)
        #expect(side.closed(1).dials.isEmpty)
        #expect(side.wait(2).dials == [1])
    }

    @Test("A stanza before the handshake, a wrong namespace and a silent server end the stream")
    func misbehaviour() {
        func greeted() -> Transcript {
            var side = Transcript(.components(["hq.example": "s3cr3t"]))
            _ = side.draw()
            _ = side.dialed(0, 1)
            return side
        }
        var early = greeted()
        _ = early.open(1, from: nil, to: nil, id: "x", version: nil, namespace: XMLNamespace.component)
        let stanza = element("<message to='b@hq.example' from='a@ship.example'/>", component: true)
        #expect(early.receive(1, stanza).closes == [1])
        #expect(early.actions.received.isEmpty)
        var wrong = greeted()
        #expect(wrong.open(1, from: nil, to: nil, id: "x").written(1).contains("<invalid-namespace "))
        var silent = greeted()
        #expect(silent.wait(61).written(1).contains("<connection-timeout "))
    }

    @Test("A lost component connects again; what was queued or unsent arrives in order")
    func reconnects() {
        var side = self.opened()
        let stanzas = (0..<4).map { message(from: "b@hq.example", to: "a@ship.example", "\($0)") }
        _ = side.deliver(stanzas[0])
        _ = side.deliver(stanzas[1])
        _ = side.written(1, 1)
        _ = side.wait(20)
        #expect(side.closed(1).dials == [1])
        _ = side.deliver(stanzas[2])
        _ = side.dialed(1, 2)
        _ = side.open(2, from: nil, to: nil, id: "y", version: nil, namespace: XMLNamespace.component)
        _ = side.deliver(stanzas[3])
        let actions = side.receive(2, element("<handshake/>", component: true))
        #expect(
            actions.dropFirst() == [
                .writeStanza(ConnectionID(number: 2), stanzas[1]), .writeStanza(ConnectionID(number: 2), stanzas[2]),
                .writeStanza(ConnectionID(number: 2), stanzas[3]),
            ])
    }
}
