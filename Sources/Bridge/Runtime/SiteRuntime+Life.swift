import BridgeCore
import Logging
import NIOCore
import ServerStreams
import Transports

extension SiteRuntime {
    // MARK: Start and end

    /// Everything is in place: links come up, components connect.
    func start() {
        for peer in peers {
            peer.link.onEvent = { [unowned self, unowned peer] event in linkEvent(event, peer) }
            peer.link.start()
        }
        site.started(now: .now())
        endTurn()
    }

    /// Ends everything in good order: nothing new is accepted, what is under way becomes durable or, without a journal,
    /// goes back to its senders, streams are closed with their closing tags and links with theirs. Done when all that has
    /// happened or `patience` is over; then whatever is left is cut.
    func stop(within patience: TimeAmount) -> EventLoopFuture<Void> {
        guard !isStopping else { return eventLoop.makeSucceededVoidFuture() }
        isStopping = true
        for listener in listeners { listener.close(promise: nil) }
        var ends = linkListeners.map { $0.close() }
        site.shutdownRequested(now: .now())
        endTurn()
        // A link that held something back gives it out now, and it becomes durable before the end.
        ends += peers.map { $0.link.close() }
        let promise = eventLoop.makePromise(of: Void.self)
        stopped = promise
        endTurn()
        ends.append(promise.futureResult)
        let finished = eventLoop.makePromise(of: Void.self)
        let deadline = eventLoop.assumeIsolated().scheduleTask(in: patience) {
            let streams = self.site.localSnapshot.streams.map { "\($0.direction.rawValue) \($0.connection) \($0.state)" }
            if let failure = self.journalFailure {
                self.logger.error(
                    "the journal took nothing up to the end: what came last is lost", metadata: ["reason": "\(failure)"])
            }
            let links = self.peers.filter { $0.link.status.state != .stopped }.map(\.configuration.name)
            self.logger.warning(
                "not everything could be closed in good order within the time for it",
                metadata: [
                    "streams": "\(streams.joined(separator: ", "))", "links": "\(links.joined(separator: ", "))",
                ])
            finished.succeed()
        }
        EventLoopFuture.andAllComplete(ends, on: eventLoop).assumeIsolated().whenComplete { _ in
            deadline.cancel()
            finished.succeed()
        }
        return finished.futureResult.assumeIsolated().flatMap {
            self.stopped?.succeed()
            self.stopped = nil
            self.timer?.cancel()
            for peer in self.peers { peer.link.onEvent = nil }
            for connection in self.connections.values { connection.channel.close(promise: nil) }
            return self.journal?.close(self.eventLoop) ?? self.eventLoop.makeSucceededVoidFuture()
        }.nonisolated()
    }
}
