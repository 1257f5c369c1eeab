package import NIOCore
import NIOPosix
package import TrafficRecording

/// What became of a recording.
package struct TapSummary: Equatable, Sendable {
    package var counts: TrafficRecorder.Counts
    /// Size of the file, where it could be written.
    package var bytes: Int
    /// Connections that were passed on.
    package var connections: Int
    /// Connections, or directions of them, that could not be read to their end.
    package var unreadable: Int
    package var ending: TapEnding
}

/// A tap that is up: a TCP relay that reads along and writes what it reads into a traffic file.
///
/// Bytes pass unchanged and before anything looks at them; what is read, or cannot be, never changes what passes.
package struct RunningTap: Sendable {
    private let runtime: NIOLoopBound<TapRuntime>
    private let eventLoop: any EventLoop
    /// Where it listens, in the order of the ways.
    package let addresses: [SocketAddress]

    /// - Parameter onNotice: called on the event loop.
    /// - Throws: ``TrafficFile/Failure``, or why it cannot listen.
    package static func start(
        _ configuration: TapConfiguration, on eventLoop: any EventLoop,
        onNotice: @escaping @Sendable (TapNotice) -> Void
    ) async throws -> RunningTap {
        let runtime = try await eventLoop.submit {
            NIOLoopBound(try TapRuntime(configuration, eventLoop: eventLoop, onNotice: onNotice), eventLoop: eventLoop)
        }.get()
        do {
            var addresses: [SocketAddress] = []
            for way in configuration.ways {
                let listener = try await listen(way, runtime, on: eventLoop)
                guard let address = listener.localAddress else { throw ChannelError.unknownLocalAddress }
                addresses.append(address)
                try await eventLoop.submit { runtime.value.listeners.append(listener) }.get()
            }
            return RunningTap(runtime: runtime, eventLoop: eventLoop, addresses: addresses)
        } catch {
            try? await eventLoop.submit { runtime.value.discard() }.get()
            throw error
        }
    }

    private static func listen(
        _ way: TapConfiguration.Way, _ runtime: NIOLoopBound<TapRuntime>, on eventLoop: any EventLoop
    ) async throws -> any Channel {
        try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try runtime.value.accept(channel, way) }
            }
            .bind(host: way.listenHost, port: way.listenPort).get()
    }

    /// Ends the file and all connections.
    package func stop(within patience: TimeAmount = .seconds(2)) async throws -> TapSummary {
        try await eventLoop.flatSubmit { runtime.value.stop(within: patience) }.get()
    }
}
