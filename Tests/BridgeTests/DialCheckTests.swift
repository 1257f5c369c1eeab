import Bridge
import NIOCore
import NIOPosix
import TestSupport
import Testing
import XMPP

@Suite("check --dial", .timeLimit(.minutes(2)))
struct DialCheckTests {
    /// DNS that says what a table says.
    static func names(_ table: [String: DNSAnswer]) -> NameCheck.Ask {
        { question in .success(table["\(question.type) \(question.name)"] ?? DNSAnswer(outcome: .noSuchName)) }
    }

    private static func address(_ texts: String...) -> DNSAnswer {
        var answer = DNSAnswer(outcome: .answered)
        answer.addresses = texts
        return answer
    }

    private static func service(_ target: String, _ port: UInt16) -> DNSAnswer {
        var answer = DNSAnswer(outcome: .answered)
        answer.services = [.init(priority: 0, weight: 0, port: port, target: target)]
        return answer
    }

    /// A free place for the listener, which the server has to know beforehand. Its address is unlikely to be anybody
    /// else's, so nobody takes the port in between.
    private static func freePlace(_ group: any EventLoopGroup) async throws -> Endpoint {
        let parts = (0..<3).map { _ in String(Int.random(in: 1...250)) }
        let host = "127.\(parts.joined(separator: "."))"
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(host: host, port: 0).get()
        let port = channel.localAddress?.port ?? 0
        try await channel.close()
        return Endpoint(host: host, port: port)
    }

    private static func withServer(
        knowsBridge: Bool = true, answers: Bool = true, services: [String] = [],
        _ body: (SiteConfiguration, any EventLoop) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with { directory in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let server = try await MiniServer.start(on: group)
            let place = try await freePlace(group)
            if knowsBridge { server.connect(to: try SocketAddress(ipAddress: place.host, port: place.port)) }
            server.respond { stanza in
                guard answers, stanza.isIQRequest else { return [] }
                let isItems = stanza.text.contains("disco#items")
                let items = isItems ? services.map { "<item jid='\($0)'/>" }.joined() : ""
                let namespace = isItems ? XMLNamespace.discoItems : XMLNamespace.discoInfo
                return [
                    Stanzas.make(
                        "<iq from='\(stanza.to?.description ?? "")' to='\(stanza.from?.description ?? "")' type='result' "
                            + "id='\(stanza.id ?? "")'><query xmlns='\(namespace)'>\(items)</query></iq>")
                ]
            }
            let configuration = try SiteConfiguration.parse(
                """
                [site]
                domains = ["ship.example"]
                server = { host = "127.0.0.1", port = \(server.port) }
                listen = "\(place)"
                state = "\(directory)/state"
                tls = { mode = "off" }
                limits = { negotiation-timeout = "2s" }
                [[peer]]
                name = "shore"
                domains = ["hq.example"]
                transport = { kind = "tcp", connect = "127.0.0.1:1", insecure = true, addresses = ["127.0.0.1"] }
                """, file: "\(directory)/site.toml")
            let result: Result<Void, any Error>
            do {
                try await body(configuration, group.next())
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await server.stop()
            try await group.shutdownGracefully()
            try result.get()
        }
    }

    private static func run(
        _ configuration: SiteConfiguration, _ loop: any EventLoop, _ names: [String: DNSAnswer] = [:],
        patience: TimeAmount = .seconds(4)
    ) async -> [CheckFinding] {
        await DialCheck(configuration, on: loop, patience: patience, ask: Self.names(names)).run()
    }

    @Test("Both ways are proved by the streams of the daemon itself (peers d23)")
    func bothWays() async throws {
        try await Self.withServer { configuration, loop in
            let port = UInt16(configuration.listen.first?.port ?? 0)
            let findings = await Self.run(
                configuration, loop,
                ["srv _xmpp-server._tcp.hq.example": Self.service(configuration.listen.first?.host ?? "", port)])
            #expect(findings.allSatisfy { $0.verdict == .good }, "\(findings)")
            #expect(findings.contains { $0.text.contains("hq.example and ship.example: the server answered") })
            #expect(findings.contains { $0.text.contains("in the clear, there and back") })
        }
    }

    @Test("A room service that the configuration does not list is named, with the line to write")
    func unlisted() async throws {
        try await Self.withServer(services: ["conference.ship.example", "transport.elsewhere.example"]) {
            configuration, loop in
            let findings = await Self.run(configuration, loop)
            let missing = findings.filter { $0.verdict == .missing }
            #expect(missing.count == 1, "\(findings)")
            #expect(missing.first?.text.contains("conference.ship.example, which is not in [site] domains") == true)
            #expect(missing.first?.remedy.first?.contains("[\"ship.example\", \"conference.ship.example\"]") == true)
        }
    }

    @Test("A server that does not find the bridge is told apart from one that does not want it")
    func noWayBack() async throws {
        try await Self.withServer(knowsBridge: false) { configuration, loop in
            let findings = await Self.run(configuration, loop)
            let missing = findings.filter { $0.verdict == .missing }
            #expect(missing.contains { $0.text.contains("DNS knows neither SRV") }, "\(findings)")
            #expect(missing.contains { $0.text.contains("hq.example cannot speak to ship.example") }, "\(findings)")
            let remedies = missing.flatMap(\.remedy).joined(separator: "\n")
            #expect(
                remedies.contains("srv-host=_xmpp-server._tcp.hq.example,\(configuration.listen.first?.host ?? ""),"),
                "\(remedies)")
        }
    }

