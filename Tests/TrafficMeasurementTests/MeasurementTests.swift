import Blocks
import NIOCore
import Profiles
import Testing
import TrafficMeasurement
import TrafficRecording
import XMPP

/// Recordings are replayed through two real bridges, and what is counted adds up.
@Suite struct MeasurementTests {
    private func recording(_ entries: [(site: String, xml: String)]) throws -> RecordedTraffic {
        let text = entries.enumerated().map { "<t:at t=\"\($0).0\" from=\"\($1.site)\">\($1.xml)</t:at>\n" }.joined()
        let document = "<t:traffic xmlns:t=\"urn:x-traffic:0\" xmlns=\"jabber:server\">\n\(text)</t:traffic>"
        return try RecordedTraffic(name: "test", document: Array(document.utf8))
    }

    private func message(_ number: Int, from: String = "romeo@a.example/1", to: String = "juliet@b.example/2", more: String = "")
        -> String
    {
        "<message from='\(from)' to='\(to)' type='chat' id='m\(number)'><body>text number \(number)</body>\(more)</message>"
    }

    private func options(_ profile: String? = nil, batch: Int = 4) throws -> TrafficReplay.Options {
        var options = TrafficReplay.Options()
        options.batch = batch
        if let profile {
            let library = ProfileLibrary { _ in .init(file: "p.toml", text: "name = \"p\"\n" + profile) }
            options.profile = CompiledProfile(try library.profile(named: "p"))
        }
        return options
    }

    @Test func `without a profile everything arrives, for fewer bytes than either way of servers`() throws {
        let entries = (0..<400).map { number in
            number % 3 == 0
                ? (site: "b", xml: message(number, from: "juliet@b.example/2", to: "romeo@a.example/1")) : (site: "a", xml: message(number))
        }
        let measured = try Measurement(try recording(entries), try options())
        let total = measured.total
        #expect(total.stanzasIn == 400 && total.stanzasOut == 400 && total.dropped + total.folded + total.refused == 0)
        #expect(total.bytesIn == entries.reduce(0) { $0 + $1.xml.utf8.count })
        #expect(total.bytesLink < total.bytesCompressedStream && total.bytesCompressedStream < total.bytesIn / 2)
        // The same again, whatever hashes say.
        #expect(try Measurement(try recording(entries), try options()).bytesLink == measured.bytesLink)
        // Larger blocks cost fewer headers and acknowledgements.
        #expect(try Measurement(try recording(entries), try options(batch: 16)).bytesLink < measured.bytesLink)
    }

    @Test func `answers to refused requests are no traffic, others are`() throws {
        let query = "<query xmlns='jabber:iq:version'/>"
        let entries = [
            (site: "a", xml: "<iq from='romeo@a.example/1' to='b.example' type='get' id='1'>\(query)</iq>"),
            (site: "b", xml: "<iq from='b.example' to='romeo@a.example/1' type='result' id='1'>\(query)</iq>"),
            (site: "a", xml: "<iq from='romeo@a.example/1' to='b.example' type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>"),
            (site: "b", xml: "<iq from='b.example' to='romeo@a.example/1' type='result' id='2'/>"),
            (site: "a", xml: "<iq from='romeo@a.example/1' to='b.example' type='get' id='3'><vCard xmlns='vcard-temp'/></iq>"),
            (site: "b", xml: "<iq from='b.example' to='romeo@a.example/1' type='result' id='3'><vCard xmlns='vcard-temp'/></iq>"),
        ]
        let profile = "[iq]\ndefault = \"allow\"\nrefuse = [\"version\"]\nanswer-locally = [\"ping\"]"
        let total = try Measurement(try recording(entries), try options(profile)).total
        #expect(total.refused == 1 && total.answeredLocally == 1 && total.answersTakenOut == 2)
        #expect(total.stanzasIn == 4 && total.stanzasOut == 2)
    }

