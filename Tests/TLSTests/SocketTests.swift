import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing
import XMPP

@testable import TLS

/// What the last handler of a channel on a real socket has seen. Read from the test's task, hence the lock.
final class SocketLog: Sendable {
    struct Content {
        var text = ""
        var byteCount = 0
        var established: [TLSEvent] = []
        var errors: [String] = []
        var inputClosed = 0
        var isInactive = false
    }

    private let content = Mutex(Content())

    var now: Content { self.content.withLock { $0 } }

    func change(_ body: (inout Content) -> Void) { self.content.withLock { body(&$0) } }
}

/// Writes into the log; `answer` says what to send back for what was read.
final class SocketRecorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let log: SocketLog
    private let stopsReading: Bool
    private let answer: @Sendable (String) -> String?

    init(_ log: SocketLog, stopsReading: Bool = false, answer: @escaping @Sendable (String) -> String? = { _ in nil }) {
        self.log = log
        self.stopsReading = stopsReading
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        let text = bytes.readableBytes <= 65_536 ? String(buffer: bytes) : ""
        self.log.change {
            $0.byteCount += bytes.readableBytes
            if $0.text.utf8.count < 65_536 { $0.text += text }
        }
        guard let answer = self.answer(text) else { return }
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSEvent {
            self.log.change { $0.established.append(event) }
            if self.stopsReading {
                context.channel.setOption(.autoRead, value: false).assumeIsolated().whenFailure {
                    context.fireErrorCaught($0)
                }
            }
        }
        if let event = event as? ChannelEvent, event == .inputClosed { self.log.change { $0.inputClosed += 1 } }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.log.change { $0.errors.append("\(error)") }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.log.change { $0.isInactive = true }
    }
}

/// Speaks just enough XMPP in the clear to get to STARTTLS, then puts TLS in front of the recorder.
final class StartTLSResponder: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let context: TLSContext
    private var text = ""

    init(_ context: TLSContext) { self.context = context }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.text += String(buffer: self.unwrapInboundIn(data))
        if self.text.contains("<starttls") {
            self.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", context)
            do {
                let pipeline = context.pipeline.syncOperations
                try pipeline.addHandler(TLSHandler.server(self.context), position: .first)
                pipeline.removeHandler(context: context, promise: nil)
            } catch {
                context.fireErrorCaught(error)
            }
        } else if self.text.hasSuffix(">"), self.text.contains("<stream:stream") {
            self.send(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:server' version='1.0' id='1' "
                    + "xmlns:stream='http://etherx.jabber.org/streams'><stream:features>"
                    + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>", context)
        }
    }

    private func send(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }
}

@Suite("TLS on real sockets", .timeLimit(.minutes(5)))
struct SocketTests {
    let authority: TestAuthority

    init() throws {
        self.authority = try TestAuthority()
    }

