import Bridge
import ConfigurationText
import Glibc
import Logging
import NIOCore
import TestSupport
import Testing
import XMPP

/// What is read from a correct file.
@Suite("Configuration")
struct ConfigurationTests {
    @Test("A token file is one line that not everybody can read")
    func adminToken() throws {
        try TemporaryDirectory.with { directory in
            let file = "\(directory)/token"
            let token = String(repeating: "0f", count: 16)
            _ = try Files.createPrivate(file, Array("\(token)\n".utf8))
            #expect(AdminConfiguration.readToken(file) == .success(token))
            let text = TestConfiguration.site(
                directory, tail: "[admin]\nlisten = \"10.1.2.3:9464\"\ntoken-file = \"\(file)\"")
            let admin = try SiteConfiguration.parse(text, file: "\(directory)/site.toml").admin
            #expect(admin.listen == Endpoint(host: "10.1.2.3", port: 9464) && admin.tokenFile == file)
            for (number, text) in ["short\n", token + "\n" + token].enumerated() {
                _ = try Files.createPrivate("\(file)\(number)", Array(text.utf8))
                let read = AdminConfiguration.readToken("\(file)\(number)")
                #expect(throws: ConfigurationFileProblem.self) { try read.get() }
            }
            #expect(unsafe chmod(file, 0o604) == 0)
            #expect(throws: ConfigurationFileProblem.self) { try AdminConfiguration.readToken(file).get() }
        }
    }

    @Test("A complete site is read with its defaults")
    func complete() throws {
        try TemporaryDirectory.with { directory in
            let text = TestConfiguration.site(
                directory, site: "rooms = [\"conference.ship.example\"]", peer: "rooms = [\"talk.hq.example\"]\ndialect = \"xep\"",
                transport: """
                    listen = "127.0.0.1:5271"
                    compression = { deflate = true, level = 9 }
                    hold = "50ms"
                    dead-after = "5m"
                    reconnect = { min = "2s" }
                    """,
                tail: """
                    [peer.outbox]
                    max-bytes = "1GiB"
                    message-lifetime = "7d"
                    [log]
                    level = "debug"
                    format = "json"
                    """)
            let configuration = try SiteConfiguration.parse(text, file: "\(directory)/site.toml")
            #expect(configuration.domains.map(\.string) == ["ship.example", "conference.ship.example"])
            #expect(configuration.rooms.map(\.string) == ["conference.ship.example"])
            #expect(configuration.server == Endpoint(host: "127.0.0.1", port: 5269))
            #expect(configuration.listen == [Endpoint(host: "127.0.0.2", port: 5269)])
            #expect(configuration.attachment == .server)
            #expect(configuration.tls == .off)
            #expect(configuration.limits == LocalLimits())
            #expect(configuration.admin == AdminConfiguration(socket: "\(directory)/admin.sock"))
            #expect(configuration.log == LogConfiguration(level: .debug, format: .json))
            let peer = try #require(configuration.peers.first)
            #expect(peer.name == "shore")
            #expect(peer.domains.map(\.description) == ["hq.example", "*.hq.example"])
            #expect(peer.rooms.map(\.string) == ["talk.hq.example"])
            #expect(peer.transport.tcp?.connect == Endpoint(host: "10.1.2.3", port: 5270))
            #expect(peer.transport.tcp?.listen == Endpoint(host: "127.0.0.1", port: 5271))
            #expect(peer.transport.tcp?.security == .insecure)
            #expect(peer.transport.tcp?.compression == .init(level: 9))
            #expect(peer.transport.hold == .milliseconds(50))
            #expect(peer.transport.deadAfter == .minutes(5))
            #expect(peer.transport.tcp?.dialTimeout == .minutes(5), "as long as dead-after")
            #expect(peer.transport.tcp?.reconnectMinimum == .seconds(2))
            #expect(peer.transport.tcp?.reconnectMaximum == .seconds(60))
            #expect(peer.outbox.maximumBytes == 1 << 30)
            #expect(peer.outbox.messageLifetime == .hours(168))
            #expect(peer.outbox.iqTimeout == .minutes(5))
        }
    }

