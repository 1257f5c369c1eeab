import Blocks
import HFNode
import HFNodeServer
import LinkCatalogue
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import NIOPosix
import RadioSimulator
import STANAG5066
import TestSupport
import Testing
import XMPP

@testable import Transports

/// Dialect `xep` through a node: what the owner of a stanza hears of it.
@Suite(.timeLimit(.minutes(2))) struct SubnetworkLinkTests {
    /// A link with its binding and a memory for what it reported. Sends what waits when it may. Usable from any thread.
    private final class Link: Sendable {
        private final class Driver {
            let transport: SubnetworkLinkTransport
            var waiting: [[Stanza]] = []
            var isReady = false

            init(_ transport: SubnetworkLinkTransport) { self.transport = transport }

            func sendIfPossible() {
                guard isReady, !waiting.isEmpty else { return }
                isReady = false
                transport.send(waiting.removeFirst())
            }
        }

        let eventLoop: any EventLoop
        private let driver: NIOLoopBound<Driver>
        private let recorded: NIOLockedValueBox<[LinkEvent]>

        init(
            node: SISSocket.Node, remote: NodeAddress, application: RCOPApplication = .xmpp, on eventLoop: any EventLoop,
            confirmedBytes: Int = 16 << 10
        ) async throws {
            let recorded = NIOLockedValueBox<[LinkEvent]>([])
            driver = try await eventLoop.submit {
                let driver = Driver(
                    Link.transport(
                        node: node, remote: remote, application: application, on: eventLoop, confirmedBytes: confirmedBytes))
                driver.transport.onEvent = { [unowned driver] event in
                    recorded.withLockedValue { $0.append(event) }
                    switch event {
                    case .ready:
                        driver.isReady = true
                        driver.sendIfPossible()
                    case .disconnected: driver.isReady = false
                    default: break
                    }
                }
                driver.transport.start()
                return NIOLoopBound(driver, eventLoop: eventLoop)
            }.get()
            self.eventLoop = eventLoop
            self.recorded = recorded
        }

        static func transport(
            node: SISSocket.Node, remote: NodeAddress, application: RCOPApplication = .xmpp, on eventLoop: any EventLoop,
            confirmedBytes: Int = 16 << 10
        ) -> SubnetworkLinkTransport {
            let client = SISClientConfiguration(
                bind: BindRequest(sap: .rcop, rank: 0, service: ServiceType(.arq, confirmation: .node)))
            let service = UnitService(
                connection: 0, priority: 6, confirmation: .client, timeToLive: TimeToLive(.hours(1)))
            let binding = SubnetworkBinding(
                node, client: client,
                peers: [
                    SubnetworkPeerConfiguration(
                        name: "far", node: remote, sap: .rcop, application: application, framing: .stanzas, repetition: .unit,
                        services: [service])
                ],
                eventLoop: eventLoop, seed: 3, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
            return SubnetworkLinkTransport(
                name: "far", peer: 0, dialect: .xep, description: "node", binding: binding, confirmedBytes: confirmedBytes)
        }

        func send(_ batch: [Stanza]) async throws {
            let driver = driver
            try await eventLoop.submit {
                driver.value.waiting.append(batch)
                driver.value.sendIfPossible()
            }.get()
        }

        func pause(_ isPaused: Bool) async throws {
            let driver = driver
            try await eventLoop.submit {
                if isPaused { driver.value.transport.pauseReading() } else { driver.value.transport.resumeReading() }
            }.get()
        }

        func stop() async throws {
            let driver = driver
            try await eventLoop.flatSubmit { driver.value.transport.close() }.get()
        }

        var status: LinkStatus {
            get async throws {
                let driver = driver
                return try await eventLoop.submit { driver.value.transport.status }.get()
            }
        }

        var unacknowledged: UInt64 { get async throws { try await status.stanzasUnacknowledged } }

        var events: [LinkEvent] { recorded.withLockedValue { $0 } }
        var confirmed: [Stanza] { events.flatMap { if case .confirmed(let stanzas) = $0 { stanzas } else { [Stanza]() } } }
        var returned: [Stanza] {
            events.flatMap { event in
                switch event {
                case .returned(let unsent, let inDoubt): unsent + inDoubt
                case .disconnected(let unsent, let inDoubt, _): unsent + inDoubt
                default: [Stanza]()
                }
            }
        }
        var received: [Stanza] { events.compactMap { if case .received(let stanza) = $0 { stanza } else { nil } } }
        var isDown: Bool { events.contains { if case .disconnected = $0 { true } else { false } } }
    }

    private static func message(_ number: Int) throws -> Stanza {
        try StanzaText.read("<message from='a@ship.example' to='b@shore.example' id='\(number)'><body>word</body></message>")
    }

    private static func nodes(speed: Double) async throws -> RunningNodes {
        let directory = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        var settings = RunningNodes.Settings(link: try LinkFiles(own: ["/\(directory)/sim/links"]).link("hf-lab-1200S"))
        settings.places = [("127.0.0.1", 0), ("127.0.0.1", 0)]
        settings.speed = speed
        return try await RunningNodes.start(settings)
    }

    private static func links(_ nodes: RunningNodes, confirmedBytes: Int = 16 << 10) async throws -> [Link] {
        var links: [Link] = []
        for (place, address) in nodes.addresses.enumerated() {
            links.append(
                try await Link(
                    node: SISSocket.Node(host: "127.0.0.1", port: try #require(address.port)),
                    remote: RadioNodes.standardAddresses[1 - place], on: MultiThreadedEventLoopGroup.singleton.next(),
                    confirmedBytes: confirmedBytes))
        }
        return links
    }

    @Test func `what a peer or a stranger sent in vain is told, with the bind`() async throws {
        let nodes = try await Self.nodes(speed: 200)
        let places = try nodes.addresses.map { SISSocket.Node(host: "127.0.0.1", port: try #require($0.port)) }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let sender = try await Link(node: places[0], remote: RadioNodes.standardAddresses[1], on: eventLoop)
        func bind(
            _ remote: NodeAddress, _ application: RCOPApplication, until isThere: (NodeBindStatus) -> Bool
        ) async throws -> NodeBindStatus {
            let link = try await Link(node: places[1], remote: remote, application: application, on: eventLoop)
            try await eventually("a bind") { try await link.status.state == .connected }
            try await sender.send([try Self.message(1)])
            try await eventually("something in vain") { try await link.status.bind.map(isThere) == true }
            let status = try #require(try await link.status.bind)
            try await link.stop()
            #expect(link.received.isEmpty)
            return status
        }
        let foreign = try await bind(RadioNodes.standardAddresses[0], .skywave) { !$0.drops.isEmpty }
        #expect(foreign.drops.map(\.reason) == [.foreignApplication] && foreign.strangers == 0)
        #expect(foreign.node == "\(places[1])" && foreign.sap == .rcop && foreign.refused == 0)
        let strange = try await bind(RadioNodes.standardAddresses[1], .xmpp) { $0.strangers > 0 }
        #expect(strange.drops.isEmpty && strange.refused == 0)
        try await sender.stop()
        try await nodes.stop()
    }

    @Test func `a stanza is confirmed when the peer's client has it, and not when the node took it`() async throws {
        let nodes = try await Self.nodes(speed: 10)
        let links = try await Self.links(nodes)
        let stanzas = try (0..<6).map(Self.message)
        // The far client is there, or nothing would be confirmed at all.
        try await eventually { links.allSatisfy { $0.events.contains(.ready) } }
        try await nodes.act { $0.linkCut(true, now: $1) }
        try await links[0].send(stanzas)
        // The node takes them all and wants more.
        try await eventually { links[0].events.filter { $0 == .ready }.count > 1 }
        #expect(links[0].confirmed.isEmpty)
        #expect(try await links[0].unacknowledged == 6)
        try await nodes.act { $0.linkCut(false, now: $1) }
        try await eventually { links[0].confirmed.count + links[0].returned.count == 6 }
        #expect(Set(links[0].confirmed.map { $0.id ?? "" }).isSubset(of: links[1].received.map { $0.id ?? "" }))
        #expect(try await links[0].unacknowledged == 0)
        for link in links { try await link.stop() }
        try await nodes.stop()
    }

    @Test func `a link that can keep no more leaves its node, and nothing that was confirmed is lost`() async throws {
        let nodes = try await Self.nodes(speed: 20)
        let links = try await Self.links(nodes, confirmedBytes: 600)
        let stanzas = try (0..<30).map(Self.message)
        try await eventually { links.allSatisfy { $0.events.contains(.ready) } }
        try await links[1].pause(true)
        try await links[0].send(stanzas)
        try await eventually { links[1].isDown }
        #expect(links[1].received.isEmpty)
        // The far node rejects what comes now, and the own one keeps it for later.
        try await eventually { !links[0].confirmed.isEmpty }
        let confirmed = Set(links[0].confirmed.map { $0.id ?? "" })
        #expect(confirmed.count < 30)
        try await links[1].pause(false)
        try await eventually { confirmed.isSubset(of: links[1].received.map { $0.id ?? "" }) }
        // It is bound again, and gets the rest.
        try await eventually(within: .seconds(60)) { links[0].confirmed.count + links[0].returned.count == 30 }
        let arrived = Set(links[1].received.map { $0.id ?? "" })
        #expect(arrived.isSuperset(of: links[0].confirmed.map { $0.id ?? "" }))
        #expect(links[1].events.filter { $0 == .connected(description: "node") }.count == 2)
        for link in links { try await link.stop() }
        try await nodes.stop()
    }

    @Test func `a node that ends gives back what it had not confirmed, each stanza once`() async throws {
        let nodes = try await Self.nodes(speed: 50)
        let links = try await Self.links(nodes)
        let stanzas = try (0..<40).map(Self.message)
        try await eventually { links.allSatisfy { $0.events.contains(.ready) } }
        try await links[0].send(stanzas)
        try await eventually { !links[0].confirmed.isEmpty }
        try await nodes.act { $0.nodeStopped(.first, now: $1) }
        try await eventually { links[0].isDown }
        let ended = links[0].confirmed + links[0].returned
        #expect(ended.map { Int($0.id ?? "") ?? -1 }.sorted() == Array(0..<40))
        #expect(links[0].returned.map { Int($0.id ?? "") ?? -1 } == links[0].returned.map { Int($0.id ?? "") ?? -1 }.sorted())
        for link in links { try await link.stop() }
        try await nodes.stop()
    }

    @Test func `a batch that crosses with the end of the link comes back with it, once`() throws {
        let loop = EmbeddedEventLoop()
        let transport = Link.transport(
            node: SISSocket.Node(host: "127.0.0.1", port: 1), remote: RadioNodes.standardAddresses[1], on: loop)
        let batch = try (0..<3).map(Self.message)
        var events: [LinkEvent] = []
        transport.onEvent = { event in
            events.append(event)
            if event == .ready { transport.send(batch) }
        }
        transport.cameUp(mtu: 2_048)
        transport.ready(isIdle: true)
        transport.wentDown("the node ended")
        // It is up again before the owner has heard that it was down.
        transport.cameUp(mtu: 2_048)
        transport.deliver()
        loop.run()
        #expect(
            events == [
                .connected(description: "node"), .ready,
                .disconnected(unsent: batch, inDoubt: [], reason: "the node ended"), .connected(description: "node"),
            ])
        #expect(transport.status.stanzasUnacknowledged == 0)
    }

    /// A link that is up, on a loop whose time the test has.
    private static func heldLink() throws -> (EmbeddedEventLoop, SubnetworkLinkTransport) {
        let loop = EmbeddedEventLoop()
        let transport = Link.transport(
            node: SISSocket.Node(host: "127.0.0.1", port: 1), remote: RadioNodes.standardAddresses[1], on: loop)
        transport.cameUp(mtu: 2_048)
        transport.deliver()
        transport.pauseReading()
        return (loop, transport)
    }

    private static func isLeft(_ transport: SubnetworkLinkTransport) -> Bool {
        transport.status.warning?.contains("the node was left") == true
    }

    @Test func `what was confirmed and is not recorded is little, or not for long`() throws {
        let (_, full) = try Self.heldLink()
        let unit = try Self.message(1).rcopUnit
        var count = 0
        while !Self.isLeft(full), count < 1_000 {
            full.received(unit, followsGap: false)
            count += 1
        }
        #expect(full.status.heldUnits == count && full.status.heldBytes == count * unit.readableBytes)
        #expect(full.status.heldBytes <= 16 << 10 + unit.readableBytes)

        let (loop, old) = try Self.heldLink()
        loop.advanceTime(by: .hours(1))
        #expect(!Self.isLeft(old), "there is nothing to be lost")
        old.received(unit, followsGap: false)
        loop.advanceTime(by: SubnetworkLinkTransport.holdTime - .nanoseconds(1))
        #expect(!Self.isLeft(old))
        loop.advanceTime(by: .nanoseconds(1))
        #expect(Self.isLeft(old))
        old.resumeReading()
        #expect(!Self.isLeft(old) && old.status.heldUnits == 0)
        // A short wait leaves nothing behind.
        old.pauseReading()
        old.received(unit, followsGap: false)
        old.resumeReading()
        loop.advanceTime(by: .hours(1))
        #expect(!Self.isLeft(old))
    }

    @Test func `a link that is closed gives out what it held, before anybody hears that it is closed`() throws {
        let (loop, transport) = try Self.heldLink()
        var received: [Stanza] = []
        transport.onEvent = { event in
            if case .received(let stanza) = event { received.append(stanza) }
        }
        let stanzas = try (0..<3).map(Self.message)
        for stanza in stanzas { transport.received(stanza.rcopUnit, followsGap: false) }
        let closed = transport.close()
        #expect(received == stanzas)
        // Nobody would take it later.
        transport.pauseReading()
        transport.received(stanzas[0].rcopUnit, followsGap: false)
        transport.deliver()
        #expect(received.count == 4 && transport.status.heldUnits == 0)
        loop.run()
        try closed.wait()
    }
}
