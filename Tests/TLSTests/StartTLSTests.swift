import NIOCore
import NIOEmbedded
import Testing

@testable import TLS

@Suite("TLS in the middle of a stream (STARTTLS)")
struct StartTLSTests {
    let ends: TestEnds

    init() throws {
        self.ends = try TestEnds()
    }

    /// Two ends that spoke in the clear up to `<proceed/>`.
    private func negotiated() throws -> Wire {
        let wire = try Wire(client: nil, server: nil)
        wire.client.send("<starttls/>")
        try wire.run()
        #expect(wire.server.recorder.text == "<starttls/>")
        wire.server.send("<proceed/>")
        return wire
    }

    private func add(_ handler: TLSHandler, to end: End) throws {
        try end.channel.pipeline.syncOperations.addHandler(handler, position: .first)
    }

    @Test("the handshake starts when the handler is added, and the stream goes on encrypted", arguments: [1, Int.max])
    func midStream(pieces: Int) throws {
        let wire = try self.negotiated()
        try self.add(self.ends.server(), to: wire.server)
        try wire.run()
        #expect(wire.client.recorder.text == "<proceed/>")
        try self.add(self.ends.client(), to: wire.client)
        wire.client.send("<stream/>")
        try wire.run(pieces: pieces)
        #expect(wire.server.recorder.text == "<starttls/><stream/>")
        #expect(wire.server.recorder.order == ["read", "established", "read"])
        wire.server.send("<features/>")
        try wire.run(pieces: pieces)
        #expect(wire.client.recorder.text == "<proceed/><features/>")
    }

    @Test(
        "what was read beyond the negotiation belongs to TLS, wherever the border lies", arguments: [1, 5, 100, 10_000])
    func leftover(count: Int) throws {
        let wire = try self.negotiated()
        try wire.run()
        try self.add(self.ends.client(), to: wire.client)
        wire.client.send("<stream/>")
        var hello = try wire.takeFlight(from: wire.client)
        let early = hello.readSlice(length: min(count, hello.readableBytes))
        try self.add(self.ends.server(initialBytes: early), to: wire.server)
        if hello.readableBytes > 0 { try wire.server.channel.writeInbound(hello) }
        try wire.run()
        #expect(wire.server.recorder.text == "<starttls/><stream/>")
        #expect(wire.client.recorder.established.count == 1)
    }

    @Test("bytes that an attacker put behind <starttls/> are never read as XML (command injection)")
    func injectedBeforeTheHandshake() throws {
        let injected = ByteBuffer(string: "<message from='evil.example' to='hq.example'/>")
        // In the read that carried <starttls/>.
        let sameRead = try self.negotiated()
        try self.add(self.ends.server(initialBytes: injected), to: sameRead.server)
        #expect(sameRead.server.recorder.error?.code == .notTLS)
        #expect(sameRead.server.recorder.text == "<starttls/>")
        #expect(!sameRead.server.channel.isActive)

        // In a read of its own.
        let ownRead = try self.negotiated()
        try self.add(self.ends.server(), to: ownRead.server)
        try ownRead.server.channel.writeInbound(injected)
        #expect(ownRead.server.recorder.error?.code == .notTLS)
        #expect(ownRead.server.recorder.text == "<starttls/>")

        // The server's side of it: in front of the server's first flight, read with <proceed/>.
        let toClient = try self.negotiated()
        try toClient.run()
        try self.add(self.ends.client(initialBytes: injected), to: toClient.client)
        #expect(toClient.client.recorder.error?.code == .notTLS)
        #expect(toClient.client.recorder.text == "<proceed/>")

        // Between two flights of a real handshake.
        let between = try self.negotiated()
        try between.run()
        try self.add(self.ends.server(), to: between.server)
        try self.add(self.ends.client(), to: between.client)
        try between.carry(from: between.client, to: between.server)
        try between.server.channel.writeInbound(injected)
        #expect(between.server.recorder.errors.count == 1)
        #expect(between.server.recorder.text == "<starttls/>")
        #expect(between.server.recorder.established.isEmpty)
    }

    @Test("a handler that is taken out fails what waits")
    func removal() throws {
        let wire = try Wire(client: self.ends.client(), server: nil)
        let write = wire.client.send("<stream/>")
        let handler = try wire.client.channel.pipeline.syncOperations.handler(type: TLSHandler.self)
        let removal = wire.client.channel.pipeline.syncOperations.removeHandler(handler)
        try wire.outcome(of: removal)
        #expect(throws: TLSError.self) { try wire.outcome(of: write) }
    }
}