    @Test("A server that takes the question and sends no answer is reported as such")
    func silent() async throws {
        try await Self.withServer(answers: false) { configuration, loop in
            let findings = await Self.run(configuration, loop, patience: .seconds(2))
            #expect(
                findings.contains { $0.verdict == .missing && $0.text.contains("its answer did not come back") },
                "\(findings)")
        }
    }

    @Test("A server that is not there is reported as such")
    func unreachable() async throws {
        try await Self.withServer { configuration, loop in
            var configuration = configuration
            configuration.server = Endpoint(host: "127.0.0.1", port: 1)
            let findings = await Self.run(configuration, loop, patience: .seconds(2))
            let missing = try #require(findings.first { $0.text.contains("cannot speak to") })
            #expect(missing.text.contains("refused"), "\(missing)")
            #expect(missing.remedy.first?.contains("is the server up") == true)
        }
    }

    @Test("A listener that is taken is reported with the next step")
    func taken() async throws {
        try await Self.withServer { configuration, loop in
            var configuration = configuration
            configuration.listen = [configuration.server]
            let findings = await Self.run(configuration, loop)
            #expect(findings.contains { $0.text.contains("cannot listen at") && !$0.remedy.isEmpty }, "\(findings)")
        }
    }

    // MARK: Names

    struct Names: Sendable, CustomTestStringConvertible {
        var name: String
        var table: [String: DNSAnswer]
        var verdict: CheckFinding.Verdict
        var part: String
        var testDescription: String { name }
    }

    @Test(
        "What DNS says about a domain is judged as a server would take it",
        arguments: [
            Names(
                name: "nothing", table: [:], verdict: .missing,
                part: "neither SRV _xmpp-server._tcp.hq.example nor A nor AAAA"),
            Names(
                name: "address only", table: ["a hq.example": address("10.7.0.2")], verdict: .good,
                part: "no SRV record"),
            Names(
                name: "address elsewhere", table: ["a hq.example": address("192.0.2.1")], verdict: .missing,
                part: "192.0.2.1, where the bridge does not listen (10.7.0.2:5269)"),
            Names(
                name: "service",
                table: [
                    "srv _xmpp-server._tcp.hq.example": service("bridge.example", 5269),
                    "a bridge.example": address("10.7.0.2"),
                ], verdict: .good, part: "leads to the bridge"),
            Names(
                name: "service without address",
                table: ["srv _xmpp-server._tcp.hq.example": service("bridge.example", 5269)],
                verdict: .missing, part: "has neither A nor AAAA"),
            Names(
                name: "service elsewhere",
                table: [
                    "srv _xmpp-server._tcp.hq.example": service("bridge.example", 5270),
                    "a bridge.example": address("10.7.0.2"),
                ], verdict: .missing, part: "leads to 10.7.0.2:5270"),
            Names(
                name: "no such service", table: ["srv _xmpp-server._tcp.hq.example": service("", 0)], verdict: .missing,
                part: "target \".\""),
            Names(
                name: "direct TLS",
                table: [
                    "srv _xmpps-server._tcp.hq.example": service("real.hq.example", 5270),
                    "a hq.example": address("10.7.0.2"),
                ], verdict: .missing, part: "SRV _xmpps-server._tcp.hq.example exists"),
        ])
    func judgement(_ names: Names) async throws {
        let check = NameCheck(listen: [Endpoint(host: "10.7.0.2", port: 5269)], ask: Self.names(names.table))
        let findings = await check.check(try #require(Domain("hq.example")))
        let finding = try #require(findings.first)
        #expect(finding.verdict == names.verdict)
        #expect(finding.text.contains(names.part), "\(finding)")
        #expect((finding.verdict == .missing) == !finding.remedy.isEmpty)
    }

    @Test("The DNS client asks over UDP, tries again, and takes only the answer to its question")
    func client() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try await DatagramBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StubbornNameServer())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress?.port ?? 0
        let client = DNSClient(
            server: Endpoint(host: "127.0.0.1", port: port), group: group, tries: 3, patience: .milliseconds(100))
        let answer = try await client.ask(DNSQuestion(name: "hq.example", type: .a))
        #expect(answer.addresses == ["127.0.0.7"])
        try await server.close()
        let silent = DNSClient(
            server: Endpoint(host: "127.0.0.1", port: port), group: group, tries: 2, patience: .milliseconds(20))
        await #expect(throws: DNSClient.Failure.noAnswer(server: "127.0.0.1:\(port)")) {
            try await silent.ask(DNSQuestion(name: "hq.example", type: .a))
        }
        try await group.shutdownGracefully()
    }
}

/// Says nothing to the first question; answers the second with a forgery and then with the truth.
private final class StubbornNameServer: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private var questions = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        questions += 1
        guard questions >= 2 else { return }
        let query = Array(envelope.data.readableBytesView)
        for (id, last) in [(UInt8(query[1] ^ 1), UInt8(66)), (query[1], 7)] {
            // The question without its EDNS record (11 bytes), then one A record.
            var answer = [query[0], id, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0] + query[12..<(query.count - 11)]
            answer += [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, last]
            let reply = AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer))
            context.writeAndFlush(NIOAny(reply), promise: nil)
        }
    }
}
