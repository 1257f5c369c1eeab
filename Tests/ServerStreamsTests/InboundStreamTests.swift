import NIOCore
import ServerStreams
import Testing
import XMPP

@Suite struct InboundStreamTests {
    /// A server at the door whose header was answered.
    private func opened(
        _ configuration: LocalSideConfiguration = .site(), from: String? = "ship.example"
    ) -> Transcript {
        var side = Transcript(configuration)
        _ = side.accept(1)
        _ = side.open(1, from: from)
        return side
    }

    /// The same after dialback of the standard pair.
    private func proved() -> Transcript {
        var side = self.opened()
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        _ = side.dialed(0, 2)
        _ = side.open(2, from: "ship.example", to: "hq.example", id: "srv", streamID: "unused")
        _ = side.receive(2, "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>")
        _ = side.receive(2, "<db:verify from='ship.example' to='hq.example' id='fresh' type='valid'/>")
        return side
    }

    @Test("A header is answered with swapped addresses, the fresh id and features")
    func answersHeader() {
        var side = Transcript()
        _ = side.accept(1)
        let written = side.open(1).written(1)
        #expect(
            written
                == "<?xml version='1.0'?><stream:stream xmlns='jabber:server' "
                + "xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' "
                + "from='hq.example' to='ship.example' id='fresh' version='1.0'>"
                + "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
                + "<sm xmlns='urn:xmpp:sm:3'/></stream:features>")
    }

    // MARK: Streams that prove nothing

    private static let claim = "<db:result from='ship.example' to='hq.example'>k</db:result>"

    @Test("A claim that cannot be verified is a loss for its domain: the server gives back what waited for the stream")
    func unverifiedClaim() {
        var side = self.opened()
        _ = side.receive(1, Self.claim)
        _ = side.dialFailed(0)
        #expect(side.domains == [])
        _ = side.closed(1)
        #expect(side.domains == ["-ship.example"])
    }

    @Test("So is a stream that the server gives up while its claim waits, or before it could claim anything")
    func abandonedStream() {
        var side = self.opened()
        _ = side.receive(1, Self.claim)
        _ = side.closed(1)
        #expect(side.domains == ["-ship.example"])

        var early = self.opened()
        _ = early.closed(1)
        #expect(early.domains == ["-ship.example"])
        // Nobody knows whose it was.
        var silent = Transcript()
        _ = silent.accept(1)
        _ = silent.closed(1)
        #expect(silent.domains == [])
    }

    @Test("A stream that came to ask about a key, or that proved what it claimed, is none")
    func noLoss() {
        var asking = self.opened()
        _ = asking.receive(1, "<db:verify from='ship.example' to='hq.example' id='x'>k</db:verify>")
        _ = asking.closed(1)
        #expect(asking.domains == [])
        var proved = self.proved()
        proved.side.streamClosed(ConnectionID(number: 1), now: proved.now)
        proved.draw()
        _ = proved.closed(1)
        #expect(proved.domains == ["+ship.example"])
    }

    @Test("A pair that could not be proved on a stream that carries others is a loss for its domain alone")
    func partlyProved() {
        var side = self.proved()
        _ = side.receive(1, "<db:result from='conference.ship.example' to='hq.example'>k</db:result>")
        side.side.streamClosed(ConnectionID(number: 1), now: side.now)
        side.draw()
        _ = side.closed(1)
        #expect(side.domains == ["+ship.example", "-conference.ship.example"])
    }

    @Test("A stranger at the door makes one loss at once and at most one more each half minute")
    func manyLosses() {
        var side = Transcript()
        for number in UInt64(1)...100 {
            _ = side.accept(number)
            _ = side.open(number)
            _ = side.closed(number)
        }
        #expect(side.domains == ["-ship.example"])
        _ = side.wait(29)
        #expect(side.domains.count == 1)
        _ = side.wait(2)
        #expect(side.domains == ["-ship.example", "-ship.example"])
        _ = side.wait(300)
        #expect(side.domains.count == 2)
    }

    struct Header: Sendable, CustomTestStringConvertible {
        var name: String
        var from: String? = "ship.example"
        var to: String? = "hq.example"
        var version: String? = "1.0"
        var namespace = XMLNamespace.server
        var condition: StreamErrorCondition
        var testDescription: String { self.name }
    }

    @Test(
        "A header that breaks a rule is answered with a header, the named error and the end",
        arguments: [
            Header(name: "a domain that nobody stands in for", to: "other.example", condition: .hostUnknown),
            Header(name: "one of the site's own domains", to: "ship.example", condition: .hostUnknown),
            Header(name: "no to", to: nil, condition: .improperAddressing),
            Header(name: "a to that is no domain", to: "", condition: .improperAddressing),
            Header(name: "a from that is no domain", from: "a b", condition: .improperAddressing),
            Header(name: "a from that is not the site's", from: "evil.example", condition: .invalidFrom),
            Header(name: "a from of the other site", from: "hq.example", condition: .invalidFrom),
            Header(name: "a client's namespace", namespace: XMLNamespace.client, condition: .invalidNamespace),
            Header(name: "a version that is no number", version: "one", condition: .unsupportedVersion),
            Header(name: "a version of one number", version: "1", condition: .unsupportedVersion),
        ])
    func refusesHeader(_ header: Header) {
        var side = Transcript()
        _ = side.accept(1)
        let actions = side.open(
            1, from: header.from, to: header.to, version: header.version, namespace: header.namespace)
        let written = actions.written(1)
        #expect(written.hasPrefix("<?xml version='1.0'?><stream:stream "))
        #expect(written.contains("id='fresh'"))
        #expect(written.contains("<stream:error><\(header.condition.rawValue) "))
        #expect(written.hasSuffix("</stream:error></stream:stream>"))
        #expect(actions.closes == [1])
        #expect(side.noted(.streamErrorSent).count == 1)
    }

    @Test("An error of the reader before any header is sent under a header of our own")
    func headerBeforeEarlyError() {
        var side = Transcript()
        _ = side.accept(1)
        side.side.streamFailed(ConnectionID(number: 1), StreamError(.badNamespacePrefix), now: .at(0))
        let actions = side.draw()
        let written = actions.written(1)
        #expect(written.hasPrefix("<?xml version='1.0'?><stream:stream "))
        #expect(written.contains("<bad-namespace-prefix "))
        #expect(actions.closes == [1])
    }

    @Test("A server without a version gets no version and no features, and proves itself by dialback")
    func versionZero() {
        var side = Transcript()
        _ = side.accept(1)
        let written = side.open(1, version: nil).written(1)
        #expect(!written.contains("version='1.0'>"))
        #expect(!written.contains("features"))
        let actions = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        #expect(actions.dials == [0])
    }

    @Test(
        "Where TLS is demanded, a server without a version is turned away",
        arguments: [
            LocalSideConfiguration.site(encryption: .required),
            .site(encryption: .optional, authentication: .certificate),
        ])
    func versionZeroWithTLS(_ configuration: LocalSideConfiguration) {
        var side = Transcript(configuration)
        _ = side.accept(1)
        let actions = side.open(1, version: nil)
        #expect(actions.written(1).contains("<unsupported-version "))
        #expect(actions.closes == [1])
    }

    @Test("A later version is answered with 1.0")
    func versionTwo() {
        var side = Transcript()
        _ = side.accept(1)
        #expect(side.open(1, version: "2.1").written(1).contains("version='1.0'><stream:features>"))
    }

    @Test("Dialback: the key goes to the authoritative server, the pair speaks after its word")
    func dialback() {
        var side = self.opened()
        var actions = side.receive(1, "<db:result from='ship.example' to='hq.example'>\n  k\n</db:result>")
        #expect(actions.dials == [0])
        _ = side.dialed(0, 2)
        _ = side.open(2, id: "srv", streamID: "unused")
        actions = side.receive(2, "<stream:features/>")
        #expect(
            actions.written(2) == "<db:verify from='hq.example' id='fresh' to='ship.example'>k</db:verify>")
        actions = side.receive(2, "<db:verify from='ship.example' to='hq.example' id='fresh' type='valid'/>")
        #expect(actions.written(1) == "<db:result from='hq.example' to='ship.example' type='valid'/>")
        #expect(actions.contains(.authenticated(ConnectionID(number: 1))))
        // Opened to ask, and there is nothing else to say: closed.
        #expect(actions.written(2) == "</stream:stream>")
        let stanza = message(from: "a@ship.example/x", to: "b@hq.example")
        #expect(side.receive(1, stanza).received == [stanza])
    }

    @Test("A key that the authoritative server does not know ends an unproved stream and is reported")
    func invalidKey() {
        var side = self.opened()
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        _ = side.dialed(0, 2)
        _ = side.open(2, id: "srv")
        _ = side.receive(2, "<stream:features/>")
        let actions = side.receive(2, "<db:verify from='ship.example' to='hq.example' id='fresh' type='invalid'/>")
        #expect(
            actions.written(1) == "<db:result from='hq.example' to='ship.example' type='invalid'/></stream:stream>")
        #expect(actions.closes == [1])
        #expect(side.noted(.dialbackInvalid).count == 1)
    }

    @Test("A second pair that fails leaves the first one its stream")
    func secondPairFails() {
        var side = self.proved()
        _ = side.closed(2)
        _ = side.receive(1, "<db:result from='conference.ship.example' to='hq.example'>k2</db:result>")
        _ = side.dialed(1, 3)
        _ = side.open(3, from: "conference.ship.example", id: "srv2")
        _ = side.receive(3, "<stream:features/>")
        let actions = side.receive(
            3, "<db:verify from='conference.ship.example' to='hq.example' id='fresh' type='invalid'/>")
        #expect(actions.written(1).contains("type='error'><error type='cancel'><forbidden "))
        #expect(actions.closes.isEmpty)
        let stanza = message(from: "a@ship.example", to: "b@hq.example")
        #expect(side.receive(1, stanza).received == [stanza])
    }

    @Test("Several pairs share a stream, each proved by itself")
    func multiplexing() {
        var side = self.proved()
        _ = side.closed(2)
        _ = side.receive(1, "<db:result from='ship.example' to='rooms.hq.example'>k2</db:result>")
        _ = side.dialed(1, 3)
        _ = side.open(3, to: "rooms.hq.example", id: "srv2")
        _ = side.receive(3, "<stream:features/>")
        _ = side.receive(3, "<db:verify from='ship.example' to='rooms.hq.example' id='fresh' type='valid'/>")
        let first = message(from: "a@ship.example", to: "b@hq.example")
        let second = message(from: "a@ship.example", to: "r@rooms.hq.example")
        #expect(side.receive(1, first).received == [first])
        #expect(side.receive(1, second).received == [second])
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var name: String
        var configuration = LocalSideConfiguration.site()
        var from = "ship.example"
        var to = "hq.example"
        var condition: DialbackError
        var testDescription: String { self.name }
    }

    @Test(
        "A claim that cannot be verified is answered with an error that leaves the stream alive",
        arguments: [
            Refusal(name: "a domain that nobody stands in for", to: "other.example", condition: .itemNotFound),
            Refusal(name: "a domain that is not the site's", from: "evil.example", condition: .notAcceptable),
            Refusal(
                name: "in the clear where TLS is demanded", configuration: .site(encryption: .required),
                condition: .policyViolation),
            Refusal(
                name: "where only certificates count",
                configuration: .site(encryption: .optional, authentication: .certificate), condition: .notAuthorized),
        ])
    func refusesClaim(_ refusal: Refusal) {
        var side = self.opened(refusal.configuration)
        let actions = side.receive(1, "<db:result from='\(refusal.from)' to='\(refusal.to)'>k</db:result>")
        #expect(
            actions.written(1)
                == "<db:result from='\(refusal.to)' to='\(refusal.from)' type='error'><error type='cancel'>"
                + "<\(refusal.condition.rawValue) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>")
        #expect(actions.closes.isEmpty && actions.dials.isEmpty)
        #expect(side.noted(.dialbackRefused).count == 1)
    }

    @Test("Whoever is refused again and again loses the stream")
    func tooManyRefusals() {
        var side = self.opened()
        var actions: [LocalAction] = []
        for _ in 0..<5 {
            actions = side.receive(1, "<db:result from='evil.example' to='hq.example'>k</db:result>")
        }
        #expect(actions.written(1).contains("<policy-violation "))
        #expect(actions.closes == [1])
    }

    @Test("Verifications of one stream are bounded")
    func boundedVerifications() {
        var configuration = LocalSideConfiguration.site()
        configuration.maximumPendingVerifications = 3
        var side = self.opened(configuration)
        for number in 0..<3 {
            let actions = side.receive(1, "<db:result from='ship.example' to='r\(number).hq.example'>k</db:result>")
            #expect(actions.dials.count == 1)
        }
        let actions = side.receive(1, "<db:result from='ship.example' to='r3.hq.example'>k</db:result>")
        #expect(actions.written(1).contains("<resource-constraint "))
        #expect(actions.dials.isEmpty)
    }

    @Test("When the authoritative server cannot be reached, or does not answer, the claim ends in an error")
    func verificationFails() {
        var side = self.opened()
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        #expect(side.dialFailed(0).written(1).contains("<remote-connection-failed "))
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        _ = side.dialed(1, 2)
        _ = side.open(2, id: "srv")
        _ = side.receive(2, "<stream:features/>")
        #expect(side.wait(31).written(1).contains("<remote-server-timeout "))
        #expect(side.actions.closes.isEmpty)
    }

    @Test("A question that was lost with its stream is asked once more, then the claim fails")
    func lostQuestion() {
        var side = self.opened()
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        _ = side.dialed(0, 2)
        _ = side.open(2, id: "srv")
        _ = side.receive(2, "<stream:features/>")
        let actions = side.closed(2)
        #expect(actions.written(1).isEmpty)
        #expect(actions.dials == [1])
        _ = side.dialed(1, 3)
        _ = side.open(3, id: "srv2")
        #expect(side.receive(3, "<stream:features/>").written(3).contains("id='fresh'"))
        #expect(side.closed(3).written(1).contains("<remote-server-timeout "))
        #expect(side.actions.dials == [0, 1])
    }

    @Test("An authoritative server that answers with an error leaves the claim without a voucher")
    func errorAnswer() {
        var side = self.opened()
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        _ = side.dialed(0, 2)
        _ = side.open(2, id: "srv")
        _ = side.receive(2, "<stream:features/>")
        let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        let actions = side.receive(
            2, "<db:verify from='ship.example' to='hq.example' id='fresh' type='error'>\(error)</db:verify>")
        #expect(actions.written(1).contains("type='error'><error type='cancel'><remote-server-not-found "))
        #expect(actions.closes.isEmpty)
    }

    struct Misaddressed: Sendable, CustomTestStringConvertible {
        var from: String
        var to: String
        var condition: StreamErrorCondition
        var testDescription: String { "\(self.from) to \(self.to)" }
    }

    @Test(
        "A stanza of an unproved pair ends the stream with the error that fits",
        arguments: [
            Misaddressed(from: "a@conference.ship.example", to: "b@hq.example", condition: .invalidFrom),
            Misaddressed(from: "a@hq.example", to: "b@hq.example", condition: .invalidFrom),
            Misaddressed(from: "a@ship.example", to: "b@rooms.hq.example", condition: .invalidFrom),
            Misaddressed(from: "a@ship.example", to: "b@other.example", condition: .hostUnknown),
            Misaddressed(from: "a@ship.example", to: "b@ship.example", condition: .hostUnknown),
        ])
    func misaddressed(_ stanza: Misaddressed) {
        var side = self.proved()
        let actions = side.receive(1, message(from: stanza.from, to: stanza.to))
        #expect(actions.received.isEmpty)
        #expect(actions.written(1).contains("<\(stanza.condition.rawValue) "))
        #expect(actions.closes == [1])
    }

    @Test("A stanza without to or from ends the stream", arguments: ["to='b@hq.example'", "from='a@ship.example'", ""])
    func missingAddress(_ attributes: String) {
        var side = self.proved()
        let actions = side.receive(1, "<message \(attributes)><body>x</body></message>")
        #expect(actions.received.isEmpty)
        #expect(actions.written(1).contains("<improper-addressing "))
    }

    @Test("A stanza before anything is proved ends the stream with not-authorized")
    func earlyStanza() {
        var side = self.opened()
        let actions = side.receive(1, message(from: "a@ship.example", to: "b@hq.example"))
        #expect(actions.received.isEmpty)
        #expect(actions.written(1).contains("<not-authorized "))
        #expect(actions.closes == [1])
    }

    @Test("A stanza over the limit reaches the core only for a proved pair")
    func oversize() {
        let stub = element("<message to='b@hq.example' from='a@ship.example' id='1'/>")
        var proved = self.proved()
        proved.side.oversizeReceived(ConnectionID(number: 1), stub, now: .at(0))
        #expect(proved.draw() == [.oversize(stub)])
        let foreign = element("<message to='b@hq.example' from='a@evil.example' id='1'/>")
        proved.side.oversizeReceived(ConnectionID(number: 1), foreign, now: .at(0))
        #expect(proved.draw().written(1).contains("<invalid-from "))
        var stranger = self.opened()
        stranger.side.oversizeReceived(ConnectionID(number: 1), stub, now: .at(0))
        #expect(stranger.draw().written(1).contains("<policy-violation "))
    }

    @Test("An element that nobody knows ends the stream; too many of them before a proof do as well")
    func unknownElements() {
        var side = self.proved()
        #expect(side.receive(1, "<enable xmlns='urn:xmpp:sm:1'/>").written(1).contains("<unsupported-stanza-type "))
        var configuration = LocalSideConfiguration.site()
        configuration.maximumElementsBeforeAuthorization = 4
        var stranger = self.opened(configuration)
        for number in 0..<4 {
            let question = "<db:verify from='ship.example' to='hq.example' id='\(number)'>k</db:verify>"
            #expect(stranger.receive(1, question).closes.isEmpty)
        }
        let last = stranger.receive(1, "<db:verify from='ship.example' to='hq.example' id='5'>k</db:verify>")
        #expect(last.written(1).contains("<policy-violation "))
    }

    @Test("The server's closing tag is answered in kind")
    func closing() {
        var side = self.proved()
        side.side.streamClosed(ConnectionID(number: 1), now: .at(0))
        let actions = side.draw()
        #expect(actions.written(1) == "</stream:stream>")
        #expect(actions.closes == [1])
        _ = side.closed(1)
        #expect(side.side.snapshot.streams.allSatisfy { $0.connection.number != 1 })
    }

    @Test("A stream error of the server is noted with its reason and what to do")
    func peerError() {
        var side = self.proved()
        let actions = side.receive(
            1,
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                + "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>no\nway</text></stream:error>")
        #expect(actions.closes == [1])
        let note = side.noted(.streamErrorReceived).first?.text ?? ""
        #expect(note.contains("policy-violation (\"no way\")"))
        #expect(note.contains("demands encryption"))
    }
}
