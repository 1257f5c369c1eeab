import Blocks
import NIOCore
import TLS
import XMPP

/// Who is told about a connection: the listener until it is known whose it is, then the transport.
protocol LinkConnectionOwner: AnyObject {
    /// TCP is up on a plain link, or the TLS handshake is done. The owner opens the connection or drops it.
    func connectionReady(_ connection: LinkConnection, certificate: CertificateIdentities?)
    /// Bytes wait for ``LinkConnection/nextItem()``.
    func connectionReadable(_ connection: LinkConnection)
    /// Nothing more comes or goes; what has arrived can still be read.
    func connectionEnded(_ connection: LinkConnection, _ reason: LinkEnd)
}

/// One TCP connection of a link, at the end of its pipeline.
///
/// Nothing is parsed or inflated before the owner has called ``open(_:)``, which it does when it knows who the peer is
/// (docs/lessons.md, d9).
final class LinkConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What came in.
    enum Item {
        case stream(StreamEvent)
        case block(ByteBuffer)
        /// What came is no block; nothing more comes.
        case noBlock(BlockError)
    }

    private enum Phase {
        /// Nobody knows who the peer is; no byte of content may come.
        case unidentified
        case stanzas(LinkStreamDecoder, LinkStreamEncoder)
        case blocks
        /// Dropped or failed: whatever comes is ignored.
        case over
    }

    let counter = WireByteCounter()
    let openedHere: Bool
    private let usesTLS: Bool
    weak var owner: (any LinkConnectionOwner)?
    /// Given by the transport when the connection becomes one of its own.
    var id: LinkConnectionID?
    var since = NIODeadline.now()
    var description = ""
    /// The first block also tells whether the peer speaks our version.
    var hasBroughtBlocks = false

    private var context: ChannelHandlerContext?
    private var phase = Phase.unidentified
    /// Received, not given to the decoder yet.
    private var unread = ByteBuffer()
    private var cutter = BlockCutter(maximumBytes: 0)
    private var unreadLimit = Int.max
    private var isRetired = false
    private var farewellBytes = 0
    private var lastWrite: EventLoopFuture<Void>?
    private var acknowledgement = TCPAcknowledgement()
    private var end: LinkEnd?

    init(openedHere: Bool, usesTLS: Bool, owner: any LinkConnectionOwner) {
        self.openedHere = openedHere
        self.usesTLS = usesTLS
        self.owner = owner
    }

    var remoteAddress: SocketAddress? { context?.remoteAddress }

    /// How many of the bytes that ``counter`` counted as sent the peer's machine has acknowledged, when last looked at.
    var acknowledgedBytes: UInt64 { acknowledgement.bytes }

    /// Looks how far the peer's TCP has acknowledged; no effect when the connection is gone or nothing is outstanding.
    func refreshAcknowledgement() {
        guard acknowledgement.bytes < counter.sent, let channel = context?.channel, channel.isActive else { return }
        acknowledgement.refresh(from: channel)
    }

    // MARK: For the owner

    /// The peer is known: from now on its bytes are read.
    func open(_ configuration: TCPLinkConfiguration) {
        guard case .unidentified = phase else { return }
        switch configuration.dialect {
        case .xep:
            phase = .stanzas(
                LinkStreamDecoder(
                    compression: configuration.compression != nil, limits: configuration.limits,
                    inflateLimits: configuration.inflateLimits),
                LinkStreamEncoder(compression: configuration.compression, inflateLimits: configuration.inflateLimits))
        case .skywave:
            phase = .blocks
            cutter = BlockCutter(maximumBytes: configuration.maximumBlockBytes)
        }
        farewellBytes = configuration.farewellBytes
        if let context {
            let options = context.channel.syncOptions
            let milliseconds = configuration.deadAfter.nanoseconds / 1_000_000
            let timeout = Int(clamping: max(1, min(milliseconds, Int64(CInt.max))))
            try? options?.setOption(.tcpOption(.init(rawValue: SocketOptionNumber.tcpUserTimeout)), value: timeout)
            let unsent = max(1, min(configuration.unsentBytes, Int(CInt.max)))
            try? options?.setOption(.tcpOption(.init(rawValue: SocketOptionNumber.tcpUnsentLowWater)), value: unsent)
        }
    }

    /// The next of what has arrived; nil when more bytes are needed.
    func nextItem() -> Item? {
        switch phase {
        case .unidentified, .over: return nil
        case .stanzas(let decoder, _):
            if let event = decoder.nextEvent() { return .stream(event) }
            guard unread.readableBytes > 0 else { return nil }
            decoder.read(&unread)
            unread.clear()
            return decoder.nextEvent().map { .stream($0) }
        case .blocks:
            do throws(BlockError) {
                return try cutter.next().map { .block($0) }
            } catch {
                return .noBlock(error)
            }
        }
    }

    func setReading(_ isReading: Bool) {
        guard let context, !isRetired else { return }
        try? context.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    /// The connection is on its way out: what it has brought is fetched from the kernel before it is gone, whether
    /// somebody reads now or not.
    func retire() {
        setReading(true)
        isRetired = true
        unreadLimit = farewellBytes
    }

    /// Writes one batch.
    ///
    /// - Returns: done when the kernel has all of it; nil when the connection is over.
    func write(_ batch: [Stanza]) -> EventLoopFuture<Void>? {
        write(reserving: batch.reduce(0) { $0 + $1.byteCount }) { $0.encode(batch, into: &$1) }
    }

    func writeClose() {
        retire()
        _ = write(reserving: 64) { $0.encodeClose(into: &$1) }
    }

    func writeError(_ error: StreamError) {
        retire()
        _ = write(reserving: 512) { $0.encodeError(error, into: &$1) }
    }

    /// Writes one block.
    ///
    /// - Returns: done when the kernel has all of it; nil when the connection is over.
    func write(_ block: ByteBuffer) -> EventLoopFuture<Void>? {
        guard let context, case .blocks = phase else { return nil }
        return flush(block, context)
    }

    /// Tells the peer which version is spoken here. What else it says is ignored, so that it can read the answer before
    /// the connection ends.
    func writeRefusal() {
        _ = write(LinkSession.versionRefusal)
        phase = .over
        unread = ByteBuffer()
        cutter = BlockCutter(maximumBytes: 0)
        retire()
    }

    /// Ends the connection when everything is written.
    func close() {
        guard let context else { return }
        guard let lastWrite else { return context.close(promise: nil) }
        lastWrite.assumeIsolated().whenComplete { _ in self.context?.close(promise: nil) }
    }

    /// Ends the connection now; what it has brought can still be read.
    func abort() {
        context?.close(promise: nil)
    }

    /// Ends the connection now; nothing of it is of interest.
    func drop() {
        phase = .over
        unread = ByteBuffer()
        cutter = BlockCutter(maximumBytes: 0)
        context?.close(promise: nil)
    }

    private func write(
        reserving bytes: Int, _ encode: (LinkStreamEncoder, inout ByteBuffer) -> Void
    ) -> EventLoopFuture<Void>? {
        guard let context, case .stanzas(_, let encoder) = phase else { return nil }
        var buffer = context.channel.allocator.buffer(capacity: bytes)
        encode(encoder, &buffer)
        return flush(buffer, context)
    }

    private func flush(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) -> EventLoopFuture<Void> {
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
        promise.futureResult.assumeIsolated().whenFailure { self.record($0) }
        lastWrite = promise.futureResult
        return promise.futureResult
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        since = .now()
        acknowledgement.start(on: context.channel)
        if !usesTLS { owner?.connectionReady(self, certificate: nil) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .established(let certificate, _, _)? = event as? TLSEvent, usesTLS {
            owner?.connectionReady(self, certificate: certificate)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        switch phase {
        case .stanzas:
            if unread.readableBytes == 0 { unread = bytes } else { unread.writeBuffer(&bytes) }
            if unread.readableBytes > unreadLimit { return abort() }
            owner?.connectionReadable(self)
        case .blocks:
            cutter.append(&bytes)
            owner?.connectionReadable(self)
        case .unidentified: drop()
        case .over: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Also comes right before an end of stream: the last moment at which the kernel can be asked.
        refreshAcknowledgement()
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        refreshAcknowledgement()
        record(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        owner?.connectionEnded(self, end ?? .cut)
        context.fireChannelInactive()
    }

    /// Keeps the first reason; what follows is its consequence.
    private func record(_ error: any Error) {
        guard end == nil else { return }
        if case .unidentified = phase, let error = error as? TLSError {
            end = .failed("TLS: \(error.message)")
        } else {
            end = LinkEnd(networkError: error)
        }
    }
}

/// Options of Linux's TCP (tcp(7)) that NIO has no names for.
private enum SocketOptionNumber {
    /// TCP_USER_TIMEOUT
    static let tcpUserTimeout: CInt = 18
    /// TCP_NOTSENT_LOWAT
    static let tcpUnsentLowWater: CInt = 25
}
