import Glibc
import NIOCore
import NIOPosix
import TrafficRecording
import XMPP

/// What lives on the event loop: connections, the file, the counts.
final class TapRuntime {
    private static let maximumConnections = 1_024

    private let eventLoop: any EventLoop
    private let file: TrafficFile
    private let onNotice: @Sendable (TapNotice) -> Void
    private var recorder: TrafficRecorder
    private var ending: TapEnding?
    private var ends: [ObjectIdentifier: (channel: any Channel, handler: RelayHandler)] = [:]
    private var connections = 0
    private var told: Set<String> = []
    /// Those that could not be reached at the last attempt.
    private var lostUpstreams: Set<String> = []
    private var unreadable = 0
    var listeners: [any Channel] = []
    private var timer: Scheduled<Void>?

    init(
        _ configuration: TapConfiguration, eventLoop: any EventLoop, onNotice: @escaping @Sendable (TapNotice) -> Void
    ) throws(TrafficFile.Failure) {
        recorder = TrafficRecorder(
            sites: configuration.sites, redactor: configuration.redactionKey.map { StanzaRedactor(key: $0) },
            maximumBytes: configuration.maximumBytes)
        file = try TrafficFile(path: configuration.path, replaces: configuration.replaces)
        self.eventLoop = eventLoop
        self.onNotice = onNotice
        try file.append(ByteBuffer(string: recorder.opening))
        if let duration = configuration.duration {
            timer = eventLoop.assumeIsolated().scheduleTask(in: duration) { self.end(.time) }
        }
    }

    // MARK: Connections

    /// A connection came in: it reads nothing before the upstream has answered.
    func accept(_ channel: any Channel, _ way: TapConfiguration.Way) throws {
        guard ends.count < 2 * Self.maximumConnections else {
            tell(.tooManyConnections(Self.maximumConnections))
            throw ChannelError.operationUnsupported
        }
        let watch = WatchedConnection { [unowned self] watch in found(watch) }
        let near = RelayHandler { watch.bytesPassed($0, .fromOpener) }
        try channel.pipeline.syncOperations.addHandler(near)
        keep(channel, near)
        connections += 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let far = NIOLoopBound(RelayHandler { watch.bytesPassed($0, .toOpener) }, eventLoop: eventLoop)
        Self.withOptions(ClientBootstrap(group: eventLoop))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(far.value) }
            }
            .connect(host: way.upstreamHost, port: way.upstreamPort)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let upstream):
                    bound.value.lostUpstreams.remove(way.upstream)
                    guard channel.isActive else { return upstream.close(promise: nil) }
                    bound.value.keep(upstream, far.value)
                    RelayHandler.join(near, far.value)
                case .failure(let error):
                    channel.close(promise: nil)
                    bound.value.dialFailed(way, error)
                }
            }
    }

    private static func withOptions(_ bootstrap: ClientBootstrap) -> ClientBootstrap {
        bootstrap
            .connectTimeout(.seconds(10))
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.allowRemoteHalfClosure, value: true)
    }

    private func keep(_ channel: any Channel, _ handler: RelayHandler) {
        let id = ObjectIdentifier(channel)
        ends[id] = (channel, handler)
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.ends[id] = nil }
    }

    private func dialFailed(_ way: TapConfiguration.Way, _ error: any Error) {
        guard lostUpstreams.insert(way.upstream).inserted else { return }
        let cause = ((error as? NIOConnectionError)?.connectionErrors.first?.error ?? error) as? IOError
        let reason = cause.map { unsafe String(cString: strerror($0.errnoCode)) } ?? "no answer, or no such name"
        onNotice(.noUpstream(way.upstream, reason: reason))
    }

    // MARK: What was read

    private func found(_ watch: WatchedConnection) {
        var bytes = ByteBuffer()
        let now = NIODeadline.now()
        for finding in watch.takeFindings() {
            switch finding {
            case .stanza(let stanza): recorder.stanzaPassed(stanza, now: now, to: &bytes)
            case .tooLarge: recorder.oversizePassed()
            case .ended(let reason):
                unreadable += 1
                tell(.notReadable(reason))
            case .unreadable(_, let condition):
                unreadable += 1
                tell(.brokenStream(condition: condition.rawValue))
            }
        }
        guard bytes.readableBytes > 0, ending == nil else { return }
        do throws(TrafficFile.Failure) {
            try file.append(bytes)
            if recorder.isFinished { end(.size) }
        } catch {
            end(.file(error))
        }
    }

    /// Tells what was not told yet.
    private func tell(_ notice: TapNotice) {
        let kind =
            switch notice {
            case .brokenStream: "broken"
            default: "\(notice)"
            }
        if told.insert(kind).inserted { onNotice(notice) }
    }

    // MARK: The end

    /// Gives the file its end; streams pass on.
    private func end(_ reason: TapEnding) {
        guard ending == nil else { return }
        ending = reason
        timer?.cancel()
        do throws(TrafficFile.Failure) {
            var bytes = ByteBuffer()
            recorder.finish(to: &bytes)
            try file.append(bytes)
            try file.close()
        } catch {
            if case .file = reason {} else { ending = .file(error) }
        }
        if reason != .asked, let ending { onNotice(.recordingEnded(ending)) }
    }

    /// Leaves no file behind that holds nothing.
    func discard() {
        end(.asked)
        for listener in listeners { listener.close(promise: nil) }
        file.remove()
    }

    /// Ends the recording and all connections: what has been taken from one end is given to the other.
    ///
    /// - Parameter patience: for ends that do not take it.
    func stop(within patience: TimeAmount) -> EventLoopFuture<TapSummary> {
        for listener in listeners { listener.close(promise: nil) }
        end(.asked)
        let summary = TapSummary(
            counts: recorder.counts, bytes: recorder.bytes, connections: connections, unreadable: unreadable,
            ending: ending ?? .asked)
        let closed = ends.values.map { $0.channel.closeFuture }
        for end in ends.values { end.handler.leave() }
        let timer = eventLoop.assumeIsolated().scheduleTask(in: patience) {
            for end in self.ends.values { end.channel.close(promise: nil) }
        }
        return EventLoopFuture.andAllComplete(closed, on: eventLoop).map {
            timer.cancel()
            return summary
        }
    }
}

extension TapConfiguration.Way {
    /// The upstream as an operator writes it.
    fileprivate var upstream: String {
        upstreamHost.contains(":") ? "[\(upstreamHost)]:\(upstreamPort)" : "\(upstreamHost):\(upstreamPort)"
    }
}

/// The watch of one connection, which both of its ends feed.
final class WatchedConnection {
    private var watch = StreamWatch()
    private let onBytes: (WatchedConnection) -> Void

    init(onBytes: @escaping (WatchedConnection) -> Void) {
        self.onBytes = onBytes
    }

    func bytesPassed(_ bytes: ByteBuffer, _ direction: StreamWatch.Direction) {
        watch.bytesPassed(bytes, direction)
        onBytes(self)
    }

    func takeFindings() -> [StreamWatch.Finding] { watch.takeFindings() }
}
