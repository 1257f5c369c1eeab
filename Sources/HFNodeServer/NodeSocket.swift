import NIOCore
import RadioSimulator

/// A client's connection to a node: carries bytes, decides nothing.
final class NodeSocket: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let id: NodeConnection
    private weak var server: HFNodeServer?
    private var context: ChannelHandlerContext?

    init(id: NodeConnection, server: HFNodeServer) {
        self.id = id
        self.server = server
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        server?.bytesReceived(id, unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        server?.connectionClosed(id)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// A client must take what the node has for it (STANAG 5066 Ed. 3 §A.2.1.14); one that does not is cut off.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !context.channel.isWritable { context.close(promise: nil) }
    }

    func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    /// When everything is written.
    func close() {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    func setReading(_ isOn: Bool) {
        guard let context else { return }
        try? context.channel.syncOptions?.setOption(.autoRead, value: isOn)
    }
}