    @Test("What concerns blocks, queues and the journal is read, with its defaults")
    func blocksAndQueues() throws {
        try TemporaryDirectory.with { directory in
            let plain = try #require(
                try SiteConfiguration.parse(TestConfiguration.site(directory), file: "\(directory)/site.toml").peers.first)
            #expect(plain.dialect == .skywave)
            #expect(plain.block == BlockConfiguration())
            #expect(plain.inbox == InboxConfiguration())
            _ = try Files.createPrivate("\(directory)/hf.dict", Array("<message to='".utf8))
            let text = TestConfiguration.site(
                directory, site: "journal = { mode = \"off\" }",
                tail: """
                    [peer.block]
                    level = 9
                    hold = "turn"
                    size = "8KiB"
                    pad-to = 64
                    dictionary = "hf.dict"
                    [peer.inbox]
                    max-stanzas = 500
                    [peer.outbox]
                    journal-presence = true
                    urgent-addresses = ["watch@hq.example"]
                    class.urgent = { priority = 15 }
                    class.message = { priority = 9, expires = "12h" }
                    class.presence = { priority = 0, supersede = false }
                    """)
            let configuration = try SiteConfiguration.parse(text, file: "\(directory)/site.toml")
            #expect(configuration.journal == .off)
            let peer = try #require(configuration.peers.first)
            var block = BlockConfiguration()
            block.level = 9
            block.hold = .turn
            block.size = 8_192
            block.padTo = 64
            block.dictionary = "\(directory)/hf.dict"
            #expect(peer.block == block)
            #expect(peer.inbox.maximumStanzas == 500)
            var outbox = OutboxConfiguration()
            outbox.journalsPresence = true
            outbox.urgentAddresses = ["watch@hq.example"].compactMap { JID($0) }
            outbox.urgent.priority = 15
            outbox.message.priority = 9
            outbox.messageLifetime = .hours(12)
            outbox.presence.priority = 0
            outbox.supersedesPresence = false
            #expect(peer.outbox == outbox)
            let holds: [(String, BlockConfiguration.Hold)] = [
                ("500ms", .duration(.milliseconds(500))), ("2KiB", .bytes(2_048)),
            ]
            for (written, hold) in holds {
                let text = TestConfiguration.site(directory, tail: "[peer.block]\nhold = \"\(written)\"")
                #expect(try SiteConfiguration.parse(text, file: "site.toml").peers.first?.block.hold == hold)
            }
        }
    }

    @Test("TLS towards the server and on the link is read, relative paths counting from the file")
    func tls() throws {
        try TemporaryDirectory.with { directory in
            try Certificates.write(["hq.example", "*.hq.example"], to: directory)
            try Certificates.writeLink("bridge.ship.example", to: directory)
            let fingerprint = Array(repeating: "0F", count: 32).joined(separator: ":")
            let text = """
                [site]
                domains = ["ship.example"]
                server = { host = "localhost" }
                listen = ["127.0.0.2:5269", "[::1]:5269"]
                state = "."
                [site.tls]
                certificates = "."
                ca = "link.crt"
                authentication = "certificate"
                [[peer]]
                name = "shore"
                domains = ["*.hq.example", "hq.example"]
                [peer.transport]
                kind = "tcp"
                listen = "0.0.0.0:5270"
                [peer.transport.tls]
                certificate = "link.crt"
                key = "link.key"
                fingerprints = ["\(fingerprint)"]
                """
            let configuration = try SiteConfiguration.parse(text, file: "\(directory)/site.toml")
            #expect(configuration.tls.mode == .required)
            #expect(configuration.tls.authentication == .certificate)
            #expect(configuration.tls.authorities == .file("\(directory)/link.crt"))
            #expect(configuration.server.port == 5269)
            #expect(
                configuration.peers.first?.transport.tcp?.security
                    == .tls(
                        LinkTLSConfiguration(
                            certificate: "\(directory)/link.crt", key: "\(directory)/link.key",
                            trust: .fingerprints([[UInt8](repeating: 0x0F, count: 32)]),
                            serverName: Domain("hq.example"))))
        }
    }

    @Test("A component site is read; its secrets are not printed by accident")
    func component() throws {
        try TemporaryDirectory.with { directory in
            let text = """
                [site]
                domains = ["ship.example"]
                attachment = "component"
                server = { host = "127.0.0.1" }
                state = "\(directory)"
                [site.components]
                "hq.example" = "s3cr3t"
                [[peer]]
                name = "shore"
                domains = ["hq.example"]
                [peer.transport]
                kind = "tcp"
                connect = "localhost:5270"
                insecure = true
                addresses = ["127.0.0.0/8"]
                """
            let configuration = try SiteConfiguration.parse(text, file: "site.toml")
            let domain = try #require(Domain("hq.example"))
            #expect(configuration.attachment == .components([domain: Secret("s3cr3t")]))
            #expect(configuration.server.port == 5347)
            #expect(configuration.listen.isEmpty)
            var dumped = ""
            dump(configuration, to: &dumped)
            #expect(!"\(configuration)".contains("s3cr3t"))
            #expect(!dumped.contains("s3cr3t"))
        }
    }
}

@Suite("Example configurations")
struct ExampleConfigurationTests {
    @Test("Every example in the documentation is correct", arguments: ["ship", "shore", "component"])
    func example(_ name: String) throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = try Files.readText("/\(root)/docs/examples/\(name).toml")
        try TemporaryDirectory.with { directory in
            try Certificates.write(
                [
                    "hq.example", "conference.hq.example", "ship.example", "conference.ship.example", "launch.example",
                    "ship", "shore",
                ], to: directory)
            // The directories of an installed system stand for one that exists here.
            var moved = text
            for path in ["/etc/skywave/pki", "/etc/skywave/link", "/etc/prosody/certs", "/var/lib/skywave"] {
                moved = moved.replacing(path, with: directory)
            }
            #expect(TestConfiguration.problems(moved, file: "\(name).toml") == [])
        }
    }
}
