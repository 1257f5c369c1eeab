import NIOCore

/// Counts the bytes of one connection where they leave for and come from TCP; the first handler of the pipeline.
final class WireByteCounter: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private(set) var received: UInt64 = 0
    private(set) var sent: UInt64 = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received &+= UInt64(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        sent &+= UInt64(unwrapOutboundIn(data).readableBytes)
        context.write(data, promise: promise)
    }
}
