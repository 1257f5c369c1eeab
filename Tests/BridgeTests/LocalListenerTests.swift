import Bridge
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing
import XMPP

@Suite("The local listener under attack", .timeLimit(.minutes(3)))
struct LocalListenerTests {
    /// Counts the ends of connections.
    final class Ends: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let count: Atomic<Int>
        let text = Mutex("")

        init() { count = Atomic(0) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            text.withLock { $0 += String(buffer: bytes) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            count.add(1, ordering: .relaxed)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    /// Connects from an address that is not the server's.
    static func stranger(
        _ address: SocketAddress, _ group: any EventLoopGroup, _ ends: Ends, from source: String = "127.0.0.9"
    ) async throws -> any Channel {
        try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(ends) }
            }
            .bind(to: SocketAddress(ipAddress: source, port: 0))
            .connect(to: address).get()
    }

    @Test(
        "A stranger who talks slowly is ended by a deadline that his talking does not move (peers d22)")
    func slowLoris() async throws {
        try await TwoSites.with(site: "limits = { negotiation-timeout = \"1s\" }") { sites in
            let address = try #require(sites.alphaBridge.localAddresses.first)
            let ends = Ends()
            let started = NIODeadline.now()
            let channel = try await Self.stranger(address, sites.group, ends)
            channel.writeAndFlush(ByteBuffer(string: "<stream:stream xmlns='jabber:server'"), promise: nil)
            let writing = sites.group.next().scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(50)) { _ in
                // White space within the tag, one byte at a time, for ever.
                channel.writeAndFlush(ByteBuffer(string: " "), promise: nil)
            }
            try await eventually("the slow stranger was ended") { ends.count.load(ordering: .relaxed) == 1 }
            writing.cancel()
            #expect(NIODeadline.now() - started >= .seconds(1), "not before its deadline")
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "still here"))
            try await eventually("others are served") { sites.bravo.received.count == 1 }
        }
    }

    @Test("Bytes before authentication are bounded (peers d12)")
    func beforeAuthentication() async throws {
        try await TwoSites.with { sites in
            let address = try #require(sites.alphaBridge.localAddresses.first)
            let ends = Ends()
            let channel = try await Self.stranger(address, sites.group, ends)
            let header = """
                <stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                from='bravo.example' to='bravo.example' version='1.0'>
                """
            let flood = header + String(repeating: "<message/>", count: 4_000)
            channel.writeAndFlush(ByteBuffer(string: flood), promise: nil)
            try await eventually("the flood was ended") { ends.count.load(ordering: .relaxed) == 1 }
            #expect(ends.text.withLock { $0 }.contains("<stream:error>"))
        }
    }

    @Test("Thousands of half-open connections leave memory flat and the server served (peers d12)")
    func halfOpenFlood() async throws {
        try await TwoSites.with(site: "limits = { unproved-connections = 64, unproved-per-address = 32 }") { sites in
            let address = try #require(sites.alphaBridge.localAddresses.first)
            let ends = Ends()
            let attackers = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            // Warm up, so that what is measured is not the first use of anything.
            try await Self.flood(address, attackers, ends, connections: 200)
            let before = try Self.residentBytes()
            for _ in 0..<10 { try await Self.flood(address, attackers, ends, connections: 400) }
            let after = try Self.residentBytes()
            #expect(after - before < 16 << 20, "grew by \(after - before) bytes")
            let status = try await sites.alphaBridge.status()
            #expect(status.refusedConnections > 1_000)
            #expect(status.localConnections <= 64 + 16)
            sites.alpha.send(Stanzas.message("romeo@alpha.example/a", "juliet@bravo.example", "still here"))
            try await eventually("the server is served") { sites.bravo.received.count == 1 }
            try await attackers.shutdownGracefully()
        }
    }

    private static func flood(
        _ address: SocketAddress, _ group: any EventLoopGroup, _ ends: Ends, connections: Int
    ) async throws {
        var channels: [any Channel] = []
        for number in 0..<connections {
            // Several sources: no single one may take all places, nor all together those of the server.
            channels.append(try await stranger(address, group, ends, from: "127.0.0.\(9 + number % 4)"))
        }
        for channel in channels { try? await channel.close() }
    }

    private static func residentBytes() throws -> Int {
        let text = try Files.readText("/proc/self/statm")
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
