import Bridge
import ConfigurationText
import TestSupport
import Testing

/// What is said about a wrong file: all at once, each with its line.
@Suite("Problems of a configuration")
struct ConfigurationProblemTests {
    @Test("All problems of a file are reported at once, each with its place", .timeLimit(.minutes(5)))
    func everythingAtOnce() throws {
        let text = """
            [site]
            domains = ["ship.example", "not a domain", "ship.example", 7]
            sever = { host = "127.0.0.1", port = 5269 }
            server = { host = "127.0.0.300", port = 70000 }
            listen = "127.0.0.2"
            tls = { mode = "of", ca = "/nonexistent/ca.pem" }
            rooms = ["rooms.ship.example"]

            [site.limits]
            stanza-bytes = "1KiB"
            negotiation-timeout = 60

            [[peer]]
            name = "shore"
            domains = ["hq.example", "*.example", "*.hq.example"]
            dialect = "skyvawe"
            [peer.transport]
            kind = "pigeon"
            connect = "10.1.2.3"
            listen = "127.0.0.9:5270"
            compression = { deflate = "yes", level = 12 }

            [[peer]]
            name = "shore"
            domains = ["hq.example"]
            [peer.transport]
            kind = "tcp"
            listen = "0.0.0.0:5270"
            insecure = true
            [peer.outbox]
            message-lifetime = "90"
            max_bytes = 5

            [log]
            level = "verbose"
            """
        let problems = TestConfiguration.problems(text)
        let expected = """
            site.toml:1: site.state: this key is missing (a directory, as in "/var/lib/skywave")
            site.toml:2: site.domains[1] = "not a domain": not a domain name (domain names such as "ship.example")
            site.toml:2: site.domains[2] = "ship.example": listed twice
            site.toml:2: site.domains[3] = 7: this is an integer (domain names such as "ship.example")
            site.toml:3: site.sever = a table of 2: unknown key; did you mean "server"? (allowed: attachment, components, \
            domains, journal, limits, listen, profiles, rooms, server, state, tls)
            """.split(separator: "\n").map(String.init)
        for line in expected {
            #expect(problems.contains(line), "missing: \(line)\nin:\n\(problems.joined(separator: "\n"))")
        }
        // Where and what, for the whole file; the words are pinned above and in the table below.
        let places = problems.map { problem in
            problem.split(separator: ":", maxSplits: 2).dropFirst().map { $0.trimmingPrefix(" ") }.joined(
                separator: ":"
            )
            .split(separator: " ", maxSplits: 1).first.map { String($0).trimmingSuffix(":") } ?? ""
        }
        #expect(
            places == [
                "1:site.state", "2:site.domains[1]", "2:site.domains[2]", "2:site.domains[3]", "3:site.sever",
                "4:site.server.host", "4:site.server.port", "5:site.listen", "6:site.tls.ca",
                "6:site.tls.certificates", "6:site.tls.mode", "7:site.rooms[0]", "10:site.limits.stanza-bytes",
                "11:site.limits.negotiation-timeout", "15:peer[0].domains[1]", "16:peer[0].dialect",
                "17:peer[0].transport", "18:peer[0].transport.kind",
                "19:peer[0].transport.connect", "21:peer[0].transport.compression.deflate",
                "21:peer[0].transport.compression.level", "24:peer[1].name", "25:peer[1].domains[0]",
                "26:peer[1].transport.addresses", "28:peer[1].transport.listen", "31:peer[1].outbox.message-lifetime",
                "32:peer[1].outbox.max_bytes", "35:log.level",
            ], "\(problems.joined(separator: "\n"))")
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var name: String
        var site = ""
        var peer = ""
        var transport = ""
        var tail = ""
        /// Parts of the only problem.
        var line: Int
        var parts: [String]
        var testDescription: String { name }
    }

    @Test(
        "Every kind of problem is reported alone, with its line",
        arguments: [
            Wrong(
                name: "unknown key", site: "listn = 1", line: 7, parts: ["site.listn = 1", "did you mean \"listen\""]),
            Wrong(
                name: "unknown table", tail: "[adnin]\nsocket = \"x\"", line: 18,
                parts: ["adnin", "did you mean \"admin\""]),
            Wrong(
                name: "wrong type", site: "rooms = \"x\"", line: 7,
                parts: ["site.rooms = \"x\"", "this is a string", "array"]),
            Wrong(
                name: "foreign room", site: "rooms = [\"conference.hq.example\"]", line: 7,
                parts: ["site.rooms[0]", "not one of the domains"]),
            Wrong(
                name: "peer's room elsewhere", peer: "rooms = [\"x.example\"]", line: 11,
                parts: ["peer[0].rooms[0]", "not one of this peer's domains"]),
            Wrong(
                name: "unknown mode of the journal", site: "journal = { mode = \"of\" }", line: 7,
                parts: ["site.journal.mode", "did you mean \"off\""]),
            Wrong(
                name: "both ends dial", transport: "listen = \"0.0.0.0:5270\"", line: 17,
                parts: ["peer[0].transport.listen", "one end dials", "exactly one"]),
            Wrong(
                name: "key of the other dialect", transport: "batch-bytes = 4096", line: 17,
                parts: ["batch-bytes", "only used with dialect = \"xep\"", "[peer.block]"]),
            Wrong(
                name: "table of the other dialect", peer: "dialect = \"xep\"", tail: "[peer.block]\nlevel = 9",
                line: 18, parts: ["peer[0].block", "only used with dialect = \"skywave\""]),
            Wrong(
                name: "level out of range", tail: "[peer.block]\nlevel = 10", line: 19,
                parts: ["peer[0].block.level = 10", "from 1 to 9"]),
            Wrong(
                name: "hold that is nothing", tail: "[peer.block]\nhold = \"soon\"", line: 19,
                parts: ["peer[0].block.hold = \"soon\"", "neither \"turn\""]),
            Wrong(
                name: "hold for more than a block", tail: "[peer.block]\nsize = 4096\nhold = \"8KiB\"", line: 20,
                parts: ["peer[0].block.hold", "from 1 to 4096 bytes"]),
            Wrong(
                name: "dictionary that is not there", tail: "[peer.block]\ndictionary = \"/nonexistent/d\"", line: 19,
                parts: ["peer[0].block.dictionary", "cannot be read", "skywave dictionary train"]),
            Wrong(
                name: "priority out of range", tail: "[peer.outbox]\nclass.message = { priority = 16 }", line: 19,
                parts: ["peer[0].outbox.class.message.priority = 16", "from 0 to 15"]),
            Wrong(
                name: "unknown class", tail: "[peer.outbox]\nclass.mesage = { priority = 1 }", line: 19,
                parts: ["peer[0].outbox.class.mesage", "did you mean \"message\""]),
            Wrong(
                name: "lifetime twice",
                tail: "[peer.outbox]\nmessage-lifetime = \"1h\"\nclass.message = { expires = \"2h\" }", line: 20,
                parts: ["class.message.expires", "given beside message-lifetime"]),
            Wrong(
                name: "urgent address with a resource",
                tail: "[peer.outbox]\nurgent-addresses = [\"watch@hq.example/phone\"]", line: 19,
                parts: ["urgent-addresses[0]", "not a bare address"]),
            Wrong(
                name: "superseding messages", tail: "[peer.outbox]\nclass.message = { supersede = true }", line: 19,
                parts: ["class.message.supersede", "unknown key"]),
            Wrong(
                name: "misspelt dialect", peer: "dialect = \"xepp\"", line: 11, parts: ["did you mean \"xep\""]),
            Wrong(
                name: "reconnect turned round", transport: "reconnect = { min = \"2m\", max = \"1m\" }", line: 17,
                parts: ["reconnect.min", "larger than"]),
            Wrong(
                name: "bad duration", peer: "dialect = \"xep\"", transport: "hold = \"20 parsecs\"", line: 17, parts: ["hold", "not a duration"]),
            Wrong(
                name: "duration without unit", transport: "dead-after = 30", line: 17,
                parts: ["without a unit", "\"90s\""]),
            Wrong(
                name: "duration out of range", peer: "dialect = \"xep\"", transport: "hold = \"11s\"", line: 17, parts: ["out of range", "to 10s"]),
            Wrong(
                name: "listener collision", peer: "dialect = \"xep\"", transport: "listen = \"0.0.0.0:5269\"", line: 17,
                parts: ["peer[0].transport.listen", "collides with \"127.0.0.2:5269\" (line 4)"]),
            Wrong(
                name: "host name as listener", peer: "dialect = \"xep\"", transport: "listen = \"localhost:5270\"", line: 17,
                parts: ["listen", "not an address"]),
            Wrong(
                name: "second peer with the same domains",
                tail: """
                    [[peer]]
                    name = "b"
                    domains = ["deep.below.hq.example"]
                    transport = { kind = "tcp", connect = "a:1", insecure = true, addresses = ["::1"] }
                    """, line: 20, parts: ["overlaps \"*.hq.example\" of peer \"shore\" (line 10)"]),
            Wrong(
                name: "peer with a domain of the site",
                tail: """
                    [[peer]]
                    name = "b"
                    domains = ["*.ship.example"]
                    transport = { kind = "tcp", connect = "a:1", insecure = true, addresses = ["::1"] }
                    """, line: 20, parts: ["overlaps \"conference.ship.example\" of this site (line 2)"]),
            Wrong(
                name: "peer without a transport",
                tail: "[[peer]]\nname = \"b\"\ndomains = [\"b.example\"]", line: 18,
                parts: ["peer[1].transport: this key is missing"]),
            Wrong(
                name: "secrets without component mode", site: "components = { \"hq.example\" = \"hush\" }", line: 7,
                parts: ["only used with attachment"]),
            Wrong(
                name: "link certificate that is not there",
                tail: """
                    [[peer]]
                    name = "b"
                    domains = ["b.example"]
                    [peer.transport]
                    kind = "tcp"
                    connect = "b.example:1"
                    tls = { certificate = "/nonexistent/a.crt", key = "/dev/null", ca = "/etc/hostname" }
                    """, line: 24, parts: []),
            Wrong(
                name: "socket path too long", tail: "[admin]\nsocket = \"/\(String(repeating: "a", count: 120))\"",
                line: 19,
                parts: ["admin.socket", "too long"]),
            Wrong(
                name: "metrics for everybody", tail: "[admin]\nlisten = \"0.0.0.0:9464\"", line: 19,
                parts: ["admin.listen", "no token", "127.0.0.1:9464"]),
            Wrong(
                name: "token file missing",
                tail: "[admin]\ntoken-file = \"/nonexistent/token\"\nlisten = \"10.1.2.3:9464\"", line: 19,
                parts: ["admin.token-file", "/nonexistent/token", "openssl rand -hex 32"]),
            Wrong(
                name: "token that is none",
                tail: "[admin]\nlisten = \"127.0.0.1:9464\"\ntoken-file = \"/etc/hostname\"", line: 20,
                parts: ["admin.token-file", "/etc/hostname"]),
            Wrong(
                name: "metrics where the server dials", tail: "[admin]\nlisten = \"127.0.0.2:5269\"", line: 19,
                parts: ["admin.listen = \"127.0.0.2:5269\"", "collides with \"127.0.0.2:5269\" (line 4)"]),
            Wrong(
                name: "unknown key of the admin endpoint", tail: "[admin]\ntoken = \"x\"", line: 19,
                parts: ["admin.token", "unknown key", "listen, socket, token-file"]),
            Wrong(
                name: "unknown key of the inbox", tail: "[peer.inbox]\nmax-byte = 65536", line: 19,
                parts: ["peer[0].inbox.max-byte", "did you mean \"max-bytes\""]),
            Wrong(
                name: "inbox out of range", tail: "[peer.inbox]\nmax-stanzas = 1", line: 19,
                parts: ["peer[0].inbox.max-stanzas = 1", "from 16 to 10000000"]),
            Wrong(
                name: "padding out of range", tail: "[peer.block]\npad-to = 8", line: 19,
                parts: ["peer[0].block.pad-to = 8", "16B to 16KiB"]),
            Wrong(
                name: "unknown key of the journal", site: "journal = { sync = false }", line: 7,
                parts: ["site.journal.sync", "unknown key", "mode"]),
            Wrong(
                name: "metrics at a name", tail: "[admin]\nlisten = \"nowhere:1\"", line: 19,
                parts: ["admin.listen"]),
        ])
    func oneProblem(_ wrong: Wrong) throws {
        try TemporaryDirectory.with { directory in
            let text = TestConfiguration.site(
                directory, site: wrong.site, peer: wrong.peer, transport: wrong.transport, tail: wrong.tail)
            let problems = TestConfiguration.problems(text)
            #expect(problems.count == (wrong.name.hasPrefix("link certificate") ? 3 : 1), "\(problems)")
            for problem in problems { #expect(problem.hasPrefix("site.toml:\(wrong.line): "), "\(problem)") }
            for part in wrong.parts { #expect(problems.first?.contains(part) == true, "\(problems)") }
            #expect(!problems.joined().contains("hush"))
        }
    }

    @Test("A link without TLS needs the risk in words and a list of addresses (peers d7)")
    func insecure() throws {
        try TemporaryDirectory.with { directory in
            let good = TestConfiguration.site(directory)
            let noFlag = good.replacing("insecure = true\n", with: "")
            #expect(TestConfiguration.problems(noFlag).count == 1)
            #expect(TestConfiguration.problems(noFlag).first?.contains("does not say insecure = true") == true)
            let refused = good.replacing("insecure = true", with: "insecure = false")
            #expect(TestConfiguration.problems(refused).first?.contains("does not say insecure = true") == true)
            let noList = good.replacing("addresses = [\"10.1.2.3\"]\n", with: "")
            #expect(TestConfiguration.problems(noList).first?.contains("peer[0].transport.addresses: this key is missing") == true)
            let emptyList = good.replacing("addresses = [\"10.1.2.3\"]", with: "addresses = []")
            #expect(TestConfiguration.problems(emptyList).first?.contains("no address") == true)
            let quoted = good.replacing("insecure = true", with: "insecure = \"true\"")
            #expect(TestConfiguration.problems(quoted).first?.contains("true or false, without quotes") == true)
        }
    }

    @Test("Component mode needs exact domains, a secret for each, and no secret is echoed")
    func componentProblems() throws {
        try TemporaryDirectory.with { directory in
            let text = """
                [site]
                domains = ["ship.example"]
                attachment = "component"
                server = { host = "127.0.0.1" }
                listen = "127.0.0.2:5269"
                state = "\(directory)"
                [site.components]
                "b.example" = 12345678
                "c.example" = ""
                "d.example" = "hush"
                [[peer]]
                name = "shore"
                domains = ["*.hq.example", "hq.example"]
                [peer.transport]
                kind = "tcp"
                connect = "localhost:5270"
                insecure = true
                addresses = ["127.0.0.0/8"]
                """
            let problems = TestConfiguration.problems(text)
            #expect(problems.count == 6, "\(problems)")
            #expect(!problems.joined().contains("hush"))
            #expect(!problems.joined().contains("12345678"))
            #expect(problems.contains { $0.hasPrefix("site.toml:5: site.listen") })
            #expect(
                problems.contains { $0.hasPrefix("site.toml:8: site.components.\"b.example\": this is an integer") })
            #expect(
                problems.contains { $0.hasPrefix("site.toml:9: site.components.\"c.example\": the secret is empty") })
            #expect(
                problems.contains { $0.hasPrefix("site.toml:10: site.components.\"d.example\": not a domain of any") })
            #expect(problems.contains { $0.hasPrefix("site.toml:13: peer[0].domains[0]") })
            #expect(
                problems.contains { $0.hasPrefix("site.toml:13: peer[0].domains[1] = \"hq.example\": has no secret") })
        }
    }

    @Test(
        "TOML syntax errors have a line",
        arguments: zip(
            ["a = 1\nb = \n", "[site\n", "\n\n[a]\n[a]\n", "a = 1\na = 2\n", "a = 1\n\u{0}b", "x = \"\n"],
            [2, 1, 4, 2, 2, 1]))
    func syntax(_ text: String, _ line: Int) {
        let problems = TestConfiguration.problems(text)
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.hasPrefix("site.toml:\(line): ") == true, "\(problems)")
    }

    @Test("A file that is not there, not a file or too large is one plain problem")
    func unreadable() {
        for (file, words) in [("/nonexistent/site.toml", "No such file"), ("/tmp", "Not a file")] {
            let error = #expect(throws: ConfigurationProblems.self) { try SiteConfiguration.load(file: file) }
            #expect(error?.problems.count == 1)
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        }
    }
}

extension String {
    func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
