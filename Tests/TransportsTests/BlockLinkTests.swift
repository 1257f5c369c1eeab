import Blocks
import NIOCore
import NIOPosix
import TestSupport
import Testing
import XMPP

@testable import Transports

/// Links in dialect `skywave` on real sockets.
@Suite(.timeLimit(.minutes(5))) struct BlockLinkTests {
    private let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    private let addresses = TestAddresses()

    private func configuration(
        _ peer: String, remote: TCPLinkConfiguration.Remote? = nil, own: Int, other: Int
    ) -> TCPLinkConfiguration {
        var configuration = TCPLinkConfiguration(
            peer: peer, dialect: .skywave, remote: remote, listens: remote == nil,
            security: .insecure(.only(addresses[other])))
        configuration.localAddress = addresses[own]
        configuration.policy.reconnectMinimum = .milliseconds(20)
        configuration.policy.reconnectMaximum = .milliseconds(200)
        configuration.policy.closeTimeout = .milliseconds(500)
        return configuration
    }

    private func acceptor(
        _ change: (inout TCPLinkConfiguration) -> Void = { _ in }
    ) async throws -> (link: TestLink, listener: TestListener, remote: TCPLinkConfiguration.Remote) {
        let listener = try await TestListener.make(addresses[1], on: loop)
        var accepting = configuration("ship", own: 1, other: 2)
        change(&accepting)
        let link = try await TestLink.make(accepting, listener: listener, on: loop)
        try await link.start()
        return (link, listener, try await listener.bind())
    }

    private func dialler(
        _ remote: TCPLinkConfiguration.Remote, _ change: (inout TCPLinkConfiguration) -> Void = { _ in }
    ) async throws -> TestLink {
        var dialling = configuration("shore", remote: remote, own: 2, other: 1)
        change(&dialling)
        let link = try await TestLink.make(dialling, on: loop)
        try await link.start()
        return link
    }

    @Test func `blocks cross in both directions as they are, one after the other`() async throws {
        let (accepting, listener, remote) = try await acceptor()
        let dialling = try await dialler(remote)
        let sizes = [0, 1, 40, 500, 9_000, 70_000, 900_000]
        let blocks = [TestBlocks.opening()] + (0..<140).map { TestBlocks.block($0, bytes: sizes[$0 % sizes.count]) }
        try await dialling.send(blocks: blocks)
        try await accepting.send(blocks: blocks)
        try await eventually(within: .seconds(20)) {
            accepting.blocks.count == blocks.count && dialling.blocks.count == blocks.count
        }
        #expect(accepting.blocks == blocks)
        #expect(dialling.blocks == blocks)
        let status = try await dialling.status()
        #expect(status.blocksSent == UInt64(blocks.count) && status.blocksReceived == UInt64(blocks.count))
        #expect(status.bytesSent == UInt64(blocks.reduce(0) { $0 + $1.readableBytes }), "not a byte beside the blocks")
        // Every block was taken by the kernel before the next was asked for.
        #expect(dialling.events.count { $0 == .ready } == blocks.count + 1)
        try await dialling.close()
        try await eventually { accepting.disconnects.count == 1 }
        #expect(accepting.disconnects.first?.reason == LinkEnd.endedByPeer.sentence)
        #expect(dialling.disconnects.first?.inDoubt == [])
        try await accepting.close()
        try await listener.close()
    }

    @Test func `a newer connection of the same peer replaces the older one`() async throws {
        let (link, listener, remote) = try await acceptor()
        let older = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await older.send(TestBlocks.opening().bytes)
        try await eventually { link.blocks.count == 1 }
        let newer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await older.waitUntilClosed()
        #expect(older.byteCount == 0, "there is nothing to say")
        try await newer.send(TestBlocks.opening().bytes + TestBlocks.block(9).bytes)
        try await eventually { link.blocks.count == 3 }
        #expect(link.disconnects.map(\.reason) == [LinkEnd.replaced.sentence])
        let order = link.events.compactMap { event -> String? in
            switch event {
            case .connected: "connected"
            case .disconnected: "disconnected"
            case .block: "block"
            default: nil
            }
        }
        #expect(order == ["connected", "block", "disconnected", "connected", "block", "block"])
        try await newer.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `what was held back by a paused reader does not leak into the next connection`() async throws {
        let (link, listener, remote) = try await acceptor()
        let older = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await link.waitUntilConnected()
        try await link.run { $0.pauseReading() }
        try await older.send(TestBlocks.opening().bytes + TestBlocks.block(1).bytes)
        let newer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await older.waitUntilClosed()
        try await newer.send(TestBlocks.block(2).bytes)
        try await link.run { $0.resumeReading() }
        try await eventually { !link.blocks.isEmpty }
        #expect(link.blocks == [TestBlocks.block(2)])
        try await newer.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `another version is refused loudly at both ends, and not dialled again soon`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await peer.send(TestBlocks.opening(version: 7).bytes)
        try await eventually { link.disconnects.count == 1 }
        let sentence = LinkEnd.otherVersion(own: BlockOpening.version, peer: 7).sentence
        #expect(link.disconnects.first?.reason == sentence)
        try await eventually { peer.byteCount >= 5 }
        #expect(peer.bytes == TestBlocks.refusal(version: BlockOpening.version).bytes)
        let status = try await link.status()
        #expect(status.lastError == sentence)
        try await peer.waitUntilClosed()
        try await link.close()
        try await listener.close()

        // The dialling end, against a bridge that says so.
        let server = try await RawPeer.listen(addresses[1]) { peer in
            peer.channel.writeAndFlush(TestBlocks.refusal(version: 7), promise: nil)
        }
        let dialling = try await dialler(.init(host: addresses[1], port: server.localAddress?.port ?? 0))
        try await eventually { dialling.disconnects.count == 1 }
        #expect(dialling.disconnects.first?.reason == sentence)
        #expect(dialling.blocks == [], "nothing of it reaches the session")
        guard case .waiting(let until) = try await dialling.status().state else {
            Issue.record("not waiting")
            return
        }
        #expect(until - .now() > .minutes(9), "however short the usual back-off")
        try await dialling.close()
        try await server.close()
    }

    @Test func `a stream of stanzas is no stream of blocks, and the operator is told what to compare`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await peer.send(TestLink.message("a").text)
        try await peer.waitUntilClosed()
        try await eventually { link.disconnects.count == 1 }
        #expect(link.disconnects.first?.reason.contains("dialect = \"skywave\"") == true)
        #expect(link.blocks == [] && link.received == [])
        try await link.close()
        try await listener.close()
    }

    @Test func `peers d8: a block over the limit ends the link before its body is there`() async throws {
        let (link, listener, remote) = try await acceptor { $0.maximumBlockBytes = 10_000 }
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await peer.send(Array(TestBlocks.block(1, bytes: 10_001).bytes.prefix(10)))
        try await peer.waitUntilClosed()
        try await eventually { link.disconnects.count == 1 }
        #expect(link.disconnects.first?.reason.contains("10000 are allowed") == true)
        try await link.close()
        try await listener.close()
    }

    @Test func `a broken agreement ends the link after what was written`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await link.waitUntilConnected()
        try await link.run {
            $0.send(block: TestBlocks.refusal(version: 1), isUrgent: true)
            $0.fail(StreamError(.policyViolation))
        }
        try await peer.waitUntilClosed()
        #expect(peer.bytes == TestBlocks.refusal(version: 1).bytes)
        #expect(link.disconnects.first?.reason == LinkEnd.agreementBroken(StreamError(.policyViolation)).sentence)
        try await link.close()
        try await listener.close()
    }

    @Test func `a peer whose TCP is silent is given up after dead-after`() async throws {
        let (link, listener, remote) = try await acceptor { $0.deadAfter = .milliseconds(600) }
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2], reads: false)
        try await link.waitUntilConnected()
        try await link.send(blocks: (0..<20).map { TestBlocks.block($0, bytes: 900_000) })
        try await eventually(within: .seconds(30)) { link.disconnects.count == 1 }
        #expect(link.disconnects.first?.reason == LinkEnd.silent.sentence)
        #expect(link.disconnects.first?.inDoubt == [])
        try await peer.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `with blocks only one side may dial`() async throws {
        let listener = try await TestListener.make(addresses[1], on: loop)
        var both = configuration("ship", remote: .init(host: addresses[2], port: 1), own: 1, other: 2)
        both.policy.dial = .whenNeeded(atStart: false)
        let refused = both
        await #expect(throws: TransportError.self) {
            _ = try await TestLink.make(refused, listener: listener, on: loop)
        }
    }

    @Test func `the time to know each other follows from dead-after`() {
        #expect(TCPLinkConfiguration.identificationTime(deadAfter: .seconds(10), usesTLS: true) == .seconds(60))
        #expect(TCPLinkConfiguration.identificationTime(deadAfter: .minutes(5), usesTLS: true) == .minutes(15))
        #expect(TCPLinkConfiguration.identificationTime(deadAfter: .minutes(5), usesTLS: false) == .minutes(5))
    }
}
