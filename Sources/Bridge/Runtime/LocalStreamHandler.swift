import NIOCore
import ServerStreams
import TLS

/// Carries what happens on one local connection to the runtime, and nothing else.
final class LocalStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let runtime: SiteRuntime
    let connection: LocalConnection

    init(runtime: SiteRuntime, connection: LocalConnection) {
        self.runtime = runtime
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        runtime.bytesReceived(&bytes, on: connection)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        runtime.endTurn()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        runtime.writabilityChanged(connection, isWritable: context.channel.isWritable)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .established(let peer, let version, let isResumed) = event as? TLSEvent {
            runtime.secured(connection, peer: peer, version: version, isResumed: isResumed)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if connection.failure == nil { connection.failure = NetworkFailure.describe(error) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        runtime.connectionEnded(connection)
    }
}
