import BridgeCore
import ConfigurationText
import Logging
import NIOCore
import NIOPosix
import STANAG5066
import TestSupport
import Testing
import Transports
import XMPP

@testable import Bridge

/// `[peer.transport]` with `kind = "stanag5066"`.
@Suite struct NodeTransportTests {
    private static func site(_ transport: String, peer: String = "", more: String = "") -> String {
        """
        [site]
        domains = ["ship.example"]
        server = { host = "127.0.0.1", port = 5269 }
        listen = "127.0.0.2:5269"
        state = "/tmp"
        tls = { mode = "off" }
        [[peer]]
        name = "shore"
        domains = ["hq.example"]
        \(peer)
        [peer.transport]
        kind = "stanag5066"
        \(transport)
        \(more)
        """
    }

    private static let least = """
        node = "127.0.0.1:5066"
        remote = "10.1.2.3"
        """

    private func peer(_ text: String) throws -> PeerConfiguration {
        try #require(try SiteConfiguration.parse(text, file: "site.toml").peers.first)
    }

    @Test func `with node and remote alone everything else is as the standards recommend`() throws {
        let peer = try peer(Self.site(Self.least))
        let node = try #require(peer.transport.node)
        #expect(peer.transport.tcp == nil && peer.transport.deadAfter == .hours(1))
        #expect(node.node == Endpoint(host: "127.0.0.1", port: 5066))
        #expect(node.remote == NodeAddress("10.1.2.3"))
        #expect(node.sap == .rcop && node.remoteSAP == .rcop && node.rank == 0)
        #expect(node.application == .skywave && node.bytesInNode == 256 << 10 && node.keepAlive == nil)
        #expect(node.normal == .init(connection: 0, priority: 6, confirmation: .node, lifetime: .hours(1)))
        #expect(node.urgent == .init(connection: 1, priority: 12, confirmation: .node, lifetime: .hours(1)))
    }

    @Test func `in dialect xep the far client confirms, but for presence`() throws {
        let node = try #require(try peer(Self.site(Self.least, peer: "dialect = \"xep\"")).transport.node)
        #expect(node.application == .xmpp)
        #expect(node.normal.confirmation == .client && node.urgent.confirmation == .client)
        #expect(node.presence == .init(connection: 0, priority: 6, confirmation: .node, lifetime: .minutes(30)))
        // What is urgent waits for a batch on a radio.
        #expect(try peer(Self.site(Self.least, peer: "dialect = \"xep\"")).transport.batchBytes == 4_096)
    }

    @Test(arguments: ["xep", "skywave"])
    func `rows of stanzas wait for the node's confirmation where stanzas are spoken`(_ dialect: String) throws {
        let text = Self.site(Self.least, peer: "dialect = \"\(dialect)\"")
        let site = try SiteConfiguration.parse(text, file: "site.toml")
        let policy = PeerPolicy(try #require(site.peers.first), site: site, dictionary: nil)
        #expect(policy.hold == .turn)
        #expect(policy.confirmsStanzas == (dialect == "xep"))
        let wired = """
            kind = "tcp"
            connect = "127.0.0.1:5270"
            insecure = true
            addresses = ["127.0.0.1"]
            """
        let overTCP = try SiteConfiguration.parse(
            text.replacing("kind = \"stanag5066\"\n\(Self.least)", with: wired), file: "site.toml")
        #expect(!PeerPolicy(try #require(overTCP.peers.first), site: overTCP, dictionary: nil).confirmsStanzas)
    }

    @Test func `every key is read`() throws {
        let node = try #require(
            try peer(
                Self.site(
                    """
                    node = "hf.ship.example:5067"
                    sap = 2
                    remote = "5.0.0.9"
                    remote-sap = 3
                    rank = 4
                    app-id = 0x9000
                    address-alignment = "left"
                    in-node = "16KiB"
                    keep-alive = "5m"
                    reserve-link = true
                    dead-after = "3h"
                    [peer.transport.class.normal]
                    connection = 4
                    priority = 7
                    confirm = "client"
                    lifetime = "2h"
                    [peer.transport.class.urgent]
                    connection = 5
                    """)
            ).transport.node)
        #expect(node.node == Endpoint(host: "hf.ship.example", port: 5067))
        #expect(node.sap == SAP(2) && node.remoteSAP == SAP(3) && node.rank == 4)
        #expect(node.remote == NodeAddress("5.0.0.9") && node.alignment == .left)
        #expect(node.application == RCOPApplication(rawValue: 0x9000))
        #expect(node.bytesInNode == 16 << 10 && node.keepAlive == .minutes(5) && node.reservesLink)
        #expect(node.normal == .init(connection: 4, priority: 7, confirmation: .client, lifetime: .hours(2)))
        #expect(node.urgent.connection == 5 && node.urgent.priority == 12)
    }

