import Glibc
import NIOCore

/// One end of a connection that is passed on: what comes in here goes out at the partner, at the pace that it bears.
final class RelayHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The other end; nil until it is there, and when it is gone.
    private weak var partner: RelayHandler?
    private var context: ChannelHandlerContext?
    private var waitsToRead = false
    private var failed = false
    private var isLeaving = false
    /// Told of what was passed on.
    private let onBytes: (ByteBuffer) -> Void

    init(onBytes: @escaping (ByteBuffer) -> Void) {
        self.onBytes = onBytes
    }

    /// Joins two ends that are both open, and lets them read.
    static func join(_ one: RelayHandler, _ other: RelayHandler) {
        one.partner = other
        other.partner = one
        one.partnerIsWritable()
        other.partnerIsWritable()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        partner?.context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        onBytes(bytes)
    }

    // MARK: Pace

    func read(context: ChannelHandlerContext) {
        if !isLeaving, partner?.context?.channel.isWritable == true {
            context.read()
        } else {
            waitsToRead = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { partner?.partnerIsWritable() }
        context.fireChannelWritabilityChanged()
    }

    private func partnerIsWritable() {
        guard waitsToRead, !isLeaving, let context else { return }
        waitsToRead = false
        context.read()
    }

    // MARK: Ends

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            partner?.afterWriting { $0.close(mode: .output, promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Takes nothing more, and closes when what was taken from the partner has left.
    func leave() {
        isLeaving = true
        afterWriting { $0.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failed = true
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let partner = partner
        self.partner = nil
        if failed { partner?.reset() } else { partner?.afterWriting { $0.close(promise: nil) } }
        context.fireChannelInactive()
    }

    /// Does something when all that was written has left.
    private func afterWriting(_ body: @escaping (ChannelHandlerContext) -> Void) {
        guard let context else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            if let context = self.context { body(context) }
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }

    /// Ends the connection as the other end lost its own: without a farewell.
    private func reset() {
        guard let context else { return }
        if let socket = context.channel as? any SocketOptionProvider {
            socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).assumeIsolated().whenComplete { _ in
                context.close(promise: nil)
            }
        } else {
            context.close(promise: nil)
        }
    }
}
