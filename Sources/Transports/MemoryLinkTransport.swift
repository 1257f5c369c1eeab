import DequeModule
package import NIOCore
import SeededRandom
package import XMPP

/// Two ends of a link in memory, for tests of what stands above a transport: no sockets, but delay and faults.
///
/// Works on every event loop, an embedded one included.
package final class MemoryLinkTransport: LinkTransport {
    /// What can go wrong.
    package struct Faults: Sendable {
        /// From `send` to arrival.
        package var delay: TimeAmount = .zero
        /// From `send` to the next `ready`: how long a batch or block is on the wire, whatever its size.
        package var sendingTime: TimeAmount = .zero
        /// Of the batch in flight when the link is cut, this many stanzas have arrived all the same.
        package var stanzasThatArriveWhenCut = 0

        /// Adds to `sendingTime` what a block of its size takes; nil for nothing.
        package var bitsPerSecond: Int?
        /// Chances per block, in thousandths.
        package var blockLoss = 0
        package var blockDuplication = 0
        /// Of being held back for `heldBack`, so that later ones overtake it.
        package var blockOvertaking = 0
        /// How long a block that is overtaken, or the second copy of one, comes late.
        package var heldBack: TimeAmount = .seconds(1)
        /// The block in flight when the link is cut has arrived all the same.
        package var blockArrivesWhenCut = false
        /// What is on its way when the link is cut still arrives, perhaps when the link is up again.
        package var blocksOutliveCut = false

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
    private var blockInFlight: ByteBuffer?
    private var random: SplitMix64
    /// Counts connections, so that what belongs to an older one is recognised.
    private var generation: UInt64 = 0
    private var arrived: Deque<LinkEvent> = []
    /// How often ``demandConnection()`` was called.
    package private(set) var demands = 0

    /// Two ends that know each other. Both must be started; ``connect()`` at either end joins them.
    ///
    /// - Parameter seed: of the faults that happen by chance.
    package static func pair(
        on eventLoop: any EventLoop, names: (String, String) = ("left", "right"), seed: UInt64 = 1
    ) -> (MemoryLinkTransport, MemoryLinkTransport) {
        let left = MemoryLinkTransport(eventLoop: eventLoop, peer: names.1, seed: seed)
        let right = MemoryLinkTransport(eventLoop: eventLoop, peer: names.0, seed: ~seed)
        left.other = right
        right.other = left
        return (left, right)
    }

    private init(eventLoop: any EventLoop, peer: String, seed: UInt64) {
        self.eventLoop = eventLoop
        random = SplitMix64(seed: seed)
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
        let ends = [self, other]
        // What arrives does so while the receiver still believes in the connection.
        for end in ends {
            let survivors = (end.inFlight ?? []).prefix(end.faults.stanzasThatArriveWhenCut)
            if !survivors.isEmpty { end.other?.take(Array(survivors)) }
            if end.faults.blockArrivesWhenCut, let block = end.blockInFlight { end.other?.take(block) }
        }
        for end in ends {
            let inDoubt = end.inFlight ?? []
            end.inFlight = nil
            end.blockInFlight = nil
            end.isConnected = false
            end.generation += 1
            end.setState(.resting)
            end.status.lastError = reason
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
        guard isConnected, inFlight == nil, blockInFlight == nil else { return }
        blockInFlight = block
        status.blocksSent += 1
        let generation = generation
        let faults = faults
        let onTheWire = faults.bitsPerSecond.map { Int64(block.readableBytes) * 8_000_000_000 / Int64(max($0, 1)) } ?? 0
        eventLoop.assumeIsolated().scheduleTask(in: faults.sendingTime + .nanoseconds(onTheWire)) {
            guard self.generation == generation else { return }
            self.blockInFlight = nil
            self.raise(.ready)
            self.propagate(block, faults)
        }
    }

    /// The block has left: sees to it that it arrives, or how often and when.
    private func propagate(_ block: ByteBuffer, _ faults: Faults) {
        guard !happens(faults.blockLoss) else { return }
        let delay = happens(faults.blockOvertaking) ? faults.delay + faults.heldBack : faults.delay
        arrive(block, in: delay, faults)
        if happens(faults.blockDuplication) { arrive(block, in: delay + faults.heldBack, faults) }
    }

    private func arrive(_ block: ByteBuffer, in delay: TimeAmount, _ faults: Faults) {
        let generation = generation
        eventLoop.assumeIsolated().scheduleTask(in: delay) {
            guard self.generation == generation || faults.blocksOutliveCut, let other = self.other else { return }
            guard other.isConnected else { return }
            other.take(block)
        }
    }

    /// Draws lots; the same seed draws the same.
    private func happens(_ perMille: Int) -> Bool {
        guard perMille > 0 else { return false }
        return random.next() % 1_000 < UInt64(perMille)
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

    private func take(_ block: ByteBuffer) {
        status.blocksReceived += 1
        report([.block(block), .batchEnd])
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