    /// Runs `body` with one event loop that is shut down afterwards.
    private func withGroup(_ body: (MultiThreadedEventLoopGroup) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await body(group)
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func listen(
        _ group: MultiThreadedEventLoopGroup, _ context: TLSContext?, _ log: SocketLog, startTLS: TLSContext? = nil,
        stopsReading: Bool = false, answer: @escaping @Sendable (String) -> String? = { _ in nil }
    ) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let context { try pipeline.addHandler(TLSHandler.server(context)) }
                    if let startTLS { try pipeline.addHandler(StartTLSResponder(startTLS)) }
                    try pipeline.addHandler(SocketRecorder(log, stopsReading: stopsReading, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private func dial(
        _ group: MultiThreadedEventLoopGroup, _ context: TLSContext, port: Int, _ log: SocketLog
    ) async throws -> any Channel {
        try await ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(TLSHandler.client(context, serverName: "hq.example"))
                    try pipeline.addHandler(SocketRecorder(log))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    private func port(of channel: any Channel) throws -> Int {
        try #require(channel.localAddress?.port)
    }

    @Test("a large transfer, a half close and an answer to it, in both versions", arguments: [TLSVersion.v1_2, .v1_3])
    func transfer(version: TLSVersion) async throws {
        try await self.withGroup { group in
            let server = try TLSContext(
                .testServer(
                    try self.authority.identity("hq.example"), trust: self.authority.trust, verification: .required))
            let client = try TLSContext(
                .testClient(self.authority.trust, identity: try self.authority.identity("ship.example")).with {
                    $0.maximumVersion = version
                })
            let (serverLog, clientLog) = (SocketLog(), SocketLog())
            let listener = try await self.listen(group, server, serverLog) { $0.hasSuffix("?") ? "yes" : nil }
            let channel = try await self.dial(group, client, port: self.port(of: listener), clientLog)
            for _ in 0..<20 {
                try await channel.writeAndFlush(ByteBuffer(repeating: 0x20, count: 500_000))
            }
            try await channel.writeAndFlush(ByteBuffer(string: "?"))
            try await eventually("the answer") { clientLog.now.text == "yes" }
            #expect(serverLog.now.byteCount == 10_000_001)
            try await channel.close(mode: .output)
            try await eventually("the half close") { serverLog.now.inputClosed == 1 }
            #expect(serverLog.now.errors.isEmpty && clientLog.now.errors.isEmpty)
            #expect(!clientLog.now.isInactive)
            guard case .established(let peer, version, false)? = serverLog.now.established.first else {
                Issue.record("not established as expected: \(serverLog.now.established)")
                return
            }
            #expect(peer?.dnsNames == ["ship.example"])
            try await channel.close()
            try await eventually("the end") { clientLog.now.isInactive }
            try await listener.close()
        }
    }

    @Test("close does not wait for ever for a peer that does not read")
    func stuckPeer() async throws {
        try await self.withGroup { group in
            let serverLog = SocketLog()
            let listener = try await self.listen(
                group, try TLSContext(.testServer(try self.authority.identity("hq.example"))), serverLog,
                stopsReading: true)
            let clientLog = SocketLog()
            let client = try TLSContext(
                .testClient(self.authority.trust).with { $0.closeTimeout = .milliseconds(200) })
            let channel = try await self.dial(group, client, port: self.port(of: listener), clientLog)
            try await eventually("the handshake") { serverLog.now.established.count == 1 }
            // Far more than the kernel's buffers take.
            let write = channel.eventLoop.makePromise(of: Void.self)
            channel.writeAndFlush(ByteBuffer(repeating: 0x20, count: 100_000_000), promise: write)
            try await channel.close()
            #expect(clientLog.now.isInactive)
            await #expect(throws: (any Error).self) { try await write.futureResult.get() }
            #expect(serverLog.now.byteCount < 100_000_000)
            try await listener.close()
        }
    }

    @Test("a half close before the handshake is done does not stand in the way of the close")
    func halfCloseDuringHandshake() async throws {
        try await self.withGroup { group in
            // It accepts and says nothing.
            let listener = try await self.listen(group, nil, SocketLog())
            let log = SocketLog()
            let channel = try await self.dial(
                group, try TLSContext(.testClient(self.authority.trust)), port: self.port(of: listener), log)
            try await channel.close(mode: .output)
            #expect(!log.now.isInactive)
            try await channel.close()
            #expect(log.now.isInactive)
            try await listener.close()
        }
    }

    @Test("garbage on a real listener closes the connection with a sentence")
    func garbage() async throws {
        try await self.withGroup { group in
            let log = SocketLog()
            let listener = try await self.listen(
                group, try TLSContext(.testServer(try self.authority.identity("hq.example"))), log)
            let channel = try await ClientBootstrap(group: group)
                .connect(host: "127.0.0.1", port: try self.port(of: listener)).get()
            try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
            try await channel.closeFuture.get()
            try await eventually("the end") { log.now.isInactive }
            #expect(log.now.errors.count == 1)
            #expect(log.now.errors.first?.contains("is not TLS") == true)
            #expect(log.now.text == "")
            try await listener.close()
        }
    }

    // MARK: openssl as the other end

    /// A running `openssl` whose output is collected.
    final class OpenSSLProcess: Sendable {
        private let process: Process
        private let input = Pipe()
        private let collected = Mutex("")

        init(_ arguments: [String]) throws {
            self.process = ChildProcess.make("/usr/bin/openssl", arguments)
            let output = Pipe()
            self.process.standardInput = self.input
            self.process.standardOutput = output
            self.process.standardError = output
            output.fileHandleForReading.readabilityHandler = { [weak self] handle in
                let text = String(decoding: handle.availableData, as: UTF8.self)
                if text.isEmpty { handle.readabilityHandler = nil }
                self?.collected.withLock { $0 += text }
            }
            try self.process.run()
        }

        deinit { self.stop() }

        var output: String { self.collected.withLock { $0 } }
        var isRunning: Bool { self.process.isRunning }

        func type(_ text: String) throws {
            try self.input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        }

        /// Kills it: Swift's threads block signals, and a child inherits that.
        func stop() {
            if self.process.isRunning { kill(self.process.processIdentifier, SIGKILL) }
        }
    }

    @Test("openssl s_client talks to our server and checks its certificate", arguments: ["-tls1_2", "-tls1_3"])
    func sClient(version: String) async throws {
        try await self.withGroup { group in
            let log = SocketLog()
            let server = try TLSContext(
                .testServer(
                    try self.authority.identity("hq.example"), trust: self.authority.trust, verification: .required))
            let listener = try await self.listen(group, server, log) { $0.contains("ping") ? "pong\n" : nil }
            let ship = try self.authority.identity("ship.example")
            let client = try OpenSSLProcess([
                "s_client", "-connect", "127.0.0.1:\(try self.port(of: listener))", version, "-servername",
                "hq.example",
                "-verify_hostname", "hq.example", "-verify_return_error", "-CAfile", self.authority.file,
                "-cert", ship.certificateChainPath, "-key", ship.keyPath, "-quiet", "-no_ign_eof",
            ])
            defer { client.stop() }
            try client.type("ping\n")
            try await eventually("the answer") { client.output.contains("pong") }
            guard case .established(let peer, _, _)? = log.now.established.first else {
                Issue.record("not established")
                return
            }
            #expect(peer?.matches(try #require(Domain("ship.example"))) == true)
            try client.type("Q\n")
            try await eventually("the end") { log.now.inputClosed == 1 || log.now.isInactive }
            try await listener.close()
        }
    }

    @Test("openssl s_client reaches TLS by STARTTLS of server streams")
    func sClientStartTLS() async throws {
        try await self.withGroup { group in
            let log = SocketLog()
            let server = try TLSContext(.testServer(try self.authority.identity("hq.example")))
            let listener = try await self.listen(group, nil, log, startTLS: server) {
                $0.contains("ping") ? "pong\n" : nil
            }
            let client = try OpenSSLProcess([
                "s_client", "-connect", "127.0.0.1:\(try self.port(of: listener))", "-starttls", "xmpp-server",
                "-xmpphost", "hq.example", "-verify_return_error", "-CAfile", self.authority.file, "-quiet",
            ])
            defer { client.stop() }
            try client.type("ping\n")
            try await eventually("the answer") { client.output.contains("pong") }
            #expect(log.now.text == "ping\n")
            #expect(log.now.established.count == 1)
            try await listener.close()
        }
    }

    @Test("a change of keys that the peer asks for is answered (TLS 1.3)")
    func keyUpdate() async throws {
        try await self.withGroup { group in
            let log = SocketLog()
            let server = try TLSContext(.testServer(try self.authority.identity("hq.example")))
            let listener = try await self.listen(group, server, log) { $0.contains("ping") ? "pong\n" : nil }
            let client = try OpenSSLProcess([
                "s_client", "-connect", "127.0.0.1:\(try self.port(of: listener))", "-tls1_3", "-CAfile",
                self.authority.file,
            ])
            defer { client.stop() }
            // A line "K" makes s_client change its keys and ask for the same.
            for expected in 1...5 {
                try client.type("K\n")
                try await eventually("the change") {
                    client.output.components(separatedBy: "KEYUPDATE").count == expected + 1
                }
                try client.type("ping\n")
                try await eventually("the answer") {
                    client.output.components(separatedBy: "pong").count == expected + 1
                }
            }
            #expect(log.now.errors.isEmpty)
            try await listener.close()
        }
    }

    @Test("an owner who reads by hand gets the handshake for nothing and plain bytes when he asks")
    func readingByHand() async throws {
        try await self.withGroup { group in
            let log = SocketLog()
            let server = try TLSContext(.testServer(try self.authority.identity("hq.example")))
            let accepted = Mutex<(any Channel)?>(nil)
            let listener = try await ServerBootstrap(group: group)
                .childChannelOption(.autoRead, value: false)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(TLSHandler.server(server))
                        try channel.pipeline.syncOperations.addHandler(SocketRecorder(log))
                        accepted.withLock { $0 = channel }
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let clientLog = SocketLog()
            let channel = try await self.dial(
                group, try TLSContext(.testClient(self.authority.trust)), port: self.port(of: listener), clientLog)
            try await eventually("the handshake") { log.now.established.count == 1 }
            try await channel.writeAndFlush(ByteBuffer(string: "<message/>"))
            // A round trip through the shared loop: whatever was going to be read has been.
            for _ in 0..<5 { try await group.next().submit {}.get() }
            #expect(log.now.text == "")
            let peer = try #require(accepted.withLock { $0 })
            peer.read()
            try await eventually("the plain bytes") { log.now.text == "<message/>" }
            // The peer is closed by the end of its input, or by this; which comes first does not matter.
            try await channel.close()
            peer.close(promise: nil)
            try await listener.close()
        }
    }

    @Test("peers d22: renegotiation is refused, and asking for it again and again costs nothing")
    func renegotiation() async throws {
        try await self.withGroup { group in
            let log = SocketLog()
            let server = try TLSContext(.testServer(try self.authority.identity("hq.example")))
            let listener = try await self.listen(group, server, log)
            let client = try OpenSSLProcess([
                "s_client", "-connect", "127.0.0.1:\(try self.port(of: listener))", "-tls1_2", "-CAfile",
                self.authority.file,
            ])
            defer { client.stop() }
            try client.type("before\n")
            try await eventually("the first line") { log.now.text == "before\n" }
            // A line "R" makes s_client ask for a new handshake.
            try client.type("R\n")
            try await eventually("the refusal") { client.output.contains("no renegotiation") }
            #expect(client.output.contains("RENEGOTIATING"))
            #expect(client.output.contains("no renegotiation"))
            #expect(log.now.established.count == 1)
            try await listener.close()
        }
    }

    @Test(
        "our client talks to openssl s_server, which sees the certificate it demands",
        arguments: ["-tls1_2", "-tls1_3"])
    func sServer(version: String) async throws {
        try await self.withGroup { group in
            let hq = try self.authority.identity("hq.example")
            let server = try OpenSSLProcess([
                "s_server", "-accept", "127.0.0.1:0", version, "-cert", hq.certificateChainPath, "-key", hq.keyPath,
                "-CAfile", self.authority.file, "-Verify", "2", "-verify_return_error", "-rev",
            ])
            defer { server.stop() }
            try await eventually("the port") { server.output.contains("ACCEPT 127.0.0.1:") }
            let line = try #require(server.output.split(separator: "\n").first { $0.hasPrefix("ACCEPT") })
            let port = try #require(line.split(separator: ":").last.flatMap { Int($0) })
            let log = SocketLog()
            let client = try TLSContext(
                .testClient(self.authority.trust, identity: try self.authority.identity("ship.example")))
            let channel = try await self.dial(group, client, port: port, log)
            try await channel.writeAndFlush(ByteBuffer(string: "abc\n"))
            try await eventually("the reversed line") { log.now.text.contains("cba") }
            #expect(log.now.errors.isEmpty)
            guard case .established(let peer, _, _)? = log.now.established.first else {
                Issue.record("not established")
                return
            }
            #expect(peer?.matches(try #require(Domain("hq.example"))) == true)
            try await channel.close()
        }
    }
}
