import NIOCore
import STANAG5066
import TestSupport
import Testing
import XMPP

@Suite struct XMLDepthScannerTests {
    private func scanned(_ text: String, depth: Int = 64) -> XMLDepthScanner {
        var scanner = XMLDepthScanner(maximumDepth: depth)
        scanner.scan(ByteBuffer(string: text).readableBytesView)
        return scanner
    }

    @Test(arguments: [
        ("<message/>", 1), ("<message><body>a</body></message>", 1), ("<a x='>'/>", 1), ("<a x=\"/>'<\"/>", nil),
        ("<a x=\"/>'\"></a>", 1), ("<a><![CDATA[</a>]]]></a>", 1), ("<a><![CDATA[]]></a> \n<b/>", 2),
        ("<?xml version='1.0'?><a/>", 1), ("<a/></stream:stream>", 1), ("</stream:stream>", 0), ("", 0), (" ", 0),
        ("<ä>€</ä>", 1), ("<a>]]></a>", 1), ("<a / >x</a>", 1),
    ] as [(String, Int?)])
    func `where nothing is open, a unit may end`(_ text: String, elements: Int?) {
        let scanner = scanned(text)
        #expect(scanner.hasFailed == (elements == nil))
        if let elements {
            #expect(scanner.isAtRest)
            #expect(scanner.elements == elements)
        }
    }

    @Test(arguments: [
        "x", "<a/>x", "<!-- -->", "<a><!-- --></a>", "<!DOCTYPE a>", "<a><!DOCTYPE a></a>", "<a><?p?></a>", "<a/><?xml?>",
        " <?xml?>",
        "<a <b>", "</a></a>", "</a><b/>", "<>", "< a/>", "<a></a'>", "<a><![cdata[x]]></a>", "\u{feff}<a/>",
    ])
    func `what can never become a unit fails at once`(_ text: String) {
        #expect(scanned(text).hasFailed)
    }

    @Test func `nesting is bounded`() {
        #expect(!scanned(String(repeating: "<a>", count: 64)).hasFailed)
        #expect(scanned(String(repeating: "<a>", count: 65)).hasFailed)
        #expect(scanned("<?xml " + String(repeating: "x", count: 300)).hasFailed)
    }

    @Test func `the end is found at the last byte, at no byte before, whatever the split`() {
        let text = "<message to='b@y' x=\">\"><body>grüße ]]&gt; <![CDATA[ </message> ]] ]]></body><x xmlns='u'/></message>"
        let whole = Array(text.utf8)
        var scanner = XMLDepthScanner(maximumDepth: 8)
        for (index, byte) in whole.enumerated() {
            scanner.scan(ByteBuffer(bytes: [byte]).readableBytesView)
            #expect(scanner.isAtRest == (index == whole.count - 1), "after \(index)")
        }
        var random = SeededGenerator(seed: 5)
        for _ in 0..<50 {
            var other = XMLDepthScanner(maximumDepth: 8)
            for piece in random.pieces(of: whole, largest: 30) { other.scan(ByteBuffer(bytes: piece).readableBytesView) }
            #expect(other == scanner)
        }
    }

    /// What the parser takes the scanner takes, and both find the same number of stanzas.
    @Test func `the scanner and the parser agree about what random markup ends with`() throws {
        let tokens = [
            "<a>", "</a>", "<a/>", "<b x='1'>", "</b>", "<b y=\">\"/>", "t", " ", "&lt;", "<![CDATA[<]]>", "]", "<!--x-->",
            "é", "<a", ">", "'", "/", "\n",
        ]
        var random = SeededGenerator(seed: 11)
        var whole = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 1..<8, using: &random)).map { _ in
                tokens[Int.random(in: 0..<tokens.count, using: &random)]
            }.joined() + "\n\n"  // expat says nothing of brackets at the very end
            let reader = StreamReader(limits: .link, root: .implicit(XMLNamespace.server))
            var buffer = ByteBuffer(string: text)
            reader.read(&buffer)
            var stanzas = 0
            var isRefused = false
            while let event = reader.nextEvent() {
                switch event {
                case .stanza: stanzas += 1
                case .failed: isRefused = true
                case .opened, .closed, .oversize: break
                }
            }
            let scanner = scanned(text)
            if isRefused { continue }
            #expect(!scanner.hasFailed, "\(text)")
            #expect(scanner.elements == stanzas, "\(text)")
            if scanner.isAtRest, stanzas > 0 { whole += 1 }
        }
        #expect(whole > 500)
    }
}
