import NIOCore
import NIOEmbedded
import Testing
import XMPP

@testable import TLS

@Suite("TLS handshake")
struct HandshakeTests {
    let authority: TestAuthority

    init() throws {
        self.authority = try TestAuthority()
    }

    struct Versions: Sendable, CustomTestStringConvertible {
        let client: ClosedRange<TLSVersion>
        let server: ClosedRange<TLSVersion>
        let expected: TLSVersion?
        let pieces: Int

        var testDescription: String { "client \(self.client), server \(self.server), pieces of \(self.pieces)" }
    }

    static let combinations: [Versions] = {
        let ranges: [ClosedRange<TLSVersion>] = [.v1_2...(.v1_2), .v1_2...(.v1_3), .v1_3...(.v1_3)]
        return ranges.flatMap { client in
            ranges.flatMap { server in
                [1, 7, Int.max].map { pieces in
                    let lowest = max(client.lowerBound, server.lowerBound)
                    let highest = min(client.upperBound, server.upperBound)
                    return Versions(
                        client: client, server: server, expected: lowest <= highest ? highest : nil, pieces: pieces)
                }
            }
        }
    }()

    @Test(
        "every combination of versions agrees on the highest common one or fails with a sentence",
        arguments: combinations)
    func versions(_ versions: Versions) throws {
        let identity = try self.authority.identity("hq.example")
        let wire = try Wire(
            .testClient(self.authority.trust).with {
                ($0.minimumVersion, $0.maximumVersion) = (versions.client.lowerBound, versions.client.upperBound)
            }, serverName: "hq.example",
            .testServer(identity).with {
                ($0.minimumVersion, $0.maximumVersion) = (versions.server.lowerBound, versions.server.upperBound)
            })
        wire.client.send("<hello/>")
        try wire.run(pieces: versions.pieces)
        guard let expected = versions.expected else {
            #expect(wire.server.recorder.error?.code == .nothingInCommon)
            #expect(wire.client.recorder.error?.code == .nothingInCommon)
            #expect(wire.server.recorder.text == "")
            return
        }
        #expect(wire.client.recorder.version == expected)
        #expect(wire.server.recorder.version == expected)
        #expect(wire.server.recorder.text == "<hello/>")
        wire.server.send("<answer/>")
        wire.client.send("<more/>")
        try wire.run(pieces: versions.pieces)
        #expect(wire.client.recorder.text == "<answer/>")
        #expect(wire.server.recorder.text == "<hello/><more/>")
        #expect(wire.client.recorder.errors.isEmpty && wire.server.recorder.errors.isEmpty)
        #expect(wire.client.recorder.peer?.isValid == true)
        #expect(wire.client.recorder.peer?.dnsNames == ["hq.example"])
        #expect(wire.server.recorder.peer == nil)
        #expect(wire.server.recorder.order == ["established", "read"])
    }

