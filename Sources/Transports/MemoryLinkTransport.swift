import DequeModule
package import NIOCore
package import XMPP

/// Two ends of a link in memory, for tests of what stands above a transport: no sockets, but delay and faults.
///
/// Works on every event loop, an embedded one included.
package final class MemoryLinkTransport: LinkTransport {
    /// What can go wrong.
    package struct Faults: Sendable {
        /// From `send` to arrival.
        package var delay: TimeAmount = .zero
        /// From `send` to the next `ready`: how long a batch is on the wire.
        package var sendingTime: TimeAmount = .zero
        /// Of the batch in flight when the link is cut, this many stanzas have arrived all the same.
        package var stanzasThatArriveWhenCut = 0

        package init() {}
    }

    package var onEvent: ((LinkEvent) -> Void)?
    package var faults = Faults()
    package private(set) var status: LinkStatus

    private let eventLoop: any EventLoop
    private weak var other: MemoryLinkTransport?
    private var isStarted = false
    private var isConnected = false
    private var isClosed = false
    private var isPaused = false
    private var inFlight: [Stanza]?
    private var isSendingBlock = false
    /// Counts connections, so that what belongs to an older one is recognised.
    private var generation: UInt64 = 0
    private var arrived: Deque<LinkEvent> = []
    /// How often ``demandConnection()`` was called.
    package private(set) var demands = 0

    /// Two ends that know each other. Both must be started; ``connect()`` at either end joins them.
    package static func pair(
        on eventLoop: any EventLoop, names: (String, String) = ("left", "right")
    ) -> (MemoryLinkTransport, MemoryLinkTransport) {
        let left = MemoryLinkTransport(eventLoop: eventLoop, peer: names.1)
        let right = MemoryLinkTransport(eventLoop: eventLoop, peer: names.0)
        left.other = right
        right.other = left
        return (left, right)
    }

    private init(eventLoop: any EventLoop, peer: String) {
        self.eventLoop = eventLoop
        status = LinkStatus(peer: peer, state: .stopped, since: eventLoop.now)
    }

    /// Brings the link up at both ends.
    package func connect() {
        guard let other, isStarted, other.isStarted, !isConnected else { return }
        for end in [self, other] {
            end.isConnected = true
            end.generation += 1
            if end.generation > 1 { end.status.reconnects += 1 }
            end.setState(.connected)
            end.raise(.connected(description: "memory"))
            end.raise(.ready)
        }
    }

    /// Takes the link down at both ends without a word; what was in flight is in doubt.
    package func cut(reason: String = "cut") {
        guard isConnected, let other else { return }
        for end in [self, other] {
            let inDoubt = end.inFlight ?? []
            let survivors = inDoubt.prefix(end.faults.stanzasThatArriveWhenCut)
            end.inFlight = nil
            end.isSendingBlock = false
            end.isConnected = false
            end.generation += 1
            end.setState(.resting)
            end.status.lastError = reason
            if !survivors.isEmpty { end.other?.take(Array(survivors)) }
            end.raise(.disconnected(unsent: [], inDoubt: inDoubt, reason: reason))
        }
    }

    /// Reports a stanza over the limit, as if the other end had sent one.
    package func receiveOversize(_ stub: Stanza, limit: Int) {
        report([.oversize(stub, limit), .batchEnd])
    }

    // MARK: LinkTransport

    package func start() {
        guard !isClosed else { return }
        isStarted = true
        setState(.resting)
    }

    package func demandConnection() {
        demands += 1
    }

    package func send(_ batch: [Stanza]) {
        guard isConnected, inFlight == nil else {
            return raise(.disconnected(unsent: batch, inDoubt: [], reason: "the link could not take the batch"))
        }
        inFlight = batch
        status.batchesSent += 1
        status.stanzasSent += UInt64(batch.count)
        let generation = generation
        let faults = faults
        eventLoop.assumeIsolated().scheduleTask(in: faults.sendingTime) {
            guard self.generation == generation else { return }
            self.inFlight = nil
            self.raise(.ready)
            self.eventLoop.assumeIsolated().scheduleTask(in: faults.delay) {
                // Like a real network: what has left arrives even if the sender has hung up since.
                self.other?.take(batch)
            }
        }
    }

    package func send(block: ByteBuffer, isUrgent: Bool) {
        guard isConnected, !isSendingBlock else { return }
        isSendingBlock = true
        let generation = generation
        let faults = faults
        eventLoop.assumeIsolated().scheduleTask(in: faults.sendingTime) {
            guard self.generation == generation else { return }
            self.isSendingBlock = false
            self.raise(.ready)
            self.eventLoop.assumeIsolated().scheduleTask(in: faults.delay) {
                guard self.generation == generation else { return }
                self.other?.report([.block(block), .batchEnd])
            }
        }
    }

    package func pauseReading() {
        isPaused = true
    }

    package func resumeReading() {
        isPaused = false
        eventLoop.assumeIsolated().execute { self.drain() }
    }

    package func fail(_ error: StreamError) {
        cut(reason: LinkEnd.errorSent(error).sentence)
    }

    package func close() -> EventLoopFuture<Void> {
        cut(reason: "closed")
        isClosed = true
        isStarted = false
        setState(.stopped)
        return eventLoop.makeSucceededVoidFuture()
    }

    private func take(_ batch: [Stanza]) {
        status.stanzasReceived += UInt64(batch.count)
        report(batch.map { .received($0) } + [.batchEnd])
    }

    private func report(_ events: [LinkEvent]) {
        arrived.append(contentsOf: events)
        eventLoop.assumeIsolated().execute { self.drain() }
    }

    private func drain() {
        while !isPaused, let event = arrived.popFirst() { onEvent?(event) }
    }

    private func raise(_ event: LinkEvent) {
        eventLoop.assumeIsolated().execute { self.onEvent?(event) }
    }

    private func setState(_ state: LinkStatus.State) {
        status.state = state
        status.since = eventLoop.now
    }
}
