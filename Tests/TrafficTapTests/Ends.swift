import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing
import TrafficRecording
import TrafficTap
import XMPP

/// One end of a connection: keeps what comes in and how it ended.
final class End: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    struct State {
        var bytes = ByteBuffer()
        var channel: (any Channel)?
        var inputIsClosed = false
        var isClosed = false
        var error: String?
    }

    private let state = Mutex(State())

    var text: String { state.withLock { String(buffer: $0.bytes) } }
    var byteCount: Int { state.withLock { $0.bytes.readableBytes } }
    var bytes: ByteBuffer { state.withLock { $0.bytes } }
    var channel: (any Channel)? { state.withLock { $0.channel } }
    var inputIsClosed: Bool { state.withLock { $0.inputIsClosed } }
    var isClosed: Bool { state.withLock { $0.isClosed } }
    var error: String? { state.withLock { $0.error } }

    func send(_ text: String) {
        channel?.writeAndFlush(ByteBuffer(string: text), promise: nil)
    }

    func channelActive(context: ChannelHandlerContext) {
        state.withLock { $0.channel = context.channel }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        state.withLock { _ = $0.bytes.writeBuffer(&bytes) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { state.withLock { $0.inputIsClosed = true } }
    }

    func channelInactive(context: ChannelHandlerContext) {
        state.withLock { $0.isClosed = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        state.withLock { $0.error = "\(error)" }
        context.close(promise: nil)
    }
}

/// A tap before a server that does what the test wants.
struct TappedServer {
    var group: MultiThreadedEventLoopGroup
    var tap: RunningTap
    var path: String
    private let upstream: any Channel
    private let accepted: Accepted
    private let notes: Notes

    /// The ends' own sockets hold little, so that a slow one is felt soon; what the tap's hold is up to the kernel.
    private static let socketBytes: ChannelOptions.Types.SocketOption.Value = 65_536

    final class Accepted: Sendable {
        let ends = Mutex<[End]>([])
    }

    final class Notes: Sendable {
        let notices = Mutex<[TapNotice]>([])
    }

    /// The server's ends, in the order in which they were accepted.
    var serverEnds: [End] { accepted.ends.withLock { $0 } }
    var notices: [TapNotice] { notes.notices.withLock { $0 } }

    static func with(
        _ change: (inout TapConfiguration) -> Void = { _ in }, _ body: (TappedServer) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let path = "\(directory.path)/traffic.xml"
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let accepted = Accepted()
        let upstream = try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .serverChannelOption(.socketOption(.so_rcvbuf), value: socketBytes)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let end = End()
                    accepted.ends.withLock { $0.append(end) }
                    try channel.pipeline.syncOperations.addHandler(end)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let way = TapConfiguration.Way(
            listenHost: "127.0.0.1", listenPort: 0, upstreamHost: "127.0.0.1",
            upstreamPort: upstream.localAddress?.port ?? 0)
        let sites = SiteAssignment(a: [try #require(Domain("a.example"))])
        var configuration = TapConfiguration(ways: [way, way], sites: sites, path: path)
        change(&configuration)
        let notes = Notes()
        let tap = try await RunningTap.start(configuration, on: group.next()) { notice in
            notes.notices.withLock { $0.append(notice) }
        }
        try await body(
            TappedServer(group: group, tap: tap, path: path, upstream: upstream, accepted: accepted, notes: notes))
        _ = try await tap.stop()
        try? await upstream.close()
        try await group.shutdownGracefully()
    }

    /// Connects to the tap, and waits for the server to have the connection.
    func connect(way: Int = 0) async throws -> (opener: End, server: End) {
        let before = serverEnds.count
        let end = End()
        _ = try await ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.socketOption(.so_sndbuf), value: Self.socketBytes)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(end) }
            }
            .connect(to: tap.addresses[way]).get()
        try await eventually("the server has the connection") {
            serverEnds.count > before && serverEnds[before].channel != nil
        }
        return (end, serverEnds[before])
    }

    /// The file's text as it is now.
    func file() throws -> String {
        try FileText.read(path)
    }

    func fileSize() throws -> Int {
        var information = stat()
        try #require(unsafe stat(path, &information) == 0)
        return information.st_size
    }

    /// What the file holds now.
    func recorded() throws -> (entries: [RecordedStanza], ending: TrafficReader.Ending) {
        var reader = TrafficReader()
        var bytes = ByteBuffer(string: try file())
        reader.read(&bytes)
        var entries: [RecordedStanza] = []
        while let entry = try reader.next() { entries.append(entry) }
        return (entries, try reader.finish())
    }
}

enum FileText {
    static func read(_ path: String) throws -> String {
        let descriptor = unsafe open(path, O_RDONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            try #require(count >= 0)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }

    static func write(_ path: String, _ text: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_TRUNC)
        try #require(descriptor >= 0)
        let count = unsafe Array(text.utf8).withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
        try #require(count == text.utf8.count)
    }
}

enum OpenFiles {
    /// The descriptor by which this process has a file open.
    static func descriptor(of path: String) -> Int32? {
        (0..<1_024).first { number in
            var target = [CChar](repeating: 0, count: 4_096)
            let count = unsafe readlink("/proc/self/fd/\(number)", &target, target.count)
            return count > 0 && String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) == path
        }
    }
}