    @Test(arguments: [
        ("node = \"127.0.0.1\"\nremote = \"10.1.2.3\"", ["transport.node", "HOST:PORT"]),
        ("node = \"127.0.0.1:5066\"", ["transport.remote", "missing", "10.1.2.3"]),
        (least.replacing("10.1.2.3", with: "300.1.2.3"), ["transport.remote", "not a node address"]),
        (least.replacing("10.1.2.3", with: "16.1.2.3"), ["transport.remote", "a group"]),
        (least + "\nsap = 16", ["transport.sap = 16", "from 0 to 15"]),
        (least + "\nrank = 15", ["transport.rank = 15", "from 0 to 14"]),
        (least + "\nrank = -1", ["transport.rank = -1", "from 0 to 14"]),
        (least + "\nconnect = \"10.0.0.1:5269\"", ["transport.connect", "unknown"]),
        (least + "\n[peer.transport.class.presence]\nlifetime = \"1m\"", ["class.presence", "only used with dialect"]),
        (least + "\n[peer.transport.class.urgent]\nconnection = 0", ["class.urgent", "RCOP connection 0", "different priorities"]),
        (least + "\n[peer.transport.class.normal]\nconfirm = \"nobody\"", ["class.normal.confirm", "\"client\""]),
    ]) func `what is wrong is said with its key and what is allowed`(_ transport: String, _ parts: [String]) {
        let problems = TestConfiguration.problems(Self.site(transport))
        #expect(problems.count == 1, "\(problems)")
        for part in parts { #expect(problems.first?.contains(part) == true, "\(part): \(problems)") }
    }

    @Test func `a hold is told to be of no use, where stanzas wait for turns`() {
        let problems = TestConfiguration.problems(Self.site(Self.least + "\nhold = \"1s\"", peer: "dialect = \"xep\""))
        #expect(problems.count == 1 && problems.first?.contains("hold") == true, "\(problems)")
        #expect(problems.first?.contains("not used through a node") == true)
    }

    @Test(arguments: [0, 14]) func `a client may have every rank but that of those who change the node`(_ rank: Int) throws {
        let peer = try peer(Self.site(Self.least + "\nrank = \(rank)"))
        #expect(peer.transport.node?.rank == rank)
    }

    @Test func `peers behind one access point agree on the bind and are told apart`() {
        let second = """
            [[peer]]
            name = "other"
            domains = ["other.example"]
            [peer.transport]
            kind = "stanag5066"
            node = "127.0.0.1:5066"
            remote = "10.1.2.3"
            rank = 3
            """
        let problems = TestConfiguration.problems(Self.site(Self.least, more: second))
        #expect(problems.count == 2, "\(problems)")
        #expect(problems.contains { $0.contains("transport.remote") && $0.contains("reached there as well") })
        #expect(problems.contains { $0.contains("transport.rank") && $0.contains("shares the bind") })
        let fine = second.replacing("10.1.2.3", with: "10.1.2.4").replacing("rank = 3", with: "")
        #expect(TestConfiguration.problems(Self.site(Self.least, more: fine)).isEmpty)
    }

    @Test func `a reload takes new urgent addresses to the link, where stanzas get their class`() async throws {
        try await TemporaryDirectory.with { directory in
            func text(_ urgent: String) -> String {
                Self.site(
                    Self.least, peer: "dialect = \"xep\"",
                    more: "[peer.outbox]\nurgent-addresses = [\"\(urgent)\"]"
                ).replacing("state = \"/tmp\"", with: "state = \"\(directory)\"\njournal = { mode = \"off\" }")
                    .replacing("127.0.0.2:5269", with: "127.0.0.1:0").replacing("127.0.0.1:5066", with: "127.0.0.1:1")
            }
            let file = "\(directory)/site.toml"
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let site = try await RunningSite.start(
                SiteConfiguration.parse(text("chief@hq.example"), file: file),
                on: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
            func classes() async throws -> [SubnetworkLinkTransport.Service?] {
                try await site.with { runtime in
                    let link = runtime.peers.first?.link as? SubnetworkLinkTransport
                    return try ["chief", "staff"].map { name in
                        try link?.classify(
                            StanzaText.read("<message from='a@ship.example' to='\(name)@hq.example'><body>x</body></message>"))
                    }
                }
            }
            #expect(try await classes() == [.urgent, .normal])
            try TemporaryDirectory.write(file, text("staff@hq.example"))
            let done = await site.reload(file, logger: logger)
            #expect(done.isDone && done.text == "changed: shore", "\(done.text)")
            #expect(try await classes() == [.normal, .urgent])
            await site.stop(within: .seconds(1))
        }
    }
}
