import ConfigurationText
import Testing

@Suite("Lines of TOML values")
struct TOMLLineLocatorTests {
    private let document = #"""
        # a comment with [brackets] and key = "value"
        title = "one"   # trailing
        "quoted.key" = 1
        'literal key' = 2
        a.b . "c d" = 3

        [site]
        domains = [
          "a.example",   # first
          # between
          "b.example",
        ]
        server = { host = "127.0.0.1", port = 5269 }
        text = """
        [not.a.header]
        key = "no \""" key"
        ends with a quote""""
        after = true
        raw = '''
        x = 1 '' '''
        nested = [[1, 2],
          [3,
           4], { deep = [ "]", '[', ] }]

        [[peer]]
        name = "one"
        [peer.transport]
        kind = "tcp"
        [[peer.extra]]
        e = 1
        [[peer.extra]]
        e = 2
        [[peer]]
        name = 'two'
          [peer . "transport"]
          kind = "tcp"
        """#

    private func path(_ components: TOMLPath.Component...) -> TOMLPath { TOMLPath(components) }

    @Test("Keys of every spelling are found on their own line")
    func keys() {
        let locator = TOMLLineLocator(document)
        #expect(locator.line(of: path(.key("title"))) == 2)
        #expect(locator.line(of: path(.key("quoted.key"))) == 3)
        #expect(locator.line(of: path(.key("literal key"))) == 4)
        #expect(locator.line(of: path(.key("a"), .key("b"), .key("c d"))) == 5)
        #expect(locator.line(of: path(.key("site"))) == 7)
        #expect(locator.line(of: path(.key("site"), .key("server"), .key("port"))) == 13)
    }

    @Test("Elements of arrays over several lines have their own lines")
    func arrays() {
        let locator = TOMLLineLocator(document)
        #expect(locator.line(of: path(.key("site"), .key("domains"))) == 8)
        #expect(locator.line(of: path(.key("site"), .key("domains"), .index(0))) == 9)
        #expect(locator.line(of: path(.key("site"), .key("domains"), .index(1))) == 11)
        #expect(locator.line(of: path(.key("site"), .key("nested"), .index(1))) == 22)
        #expect(locator.line(of: path(.key("site"), .key("nested"), .index(1), .index(1))) == 23)
        #expect(locator.line(of: path(.key("site"), .key("nested"), .index(2), .key("deep"), .index(1))) == 23)
    }

    @Test("Strings over several lines hide what looks like headers and keys")
    func multiLineStrings() {
        let locator = TOMLLineLocator(document)
        #expect(locator.line(of: path(.key("site"), .key("text"))) == 14)
        #expect(locator.line(of: path(.key("site"), .key("after"))) == 18)
        #expect(locator.line(of: path(.key("site"), .key("raw"))) == 19)
        #expect(locator.line(of: path(.key("not"))) == nil)
        #expect(locator.line(of: path(.key("site"), .key("x"))) == nil)
    }

    @Test("Tables in arrays of tables are counted, and headers below them belong to the latest")
    func arraysOfTables() {
        let locator = TOMLLineLocator(document)
        #expect(locator.line(of: path(.key("peer"), .index(0))) == 25)
        #expect(locator.line(of: path(.key("peer"), .index(0), .key("name"))) == 26)
        #expect(locator.line(of: path(.key("peer"), .index(0), .key("transport"), .key("kind"))) == 28)
        #expect(locator.line(of: path(.key("peer"), .index(0), .key("extra"), .index(1), .key("e"))) == 32)
        #expect(locator.line(of: path(.key("peer"), .index(1), .key("name"))) == 34)
        #expect(locator.line(of: path(.key("peer"), .index(1), .key("transport"), .key("kind"))) == 36)
    }

    @Test("A missing key is placed at the nearest table that is written down")
    func nearest() {
        let locator = TOMLLineLocator(document)
        #expect(locator.nearestLine(of: path(.key("peer"), .index(1), .key("transport"), .key("connect"))) == 35)
        #expect(locator.nearestLine(of: path(.key("peer"), .index(1), .key("domains"), .index(7))) == 33)
        #expect(locator.nearestLine(of: path(.key("admin"), .key("socket"))) == 1)
    }

    @Test(
        "Broken documents end the search without a trap",
        arguments: [
            "", "[", "[[", "[a", "[[a]", "a", "a =", "a = [", "a = {", "a = { b", "a = \"", "a = \"\\", "a = '''",
            "= 1", "[]",
            "a = \"\"\"\"\"", "\u{FEFF}a = 1", "a = [[[[[[", "\r\n\r\na = 1",
            String(repeating: "a = [", count: 3) + String(repeating: "[", count: 5_000),
        ])
    func broken(_ text: String) {
        _ = TOMLLineLocator(text)
    }

    @Test("A byte order mark moves nothing")
    func byteOrderMark() {
        let locator = TOMLLineLocator("\u{FEFF}a = 1\r\n[b]\r\nc = 2\r\n")
        #expect(locator.line(of: path(.key("a"))) == 1)
        #expect(locator.line(of: path(.key("b"), .key("c"))) == 3)
    }

    @Test("Windows line ends count once")
    func carriageReturns() {
        #expect(TOMLLineLocator("a = 1\r\nb = 2\r\n\r\n[c]\r\nd = 3\r\n").line(of: path(.key("c"), .key("d"))) == 5)
    }
}
