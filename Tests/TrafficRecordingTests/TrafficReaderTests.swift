import NIOCore
import SampleTraffic
import TestSupport
import Testing
import TrafficRecording
import XMPP

@Suite struct TrafficReaderTests {
    private static let document = """
        <?xml version='1.0'?><!-- made by hand -->
        <t:traffic xmlns:t="urn:x-traffic:0" xmlns="jabber:server">
        <t:at t="0.000" from="a"><presence from='a@a.example' to='b@b.example'/></t:at>
        <t:at from='b' t='1.25' ><message id='x>y' to="a@a.example"><!--
        --><body>x &gt; y<![CDATA[</message>]]></body></message></t:at>
        <t:at t="61" from="a"><iq type='get' id='1'><message xmlns='urn:x'/></iq></t:at>
        </t:traffic>
        """.replacing("<!--\n-->", with: "")

    /// Writes generated traffic, one stanza each hundred milliseconds.
    private func written(_ count: Int, seed: UInt64) throws -> (text: String, stanzas: [Stanza]) {
        var generator = TrafficGenerator(seed: seed)
        let stanzas = try generator.next(count).map { try stanza($0.xml) }
        var writer = TrafficWriter()
        var bytes = ByteBuffer(string: writer.opening)
        for (number, stanza) in stanzas.enumerated() {
            let site: TrafficSite = number.isMultiple(of: 3) ? .b : .a
            writer.write(stanza, from: site, now: seconds(Double(number) / 10), to: &bytes)
        }
        bytes.writeString(TrafficWriter.closing)
        return (String(buffer: bytes), stanzas)
    }