    @Test("the first plain bytes are on the wire after exactly one flight of the server (TLS 1.3)")
    func flights() throws {
        let mine = try self.authority.identity("ship.example")
        let theirs = try self.authority.identity("hq.example")
        let wire = try Wire(
            .link(role: .client, identity: mine, trust: self.authority.trust), serverName: "hq.example",
            .link(role: .server, identity: theirs, trust: self.authority.trust))
        let sent = wire.client.send("<message/>")
        try wire.carry(from: wire.client, to: wire.server)
        #expect(wire.server.recorder.established.isEmpty)
        try wire.carry(from: wire.server, to: wire.client)
        #expect(wire.client.recorder.established.count == 1)
        // One write to the socket: the client's certificate, its Finished, and the stanza.
        var outbound: [ByteBuffer] = []
        while let bytes = try wire.client.channel.readOutbound(as: ByteBuffer.self) { outbound.append(bytes) }
        #expect(outbound.count == 1)
        try wire.outcome(of: sent)
        try wire.server.channel.writeInbound(try #require(outbound.first))
        #expect(wire.server.recorder.text == "<message/>")
        #expect(wire.server.recorder.order == ["established", "read"])
        #expect(try wire.takeFlight(from: wire.server).readableBytes == 0, "no tickets on a link")
    }

    @Test("a link's handshake with certificates both ways costs less than 750 bytes in each direction")
    func bytesOfALink() throws {
        let ship = try self.authority.linkIdentity("ship.example")
        let hq = try self.authority.linkIdentity("hq.example")
        let wire = try Wire(
            .link(role: .client, identity: ship, trust: self.authority.trust), serverName: "hq.example",
            .link(role: .server, identity: hq, trust: self.authority.trust))
        let flights = try wire.run()
        #expect(flights == 3)
        #expect(wire.client.recorder.peer?.matches(try #require(Domain("hq.example"))) == true)
        #expect(wire.server.recorder.peer?.matches(try #require(Domain("ship.example"))) == true)
        #expect(wire.bytesUp < 750)
        #expect(wire.bytesDown < 750)
    }

    @Test("writes before the handshake keep their order, share records, and none is lost")
    func pendingWrites() throws {
        let wire = try Wire(
            .testClient(self.authority.trust), serverName: "hq.example",
            .testServer(try self.authority.identity("hq.example")))
        var outcomes = 0
        for number in 0..<100 {
            wire.client.channel.write(ByteBuffer(string: "\(number);"), promise: nil)
            wire.client.send("f").assumeIsolated().whenSuccess { outcomes += 1 }
            // The server's writes wait too, for the client's Finished.
            wire.server.send("\(number),").assumeIsolated().whenSuccess { outcomes += 1 }
        }
        wire.client.channel.write(ByteBuffer(string: "not flushed"), promise: nil)
        #expect(outcomes == 0)
        try wire.run()
        #expect(outcomes == 200)
        #expect(wire.server.recorder.text == (0..<100).map { "\($0);f" }.joined())
        #expect(wire.client.recorder.text == (0..<100).map { "\($0)," }.joined())
        wire.client.channel.flush()
        try wire.run()
        #expect(wire.server.recorder.text.hasSuffix("not flushed"))
    }

    @Test("plain bytes written while the event is fired come after those that waited, in the same flight")
    func writeInsideTheEvent() throws {
        let wire = try Wire(
            .testClient(self.authority.trust), serverName: "hq.example",
            .testServer(try self.authority.identity("hq.example")))
        wire.client.recorder.onEstablished = { context in
            context.writeAndFlush(NIOAny(ByteBuffer(string: "second")), promise: nil)
        }
        wire.client.send("first ")
        try wire.carry(from: wire.client, to: wire.server)
        try wire.carry(from: wire.server, to: wire.client)
        try wire.carry(from: wire.client, to: wire.server)
        #expect(wire.server.recorder.text == "first second")
    }

    @Test("too much written before the handshake fails every write and closes")
    func pendingLimit() throws {
        let wire = try Wire(
            .testClient(self.authority.trust).with { $0.pendingBytesLimit = 1000 }, serverName: "hq.example",
            .testServer(try self.authority.identity("hq.example")))
        var failures = 0
        for _ in 0..<3 {
            wire.client.send(String(repeating: "x", count: 400)).assumeIsolated().whenFailure { error in
                #expect((error as? TLSError)?.code == .bufferFull)
                failures += 1
            }
        }
        #expect(failures == 3)
        #expect(wire.client.recorder.error?.code == .bufferFull)
        wire.loop.run()
        #expect(!wire.client.channel.isActive)
    }

    @Test(
        "a write of any size becomes the fewest records and arrives whole",
        arguments: [1, 300, 16_384, 16_385, 700_000])
    func records(size: Int) throws {
        let wire = try Wire(
            .testClient(self.authority.trust).with { $0.minimumVersion = .v1_3 }, serverName: "hq.example",
            .testServer(try self.authority.identity("hq.example")))
        try wire.run()
        var written = false
        wire.client.channel.writeAndFlush(ByteBuffer(repeating: 0x41, count: size)).assumeIsolated()
            .whenSuccess { written = true }
        var flight = try wire.takeFlight(from: wire.client)
        #expect(written)
        // Header 5, type 1, tag 16 (RFC 8446 §5.2).
        let records = (size + 16_383) / 16_384
        #expect(flight.readableBytes == size + 22 * records)
        while let piece = flight.readSlice(length: min(1000, flight.readableBytes)), piece.readableBytes > 0 {
            try wire.server.channel.writeInbound(piece)
        }
        #expect(wire.server.recorder.byteCount == size)
    }

    @Test("small writes of one flush share a record; each write has its promise")
    func joinedWrites() throws {
        let wire = try Wire(
            .testClient(self.authority.trust).with { $0.minimumVersion = .v1_3 }, serverName: "hq.example",
            .testServer(try self.authority.identity("hq.example")))
        try wire.run()
        var written = 0
        for _ in 0..<10 {
            wire.client.channel.write(ByteBuffer(string: "0123456789")).assumeIsolated()
                .whenSuccess { written += 1 }
        }
        #expect(written == 0)
        wire.client.channel.flush()
        #expect(written == 10)
        #expect(try wire.carry(from: wire.client, to: wire.server) == 122)
        #expect(wire.server.recorder.byteCount == 100)
    }

    @Test("a server shows the certificate that SNI asks for, by name, by wildcard, else the one it was opened for")
    func serverNames() throws {
        let server = try TLSContext(
            TLSConfiguration(
                role: .server,
                identities: [
                    try self.authority.identity("hq.example"), try self.authority.identity("shore.example"),
                    try self.authority.identity("port.example", withSubdomains: true),
                    try self.authority.identity("rooms.port.example"),
                ], peerVerification: .none))
        let client = try TLSContext(.testClient(self.authority.trust, verification: .recorded))
        for (asked, opened, expected) in [
            ("hq.example", nil, "hq.example"), ("SHORE.example", nil, "shore.example"),
            ("rooms.port.example", nil, "rooms.port.example"), ("files.port.example", nil, "port.example"),
            ("a.b.port.example", nil, "hq.example"), ("unknown.example", "shore.example", "shore.example"),
            (nil, "port.example", "port.example"), (nil, nil, "hq.example"), (nil, "unknown.example", "hq.example"),
            ("127.0.0.1", "shore.example", "shore.example"),
        ] as [(String?, String?, String)] {
            let wire = try Wire(
                client: .client(client, serverName: asked), server: .server(server, identity: opened))
            try wire.run()
            #expect(wire.client.recorder.peer?.dnsNames.first == expected, "\(asked ?? "-") \(opened ?? "-")")
        }
    }

    @Test("a client shows the certificate of the name that it speaks for, and none rather than another's")
    func clientIdentities() throws {
        let server = try TLSContext(
            .testServer(
                try self.authority.identity("hq.example"), trust: self.authority.trust, verification: .recorded))
        let client = try TLSContext(
            TLSConfiguration(
                role: .client,
                identities: [try self.authority.identity("ship.example"), try self.authority.identity("boat.example")],
                trust: self.authority.trust))
        for (identity, expected) in [
            ("boat.example", ["boat.example"]), ("ship.example", ["ship.example"]), (nil, ["ship.example"]),
            ("raft.example", nil),
        ] as [(String?, [String]?)] {
            let wire = try Wire(
                client: .client(client, serverName: "hq.example", identity: identity), server: .server(server))
            try wire.run()
            #expect(wire.server.recorder.established.count == 1)
            #expect(wire.server.recorder.peer?.dnsNames == expected)
        }
    }

    @Test("an internationalised server name is asked for and checked in its ASCII form")
    func internationalisedName() throws {
        let identity = try self.authority.identity("bücher.example")
        let wire = try Wire(
            .testClient(self.authority.trust), serverName: "bücher.example", .testServer(identity))
        try wire.run()
        #expect(wire.client.recorder.peer?.dnsNames == ["xn--bcher-kva.example"])
        #expect(wire.client.recorder.peer?.matches(try #require(Domain("bücher.example"))) == true)
    }
}
