import NIOCore
import Testing
import TrafficRecording
import XMPP

@Suite struct TrafficRecorderTests {
    private func sites(a: [String] = ["alpha.example"], b: [String] = []) throws -> SiteAssignment {
        SiteAssignment(a: try a.map { try #require(Domain($0)) }, b: try b.map { try #require(Domain($0)) })
    }

    private func message(_ domain: String, _ body: String = "x") throws -> Stanza {
        try stanza("<message from='u@\(domain)' to='v@far.example'><body>\(body)</body></message>")
    }

    @Test(arguments: [
        ("alpha.example", TrafficSite.a), ("conference.alpha.example", .a), ("ship.alpha.example", .b),
        ("muc.ship.alpha.example", .b), ("notalpha.example", .b), ("example", .b), ("bravo.example", .b),
    ]) func `a domain stands for all below it, and the longest counts`(_ name: String, _ site: TrafficSite) throws {
        let sites = try sites(b: ["ship.alpha.example"])
        #expect(sites.site(of: try #require(Domain(name))) == site)
    }

    @Test func `stanzas are recorded with the site of their senders`() throws {
        var recorder = TrafficRecorder(sites: try sites())
        var bytes = ByteBuffer(string: recorder.opening)
        recorder.stanzaPassed(try message("alpha.example"), now: seconds(5), to: &bytes)
        recorder.stanzaPassed(try message("bravo.example"), now: seconds(7.0015), to: &bytes)
        recorder.stanzaPassed(try stanza("<message/>"), now: seconds(8), to: &bytes)
        recorder.oversizePassed()
        recorder.finish(to: &bytes)
        recorder.finish(to: &bytes)
        #expect(bytes.readableBytes == recorder.bytes)
        let file = ReadFile(String(buffer: bytes))
        #expect(file.ending == .complete && !file.isRedacted)
        #expect(file.entries.map(\.site) == [.a, .b])
        #expect(file.entries.map(\.time) == [.zero, .milliseconds(2_001)])
        var counts = TrafficRecorder.Counts()
        counts.a = 1
        counts.b = 1
        counts.senderless = 1
        counts.tooLarge = 1
        #expect(recorder.counts == counts)
    }

    @Test func `a file at its greatest size has its end`() throws {
        var recorder = TrafficRecorder(sites: try sites(), maximumBytes: 2_000)
        var bytes = ByteBuffer(string: recorder.opening)
        for number in 0..<100 {
            recorder.stanzaPassed(try message("alpha.example", "number \(number)"), now: seconds(0), to: &bytes)
        }
        #expect(recorder.isFinished)
        #expect(bytes.readableBytes <= 2_000)
        #expect(bytes.readableBytes > 1_800)
        let file = ReadFile(String(buffer: bytes))
        #expect(file.ending == .complete)
        #expect(file.entries.count == recorder.counts.recorded)
    }

    @Test func `a redacted file says so`() throws {
        var recorder = TrafficRecorder(sites: try sites(), redactor: StanzaRedactor(key: (3, 4)))
        var bytes = ByteBuffer(string: recorder.opening)
        recorder.stanzaPassed(try message("alpha.example", "the secret words"), now: seconds(0), to: &bytes)
        recorder.finish(to: &bytes)
        let file = ReadFile(String(buffer: bytes))
        #expect(file.isRedacted)
        // The site is that of the true name.
        #expect(file.entries.map(\.site) == [.a])
        #expect(!String(buffer: bytes).contains("secret") && !String(buffer: bytes).contains("alpha"))
    }
}

@Suite struct StreamWatchTests {
    private let header =
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
        + "xmlns:db='jabber:server:dialback' from='a.example' to='b.example' version='1.0' xml:lang='de'>"

    private func found(_ parts: [(StreamWatch.Direction, String)], cut: Int = .max) -> [StreamWatch.Finding] {
        var watch = StreamWatch()
        var findings: [StreamWatch.Finding] = []
        for (direction, text) in parts {
            var bytes = ByteBuffer(string: text)
            while let part = bytes.readSlice(length: min(cut, bytes.readableBytes)), part.readableBytes > 0 {
                watch.bytesPassed(part, direction)
                findings += watch.takeFindings()
            }
        }
        return findings
    }

    @Test(arguments: [1, 10, .max]) func `stanzas are found in both directions, negotiation is not`(cut: Int) throws {
        let findings = found(
            [
                (.fromOpener, header), (.toOpener, header + "<stream:features/>"),
                (.fromOpener, "<db:result from='a.example' to='b.example'>key</db:result>"),
                (.toOpener, "<db:result from='b.example' to='a.example' type='valid'/>"),
                (.fromOpener, "<enable xmlns='urn:xmpp:sm:3'/><message from='u@a.example'><body>1</body></message>"),
                (.fromOpener, "<r xmlns='urn:xmpp:sm:3'/>"), (.toOpener, "<a xmlns='urn:xmpp:sm:3' h='1'/>"),
                (.toOpener, "<presence from='v@b.example' xml:lang='en'/>"), (.fromOpener, "</stream:stream>"),
            ], cut: cut)
        #expect(
            findings == [
                // The language of the stream is made explicit.
                .stanza(try stanza("<message from='u@a.example' xml:lang='de'><body>1</body></message>")),
                .stanza(try stanza("<presence from='v@b.example' xml:lang='en'/>")),
            ])
    }

    @Test func `after SASL both streams begin anew`() throws {
        let findings = found([
            (.fromOpener, header), (.toOpener, header),
            (.fromOpener, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</auth>"),
            (.toOpener, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
            (.fromOpener, header + "<iq from='a.example'/>"), (.toOpener, header + "<iq from='b.example'/>"),
        ])
        #expect(findings.count == 2)
        #expect(findings.allSatisfy { if case .stanza = $0 { true } else { false } })
    }

    @Test func `TLS and compression end the reading of both directions`() {
        let stanza = "<message from='u@a.example'/>"
        let tls = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        let compressed = "<compressed xmlns='http://jabber.org/protocol/compress'/>"
        #expect(
            found([
                (.fromOpener, header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
                (.toOpener, header + tls),
                (.fromOpener, "\u{16}\u{3}\u{1}"), (.toOpener, "\u{16}\u{3}\u{3}" + stanza),
            ]) == [.ended(.tls)])
        #expect(found([(.fromOpener, "\u{16}\u{3}\u{1}xxx"), (.toOpener, "\u{16}\u{3}\u{3}")]) == [.ended(.tls)])
        #expect(found([(.toOpener, header + compressed), (.toOpener, stanza)]) == [.ended(.compression)])
        // Only the side that was asked can agree to it.
        #expect(found([(.fromOpener, header + tls + stanza)]).count == 1)
        #expect(
            found([(.fromOpener, header.replacing("jabber:server'", with: "jabber:client'") + stanza)])
                == [.ended(.notServers)])
    }

    @Test func `what cannot be read ends one direction`() {
        let findings = found([
            (.fromOpener, header + "<message></presence>"), (.fromOpener, "<message from='u@a.example'/>"),
            (.toOpener, header + "<message from='v@b.example'/>"),
        ])
        #expect(findings.count == 2)
        #expect(findings.first == .unreadable(.fromOpener, .notWellFormed))
    }

    @Test func `a stanza over the limit is passed over`() {
        let large = "<message from='u@a.example'><body>\(String(repeating: "x", count: 600_000))</body></message>"
        let findings = found([(.fromOpener, header + large + "<iq from='a.example'/>")], cut: 16_384)
        #expect(findings.first == .tooLarge(limit: XMLLimits.local.stanzaBytes))
        #expect(findings.count == 2)
    }
}
