import NIOCore
import SampleTraffic
import TestSupport
import Testing
import XMPP

@testable import TrafficRecording

@Suite struct StanzaRedactorTests {
    private let redactor = StanzaRedactor(key: (1, 2))
    private let values = ValueRedactor(cipher: WordCipher(hash: SipHash(key: (1, 2))))

    @Test func `the keyed function is SipHash-2-4`() {
        // The test vector of its reference implementation for the bytes 0 to 15 under the key 0 to 15.
        let hash = SipHash(key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        #expect(hash(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908) == 0x3f2a_cc7f_57c2_9bdb)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func `sizes, elements and types stay, words do not`(seed: UInt64)
        throws
    {
        var generator = TrafficGenerator(seed: seed)
        for sample in generator.next(400) {
            let original = try stanza(sample.xml)
            let redacted = try #require(redactor.redacted(original))
            #expect(redacted.byteCount == original.byteCount)
            #expect(redacted.elementCount == original.elementCount)
            #expect(redacted.kind == original.kind && redacted.type == original.type)
            #expect(redacted.language == original.language)
            #expect(redacted.from != nil && redacted.from != original.from)
            #expect(redacted.from?.resource?.utf8.count == original.from?.resource?.utf8.count)
            let body = original.root.firstChild("body", XMLNamespace.server)?.text
            let other = redacted.root.firstChild("body", XMLNamespace.server)?.text
            #expect(body?.utf8.count == other?.utf8.count)
            if let body, body.count > 8 { #expect(other != body) }
        }
    }

    @Test func `protocol words stay, and nothing that people wrote or are called`() throws {
        let original = try stanza(
            """
            <message to='Juliet@capulet.example/Balcony' from='room@muc.montague.example/Romeo' type='groupchat' id='ab-17' \
            xml:lang='en'><body>Juliet: meet me at 21:30, Grüße</body><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick>\
            <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:form</value></field><field var='town'>\
            <value>Verona</value></field></x><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z' from='muc.montague.example'/>\
            <event node='urn:xmpp:avatar:metadata'/><event node='diary'/></message>
            """)
        let redacted = try #require(redactor.redacted(original))
        let text = redacted.text
        for word in [
            "type='groupchat'", "urn:xmpp:form", "2026-01-02T03:04:05Z", "var='town'", "urn:xmpp:avatar:metadata",
            "-17'",
        ] {
            #expect(text.contains(word), "\(word)")
        }
        for word in [
            "uliet", "omeo", "apulet", "ontague", "example", "muc.", "meet", "21", "30", "Verona", "diary", "rüß",
            "alcony",
        ] {
            #expect(!text.contains(word), "\(word)")
        }
        // The same word is the same everywhere, whatever its capitals.
        let local = try #require(redacted.to?.local)
        let body = try #require(redacted.root.firstChild("body", XMLNamespace.server)?.text)
        #expect(body.lowercased().hasPrefix(local + ":"))
        let nick = redacted.root.firstChild("nick", "http://jabber.org/protocol/nick")?.text
        #expect(nick == redacted.from?.resource)
        #expect(redacted.root.firstChild("delay", XMLNamespace.delay)?.attribute("from") == redacted.fromDomain?.string)
    }

    @Test func `presence keeps what it shows and hides what it says`() throws {
        let original = try stanza(
            "<presence from='a@x.example'><show>away</show><status>away</status><priority>5</priority></presence>")
        let text = try #require(redactor.redacted(original)).text
        #expect(text.contains("<show>away</show>") && text.contains("<priority>5</priority>"))
        #expect(!text.contains("<status>away</status>"))
    }

    @Test func `different words stay different`() {
        var seen: Set<String> = []
        let letters = "abcdefghijklmnopqrstuvwxyz"
        for first in letters {
            for second in letters { for third in letters { seen.insert(values.redacted("\(first)\(second)\(third)")) } }
        }
        #expect(seen.count == 26 * 26 * 26)
        #expect(Set((0..<1_000).map { values.redacted("user\($0)") }).count == 1_000)
    }

    @Test func `words that begin or end alike do not stay alike`() {
        func shared(_ left: String, _ right: String) -> Int { zip(left, right).count { $0 == $1 } }
        let redacted = "abcdefghijklmnopqrstuvwxyz".map { values.redacted("commander\($0)") }
        let pairs = zip(redacted, redacted.dropFirst()).map { shared($0, $1) }
        // By chance one of 26 letters of a pair agrees.
        #expect(pairs.reduce(0, +) < pairs.count * 2)
    }

    @Test(arguments: [
        ("7671e1545454411c895e06f87f455e35", true), ("b273d4e2", true), ("0F0E0D0C0B0A0908", true),
        ("5ad6cc2c-2f2b-4c6e-8c4a-6f1d4c0c6a11", true), ("purple8ea", false),
        ("Ehlg0cFGuvepExOnrWh9K03+0Two3XvguSG+zTvTAiw=", false),
    ]) func `ids keep their shape`(_ id: String, _ isHexadecimal: Bool) {
        let redacted = values.redacted(id, isID: true)
        #expect(redacted != id)
        #expect(redacted.utf8.count == id.utf8.count)
        #expect(redacted == values.redacted(id, isID: true))
        for (old, new) in zip(id, redacted) {
            #expect(old.isLetter == new.isLetter || isHexadecimal)
            #expect(old.isUppercase == new.isUppercase || isHexadecimal)
            if isHexadecimal { #expect(new.isHexDigit == old.isHexDigit) }
        }
        if id.hasSuffix("=") { #expect(redacted.suffix(2) == id.suffix(2)) }
    }

    @Test func `counters in ids go on counting`() {
        let ids = (8...12).map { values.redacted("msg-\($0)", isID: true) }
        #expect(
            ids.map { $0.suffix(from: $0.lastIndex(of: "-") ?? $0.startIndex) } == ["-8", "-9", "-10", "-11", "-12"])
        #expect(Set(ids.map { $0.prefix(3) }).count == 1)
        // A number in a text is no counter.
        #expect(!values.redacted("grid 451234").contains("451234"))
    }

    @Test func `another key gives other words`() {
        let other = ValueRedactor(cipher: WordCipher(hash: SipHash(key: (1, 3))))
        let words = ["commander", "weather", "tomorrow", "position"]
        for word in words { #expect(values.redacted(word) != other.redacted(word)) }
    }

    @Test(arguments: [
        "Grüße, Æøå", "Привет, мир", "日本語の本文", "🛰️ 👩‍🚀", "مرحبا", "नमस्ते", "ŁódźŻ", "e\u{301} decomposed", "Ａ１", "\u{FFFD}",
    ]) func `text of any script is as long as before and another one`(_ text: String) throws {
        let original = try stanza("<message from='a@x.example'><body>\(text)</body></message>")
        let redacted = try #require(redactor.redacted(original))
        #expect(redacted.byteCount == original.byteCount)
        #expect(redacted.root.children.first?.text != text)
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>) func `characters of all planes keep their size`(seed: UInt64)
        throws
    {
        var generator = SeededGenerator(seed: seed)
        var text = ""
        while text.unicodeScalars.count < 40 {
            guard let scalar = Unicode.Scalar(UInt32.random(in: 0x20...0x1FFFF, using: &generator)),
                !(0xFFFE...0xFFFF).contains(scalar.value)
            else { continue }
            text.unicodeScalars.append(scalar)
        }
        let original = try stanza(
            "<message from='a@x.example' to='b@y.example/\(XMLEscape.attribute(text))'><body>\(XMLEscape.text(text))</body></message>"
        )
        let redacted = try #require(redactor.redacted(original))
        #expect(redacted.byteCount == original.byteCount)
    }
}
