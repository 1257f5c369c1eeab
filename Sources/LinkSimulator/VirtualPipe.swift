import DequeModule
import XMPP

/// One direction of a TCP connection on the local network, in virtual time: what the writer has not got rid of, what the
/// kernels and the wire hold, and what the reader does not read.
final class VirtualPipe {
    /// What is written at once; never split before the reader.
    struct Unit {
        var bytes: [UInt8]
        var isStanza: Bool
        /// What the oracle calls it; nil where it does not matter.
        var key: DeliveryKey?
        /// What the bridge gets back when the kernel never took it.
        var stanza: Stanza?
    }

    private let world: Simulation
    /// Bytes that the kernels hold at most.
    private let capacity: Int
    private let delay: Int64
    private var waiting: Deque<Unit> = []
    private var flying: Deque<Unit> = []
    private var flyingBytes = 0
    /// Of the flying ones, those that have arrived and are not read.
    private var arrived = 0
    private var lastArrival: Int64 = 0
    /// The wire is gone, or nobody listens at its end: the kernel goes on taking bytes that arrive nowhere.
    private(set) var isDead = false
    /// The reader reads nothing.
    var isPaused = false {
        didSet { if !isPaused { read() } }
    }

    var onTaken: (Unit) -> Void = { _ in }
    var onRead: (Unit) -> Void = { _ in }
    var onLost: (Unit) -> Void = { _ in }

    init(_ world: Simulation, capacity: Int, delay: Int64) {
        self.world = world
        self.capacity = capacity
        self.delay = delay
    }

    /// Whether the writer must wait: NIO's mark is at 64 KiB of its own queue; here it is the first unit that waits.
    var isBlocked: Bool { !waiting.isEmpty }
    var isDrained: Bool { waiting.isEmpty && (flying.isEmpty || isDead) }

    func write(_ unit: Unit) {
        waiting.append(unit)
        pump()
    }

    private func pump() {
        while let unit = waiting.first, isDead || flyingBytes == 0 || flyingBytes + unit.bytes.count <= capacity {
            waiting.removeFirst()
            if isDead {
                // A dead connection still fills the kernel's buffer before it blocks.
                flyingBytes += unit.bytes.count
                onTaken(unit)
                onLost(unit)
                if flyingBytes > capacity { return }
                continue
            }
            flying.append(unit)
            flyingBytes += unit.bytes.count
            lastArrival = max(lastArrival, world.now + delay)
            world.at(lastArrival) { [weak self] in
                guard let self, !self.isDead else { return }
                self.arrived += 1
                self.read()
            }
            onTaken(unit)
        }
    }

    private func read() {
        while !isPaused, !isDead, arrived > 0, let unit = flying.popFirst() {
            arrived -= 1
            flyingBytes -= unit.bytes.count
            onRead(unit)
            pump()
        }
    }

    /// Nothing arrives any more; what the kernels and the wire held is lost.
    func die() {
        guard !isDead else { return }
        isDead = true
        let lost = flying
        flying = []
        flyingBytes = 0
        arrived = 0
        for unit in lost { onLost(unit) }
    }

    /// The writer is gone without having got rid of these.
    func takeWaiting() -> [Unit] {
        defer { waiting = [] }
        return Array(waiting)
    }

    /// Breaks the circle of closures.
    func forget() {
        onTaken = { _ in }
        onRead = { _ in }
        onLost = { _ in }
    }
}
