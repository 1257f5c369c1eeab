import NIOCore
import SampleTraffic
import TestSupport
import Testing
import XMPP

@Suite struct StanzaValuesTests {
    private func read(_ xml: String) throws -> Stanza { try StanzaText.read(xml) }

    private static let rich = """
        <message to='room@c.b.example/Nick Name' from='a@a.example/r' type='groupchat' id='one' xml:lang='de'>
        <body>he said &lt;&amp;&gt; 'id='</body><origin-id xmlns='urn:xmpp:sid:0' id='one'/><thread parent='up'>th</thread>
        <reply xmlns='urn:xmpp:reply:0' id='it' to='x&apos;y@b.example'/><thread/><thread>a<b/>c</thread>
        <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' id='in' from='q@q.example'><body>x</body></message>
        </forwarded><empty xmlns='urn:e' id='' other='id=&apos;fake&apos;'/></message>
        """

    @Test func `values are found where they stand`() throws {
        let stanza = try read(Self.rich)
        #expect(stanza.idRange.map { stanza.text(in: $0) } == "one")
        var found: [String] = []
        for index in 0..<stanza.elementCount {
            for name in ["id", "parent", "to"] as [StaticString] {
                if let range = stanza.attributeRange(name, ofElement: index) { found.append(stanza.text(in: range)) }
            }
            if stanza.elementName(at: index) == .thread, let range = stanza.textRange(ofElement: index) {
                found.append(stanza.text(in: range))
            }
        }
        #expect(found == ["one", "room@c.b.example/Nick Name", "one", "up", "th", "it", "x&apos;y@b.example", "in"])
        #expect(stanza.toHasResource && stanza.toBareText == "room@c.b.example" && stanza.fromBareText == "a@a.example")
    }

    @Test func `text between children is no value`() throws {
        let stanza = try read(Self.rich)
        let threads = (0..<stanza.elementCount).filter { stanza.elementName(at: $0) == .thread }
        #expect(threads.map { stanza.textRange(ofElement: $0) != nil } == [true, false, false])
    }

    @Test func `addresses without resource, without local part and malformed ones`() throws {
        let bare = try read("<message to='b@b.example' from='a.example'/>")
        #expect(!bare.toHasResource && bare.toBareText == "b@b.example" && bare.fromBareText == "a.example")
        let none = try read("<message to='@/' id='7'/>")
        #expect(!none.toHasResource && none.toBareText.isEmpty && none.fromBareText.isEmpty)
        #expect(try read("<message to='b.example/r'/>").toHasResource)
    }

    @Test func `only what canonical form leaves alone is plain`() {
        #expect(Stanza.isPlain("az09-_~+/=:.\"#") && Stanza.isPlain(""))
        for value in ["a b", "a&b", "a<b", "a>b", "a'b", "a\u{7f}", "ä", "a\n"] { #expect(!Stanza.isPlain(value)) }
    }

    @Test func `one byte decides whether a value is plain, wherever it stands`() {
        for byte in UInt8(0)..<0x80 {
            let isPlain = byte > 0x20 && byte < 0x7f && !"&<>'".utf8.contains(byte)
            for count in 1...17 {
                for place in 0..<count {
                    var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: count)
                    bytes[place] = byte
                    #expect(Stanza.isPlain(String(decoding: bytes, as: UTF8.self)) == isPlain, "\(byte) at \(place) of \(count)")
                }
            }
        }
    }

    @Test func `eight characters as one number are put in as they are as a text`() throws {
        let stanza = try read(Self.rich)
        let range = try #require(stanza.idRange)
        let word = "7e0c6b0a".utf8.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let replacement = Stanza.Replacement(range: range, word: word)
        #expect(replacement.value == "7e0c6b0a")
        #expect(stanza.replacing([replacement]) == stanza.replacing([Stanza.Replacement(range: range, value: "7e0c6b0a")]))
    }

    @Test func `a domain's first label is compared as it lies in the stanza`() throws {
        let labels: [StaticString] = ["muc", "conference"]
        for (address, expected) in [
            ("room@conference.b.example/Nick", .listed), ("Room@MUC.b.example.", .listed), ("muc", .listed),
            ("conference@b.example/muc.", .other), ("mu.b.example", .other), ("muc2.b.example", .other),
            ("b.muc.example", .other), ("room@muc.bücher.example", .unclear), ("@muc.b.example", .unclear),
        ] as [(String, Stanza.DomainLabel)] {
            let to = try read("<message to='\(address)' from='a.example'/>")
            #expect(to.toDomainLabel(among: labels) == expected, "\(address)")
            let from = try read("<message to='a.example' from='\(address)'/>")
            #expect(from.fromDomainLabel(among: labels) == expected, "\(address)")
        }
        #expect(try read("<message/>").toDomainLabel(among: labels) == .unclear)
    }

