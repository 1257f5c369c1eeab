import ServerStreams
import XMPP

/// One TCP connection between a bridge and its local server.
final class LocalSocket {
    let number: UInt64
    let toServer: VirtualPipe
    let toBridge: VirtualPipe
    weak var process: BridgeProcess?
    var stream: ServerStream?
    /// The bridge has not closed it, and has not died.
    private(set) var isBridgeOpen = true
    private(set) var isServerOpen = true
    private let world: Simulation

    var id: ConnectionID { ConnectionID(number: number) }
    var isAlive: Bool { isBridgeOpen && isServerOpen }

    init(_ world: Simulation, number: UInt64, capacity: Int, delay: Int64) {
        self.world = world
        self.number = number
        toServer = VirtualPipe(world, capacity: capacity, delay: delay)
        toBridge = VirtualPipe(world, capacity: capacity, delay: delay)
        toServer.onTaken = { [weak self] in self?.takenFromBridge($0) }
        toServer.onRead = { [weak self] in self?.readByServer($0) }
        toServer.onLost = { [weak self] in self?.lostTowardsServer($0) }
        toBridge.onRead = { [weak self] in self?.readByBridge($0) }
        toBridge.onLost = { [weak self] in self?.lostTowardsBridge($0) }
    }

    // MARK: Both directions

    private func takenFromBridge(_ unit: VirtualPipe.Unit) {
        guard let process else { return }
        if unit.bytes.isEmpty {
            process.closeTaken(self)
        } else {
            process.unitTaken(unit, on: self)
        }
    }

    private func readByServer(_ unit: VirtualPipe.Unit) {
        guard isServerOpen, let stream else { return }
        unit.bytes.isEmpty ? serverSawEnd() : stream.read(unit.bytes)
    }

    private func readByBridge(_ unit: VirtualPipe.Unit) {
        guard isBridgeOpen, let process else { return }
        unit.bytes.isEmpty ? bridgeSawEnd("the server closed the connection") : process.read(unit, on: self)
    }

    private func lostTowardsServer(_ unit: VirtualPipe.Unit) {
        guard let key = unit.key, let stream, !stream.isManaged else { return }
        world.oracle.lostTowardsServer(key)
    }

    private func lostTowardsBridge(_ unit: VirtualPipe.Unit) {
        guard let key = unit.key, let stream, !stream.isManaged else { return }
        world.oracle.lostTowardsBridge(key)
    }

    // MARK: Ends

    /// The bridge closed it: nothing that is still on its way to the bridge is read any more.
    func closedByBridge() {
        guard isBridgeOpen else { return }
        isBridgeOpen = false
        loseTowardsBridge()
        finish()
    }

    /// The bridge's process is gone.
    ///
    /// - Parameter kernelLives: what its kernel holds still goes out; not so when the power failed.
    func processDied(kernelLives: Bool) {
        guard isBridgeOpen else { return }
        isBridgeOpen = false
        process = nil
        loseTowardsBridge()
        _ = toServer.takeWaiting()
        guard isServerOpen else { return finish() }
        if kernelLives {
            toServer.write(VirtualPipe.Unit(bytes: [], isStanza: false))
        } else {
            toServer.die()
            // Nobody tells the server; it finds out when nothing answers.
            world.after(Int64(world.random.spread(1_000, 120_000)) * 1_000_000) { [weak self] in self?.serverSawEnd() }
        }
    }

    private func loseTowardsBridge() {
        for unit in toBridge.takeWaiting() { lostTowardsBridge(unit) }
        toBridge.die()
    }

    private func loseTowardsServer() {
        toServer.die()
    }

    /// The server closed it in good order, or is gone: then what its kernel held is lost.
    func closedByServer(kernelLives: Bool) {
        guard isServerOpen else { return }
        isServerOpen = false
        loseTowardsServer()
        guard isBridgeOpen else { return finish() }
        if kernelLives {
            toBridge.write(VirtualPipe.Unit(bytes: [], isStanza: false))
        } else {
            loseTowardsBridge()
            world.after(1_000_000) { [weak self] in self?.bridgeSawEnd("connection reset") }
        }
    }

    func serverSawEnd() {
        guard isServerOpen else { return }
        isServerOpen = false
        loseTowardsServer()
        for unit in toBridge.takeWaiting() { lostTowardsBridge(unit) }
        stream?.ended()
        finish()
    }

    func bridgeSawEnd(_ reason: String) {
        guard isBridgeOpen else { return }
        isBridgeOpen = false
        loseTowardsBridge()
        let unsent = toServer.takeWaiting().compactMap(\.stanza)
        loseTowardsServer()
        process?.connectionEnded(self, unsent: unsent, reason: reason)
        finish()
    }

    /// The network loses it: what is under way is gone, and each end learns of it in its own time.
    func cut(bridgeLearnsAfter: Int64, serverLearnsAfter: Int64) {
        toServer.die()
        toBridge.die()
        world.after(bridgeLearnsAfter) { [weak self] in self?.bridgeSawEnd("connection reset by peer") }
        world.after(serverLearnsAfter) { [weak self] in self?.serverSawEnd() }
    }

    private func finish() {
        guard !isBridgeOpen, !isServerOpen else { return }
        world.socketEnded(self)
    }
}