    @Test func `a time scale that makes more of a recording than a clock can count is refused`() throws {
        let far = try RecordedTraffic(
            name: "test",
            document: Array(
                """
                <t:traffic xmlns:t="urn:x-traffic:0" xmlns="jabber:server">
                <t:at t="0" from="a">\(message(1))</t:at><t:at t="999999999" from="a">\(message(2))</t:at></t:traffic>
                """.utf8))
        var options = try options()
        options.timeScale = 3
        #expect(try Measurement(far, options).total.stanzasIn == 2)
        options.timeScale = 1e6
        let failure = #expect(throws: Measurement.Failure.self) { try Measurement(far, options) }
        #expect(failure?.description.hasPrefix("entry 2 ") == true)
    }

    @Test func `airtime is told to the second up to two hours`() {
        var measured = Measurement()
        for (bytes, text) in [
            (1_116, "119 s at 75 bit/s"), (1_575, "2 min 48 s at 75 bit/s"), (67_500, "2 h 0 min at 75 bit/s"),
        ] {
            measured.bytesLink = bytes
            #expect(measured.text(title: "").contains("airtime: \(text)"))
        }
    }

    @Test func `in dialect xep stanzas cross as they are, and copies one by one`() throws {
        let entries = ["juliet", "nurse", "paris"].map {
            (site: "a", xml: "<message from='romeo@a.example/1' to='\($0)@b.example' type='chat' id='m'><body>to all</body></message>")
        }
        var options = try options()
        options.dialect = .xep
        let total = try Measurement(try recording(entries), options).total
        #expect(total.stanzasOut == 3 && total.merged == 0)
        #expect(total.bytesLink == entries.reduce(0) { $0 + $1.xml.utf8.count })
    }

    @Test func `what a profile takes away is counted and saves bytes`() throws {
        let state = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
        var entries = (0..<16).map { (site: "a", xml: message($0, more: state)) }
        entries.append(
            (site: "a", xml: "<message from='romeo@a.example/1' to='juliet@b.example/2' type='chat'>\(state)</message>"))
        let plain = try Measurement(try recording(entries), try options()).total
        let profile = "[message]\nstrip = [\"chat-states\"]\ndrop-when-only = [\"chat-states\"]"
        let folded = try Measurement(try recording(entries), try options(profile)).total
        #expect(folded.folded == 16 && folded.dropped == 1 && folded.stanzasOut == 16)
        #expect(folded.bytesLink < plain.bytesLink)
        #expect(folded.bytesCompressedStream == plain.bytesCompressedStream)
    }

    @Test func `copies cross in one record and are counted as merged`() throws {
        var entries: [(site: String, xml: String)] = []
        for number in 0..<20 {
            for occupant in 0..<5 {
                entries.append((site: "b", xml: message(number, from: "room@b.example/n", to: "u\(occupant)@a.example/r")))
            }
        }
        let measured = try Measurement(try recording(entries), try options(batch: 16))
        #expect(measured.total.merged == 80 && measured.total.stanzasOut == 100)
        #expect(measured.kinds[.message]?.merged == 80 && measured.total.dropped == 0)
        // The same with nothing to fold costs as many addresses more.
        let singles = entries.enumerated().map { (site: $1.site, xml: $1.xml.replacing("text number", with: "text \($0) number")) }
        let single = try Measurement(try recording(singles), try options(batch: 16))
        #expect(single.total.merged == 0 && measured.bytesLink * 2 < single.bytesLink)
    }

    @Test func `a recording that is none is refused with its place`() throws {
        for (entries, words) in [
            ([(site: "a", xml: "<message><body>x</body></message>")], "no from or no to"),
            ([(site: "a", xml: message(1, to: "x@a.example"))], "a.example is at both sites"),
        ] {
            let error = #expect(throws: Measurement.Failure.self) { try Measurement(try recording(entries), try options()) }
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        }
    }
}
