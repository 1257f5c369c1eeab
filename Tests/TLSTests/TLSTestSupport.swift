import Foundation
import NIOCore
import NIOEmbedded
import TestSupport
import Testing
import XMPP

@testable import TLS

/// The system's `openssl` as a second opinion.
enum OpenSSLTool {
    /// Runs it to its end and returns what it prints.
    ///
    /// Through a file and not through a pipe: the pipe's writing end might for a moment be another test's process's as well.
    static func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        let directory = try TemporaryDirectory()
        let path = try directory.file("output", "")
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        let process = ChildProcess.make("/usr/bin/openssl", arguments)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, try String(contentsOfFile: path, encoding: .utf8))
    }
}

/// An authority whose files lie in a directory of its own.
struct TestAuthority {
    let directory: TemporaryDirectory
    let authority: PrivateAuthority

    init(name: String = "Test authority") throws {
        self.directory = try TemporaryDirectory()
        self.authority = try PrivateAuthority.create(name: name)
        try self.authority.save(in: self.directory.path)
    }

    var file: String { "\(self.directory.path)/ca.crt" }
    var trust: TLSConfiguration.Trust { .certificateAuthorities(self.file) }

    /// Issues and writes a certificate as `skywave pki` does.
    func identity(_ domain: String, withSubdomains: Bool = false) throws -> TLSConfiguration.Identity {
        let leaf = try self.authority.issue(for: try #require(Domain(domain)), withSubdomains: withSubdomains)
        return try leaf.save(in: self.directory.path, name: domain)
    }

    /// Issues and writes a small one for a link.
    func linkIdentity(_ name: String) throws -> TLSConfiguration.Identity {
        try self.authority.issueForLink(name: try #require(Domain(name))).save(in: self.directory.path, name: name)
    }

    /// A certificate that says whatever the test wants.
    func identity(file: String, _ contents: CertificateContents) throws -> TLSConfiguration.Identity {
        let key = try PrivateKey.generate()
        let certificate = try contents.signed(for: key, by: (self.authority.certificate, self.authority.key))
        return try LeafCertificate(certificate: certificate, key: key).save(in: self.directory.path, name: file)
    }
}

/// Both ends of a connection to hq.example, whose certificate the client believes.
struct TestEnds {
    let authority: TestAuthority
    private let clientContext: TLSContext
    private let serverContext: TLSContext

    init() throws {
        self.authority = try TestAuthority()
        self.clientContext = try TLSContext(.testClient(self.authority.trust))
        self.serverContext = try TLSContext(.testServer(try self.authority.identity("hq.example")))
    }

    func client(initialBytes: ByteBuffer? = nil) -> TLSHandler {
        .client(self.clientContext, serverName: "hq.example", initialBytes: initialBytes)
    }

    func server(initialBytes: ByteBuffer? = nil) -> TLSHandler {
        .server(self.serverContext, initialBytes: initialBytes)
    }
}

/// The last handler of a test channel: keeps everything that comes out of TLS.
final class Recorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var text = ""
    private(set) var byteCount = 0
    private(set) var established: [TLSEvent] = []
    private(set) var errors: [any Error] = []
    private(set) var inputClosed = 0
    private(set) var inactive = 0
    private(set) var order: [String] = []
    /// Called when the handshake is done, before the event ends.
    var onEstablished: ((ChannelHandlerContext) -> Void)?
    var onRead: ((ChannelHandlerContext) -> Void)?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = self.unwrapInboundIn(data)
        self.byteCount += buffer.readableBytes
        if self.byteCount < 1 << 20 { self.text += String(buffer: buffer) }
        if self.order.last != "read" { self.order.append("read") }
        self.onRead?(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSEvent {
            self.established.append(event)
            self.order.append("established")
            self.onEstablished?(context)
        } else if let event = event as? ChannelEvent, event == .inputClosed {
            self.inputClosed += 1
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.errors.append(error)
        self.order.append("error")
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.inactive += 1
    }

    var error: TLSError? { self.errors.first as? TLSError }

    var peer: CertificateIdentities? {
        guard case .established(let peer, _, _)? = self.established.first else { return nil }
        return peer
    }

    var version: TLSVersion? {
        guard case .established(_, let version, _)? = self.established.first else { return nil }
        return version
    }

    var isResumed: Bool? {
        guard case .established(_, _, let isResumed)? = self.established.first else { return nil }
        return isResumed
    }
}

/// One end of a test connection.
final class End {
    let channel: EmbeddedChannel
    let recorder = Recorder()

    init(_ handler: TLSHandler?, on loop: EmbeddedEventLoop) throws {
        self.channel = EmbeddedChannel(loop: loop)
        if let handler { try self.channel.pipeline.syncOperations.addHandler(handler) }
        try self.channel.pipeline.syncOperations.addHandler(self.recorder)
    }

    func activate() throws {
        self.channel.connect(to: try SocketAddress(unixDomainSocketPath: "/test"), promise: nil)
    }

    /// Writes and flushes; the future is that of the write.
    @discardableResult
    func send(_ text: String) -> EventLoopFuture<Void> {
        self.channel.writeAndFlush(ByteBuffer(string: text))
    }

    /// The connection below TLS ended, as the kernel reports it.
    func loseConnection() {
        self.channel.pipeline.fireChannelInactive()
    }
}

/// Two ends and the wire between them.
final class Wire {
    let loop = EmbeddedEventLoop()
    let client: End
    let server: End
    private(set) var bytesUp = 0
    private(set) var bytesDown = 0

    /// Either handler may be `nil`: then that end speaks in the clear.
    init(client: TLSHandler?, server: TLSHandler?) throws {
        self.client = try End(client, on: self.loop)
        self.server = try End(server, on: self.loop)
        try self.server.activate()
        try self.client.activate()
    }

    convenience init(_ client: TLSConfiguration, serverName: String?, _ server: TLSConfiguration) throws {
        try self.init(
            client: .client(try TLSContext(client), serverName: serverName), server: .server(try TLSContext(server)))
    }

    /// The outcome that a future has by now. Never blocks, other than the future's own `wait`: a thread that waits for
    /// an embedded loop waits for itself.
    func outcome(of future: EventLoopFuture<Void>) throws {
        var outcome: Result<Void, any Error>?
        future.assumeIsolated().whenComplete { outcome = $0 }
        self.loop.run()
        guard let outcome else {
            Issue.record("not complete yet")
            return
        }
        try outcome.get()
    }

    /// Everything that one end has sent since the last call; 0 bytes when it has nothing to say.
    func takeFlight(from end: End) throws -> ByteBuffer {
        var flight = ByteBuffer()
        while let bytes = try end.channel.readOutbound(as: ByteBuffer.self) { flight.writeImmutableBuffer(bytes) }
        return flight
    }

    /// Carries over what one end has sent, in pieces of at most `pieces` bytes.
    @discardableResult
    func carry(from sender: End, to receiver: End, pieces: Int = .max) throws -> Int {
        var flight = try self.takeFlight(from: sender)
        let count = flight.readableBytes
        if sender === self.client { self.bytesUp += count } else { self.bytesDown += count }
        while let piece = flight.readSlice(length: min(pieces, flight.readableBytes)), piece.readableBytes > 0 {
            try receiver.channel.writeInbound(piece)
        }
        return count
    }

    /// Until nobody has anything to say; returns the number of flights, client's and server's together.
    @discardableResult
    func run(pieces: Int = .max) throws -> Int {
        var flights = 0
        while true {
            let up = try self.carry(from: self.client, to: self.server, pieces: pieces)
            let down = try self.carry(from: self.server, to: self.client, pieces: pieces)
            flights += (up > 0 ? 1 : 0) + (down > 0 ? 1 : 0)
            if up == 0 && down == 0 { return flights }
        }
    }
}

extension TLSConfiguration {
    static func testClient(
        _ trust: Trust, identity: Identity? = nil, verification: PeerVerification = .required
    ) -> TLSConfiguration {
        TLSConfiguration(
            role: .client, identities: identity.map { [$0] } ?? [], trust: trust, peerVerification: verification)
    }

    static func testServer(
        _ identity: Identity, trust: Trust = .systemRoots, verification: PeerVerification = .none
    ) -> TLSConfiguration {
        TLSConfiguration(role: .server, identities: [identity], trust: trust, peerVerification: verification)
    }

    func with(_ change: (inout TLSConfiguration) -> Void) -> TLSConfiguration {
        var copy = self
        change(&copy)
        return copy
    }
}