    @Test func `what is written is read as the same`() throws {
        let (text, stanzas) = try written(500, seed: 1)
        let file = ReadFile(text)
        #expect(file.error == nil)
        #expect(file.ending == .complete)
        #expect(file.entries.map(\.stanza) == stanzas)
        #expect(file.entries.map(\.site) == stanzas.indices.map { $0.isMultiple(of: 3) ? .b : .a })
        #expect(file.entries.map(\.time) == stanzas.indices.map { .milliseconds(100 * Int64($0)) })
        #expect(file.entries.allSatisfy { $0.stanza.hasBytes($0.source) })
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func `the parts in which a file comes do not matter`(seed: UInt64) throws
    {
        var generator = SeededGenerator(seed: seed)
        for text in [try written(40, seed: seed).text, Self.document] {
            let whole = ReadFile(text)
            #expect(whole.ending == .complete)
            for largest in [1, 7, 4_000] {
                let parts = ReadFile(generator.pieces(of: Array(text.utf8), largest: largest))
                #expect(parts.entries == whole.entries)
                #expect(parts.ending == .complete)
            }
        }
    }

    @Test func `documents of other make are read: quotes, spaces, comments, character data`() {
        let file = ReadFile(Self.document)
        #expect(file.error == nil)
        #expect(file.entries.map(\.time) == [.zero, .milliseconds(1_250), .seconds(61)])
        #expect(file.entries.map(\.site) == [.a, .b, .a])
        #expect(file.entries.map(\.stanza.kind) == [.presence, .message, .iq])
        #expect(file.entries.dropFirst().first?.stanza.root.children.first?.text == "x > y</message>")
        #expect(file.entries.first?.source == ByteBuffer(string: "<presence from='a@a.example' to='b@b.example'/>"))
        let other = #"<traffic xmlns="jabber:server"/>"#
        #expect(ReadFile(other).error?.reason.contains("no traffic document") == true)
    }

    @Test func `a file that was cut anywhere is read up to its last whole stanza`() throws {
        let (text, stanzas) = try written(6, seed: 9)
        let bytes = Array(text.utf8)
        let root = try #require(text.firstIndex(of: "\n")).utf16Offset(in: text)
        for length in root..<(bytes.count - TrafficWriter.closing.utf8.count) {
            let file = ReadFile([bytes[..<length]])
            #expect(file.error == nil)
            #expect(file.entries.map(\.stanza) == Array(stanzas.prefix(file.entries.count)))
            guard case .truncated(let offset, let line) = file.ending else {
                Issue.record("\(length) bytes: \(String(describing: file.ending))")
                continue
            }
            #expect(offset <= length)
            #expect(line == file.entries.count + 2 || line == file.entries.count + 1)
            // Whole are those whose end tag is there.
            let whole = String(decoding: bytes[..<length], as: UTF8.self).split(
                separator: "</t:at>", omittingEmptySubsequences: false)
            #expect(file.entries.count >= whole.count - 1)
        }
    }

    @Test(arguments: [
        ("", "its root is missing", 1),
        ("GET / HTTP/1.1", "its root is missing", 1),
        ("\n<t:traffic xmlns:t='urn:other' xmlns='jabber:server'>", "not traffic in urn:x-traffic:0", 2),
        ("<traffic xmlns:t='urn:x-traffic:0' xmlns='jabber:server'>", "not traffic in", 1),
        ("<t:traffic xmlns:t='urn:x-traffic:0' xmlns='jabber:client'>", "default namespace is not jabber:server", 1),
        ("<!DOCTYPE t [<!ENTITY a 'aaaa'>]>", "a document type", 1),
        ("\(opening)\n\nfoo", "something other than an at element", 3),
        ("\(opening)<message/>", "something other than an at element", 1),
        ("\(opening)<at t='0' from='a'>", "something other than an at element", 1),
        ("\(opening)<t:at t='0' from='c'>", "from is neither a nor b", 1),
        ("\(opening)<t:at t='-1' from='a'>", "t is no time", 1),
        ("\(opening)<t:at t='1e9' from='a'>", "t is no time", 1),
        ("\(opening)<t:at t='9999999999' from='a'>", "t is no time", 1),
        ("\(opening)<t:at from='a'>", "t is no time", 1),
        ("\(opening)<t:at t='0' t='1' from='a'>", "something other than an at element", 1),
        ("\(opening)<t:at t='0' from='&#97;'>", "something other than an at element", 1),
        ("\(opening)<t:at t='0' from='a'></t:at>", "does not hold exactly one stanza", 1),
        ("\(opening)<t:at t='0' from='a'><iq/><iq/></t:at>", "does not hold exactly one stanza", 1),
        ("\(opening)<t:at t='0' from='a'><iq/></t:traffic>", "does not hold exactly one stanza", 1),
        ("\(opening)<t:at t='0' from='a'><iq><a></b></iq></t:at>", "cannot be read: not-well-formed", 1),
        ("\(opening)<t:at t='0' from='a'><iq><!-- x --></iq></t:at>", "cannot be read: restricted-xml", 1),
        ("\(opening)<t:at t='0' from='a'><iq a='1' a='2'/></t:at>", "cannot be read: not-well-formed", 1),
        ("\(opening)<t:at t='0' from='a'><iq><t:x/></iq></t:at>", "cannot be read: bad-namespace-prefix", 1),
        ("\(opening)<t:at t='0' from='a'><iq>&lol;</iq></t:at>", "cannot be read: restricted-xml", 1),
        ("\(opening)</t:traffic>\n<t:at t='0' from='a'>", "more after the end of the root", 2),
        ("\(opening)</t:traffic>\n<t:a", "more after the end of the root", 2),
    ]) func `what is wrong is said with its line`(_ text: String, _ reason: String, _ line: Int) {
        let file = ReadFile(text)
        #expect(file.ending == nil)
        #expect(file.error?.reason.contains(reason) == true, "\(String(describing: file.error))")
        #expect(file.error?.line == line)
        #expect(file.error.map { $0.offset <= text.utf8.count } == true)
    }

    @Test func `an error stays, and stanzas before it were given`() throws {
        var reader = TrafficReader()
        var bytes = ByteBuffer(string: "\(opening)<t:at t='0' from='a'><iq/></t:at>\n<x/>")
        reader.read(&bytes)
        #expect(try reader.next()?.stanza.kind == .iq)
        let expected = TrafficError(
            "something other than an at element with a stanza", offset: opening.utf8.count + 34, line: 2)
        #expect(throws: expected) { try reader.next() }
        bytes = ByteBuffer(string: "<t:at t='0' from='a'><iq/></t:at>")
        reader.read(&bytes)
        #expect(throws: expected) { try reader.next() }
        #expect(throws: expected) { try reader.finish() }
    }

    @Test(arguments: [
        "<t:at \(String(repeating: " ", count: 80_000))",
        "<!--\(String(repeating: "-", count: 80_000))",
        "<?\(String(repeating: ">", count: 80_000))",
        "<t:at t='0' from='a'><message \(String(repeating: "a", count: 80_000))",
        "<t:at t='0' from='a'><message>\(String(repeating: "<a>", count: 800_000))",
        "<t:at t='0' from='a'><message><![CDATA[\(String(repeating: "]", count: 2_200_000))",
        "<t:at t='0' from='a'><message>\(String(repeating: "text ", count: 500_000))",
    ]) func `what never ends is refused at the limits`(_ text: String) {
        var reader = TrafficReader()
        var held = 0
        var error: TrafficError?
        let bytes = Array((opening + text).utf8)
        for start in stride(from: 0, to: bytes.count, by: 65_536) where error == nil {
            var part = ByteBuffer(bytes: bytes[start..<min(start + 65_536, bytes.count)])
            reader.read(&part)
            do throws(TrafficError) { _ = try reader.next() } catch let failure { error = failure }
            held = start
        }
        #expect(error?.reason.contains("more than") == true)
        #expect(held <= XMLLimits.local.skippedBytes + 65_536)
    }

