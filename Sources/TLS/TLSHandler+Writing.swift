package import NIOCore

/// What the handlers above write: it waits for the handshake, is encrypted in records as full as flushes allow, and fails
/// with the connection.
extension TLSHandler {
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = self.unwrapOutboundIn(data)
        if case .closing = self.state {
            promise?.fail(TLSError(.closed, "the connection is closed"))
            return
        }
        guard !self.isOutputClosed else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        self.pending.append(PendingWrite(bytes: bytes, promise: promise))
        self.pendingBytes += bytes.readableBytes
        if case .established = self.state { return }
        let limit = self.context.configuration.pendingBytesLimit
        if self.pendingBytes > limit {
            self.fail(
                TLSError(.bufferFull, "more than \(limit) bytes were written before the TLS handshake was done"),
                context)
        }
    }

    package func flush(context: ChannelHandlerContext) {
        self.pending.mark()
        guard case .established = self.state else { return }
        self.encryptPending(context)
    }

    /// Encrypts everything up to the last flush. Writes that fit into one record together share it.
    func encryptPending(_ context: ChannelHandlerContext) {
        var hasWritten = false
        do throws(TLSError) {
            while self.pending.hasMark, let first = self.takePending() {
                var promise = first.promise
                var joined: ByteBuffer?
                while self.pending.hasMark, let next = self.pending.first {
                    let count = (joined ?? first.bytes).readableBytes
                    guard count + next.bytes.readableBytes <= TLSConnection.recordBytes else { break }
                    _ = self.takePending()
                    joined = joined ?? context.channel.allocator.buffer(capacity: TLSConnection.recordBytes)
                    if joined?.readableBytes == 0 { joined?.writeImmutableBuffer(first.bytes) }
                    joined?.writeImmutableBuffer(next.bytes)
                    promise = Self.joined(promise, next.promise)
                }
                do throws(TLSError) {
                    guard let connection = self.connection else { throw TLSError(.closed, "the connection is closed") }
                    try connection.write(joined ?? first.bytes)
                } catch {
                    promise?.fail(error)
                    throw error
                }
                hasWritten = true
                let ciphertext = self.connection?.takeCiphertext(context.channel.allocator) ?? ByteBuffer()
                context.write(self.wrapOutboundOut(ciphertext), promise: promise)
            }
        } catch {
            self.fail(error, context)
            return
        }
        if hasWritten { context.flush() }
    }

    private func takePending() -> PendingWrite? {
        guard let write = self.pending.popFirst() else { return nil }
        self.pendingBytes -= write.bytes.readableBytes
        return write
    }

    /// One promise whose outcome becomes that of both.
    private static func joined(
        _ first: EventLoopPromise<Void>?, _ second: EventLoopPromise<Void>?
    ) -> EventLoopPromise<Void>? {
        guard let first else { return second }
        first.futureResult.cascade(to: second)
        return first
    }

    func sendCiphertext(_ context: ChannelHandlerContext) {
        guard let ciphertext = self.connection?.takeCiphertext(context.channel.allocator) else { return }
        context.writeAndFlush(self.wrapOutboundOut(ciphertext), promise: nil)
    }

    func failPending(_ error: any Error) {
        while let write = self.takePending() { write.promise?.fail(error) }
    }
}