    @Test func `a control character makes an address none, wherever it stands`() throws {
        for count in 1...17 {
            for place in 0..<count {
                for (byte, isAddress) in [(0x09, false), (0x7f, false), (0x20, true), (0x7e, true), (0xe9, true)] {
                    var resource = [Unicode.Scalar](repeating: "r", count: count)
                    resource[place] = Unicode.Scalar(UInt8(byte))
                    let escaped = resource.map { $0.value == 0x09 ? "&#9;" : String($0) }.joined()
                    let stanza = try read("<message to='a@b.example/\(escaped)'/>")
                    #expect((stanza.to != nil) == isAddress, "\(byte) at \(place) of \(count)")
                    #expect(stanza.toRange != nil)
                }
            }
        }
    }

    /// Every value that may be exchanged, of any stanza.
    private func ranges(_ stanza: Stanza) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        if let range = stanza.idRange { ranges.append(range) }
        for index in 1..<max(stanza.elementCount, 1) {
            for name in ["id", "by", "node", "ver", "stamp"] as [StaticString] {
                if let range = stanza.attributeRange(name, ofElement: index) { ranges.append(range) }
            }
            if let range = stanza.textRange(ofElement: index) { ranges.append(range) }
        }
        return ranges.sorted { $0.lowerBound < $1.lowerBound }
    }

    private func expectSame(_ stanza: Stanza, _ again: Stanza) {
        #expect(stanza == again && stanza.text == again.text)
        #expect(stanza.to == again.to && stanza.from == again.from && stanza.id == again.id)
        #expect(stanza.toDomain == again.toDomain && stanza.fromDomain == again.fromDomain)
        #expect(stanza.language == again.language && stanza.type == again.type && stanza.pairHash == again.pairHash)
        #expect(stanza.elementCount == again.elementCount && stanza.fingerprint == again.fingerprint)
        for index in 0..<min(stanza.elementCount, again.elementCount) {
            #expect(stanza.elementName(at: index) == again.elementName(at: index))
            #expect(stanza.elementDepth(at: index) == again.elementDepth(at: index))
            #expect(stanza.textRange(ofElement: index) == again.textRange(ofElement: index))
        }
        func compare(_ left: Element, _ right: Element) {
            #expect(left.xml == right.xml && left.text == right.text)
            for (left, right) in zip(left.children, right.children) { compare(left, right) }
        }
        compare(stanza.root, again.root)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a stanza with exchanged values reads again as itself`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var traffic = TrafficGenerator(seed: seed)
        var exchanged = 0
        for text in [Self.rich] + traffic.next(400).map(\.xml) {
            let stanza = try read(text)
            let chosen = ranges(stanza).filter { _ in Bool.random(using: &random) }
            let replacements = chosen.map { range in
                if Bool.random(using: &random) {
                    let word = (0..<8).reduce(UInt64(0)) { word, _ in word << 8 | UInt64.random(in: 0x61...0x7a, using: &random) }
                    return Stanza.Replacement(range: range, word: word)
                }
                let count = Int.random(in: 1...60, using: &random)
                return Stanza.Replacement(
                    range: range,
                    value: String((0..<count).map { _ in "az09-=\"/".randomElement(using: &random) ?? "x" }))
            }
            let changed = stanza.replacing(replacements)
            exchanged += replacements.count
            var expected = Array(stanza.text.utf8)
            for replacement in replacements.reversed() {
                expected.replaceSubrange(replacement.range, with: Array(replacement.value.utf8))
            }
            #expect(Array(changed.text.utf8) == expected, "seed \(seed)")
            var bytes = ByteBuffer()
            changed.write(to: &bytes)
            expectSame(changed, try StanzaReader().read(bytes))
        }
        #expect(exchanged > 400)
    }

    @Test func `nothing to exchange leaves the same stanza`() throws {
        let stanza = try read(Self.rich)
        #expect(stanza.replacing([]) == stanza)
    }
}