    @Test func `a deep or large stanza is refused by name`() {
        let deep = String(repeating: "<a>", count: 100) + String(repeating: "</a>", count: 100)
        #expect(
            ReadFile("\(opening)<t:at t='0' from='a'><iq>\(deep)</iq></t:at>").error?.reason.contains("policy") == true)
        let large = String(repeating: "x", count: 600_000)
        #expect(
            ReadFile("\(opening)<t:at t='0' from='a'><iq>\(large)</iq></t:at>").error?.reason.contains("larger") == true
        )
    }

    @Test(arguments: 1...60 as ClosedRange<UInt64>) func `damaged files end in an error or are read`(seed: UInt64)
        throws
    {
        var generator = SeededGenerator(seed: seed)
        let (text, stanzas) = try written(10, seed: seed)
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes.removeSubrange(place..<min(place + 20, bytes.count))
            default: bytes.insert(contentsOf: "<'\"/>".utf8, at: place)
            }
        }
        let whole = ReadFile([bytes[...]])
        let parts = ReadFile(generator.pieces(of: bytes, largest: 50))
        #expect(whole.entries == parts.entries)
        #expect(whole.error == parts.error)
        #expect(whole.ending == parts.ending)
        #expect(whole.entries.count <= stanzas.count + 4)
    }
}

@Suite struct LooseStanzasTests {
    private func find(_ text: String, largest: Int = .max) throws -> (stanzas: [Stanza], unreadable: Int) {
        var generator = SeededGenerator(seed: 1)
        var reader = LooseStanzas()
        var stanzas: [Stanza] = []
        for part in generator.pieces(of: Array(text.utf8), largest: min(largest, text.utf8.count)) {
            var bytes = ByteBuffer(bytes: part)
            reader.read(&bytes)
            while let stanza = try reader.next() { stanzas.append(stanza) }
        }
        return (stanzas, reader.unreadable)
    }

    @Test(arguments: [1, 5, .max]) func `stanzas are found bare, wrapped and broken`(largest: Int) throws {
        let found = try find(
            """
            <?xml version='1.0'?><!-- <message/> --><t:traffic xmlns:t='urn:t' xmlns='jabber:server'>
            <t:at t='0.1' from="a>b"><message to="a@b.example" id='x>y'><body>1 &lt; 2 > 1<![CDATA[</message>]]></body><iq/></message></t:at>
            <t:at><presence/></t:at> <iq type='get' id='1'><query xmlns='q'/></iq><messages/><message><b></message> <presence id='last'/>
            """, largest: largest)
        #expect(found.stanzas.map(\.kind) == [.message, .presence, .iq])
        #expect(found.stanzas.first?.root.firstChild("body", XMLNamespace.server)?.text == "1 < 2 > 1</message>")
    }

    @Test func `what is no whole stanza is left out or counted`() throws {
        #expect(try find("<message to='a@b.example'").stanzas.isEmpty)
        #expect(try find("<message><b></message>").stanzas.isEmpty)
        let found = try find("<message a='1' a='2'/>text<!DOCTYPE x><iq/>")
        #expect(found.unreadable == 1)
        #expect(found.stanzas.map(\.kind) == [.iq])
    }
}
