package import NIOCore

/// TLS in a pipeline: ciphertext below, plain bytes above.
///
/// It starts its handshake when the channel becomes active, or at once when it is added to an active one (STARTTLS: add
/// it first in the pipeline, after what was to be sent in the clear was written and flushed). What the handlers behind it
/// write before the handshake is done waits and leaves, in order, in the flight that completes the handshake.
///
/// - A fatal error is fired as ``TLSError`` and the channel closed, after the alert for the peer was sent.
/// - The end of the peer's data fires `ChannelEvent.inputClosed` where the channel allows half closure, and closes the
///   channel where it does not. An end without close_notify is reported as ``TLSError/Code/truncated`` first.
/// - `close` says close_notify, waits until it was written (at most ``TLSConfiguration/closeTimeout``), then closes the channel.
/// - A deadline for the handshake is the owner's: only he knows what else must be done by then.
package final class TLSHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum State {
        /// Not active yet.
        case idle
        /// No plain byte passes in either direction. Can become `established` or `closing`.
        case handshaking
        /// The event is being fired; writes still wait, to join the same flight. Becomes `established` or `closing`.
        case establishing
        case established
        /// close_notify or an alert was sent, or the channel is gone: bytes of the peer are discarded.
        case closing
    }

    struct PendingWrite {
        let bytes: ByteBuffer
        let promise: EventLoopPromise<Void>?
    }

    let context: TLSContext
    private let serverName: String?
    private let identityName: String?
    /// What was read in the clear beyond the end of the negotiation: it belongs to TLS.
    private var initialBytes: ByteBuffer?
    private(set) var connection: TLSConnection?
    private(set) var state = State.idle
    var pending = MarkedCircularBuffer<PendingWrite>(initialCapacity: 4)
    var pendingBytes = 0
    private(set) var isOutputClosed = false
    private var isInputClosed = false
    /// The channel is going to be closed as soon as what is left was written.
    private var isSendingLast = false
    private var hasDelivered = false
    /// Somebody asked for plain bytes and has got none since.
    private var isReadWanted = false
    private var plaintext = ByteBuffer()

    private init(context: TLSContext, serverName: String?, identityName: String?, initialBytes: ByteBuffer?) {
        self.context = context
        self.serverName = serverName
        self.identityName = identityName
        self.initialBytes = initialBytes
    }

    /// The dialling end.
    ///
    /// - Parameters:
    ///   - context: Made for the role of a client.
    ///   - serverName: Sent as SNI; where a certificate is required it must carry this name. `nil`: neither.
    ///   - identity: For which name to show a certificate of ours; `nil`: the first one. A name for which there is none
    ///     shows none.
    ///   - initialBytes: What was read after `<proceed/>` before this handler was added.
    package static func client(
        _ context: TLSContext, serverName: String?, identity: String? = nil, initialBytes: ByteBuffer? = nil
    ) -> TLSHandler {
        precondition(context.configuration.role == .client, "the TLS context is made for a server")
        return TLSHandler(
            context: context, serverName: serverName, identityName: identity, initialBytes: initialBytes)
    }

    /// The listening end.
    ///
    /// - Parameters:
    ///   - context: Made for the role of a server.
    ///   - identity: For which name to show a certificate when the client asks for none by SNI.
    ///   - initialBytes: What was read after `<starttls/>` before this handler was added. An honest client sends nothing
    ///     there; what an attacker put in is taken for TLS, fails, and is never read as XML.
    package static func server(
        _ context: TLSContext, identity: String? = nil, initialBytes: ByteBuffer? = nil
    ) -> TLSHandler {
        precondition(context.configuration.role == .server, "the TLS context is made for a client")
        return TLSHandler(context: context, serverName: nil, identityName: identity, initialBytes: initialBytes)
    }

    // MARK: Start and end

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.start(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        self.start(context)
        context.fireChannelActive()
    }

    private func start(_ context: ChannelHandlerContext) {
        guard case .idle = self.state else { return }
        do throws(TLSError) {
            self.connection = try TLSConnection(
                context: self.context, serverName: self.serverName, identityName: self.identityName)
        } catch {
            self.fail(error, context)
            return
        }
        self.state = .handshaking
        // Needed where the owner reads by hand: the handshake is nothing that he has to know of.
        context.read()
        self.advanceHandshake(context)
        if let bytes = self.initialBytes {
            self.initialBytes = nil
            self.receive(bytes, context)
            // The first plain bytes may already have come; there will be no `channelRead` of their own for them.
            if self.hasDelivered { self.channelReadComplete(context: context) }
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        let wasState = self.state
        self.state = .closing
        self.failPending(TLSError(.closed, "the connection is closed"))
        switch wasState {
        case .handshaking, .establishing: context.fireErrorCaught(self.endDuringHandshake)
        case .established: if !self.isInputClosed { context.fireErrorCaught(self.endWithoutNotice) }
        case .idle, .closing: break
        }
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.state = .closing
        self.failPending(TLSError(.closed, "TLS was taken out of the channel"))
        self.connection = nil
    }

    // MARK: Reading

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.receive(self.unwrapInboundIn(data), context)
    }

    private func receive(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        var bytes = bytes
        while bytes.readableBytes > 0 {
            guard let connection = self.connection else { return }
            switch self.state {
            case .idle, .closing:
                return
            case .handshaking:
                connection.feed(&bytes)
                self.advanceHandshake(context)
            case .establishing, .established:
                guard !self.isInputClosed else { return }
                connection.feed(&bytes)
                self.decrypt(context)
            }
        }
    }

    private func advanceHandshake(_ context: ChannelHandlerContext) {
        guard let connection = self.connection else { return }
        do throws(TLSError) {
            guard let result = try connection.handshake() else {
                self.sendCiphertext(context)
                return
            }
            // Not sent yet: the first plain bytes shall leave together with the last message of the handshake.
            self.state = .establishing
            context.fireUserInboundEventTriggered(
                TLSEvent.established(peer: result.peer, version: result.version, isResumed: result.isResumed))
        } catch {
            self.fail(error, context)
            return
        }
        guard case .establishing = self.state else { return }
        self.state = .established
        self.encryptPending(context)
        self.sendCiphertext(context)
        self.decrypt(context)
    }

    /// Delivers what can be decrypted now, small records of one read in one piece.
    private func decrypt(_ context: ChannelHandlerContext) {
        do throws(TLSError) {
            while case .established = self.state, !self.isInputClosed, let connection = self.connection {
                // Behind every record there must be room for a whole one more.
                if self.plaintext.readableBytes >= TLSConnection.recordBytes { self.deliver(context) }
                switch try connection.read(into: &self.plaintext) {
                case .bytes:
                    continue
                case .needsMore:
                    self.deliver(context)
                    // Answers of TLS itself, such as to a change of keys.
                    self.sendCiphertext(context)
                    return
                case .closed:
                    self.deliver(context)
                    self.endOfInput(context, hasNotice: true)
                    return
                }
            }
        } catch {
            self.deliver(context)
            self.fail(error, context)
        }
    }

    private func deliver(_ context: ChannelHandlerContext) {
        guard self.plaintext.readableBytes > 0 else { return }
        self.hasDelivered = true
        self.isReadWanted = false
        let bytes = self.plaintext
        self.plaintext = ByteBuffer()
        context.fireChannelRead(self.wrapInboundOut(bytes))
        // Memory that nobody kept is used again; a reader inside the call may have begun a new buffer.
        guard self.plaintext.capacity == 0 else { return }
        self.plaintext = consume bytes
        self.plaintext.clear()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        let wasAnswered = self.hasDelivered
        self.hasDelivered = false
        context.fireChannelReadComplete()
        if case .closing = self.state { return }
        // Nothing came out of what was read, so whoever asked for a read still waits for it, or the handshake does.
        if !wasAnswered && (self.isReadWanted || self.isHandshaking) { context.read() }
    }

    package func read(context: ChannelHandlerContext) {
        self.isReadWanted = true
        context.read()
    }

    private var isHandshaking: Bool {
        switch self.state {
        case .handshaking, .establishing: true
        case .idle, .established, .closing: false
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        self.endOfInput(context, hasNotice: false)
    }

    /// The peer sends nothing more; without its notice something may be missing.
    private func endOfInput(_ context: ChannelHandlerContext, hasNotice: Bool) {
        guard !self.isInputClosed else { return }
        self.isInputClosed = true
        switch self.state {
        case .idle, .closing:
            return
        case .handshaking, .establishing:
            self.fail(self.endDuringHandshake, context)
            return
        case .established:
            break
        }
        if !hasNotice { context.fireErrorCaught(self.endWithoutNotice) }
        guard case .established = self.state else { return }
        let option = try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)
        if option == true && context.channel.isActive {
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        } else {
            self.close(context: context, mode: .all, promise: nil)
        }
    }

    private var endDuringHandshake: TLSError {
        TLSError(.truncated, "\(self.serverName ?? "the peer") closed the connection during the TLS handshake")
    }

    private var endWithoutNotice: TLSError {
        TLSError(.truncated, "\(self.serverName ?? "the peer") cut the connection without a TLS close_notify")
    }

    // MARK: Closing

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch (mode, self.state) {
        case (.input, _):
            context.close(mode: mode, promise: promise)
        case (.all, .closing):
            if self.isSendingLast {
                context.channel.closeFuture.cascade(to: promise)
            } else {
                context.close(mode: mode, promise: promise)
            }
        case (_, .idle), (_, .handshaking), (.output, .closing):
            // Nothing was said under TLS yet, so there is nothing to end.
            self.state = .closing
            self.failPending(ChannelError.ioOnClosedChannel)
            context.close(mode: mode, promise: promise)
        case (.output, .establishing), (.output, .established):
            guard !self.isOutputClosed else {
                promise?.fail(ChannelError.outputClosed)
                return
            }
            self.isOutputClosed = true
            self.failPending(ChannelError.outputClosed)
            self.connection?.closeOutput()
            self.sendLast(context, mode: .output, promise: promise)
        case (.all, .establishing), (.all, .established):
            self.state = .closing
            self.failPending(ChannelError.ioOnClosedChannel)
            if !self.isOutputClosed { self.connection?.closeOutput() }
            self.sendLast(context, mode: .all, promise: promise)
        }
    }

    /// Ends TLS for good: what was decrypted stays delivered, the alert goes out, the channel is closed.
    func fail(_ error: TLSError, _ context: ChannelHandlerContext) {
        if case .closing = self.state { return }
        self.state = .closing
        self.failPending(error)
        // An owner who closes on hearing of the error must not get ahead of the alert that tells the peer.
        self.isSendingLast = true
        context.fireErrorCaught(error)
        self.sendLast(context, mode: .all, promise: nil)
    }

    /// Sends what TLS has left to say, then closes. A peer that does not read cannot hold the channel open.
    private func sendLast(_ context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard context.channel.isActive else {
            context.close(mode: mode, promise: promise)
            return
        }
        // Even an empty write completes after what was written before it.
        let last = self.connection?.takeCiphertext(context.channel.allocator) ?? ByteBuffer()
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(self.wrapOutboundOut(last), promise: written)
        guard mode == .all else {
            written.futureResult.assumeIsolated().whenComplete { _ in context.close(mode: mode, promise: promise) }
            return
        }
        self.isSendingLast = true
        let timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.context.configuration.closeTimeout) {
            context.close(mode: .all, promise: nil)
        }
        context.channel.closeFuture.cascade(to: promise)
        written.futureResult.assumeIsolated().whenComplete { _ in
            timer.cancel()
            context.close(mode: .all, promise: nil)
        }
    }
}
