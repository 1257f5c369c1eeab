import Glibc
import NIOCore
import Testing
import XMPP

@Suite struct StreamReaderTests {
    @Test func `a header is told with all it says`() {
        let found = events(of: header, root: .received)
        #expect(
            found == [
                .opened(
                    StreamHeader(
                        from: "a.example", to: "b.example", version: "1.0", language: "de", declaresDialback: true))
            ])
    }

    @Test func `what we write as a header is read as the same`() {
        let written = StreamHeader(
            from: "a.example", to: "b.example", id: "<'&>", version: nil, contentNamespace: XMLNamespace.component,
            declaresDialback: false)
        #expect(events(of: written.openingTag(), root: .received) == [.opened(written)])
    }

    @Test(arguments: [
        ("<stream:stream xmlns:stream='urn:other' xmlns='jabber:server'>", StreamErrorCondition.invalidNamespace),
        ("<stream:other xmlns:stream='http://etherx.jabber.org/streams'>", .badFormat),
        ("<s:stream xmlns:s='http://etherx.jabber.org/streams'>", .badNamespacePrefix),
        ("<stream xmlns='http://etherx.jabber.org/streams'>", .badNamespacePrefix),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream xmlns:stream='x'>", .unsupportedEncoding),
        ("\u{feff}<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", .notWellFormed),
        ("<stream:stream>", .badNamespacePrefix),
        ("GET / HTTP/1.1\r\n\r\n", .notWellFormed),
        ("\u{16}\u{3}\u{1}", .notWellFormed),
    ]) func `a wrong root is refused by name`(_ input: String, _ expected: StreamErrorCondition) {
        #expect(condition(events(of: input, root: .received)) == expected)
    }

    @Test(arguments: [
        ("<!-- c -->", StreamErrorCondition.restrictedXML),
        ("<?php echo ?>", .restrictedXML),
        ("<message><!-- c --></message>", .restrictedXML),
        ("<message><?pi?></message>", .restrictedXML),
        ("<message>&nbsp;</message>", .restrictedXML),
        ("<message>&lol;</message>", .restrictedXML),
        ("<message></presence>", .notWellFormed),
        ("<message a='1' a='2'/>", .notWellFormed),
        ("<message a=1/>", .notWellFormed),
        ("<message a='<'/>", .notWellFormed),
        ("<message>]]></message>", .notWellFormed),
        ("<message>\u{0}</message>", .notWellFormed),
        ("<message>&#0;</message>", .notWellFormed),
        ("<message>&#xD800;</message>", .notWellFormed),
        ("<a:message/>", .badNamespacePrefix),
        ("<message b:x='1'/>", .badNamespacePrefix),
        ("<message xmlns:a='urn:x' xmlns:b='urn:x' a:k='1' b:k='2'/>", .notWellFormed),
        ("<message xmlns:xml='urn:other'/>", .notWellFormed),
        ("<message xmlns:p=''/>", .notWellFormed),
        ("stray text", .badFormat),
        ("<stream:stream xmlns='jabber:server' to='b.example'><message/>", .badFormat),
        ("<message/>&amp;", .badFormat),
        ("<message/><?xml version='1.0'?>", .notWellFormed),
        ("<!DOCTYPE x>", .notWellFormed),
    ]) func `peers d11, d14: restricted and broken XML is refused by name`(
        _ input: String, _ expected: StreamErrorCondition
    ) {
        #expect(condition(events(of: input)) == expected, "\(input)")
        #expect(condition(events(of: Array(input.utf8).map { [$0] })) == expected, "\(input)")
    }

    @Test(arguments: [
        [0xc3, 0x28], [0xff], [0xfe], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82],
        [0xef, 0xbf, 0xbf], [0x0b], [0x80],
    ] as [[UInt8]]) func `peers d14: invalid UTF-8 and forbidden characters are refused`(_ bytes: [UInt8]) {
        let input = Array("<message><body>".utf8) + bytes + Array("</body></message>".utf8)
        #expect(condition(events(of: [input])) == .notWellFormed)
        let attribute = Array("<message id='".utf8) + bytes + Array("'/>".utf8)
        #expect(condition(events(of: attribute.map { [$0] })) == .notWellFormed)
    }

    @Test func `peers d11: a billion laughs die at the document type`() {
        var document = "<?xml version='1.0'?><!DOCTYPE s [<!ENTITY a 'ha'>"
        for index in 0..<10 { document += "<!ENTITY b\(index) '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>" }
        document += "]>" + header
        #expect(events(of: document, root: .received) == [.failed(StreamError(.restrictedXML))])
    }

    @Test func `a stanza just over the limit is reported by its start tag, and the stream lives on`() throws {
        var limits = XMLLimits.local
        limits.stanzaBytes = 10_000
        let frame = "<message to='b@b.example' from='a@a.example' id='1'><body></body></message>"
        let fitting = frame.replacing("<body>", with: "<body>" + String(repeating: "x", count: 10_000 - frame.utf8.count))
        let over = frame.replacing("<body>", with: "<body>" + String(repeating: "x", count: 10_001 - frame.utf8.count))
        let found = events(of: [Array((fitting + over + fitting).utf8)], limits: limits)
        let stub = try #require(read("<message to='b@b.example' from='a@a.example' id='1'/>"))
        let whole = try #require(read(fitting))
        #expect(found == [.stanza(whole), .oversize(stub, limit: 10_000), .stanza(whole)])
        #expect(events(of: Array((fitting + over + fitting).utf8).map { [$0] }, limits: limits) == found)
        #expect(stub.errorReply(.policyViolation) != nil)
    }

    @Test func `a stanza that never ends is skipped in flat memory, then ends the stream`() {
        let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
        var found = feed(reader, [Array("<message to='b@b.example' from='a@a.example'><body>".utf8)])
        let chunk = Array(repeating: UInt8(ascii: "x"), count: 65_536)
        var most = 0
        for _ in 0..<16_384 where found.isEmpty {
            found += feed(reader, [chunk])
            most = max(most, reader.unfinishedStanzaBytes)
        }
        #expect(condition(found) == .policyViolation)
        #expect(most <= XMLLimits.local.stanzaBytes + chunk.count)
    }

    @Test func `peers d13: an endless tag is refused at its limit`() {
        let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
        var found = feed(reader, [Array("<message id='".utf8)])
        var sent = 0
        while found.isEmpty, sent < 1 << 24 {
            found += feed(reader, [Array(repeating: UInt8(ascii: "x"), count: 64)])
            sent += 64
        }
        #expect(condition(found) == .policyViolation)
        #expect(sent <= XMLLimits.local.tokenBytes + 1_024)
    }

    @Test(arguments: [10_000, 100_000]) func `peers d13: deep nesting is refused, never silent`(_ depth: Int) {
        #expect(condition(events(of: String(repeating: "<message>", count: depth))) == .policyViolation)
    }

    @Test func `nesting up to the limit passes`() {
        let inside = XMLLimits.local.depth - 1
        let deep = "<message>" + String(repeating: "<x>", count: inside) + String(repeating: "</x>", count: inside) + "</message>"
        #expect(canonical(deep).count == 1)
    }

    @Test func `too many attributes, declarations and long names are refused`() {
        let attributes = (0...64).map { "a\($0)='1'" }.joined(separator: " ")
        #expect(condition(events(of: "<message \(attributes)/>")) == .policyViolation)
        let declarations = (0...200).map { "xmlns:a\($0)='urn:\($0)'" }.joined(separator: " ")
        #expect(condition(events(of: "<message \(declarations)/>")) == .policyViolation)
        #expect(condition(events(of: "<\(String(repeating: "n", count: 300))/>")) == .policyViolation)
        #expect(condition(events(of: "<x xmlns='\(String(repeating: "n", count: 2_000))'/>")) == .policyViolation)
    }

    @Test func `too many elements make one stanza oversize`() {
        let stanza = "<message>" + String(repeating: "<x/>", count: XMLLimits.local.elements) + "</message>"
        let found = events(of: stanza + "<presence/>")
        #expect(found.count == 2)
        guard case .oversize(let stub, _)? = found.first else {
            Issue.record("not skipped")
            return
        }
        #expect(stub.text == "<message/>")
    }

    @Test func `peers d12: before authentication little is taken`() {
        let many = header + String(repeating: "<x/>", count: 40)
        #expect(condition(events(of: many, limits: .beforeAuthentication, root: .received)) == .policyViolation)
        let long = header + "<x>" + String(repeating: "y", count: 9_000)
        #expect(condition(events(of: long, limits: .beforeAuthentication, root: .received)) == .policyViolation)
        let slow = events(of: Array(long.utf8).map { [$0] }, limits: .beforeAuthentication, root: .received)
        #expect(condition(slow) == .policyViolation)
    }

    /// In a process of its own: what other tests allocate meanwhile does not count.
    @Test func `peers d12: made-up names do not grow the parser, and nothing is lost when it is made anew`() async {
        await #expect(processExitsWith: .success) {
            let reader = StreamReader(limits: .local, root: .received)
            _ = feed(reader, [Array(header.utf8)])
            var read = 0
            var before = 0
            let rounds = 60_000
            for round in 0..<rounds {
                // The stream's own prefix must still be known after the parser was made anew.
                let xml =
                    "<message to='b@b.example' from='a@a.example'><db:n\(round) a\(round)='1'/><body>\(round)</body></message>"
                for case .stanza(let stanza) in feed(reader, [Array(xml.utf8)]) {
                    let body = stanza.root.firstChild("body", XMLNamespace.server)
                    precondition(body?.text == String(read) && stanza.language == "de", "stanza \(read) is wrong")
                    read += 1
                }
                if round == rounds / 4 { before = residentBytes() }
            }
            precondition(read == rounds, "\(read) of \(rounds) were read")
            let growth = residentBytes() - before
            precondition(before > 0 && growth < 16 << 20, "grew by \(growth) bytes")
        }
    }

    @Test func `a parser made anew in the middle of a read goes on at the right byte`() throws {
        let one = "<message to='b@b.example' from='a@a.example'><body>0123456789</body></message><presence to='b@b.example' from='a@a.example'/> "
        let count = 3 * XMLLimits.local.stanzaBytes * 4 / one.utf8.count
        let input = Array(String(repeating: one, count: count).utf8)
        let found = events(of: [input])
        #expect(found.count == count * 2)
        #expect(found.allSatisfy { if case .stanza = $0 { true } else { false } })
    }

    @Test func `a closing tag ends the stream, and what follows is ignored`() {
        #expect(events(of: "<presence/></stream:stream><presence/>garbage<") == events(of: "<presence/></stream:stream>"))
        #expect(events(of: "</stream:stream>") == [.closed])
    }

    @Test func `a stanza cut by the closing tag is an error`() {
        #expect(condition(events(of: "<message><body>x</stream:stream>")) == .notWellFormed)
    }

    @Test func `an implicit stream takes an XML declaration as its first bytes only`() {
        #expect(canonical("<?xml version='1.0'?><presence/>") == ["<presence/>"])
        #expect(events(of: Array("<?xml version='1.0'?><presence/>".utf8).map { [$0] }) == events(of: "<presence/>"))
        #expect(condition(events(of: "<?xml version='1.0' encoding='latin1'?><presence/>")) == .unsupportedEncoding)
        #expect(condition(events(of: " <?xml version='1.0'?><presence/>")) == .notWellFormed)
        #expect(canonical("\n <presence/>\n") == ["<presence/>"])
    }

    @Test func `peers d24: white space between stanzas is nothing`() {
        #expect(canonical(" \r\n\t<presence/>   <presence/> ") == ["<presence/>", "<presence/>"])
    }

    @Test func `a restart forgets what was sent ahead`() {
        let reader = StreamReader(limits: .local, root: .received)
        var buffer = ByteBuffer(string: header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message/>")
        reader.read(&buffer)
        _ = reader.nextEvent()
        reader.reset()
        #expect(reader.nextEvent() == nil)
        #expect(feed(reader, [Array((header + "<presence/>").utf8)]).count == 2)
    }

    @Test func `stream-level elements are children of their own`() throws {
        let found = events(
            of: header + "<db:result from='a.example' to='b.example'>k&amp;y</db:result><stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>",
            root: .received)
        guard case .stanza(let result) = found[1], case .stanza(let features) = found[2] else {
            Issue.record("not two elements")
            return
        }
        #expect(result.kind == .other && result.root.name == "result" && result.root.namespace == XMLNamespace.dialback)
        #expect(result.root.text == "k&y" && result.root.attribute("from") == "a.example")
        #expect(features.root.namespace == XMLNamespace.stream)
        let dialback = try #require(features.root.firstChild("dialback", XMLNamespace.dialbackFeature))
        #expect(dialback.firstChild("errors", XMLNamespace.dialbackFeature) != nil)
    }

    @Test func `stanzas of another content namespace are not taken for ours`() {
        let found = events(of: "<message xmlns='jabber:client' to='b@b.example' from='a@a.example'/>")
        guard case .stanza(let stanza)? = found.first else {
            Issue.record("nothing read")
            return
        }
        #expect(stanza.kind == .other && stanza.root.namespace == "jabber:client")
    }
}

/// Resident memory of this process in bytes.
func residentBytes() -> Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe _ = fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard unsafe fgets(&line, 256, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4_096 : 0
}
