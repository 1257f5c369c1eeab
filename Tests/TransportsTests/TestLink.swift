import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport
import XMPP

@testable import Transports

/// A link with something to send and a memory for what it reported; usable from any thread.
final class TestLink: Sendable {
    /// Lives on the event loop.
    private final class Driver {
        let transport: TCPLinkTransport
        var waiting: [[Stanza]] = []
        var waitingBlocks: [ByteBuffer] = []
        var isReady = false

        init(_ transport: TCPLinkTransport) {
            self.transport = transport
        }

        func sendIfPossible() {
            if isReady, !waiting.isEmpty {
                isReady = false
                transport.send(waiting.removeFirst())
            } else if isReady, !waitingBlocks.isEmpty {
                isReady = false
                transport.send(block: waitingBlocks.removeFirst(), isUrgent: false)
            }
        }
    }

    let eventLoop: any EventLoop
    private let driver: NIOLoopBound<Driver>
    private let recorded: NIOLockedValueBox<[LinkEvent]>

    private init(eventLoop: any EventLoop, driver: NIOLoopBound<Driver>, recorded: NIOLockedValueBox<[LinkEvent]>) {
        self.eventLoop = eventLoop
        self.driver = driver
        self.recorded = recorded
    }

    static func make(
        _ configuration: TCPLinkConfiguration, listener: TestListener? = nil, on eventLoop: any EventLoop,
        seed: UInt64 = 1
    ) async throws -> TestLink {
        try await eventLoop.submit {
            let transport = try TCPLinkTransport(
                configuration, eventLoop: eventLoop, listener: listener?.value, seed: seed,
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
            let recorded = NIOLockedValueBox<[LinkEvent]>([])
            let driver = Driver(transport)
            transport.onEvent = { [weak driver] event in
                recorded.withLockedValue { $0.append(event) }
                switch event {
                case .ready:
                    driver?.isReady = true
                    driver?.sendIfPossible()
                case .disconnected: driver?.isReady = false
                case .connected, .readyForUrgent, .received, .block, .oversize, .brought, .room, .turn, .confirmed, .returned, .batchEnd: break
                }
            }
            return TestLink(
                eventLoop: eventLoop, driver: NIOLoopBound(driver, eventLoop: eventLoop), recorded: recorded)
        }.get()
    }

    func run<R: Sendable>(_ body: @escaping @Sendable (TCPLinkTransport) -> R) async throws -> R {
        let driver = driver
        return try await eventLoop.submit { body(driver.value.transport) }.get()
    }

    func start() async throws {
        try await run { $0.start() }
    }

    /// Starts two links of one event loop in the same moment.
    static func start(_ one: TestLink, _ other: TestLink) async throws {
        let drivers = (one.driver, other.driver)
        try await one.eventLoop.submit {
            drivers.0.value.transport.start()
            drivers.1.value.transport.start()
        }.get()
    }

    /// Sends one batch of messages with these ids as soon as the link takes it.
    func send(_ ids: [String], bodyBytes: Int = 20) async throws {
        let batch = ids.map { TestLink.message($0, bodyBytes: bodyBytes) }
        let driver = driver
        try await eventLoop.submit {
            driver.value.waiting.append(batch)
            driver.value.sendIfPossible()
            driver.value.transport.demandConnection()
        }.get()
    }

    /// Sends blocks one after the other as the link takes them.
    func send(blocks: [ByteBuffer]) async throws {
        let driver = driver
        try await eventLoop.submit {
            driver.value.waitingBlocks += blocks
            driver.value.sendIfPossible()
        }.get()
    }

    /// The blocks that came.
    var blocks: [ByteBuffer] {
        events.compactMap { event in
            if case .block(let block) = event { block } else { nil }
        }
    }

    func close() async throws {
        let driver = driver
        try await eventLoop.flatSubmit { driver.value.transport.close() }.get()
    }

    var events: [LinkEvent] { recorded.withLockedValue { $0 } }

    func status() async throws -> LinkStatus {
        try await run { $0.status }
    }

    /// Ids of the stanzas that came.
    var received: [String] {
        events.compactMap { event in
            if case .received(let stanza) = event { stanza.id } else { nil }
        }
    }

    var connects: Int {
        events.count { event in
            if case .connected = event { true } else { false }
        }
    }

    var disconnects: [(unsent: [String], inDoubt: [String], reason: String)] {
        events.compactMap { event in
            guard case .disconnected(let unsent, let inDoubt, let reason) = event else { return nil }
            return (unsent.compactMap(\.id), inDoubt.compactMap(\.id), reason)
        }
    }

    func waitUntilConnected() async throws {
        try await eventually("a connection") { try await self.status().state == .connected }
    }

    func waitUntilReceived(_ ids: [String]) async throws {
        try await eventually("\(ids.count) stanzas") { self.received.count >= ids.count }
    }

    static func message(_ id: String, bodyBytes: Int = 20) -> Stanza {
        var writer = StanzaWriter()
        writer.start(
            "message",
            attributes: [
                ("to", "juliet@bravo.example"), ("from", "romeo@alpha.example/r"), ("id", id), ("type", "chat"),
            ])
        writer.start("body")
        writer.text(String(repeating: "x", count: bodyBytes))
        return writer.finish()
    }
}

extension StanzaWriter {
    fileprivate mutating func start(_ name: String, attributes: [(String, String)]) {
        start(name, XMLNamespace.server, attributes)
    }
}

/// A listener, usable from any thread.
final class TestListener: Sendable {
    private let bound: NIOLoopBound<LinkListener>
    let eventLoop: any EventLoop

    /// Only on the event loop.
    var value: LinkListener { bound.value }

    private init(bound: NIOLoopBound<LinkListener>, eventLoop: any EventLoop) {
        self.bound = bound
        self.eventLoop = eventLoop
    }

    static func make(
        _ address: String, port: Int = 0, limits: LinkListener.Limits = .init(), on eventLoop: any EventLoop
    ) async throws -> TestListener {
        try await eventLoop.submit {
            let listener = LinkListener(
                host: address, port: port, eventLoop: eventLoop, limits: limits,
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
            return TestListener(bound: NIOLoopBound(listener, eventLoop: eventLoop), eventLoop: eventLoop)
        }.get()
    }

    @discardableResult
    func bind() async throws -> TCPLinkConfiguration.Remote {
        let bound = bound
        let address = try await eventLoop.flatSubmit { bound.value.bind() }.get()
        return .init(host: address.ipAddress ?? "", port: address.port ?? 0)
    }

    func counters() async throws -> LinkListener.Counters {
        let bound = bound
        return try await eventLoop.submit { bound.value.counters }.get()
    }

    func pending() async throws -> Int {
        let bound = bound
        return try await eventLoop.submit { bound.value.pendingConnections }.get()
    }

    func close() async throws {
        let bound = bound
        try await eventLoop.flatSubmit { bound.value.close() }.get()
    }
}

extension LinkSources {
    /// Exactly these addresses.
    static func only(_ addresses: String...) -> LinkSources {
        LinkSources(description: addresses.joined(separator: ", ")) { source in
            addresses.contains(source.ipAddress ?? "")
        }
    }
}

/// Loopback addresses that no other test uses.
struct TestAddresses {
    private let network: String

    init() {
        network = "127.\(UInt8.random(in: 32...250)).\(UInt8.random(in: 0...250))."
    }

    subscript(_ host: Int) -> String { network + "\(host)" }
}
